//! Something that is found out by asking AWS, and kept.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

type Asking<T, E> = BoxFuture<'static, Result<T, E>>;

/// One question at a time: whoever comes meanwhile shares its answer, be it a failure, so that nobody
/// queues up behind the failures of others. Only success is kept.
pub(super) struct Found<T, E> {
    // A std mutex: nothing awaits under it.
    state: Mutex<State<T, E>>,
}

enum State<T, E> {
    Unknown,
    /// Weak, because a question that nobody waits for any more is not asked on, and the next one
    /// has another time.
    Asking(WeakShared<Asking<T, E>>),
    Known(T),
}

impl<T: Clone, E: Clone> Found<T, E> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State::Unknown),
        }
    }

    /// What is known, or the answer to `ask`.
    pub(super) async fn get_or_ask(&self, ask: impl FnOnce() -> Asking<T, E>) -> Result<T, E> {
        let asking = {
            let mut state = self.state();
            match &*state {
                State::Known(known) => return Ok(known.clone()),
                State::Asking(asking) if let Some(asking) = asking.upgrade() => asking,
                State::Asking(_) | State::Unknown => {
                    let asking = ask().shared();
                    *state = asking.downgrade().map_or(State::Unknown, State::Asking);
                    asking
                }
            }
        };
        let answer = asking.clone().await;
        let mut state = self.state();
        if state.is(&asking) {
            *state = answer.clone().map_or(State::Unknown, State::Known);
        }
        answer
    }

    /// What is known.
    pub(super) fn known(&self) -> Option<T> {
        match &*self.state() {
            State::Known(known) => Some(known.clone()),
            State::Unknown | State::Asking(_) => None,
        }
    }

    /// Forgets what is known, if it is `wrong`.
    pub(super) fn forget(&self, wrong: impl FnOnce(&T) -> bool) {
        let mut state = self.state();
        if let State::Known(known) = &*state
            && wrong(known)
        {
            *state = State::Unknown;
        }
    }

    fn state(&self) -> MutexGuard<'_, State<T, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone, E: Clone> State<T, E> {
    fn is(&self, asking: &Shared<Asking<T, E>>) -> bool {
        match self {
            Self::Asking(this) => this.upgrade().is_some_and(|this| this.ptr_eq(asking)),
            Self::Unknown | Self::Known(_) => false,
        }
    }
}

impl<T, E> fmt::Debug for Found<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").finish_non_exhaustive()
    }
}
