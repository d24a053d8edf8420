//! Who waits, and who is next.

use std::collections::{BTreeMap, VecDeque};

/// How urgent a call is; the first is served first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Ends an access key, or finds it. Whatever a request is about, its calls that do so are of
    /// this class.
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

/// Every so many turns that keys are to be killed in, one goes to something else, so that nothing
/// starves however many they are.
const OTHERS: usize = 8;

/// Whose turn it is when no key is to be killed; when none of that class waits, it is the most
/// urgent one's. Removal has nearly as much as issuing: what is issued must be removed one day, with
/// as many calls.
const TURNS: [Class; 8] = {
    use Class::{Background, Issue, Removal};
    [
        Issue, Removal, Issue, Removal, Issue, Removal, Issue, Background,
    ]
};

/// A request, and the call among all calls. Requests are numbered in the order in which they came.
type Order = (u64, u64);

/// Whose call it is, and how it is ranked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rank {
    pub(super) class: Class,
    /// The request has changed something in AWS already.
    pub(super) begun: bool,
    pub(super) mount: u64,
    pub(super) request: u64,
}

/// Where a waiter stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    rank: Rank,
    order: Order,
}

/// Waiters by class. In a class, requests that have begun are served before any that has not, so
/// that few are half done at a time; of the others mounts take turns. Of equals the oldest request is
/// served first: of many that came at once one after another is done, and a few that run out of time
/// are far behind, instead of all being nearly done.
#[derive(Debug)]
pub(super) struct Queue<W> {
    classes: [Waiters<W>; Class::ALL.len()],
    kills: usize,
    turns: usize,
    calls: u64,
}

#[derive(Debug)]
struct Waiters<W> {
    begun: BTreeMap<Order, W>,
    /// The first mount is next.
    mounts: VecDeque<(u64, BTreeMap<Order, W>)>,
    count: usize,
}

impl<W> Queue<W> {
    pub(super) fn new() -> Self {
        Self {
            classes: Class::ALL.map(|_| Waiters::new()),
            kills: 0,
            turns: 0,
            calls: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.classes.iter().all(|waiters| waiters.count == 0)
    }

    /// How many calls of a class wait.
    pub(super) fn count(&self, class: Class) -> usize {
        self.classes[class as usize].count
    }

    /// The part of the turns that a class has while no key is to be killed and others wait as they
    /// do now.
    pub(super) fn share(&self, class: Class) -> f64 {
        let others = TURNS
            .iter()
            .filter(|turn| **turn != class && self.count(**turn) > 0);
        let part = |turns: usize| f64::from(u32::try_from(turns).unwrap_or(u32::MAX));
        1.0 - part(others.count()) / part(TURNS.len())
    }

    /// Puts a waiter behind those of its request.
    pub(super) fn push(&mut self, rank: Rank, waiter: W) -> Place {
        self.calls += 1;
        let order = (rank.request, self.calls);
        self.classes[rank.class as usize].insert(rank, order, waiter);
        Place { rank, order }
    }

    /// Takes out the waiter whose turn it is.
    pub(super) fn pop(&mut self) -> Option<W> {
        let class = self.next_class()?;
        self.classes[class as usize].pop()
    }

    fn next_class(&mut self) -> Option<Class> {
        let counts = self.classes.each_ref().map(|waiters| waiters.count);
        let waits = |class: &Class| counts[*class as usize] > 0;
        let other = Class::ALL[1..].iter().copied().find(waits);
        if waits(&Class::KeyKilling) {
            self.kills += 1;
            if other.is_none() || !self.kills.is_multiple_of(OTHERS) {
                return Some(Class::KeyKilling);
            }
        }
        let other = other?;
        let turn = TURNS[self.turns % TURNS.len()];
        let next = if waits(&turn) { turn } else { other };
        self.turns += 1;
        Some(next)
    }

    /// Takes out a waiter that does not want to wait any more; nothing when it was served already.
    pub(super) fn remove(&mut self, place: &Place) -> Option<W> {
        self.classes[place.rank.class as usize].remove(place)
    }

    /// The mounts that wait with requests of a class that have not begun.
    pub(super) fn mounts(&self, class: Class) -> Vec<u64> {
        let mounts = &self.classes[class as usize].mounts;
        mounts.iter().map(|(mount, _)| *mount).collect()
    }

    /// The newest waiter of a mount's requests of a class that have not begun.
    pub(super) fn newest(&self, class: Class, mount: u64) -> Option<(Place, &W)> {
        let (_, waiters) = self.classes[class as usize].of(mount)?;
        let (&order, waiter) = waiters.last_key_value()?;
        let rank = Rank {
            class,
            begun: false,
            mount,
            request: order.0,
        };
        Some((Place { rank, order }, waiter))
    }
}

impl<W> Waiters<W> {
    fn new() -> Self {
        Self {
            begun: BTreeMap::new(),
            mounts: VecDeque::new(),
            count: 0,
        }
    }

    fn of(&self, mount: u64) -> Option<&(u64, BTreeMap<Order, W>)> {
        self.mounts.iter().find(|(id, _)| *id == mount)
    }

    fn insert(&mut self, rank: Rank, order: Order, waiter: W) {
        self.count += 1;
        if rank.begun {
            self.begun.insert(order, waiter);
            return;
        }
        match self.mounts.iter_mut().find(|(id, _)| *id == rank.mount) {
            Some((_, waiters)) => drop(waiters.insert(order, waiter)),
            None => self
                .mounts
                .push_back((rank.mount, BTreeMap::from([(order, waiter)]))),
        }
    }

    fn pop(&mut self) -> Option<W> {
        let waiter = if let Some((_, waiter)) = self.begun.pop_first() {
            waiter
        } else {
            let (mount, mut waiters) = self.mounts.pop_front()?;
            let (_, waiter) = waiters.pop_first()?;
            if !waiters.is_empty() {
                self.mounts.push_back((mount, waiters));
            }
            waiter
        };
        self.count -= 1;
        Some(waiter)
    }

    fn remove(&mut self, place: &Place) -> Option<W> {
        let removed = if place.rank.begun {
            self.begun.remove(&place.order)
        } else {
            let is_its = |(id, _): &(u64, _)| *id == place.rank.mount;
            let at = self.mounts.iter().position(is_its)?;
            let removed = self.mounts[at].1.remove(&place.order);
            if self.mounts[at].1.is_empty() {
                self.mounts.remove(at);
            }
            removed
        };
        self.count -= usize::from(removed.is_some());
        removed
    }
}
