//! Who waits, and who is next.

use std::collections::{BTreeMap, VecDeque};

/// How urgent a call is; the first is served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Ends an access key, or finds it.
    KeyKilling,
    /// A client waits for the answer, for credentials most often.
    Issue,
    /// Removes what is left when the key is dead.
    Removal,
    /// Nobody waits.
    Background,
}

impl Class {
    const ALL: [Self; 4] = [
        Self::KeyKilling,
        Self::Issue,
        Self::Removal,
        Self::Background,
    ];
}

/// Every so many turns one goes to a less urgent class, to each of those that wait in its turn, so
/// that none starves however much is asked of the others.
const LESS_URGENT: usize = 8;

/// Where a waiter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    class: Class,
    mount: u64,
    /// The request, and the call among all calls.
    order: (u64, u64),
}

/// Waiters by class; in a class the mounts take turns, and of a mount the oldest request is served
/// first. So of many requests that came at once one after another is done, and a few that run out
/// of time are far behind, instead of all being nearly done.
#[derive(Debug)]
pub(super) struct Queue<W> {
    classes: [Mounts<W>; Class::ALL.len()],
    turns: usize,
    calls: u64,
}

/// The waiters of one class by mount. The first mount is next.
type Mounts<W> = VecDeque<(u64, BTreeMap<(u64, u64), W>)>;

impl<W> Queue<W> {
    pub(super) fn new() -> Self {
        Self {
            classes: Class::ALL.map(|_| VecDeque::new()),
            turns: 0,
            calls: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.classes.iter().all(VecDeque::is_empty)
    }

    /// Puts a waiter behind those of its request; requests are numbered in the order in which they
    /// came.
    pub(super) fn push(&mut self, class: Class, mount: u64, request: u64, waiter: W) -> Place {
        self.calls += 1;
        let order = (request, self.calls);
        let mounts = &mut self.classes[class as usize];
        match mounts.iter_mut().find(|(id, _)| *id == mount) {
            Some((_, waiters)) => drop(waiters.insert(order, waiter)),
            None => mounts.push_back((mount, BTreeMap::from([(order, waiter)]))),
        }
        Place {
            class,
            mount,
            order,
        }
    }

    /// Takes out the waiter whose turn it is.
    pub(super) fn pop(&mut self) -> Option<W> {
        let class = self.next_class()?;
        let mounts = &mut self.classes[class as usize];
        let (mount, mut waiters) = mounts.pop_front()?;
        let (_, waiter) = waiters.pop_first()?;
        if !waiters.is_empty() {
            mounts.push_back((mount, waiters));
        }
        Some(waiter)
    }

    fn next_class(&mut self) -> Option<Class> {
        let waits = |class: &Class| !self.classes[*class as usize].is_empty();
        let mut waiting = Class::ALL.into_iter().filter(waits);
        let most_urgent = waiting.next()?;
        let others = waiting.count();
        self.turns += 1;
        if others == 0 || !self.turns.is_multiple_of(LESS_URGENT) {
            return Some(most_urgent);
        }
        let turn = self.turns / LESS_URGENT % others;
        Class::ALL.into_iter().filter(waits).nth(1 + turn)
    }

    /// Takes out a waiter that does not want to wait any more; nothing when it was served already.
    pub(super) fn remove(&mut self, place: &Place) {
        let mounts = &mut self.classes[place.class as usize];
        let Some(at) = mounts.iter().position(|(id, _)| *id == place.mount) else {
            return;
        };
        mounts[at].1.remove(&place.order);
        if mounts[at].1.is_empty() {
            mounts.remove(at);
        }
    }
}
