//! Lets calls to one account go out as fast as AWS takes them, the most urgent first.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::load::Load;
use super::queue::{Class, Queue, Rank};
use super::rate::{Answer, Rate, Turn};
use super::request::{Asks, Request};

/// Calls to STS under way at most: each has a connection of its own, with its memory and a file
/// descriptor.
const STS_CALLS: usize = 200;

/// The limiter of one account.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Whose limit it is, for the log.
    account: String,
    // A std mutex: nothing awaits under it, and no permit is dropped under it.
    state: Mutex<State>,
    requests: AtomicU64,
    /// The pacer must look earlier than it meant to.
    earlier: Notify,
    /// STS has limits of its own; only how much of it is under way is limited here.
    pub(super) sts: Semaphore,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) rate: Rate,
    /// Permits that were given and not returned.
    under_way: usize,
    pub(super) queue: Queue<Waiter>,
    pub(super) load: Load,
    /// When the pacer looks again, if there is one.
    pacing: Option<Instant>,
}

/// A call that waits for its turn. Dropped, it tells that there will be none.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) asks: Asks,
    turn: oneshot::Sender<Permit>,
}

/// The permission to send one call. However it ends, its place becomes free.
#[derive(Debug)]
pub(super) struct Permit {
    limiter: Arc<Limiter>,
    rank: Rank,
    sent: Instant,
    answer: Answer,
}

impl Limiter {
    pub(super) fn new(account: String) -> Self {
        Self {
            account,
            state: Mutex::new(State {
                rate: Rate::new(Instant::now()),
                under_way: 0,
                queue: Queue::new(),
                load: Load::default(),
                pacing: None,
            }),
            requests: AtomicU64::new(0),
            earlier: Notify::new(),
            sts: Semaphore::new(STS_CALLS),
        }
    }

    /// A request that begins now.
    pub(super) fn request(self: &Arc<Self>, mount: u64) -> Arc<Request> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        Arc::new(Request::new(Arc::clone(self), mount, number))
    }

    /// Waits for the turn of a call; `None` when there is none in time.
    pub(super) async fn acquire(self: &Arc<Self>, asks: Asks) -> Option<Permit> {
        let (_leaving, mut granted) = {
            let mut state = self.state();
            let now = Instant::now();
            if now >= state.turn_by(&asks, now) {
                return None;
            }
            state.enter(&asks);
            if state.queue.is_empty() && state.turn(now) == Turn::Now {
                return Some(self.permit(&mut state, asks.rank, now));
            }
            let (turn, granted) = oneshot::channel();
            state.load.waits(asks.rank.mount, asks.rank.request);
            let waiter = Waiter {
                asks: asks.clone(),
                turn,
            };
            let place = state.queue.push(asks.rank, waiter);
            let leaving = Leaving {
                limiter: self,
                place,
            };
            (leaving, granted)
        };
        self.serve();
        let mut until = asks.phase_ends();
        loop {
            if let Ok(granted) = timeout_at(until, &mut granted).await {
                return granted.ok();
            }
            // While AWS throttles, it is known how long the rest takes.
            let now = Instant::now();
            until = self.state().turn_by(&asks, now);
            if until <= now {
                return None;
            }
        }
    }

    /// Whether nobody waits and nothing is under way.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state();
        state.queue.is_empty() && state.under_way == 0
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn permit(self: &Arc<Self>, state: &mut State, rank: Rank, now: Instant) -> Permit {
        state.under_way += 1;
        state.rate.sent(now);
        state.load.sent(rank.mount, rank.request);
        Permit {
            limiter: Arc::clone(self),
            rank,
            sent: now,
            answer: Answer::Unknown,
        }
    }

    /// Gives out the permits that are due, and sees to it that the later ones will be.
    fn serve(self: &Arc<Self>) {
        self.give_out(|state, next| match (next, state.pacing) {
            (Some(next), None) => {
                // Without a runtime nobody waits any more.
                if let Ok(runtime) = Handle::try_current() {
                    state.pacing = Some(next);
                    runtime.spawn(Arc::clone(self).pace());
                }
            }
            (Some(next), Some(looks)) if next < looks => self.earlier.notify_one(),
            _ => {}
        });
    }

    /// Gives out the permits that are due for as long as somebody waits.
    async fn pace(self: Arc<Self>) {
        while let Some(next) = self.give_out(|state, next| {
            state.pacing = next;
            next
        }) {
            let _ = timeout_at(next, self.earlier.notified()).await;
        }
    }

    /// Gives out the permits that are due. `then` is told when to look again, if somebody still
    /// waits.
    fn give_out<T>(self: &Arc<Self>, then: impl FnOnce(&mut State, Option<Instant>) -> T) -> T {
        loop {
            let mut state = self.state();
            let now = Instant::now();
            let turn = (!state.queue.is_empty()).then(|| state.turn(now));
            let waiter = match turn {
                Some(Turn::Now) => state.queue.pop(),
                Some(Turn::At(next)) => return then(&mut state, Some(next)),
                None => None,
            };
            let Some(Waiter { asks, turn }) = waiter else {
                return then(&mut state, None);
            };
            let Rank { mount, request, .. } = asks.rank;
            state.load.waits_no_more(mount, request);
            if now >= state.turn_by(&asks, now) {
                state.load.leave(mount, request);
                continue;
            }
            let permit = self.permit(&mut state, asks.rank, now);
            drop(state);
            // Whoever does not wait any more drops it, and so returns it.
            drop(turn.send(permit));
        }
    }
}

impl State {
    fn turn(&mut self, now: Instant) -> Turn {
        self.rate.turn(now, self.under_way)
    }

    /// Counts a request for which somebody waits among those of its mount, when it begins to call.
    pub(super) fn enter(&mut self, asks: &Asks) {
        let Rank { mount, request, .. } = asks.rank;
        if asks.class == Class::Issue && !self.load.knows(mount, request) {
            self.load.enter(mount, request, asks.expected);
        }
    }
}

impl Permit {
    /// The call was answered.
    pub(super) fn answered(mut self, answer: Answer) {
        self.answer = answer;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let throttled = self.answer == Answer::Throttled;
        let (begins, hopeless, somebody_waits) = {
            let mut state = self.limiter.state();
            let (now, under_way) = (Instant::now(), state.under_way);
            state.under_way -= 1;
            let begins = state.rate.answered(self.answer, self.sent, now, under_way);
            let hopeless = if throttled {
                state.load.refused(self.rank.mount, self.rank.request);
                state.take_out_hopeless(now)
            } else {
                Vec::new()
            };
            (begins, hopeless, !state.queue.is_empty())
        };
        drop(hopeless);
        if let Some(per_second) = begins {
            let account = &self.limiter.account;
            tracing::warn!(%account, per_second, "AWS throttles IAM, so calls wait for their turn");
        }
        if somebody_waits {
            self.limiter.serve();
        }
    }
}

/// A waiter's place in the queue, which is free again however the waiting ends.
struct Leaving<'a> {
    limiter: &'a Limiter,
    place: super::queue::Place,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let left = {
            let mut state = self.limiter.state();
            let left = state.queue.remove(&self.place);
            if let Some(left) = &left {
                let rank = left.asks.rank;
                state.load.waits_no_more(rank.mount, rank.request);
            }
            left
        };
        drop(left);
    }
}
