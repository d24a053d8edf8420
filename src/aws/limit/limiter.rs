//! Lets calls to one account go out as fast as AWS takes them, the most urgent first.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use super::queue::{Class, Place, Queue};
use super::rate::{Answer, Rate, Turn};

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
}

#[derive(Debug)]
struct State {
    rate: Rate,
    /// Permits that were given and not returned.
    under_way: usize,
    queue: Queue<oneshot::Sender<Permit>>,
    /// When the pacer looks again, if there is one.
    pacing: Option<Instant>,
}

/// The permission to send one call. However it ends, its place becomes free.
#[derive(Debug)]
pub(super) struct Permit {
    limiter: Arc<Limiter>,
    sent: Instant,
    answer: Answer,
}

/// Whose call it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whose {
    pub(super) mount: u64,
    pub(super) request: u64,
    pub(super) class: Class,
}

impl Limiter {
    pub(super) fn new(account: String) -> Self {
        Self {
            account,
            state: Mutex::new(State {
                rate: Rate::new(Instant::now()),
                under_way: 0,
                queue: Queue::new(),
                pacing: None,
            }),
            requests: AtomicU64::new(0),
            earlier: Notify::new(),
        }
    }

    /// The number of a request that begins now.
    pub(super) fn next_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits for the turn of a call; `None` when it did not come until `deadline`. A call that need
    /// not wait goes out whatever the deadline.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        whose: Whose,
        deadline: Instant,
    ) -> Option<Permit> {
        let (_leaving, granted) = {
            let mut state = self.state();
            let now = Instant::now();
            if state.queue.is_empty() && state.turn(now) == Turn::Now {
                return Some(self.permit(&mut state, now));
            }
            let (waiter, granted) = oneshot::channel();
            let Whose {
                mount,
                request,
                class,
            } = whose;
            let place = state.queue.push(class, mount, request, waiter);
            let leaving = Leaving {
                limiter: self,
                place,
            };
            (leaving, granted)
        };
        self.serve();
        timeout_at(deadline, granted).await.ok()?.ok()
    }

    /// Whether nobody waits and nothing is under way.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let state = self.state();
        state.queue.is_empty() && state.under_way == 0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn permit(self: &Arc<Self>, state: &mut State, now: Instant) -> Permit {
        state.under_way += 1;
        state.rate.sent(now);
        Permit {
            limiter: Arc::clone(self),
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
            let Some(waiter) = waiter else {
                return then(&mut state, None);
            };
            let permit = self.permit(&mut state, now);
            drop(state);
            // Whoever does not wait any more drops it, and so returns it.
            drop(waiter.send(permit));
        }
    }
}

impl State {
    fn turn(&mut self, now: Instant) -> Turn {
        self.rate.turn(now, self.under_way)
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
        let (begins, somebody_waits) = {
            let mut state = self.limiter.state();
            let (now, under_way) = (Instant::now(), state.under_way);
            state.under_way -= 1;
            let begins = state.rate.answered(self.answer, self.sent, now, under_way);
            (begins, !state.queue.is_empty())
        };
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
    place: Place,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.limiter.state().queue.remove(&self.place);
    }
}
