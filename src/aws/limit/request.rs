//! One request at the limiter of its account: until when its calls wait, and whether it is let in.
//!
//! When more is asked of an account than AWS takes, somebody must go without. Without a door that is
//! everybody: each waits until its caller has given up, and is served in vain. So while AWS
//! throttles, a request that has changed nothing yet, and could not be done in time, is told so at
//! once.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::limiter::{Limiter, State, Waiter};
use super::queue::{Class, Rank};
use crate::caller::Caller;

/// The part of a caller's patience within which a request must be done, as it looks when it comes,
/// and while it waits. The rest is for what comes between.
const AT_THE_DOOR: f64 = 0.6;
const IN_THE_QUEUE: f64 = 0.8;

/// Nobody is taken for less patient.
const LEAST_PATIENCE: Duration = Duration::from_secs(3);

/// What is left of the time of a request when its last call goes out, for AWS's answers.
const RESERVE: Duration = Duration::from_secs(2);

/// A request that waits is given up when it could not be done in time if AWS took so much more.
const DOUBT: f64 = 1.15;

/// What all calls of one request have in common. Dropped when the request has ended.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) limiter: Arc<Limiter>,
    pub(super) mount: u64,
    pub(super) number: u64,
    hung_up: AtomicBool,
}

/// Where in its course a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Anywhere.
    Whole,
    /// It changes something for the first time.
    Beginning,
    /// It has begun.
    Finishing,
    /// It takes back what it has done.
    Undoing,
}

impl Phase {
    /// Until when a call waits for its turn.
    pub(super) fn turn_by(self, caller: &Caller) -> Instant {
        match self {
            Self::Beginning => caller.begin_by(),
            Self::Finishing => caller.finish_by(),
            Self::Whole | Self::Undoing => caller.answer_by(),
        }
    }

    /// Until when its answer is waited for.
    pub(super) fn answered_by(self, caller: &Caller) -> Instant {
        match self {
            Self::Beginning | Self::Finishing => caller.finish_by(),
            Self::Whole | Self::Undoing => caller.answer_by(),
        }
    }

    pub(super) fn has_begun(self) -> bool {
        matches!(self, Self::Finishing | Self::Undoing)
    }
}

/// What one call asks of the limiter.
#[derive(Clone, Debug)]
pub(super) struct Asks {
    pub(super) rank: Rank,
    /// The class of the request.
    pub(super) class: Class,
    pub(super) phase: Phase,
    /// How many calls the request will take; zero when that is not known.
    pub(super) expected: usize,
    pub(super) caller: Caller,
}

impl Asks {
    pub(super) fn phase_ends(&self) -> Instant {
        self.phase.turn_by(&self.caller)
    }
}

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Crowd {
    /// Calls a second that AWS takes.
    per_second: f64,
    /// Requests that wait.
    requests: usize,
    /// Until they are served.
    wait: Duration,
}

impl fmt::Display for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "AWS takes about {:.0} calls a second of this account, and {} requests wait already: \
             try again in about {} s",
            self.per_second.max(1.0),
            self.requests,
            self.wait.as_secs() + 1
        )
    }
}

impl Request {
    pub(super) fn new(limiter: Arc<Limiter>, mount: u64, number: u64) -> Self {
        Self {
            limiter,
            mount,
            number,
            hung_up: AtomicBool::new(false),
        }
    }

    /// Lets the request in, unless it could not be done in time.
    pub(super) fn let_in(asks: &Asks, limiter: &Limiter) -> Result<(), Crowd> {
        let mut state = limiter.state();
        state.may_enter(asks, Instant::now())?;
        state.enter(asks);
        Ok(())
    }

    /// The caller hung up while a call waited for its turn.
    pub(super) fn hung_up(&self, caller: &Caller) {
        if self.hung_up.swap(true, Ordering::Relaxed) {
            return;
        }
        let hopeless = {
            let mut state = self.limiter.state();
            let now = Instant::now();
            state.load.hung_up(self.mount, now, now - caller.began());
            state.take_out_hopeless(now)
        };
        drop(hopeless);
    }

    /// Why it had no turn; `None` when AWS does not throttle.
    pub(super) fn crowd(&self) -> Option<Crowd> {
        let state = self.limiter.state();
        let per_second = state.rate.paced()?;
        Some(state.crowd(self.mount, 1, per_second))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.limiter.state().load.leave(self.mount, self.number);
    }
}

impl State {
    /// Until when a call waits for its turn. As long as it is not known how long the rest of a
    /// request takes, what must be done in time must begin early.
    pub(super) fn turn_by(&mut self, asks: &Asks, now: Instant) -> Instant {
        let ends = asks.phase_ends();
        let (Phase::Beginning, Some(per_second)) = (asks.phase, self.rate.confirmed()) else {
            return ends;
        };
        let own = self.time_for(asks.expected, per_second);
        let before = |moment: Instant, time| moment.checked_sub(time).unwrap_or(now);
        let ends = match asks.expected {
            0 => ends,
            _ => ends.max(before(asks.caller.finish_by(), own + RESERVE)),
        };
        match self.patience(asks, IN_THE_QUEUE, now) {
            Some(patience) => ends.min(before(patience, own)),
            None => ends,
        }
    }

    fn may_enter(&mut self, asks: &Asks, now: Instant) -> Result<(), Crowd> {
        let Rank { mount, request, .. } = asks.rank;
        let (Phase::Beginning, Some(per_second)) = (asks.phase, self.rate.confirmed()) else {
            return Ok(());
        };
        if asks.class != Class::Issue || self.load.knows(mount, request) {
            return Ok(());
        }
        let calls = asks.expected.max(1);
        let crowd = self.crowd(mount, calls, per_second);
        let done = now + crowd.wait + self.time_for(calls, per_second);
        if crowd.requests > 0 && done > self.done_by(asks, now) {
            return Err(crowd);
        }
        Ok(())
    }

    /// Takes out of the queue what came last and could not be done in time.
    pub(super) fn take_out_hopeless(&mut self, now: Instant) -> Vec<Waiter> {
        let mut hopeless = Vec::new();
        let Some(per_second) = self.rate.confirmed() else {
            return hopeless;
        };
        for mount in self.queue.mounts(Class::Issue) {
            while let Some((place, newest)) = self.queue.newest(Class::Issue, mount) {
                let asks = newest.asks.clone();
                let all = self.load.ahead(mount, 0);
                let done = now + self.time_for(all, per_second).div_f64(DOUBT);
                if asks.phase != Phase::Beginning || done <= self.done_by(&asks, now) {
                    break;
                }
                hopeless.extend(self.queue.remove(&place));
                self.load.leave(mount, asks.rank.request);
            }
        }
        hopeless
    }

    /// When a request must be done that comes or waits now.
    fn done_by(&mut self, asks: &Asks, now: Instant) -> Instant {
        let finish_by = asks.caller.finish_by();
        let patience = self.patience(asks, AT_THE_DOOR, now);
        patience.map_or(finish_by, |patience| patience.min(finish_by))
    }

    /// When a part of the caller's patience is over, as far as the others of its mount tell.
    fn patience(&mut self, asks: &Asks, part: f64, now: Instant) -> Option<Instant> {
        let patience = self.load.patience(asks.rank.mount, now)?;
        Some(asks.caller.began() + patience.max(LEAST_PATIENCE).mul_f64(part))
    }

    fn crowd(&self, mount: u64, own: usize, per_second: f64) -> Crowd {
        Crowd {
            per_second,
            requests: self.load.requests(),
            wait: self.time_for(self.load.ahead(mount, own), per_second),
        }
    }

    /// How long so many calls of requests for credentials take beside all else that waits.
    fn time_for(&self, calls: usize, per_second: f64) -> Duration {
        if calls == 0 {
            return Duration::ZERO;
        }
        let keys = as_f64(self.queue.count(Class::KeyKilling));
        let calls = keys + as_f64(calls) / self.queue.share(Class::Issue);
        Duration::from_secs_f64(calls / per_second)
    }
}

#[expect(clippy::cast_precision_loss, reason = "so many calls never wait")]
fn as_f64(calls: usize) -> f64 {
    calls as f64
}
