//! What the requests that were let in still have to call, and how long their callers wait.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

/// So few callers that hang up say nothing of the others.
const FEW: usize = 3;

/// So many of the last ones are looked at.
const MANY: usize = 32;

/// For how long they count. While more is asked than AWS takes, a short queue costs nothing, and to
/// find out anew that it must be short does.
const REMEMBERED: Duration = Duration::from_mins(3);

/// The requests of one account, mount by mount.
#[derive(Debug, Default)]
pub(super) struct Load {
    mounts: BTreeMap<u64, Mount>,
}

#[derive(Debug, Default)]
struct Mount {
    requests: BTreeMap<u64, Calls>,
    /// Of all its requests.
    calls: usize,
    /// When callers hung up, and how long they had waited.
    hung_up: VecDeque<(Instant, Duration)>,
}

/// The calls that a request has to send.
#[derive(Clone, Copy, Debug, Default)]
struct Calls {
    /// Not sent yet of those that it was said to take.
    expected: usize,
    /// In the queue.
    waiting: usize,
}

impl Calls {
    fn left(self) -> usize {
        self.expected.max(self.waiting)
    }
}

impl Load {
    /// How many requests there are.
    pub(super) fn requests(&self) -> usize {
        self.mounts.values().map(|mount| mount.requests.len()).sum()
    }

    pub(super) fn knows(&self, mount: u64, request: u64) -> bool {
        let mount = self.mounts.get(&mount);
        mount.is_some_and(|mount| mount.requests.contains_key(&request))
    }

    /// A request is let in, of which so many calls are expected.
    pub(super) fn enter(&mut self, mount: u64, request: u64, expected: usize) {
        let mount = self.mounts.entry(mount).or_default();
        mount.requests.entry(request).or_default();
        mount.change(request, |calls| calls.expected = expected);
    }

    /// A request has ended.
    pub(super) fn leave(&mut self, mount: u64, request: u64) {
        let Some(of_mount) = self.mounts.get_mut(&mount) else {
            return;
        };
        let calls = of_mount.requests.remove(&request).unwrap_or_default();
        of_mount.calls -= calls.left();
        if of_mount.requests.is_empty() && of_mount.hung_up.is_empty() {
            self.mounts.remove(&mount);
        }
    }

    /// A call of the request is in the queue.
    pub(super) fn waits(&mut self, mount: u64, request: u64) {
        self.change(mount, request, |calls| calls.waiting += 1);
    }

    /// It is not any more.
    pub(super) fn waits_no_more(&mut self, mount: u64, request: u64) {
        self.change(mount, request, |calls| {
            calls.waiting = calls.waiting.saturating_sub(1);
        });
    }

    /// A call of the request goes out.
    pub(super) fn sent(&mut self, mount: u64, request: u64) {
        self.change(mount, request, |calls| {
            calls.expected = calls.expected.saturating_sub(1);
        });
    }

    /// AWS refused it, so it will go out again.
    pub(super) fn refused(&mut self, mount: u64, request: u64) {
        self.change(mount, request, |calls| calls.expected += 1);
    }

    fn change(&mut self, mount: u64, request: u64, change: impl FnOnce(&mut Calls)) {
        if let Some(mount) = self.mounts.get_mut(&mount) {
            mount.change(request, change);
        }
    }

    /// The calls that go out before a request that comes now, with so many calls, has sent its last
    /// one, while mounts take turns.
    pub(super) fn ahead(&self, mount: u64, own: usize) -> usize {
        let of = |mount: u64| self.mounts.get(&mount).map_or(0, |mount| mount.calls);
        let before = of(mount);
        let others = self.mounts.keys().filter(|other| **other != mount);
        before
            + others
                .map(|other| of(*other).min(before + own))
                .sum::<usize>()
    }

    /// A caller of the mount hung up after so long.
    pub(super) fn hung_up(&mut self, mount: u64, now: Instant, waited: Duration) {
        let hung_up = &mut self.mounts.entry(mount).or_default().hung_up;
        if hung_up.len() == MANY {
            hung_up.pop_front();
        }
        hung_up.push_back((now, waited));
    }

    /// For how long most callers of the mount wait, if some hung up lately.
    pub(super) fn patience(&mut self, mount: u64, now: Instant) -> Option<Duration> {
        let hung_up = &mut self.mounts.get_mut(&mount)?.hung_up;
        while hung_up
            .front()
            .is_some_and(|(at, _)| now - *at >= REMEMBERED)
        {
            hung_up.pop_front();
        }
        if hung_up.len() < FEW {
            return None;
        }
        let mut waited: Vec<_> = hung_up.iter().map(|(_, waited)| *waited).collect();
        waited.sort_unstable();
        Some(waited[waited.len() / 4])
    }
}

impl Mount {
    fn change(&mut self, request: u64, change: impl FnOnce(&mut Calls)) {
        if let Some(calls) = self.requests.get_mut(&request) {
            self.calls -= calls.left();
            change(calls);
            self.calls += calls.left();
        }
    }
}
