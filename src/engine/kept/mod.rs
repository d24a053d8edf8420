//! What was read from storage and parsed, kept until it changes.
//!
//! Every value that is handed out without a look into storage was there when the last change that
//! we know of had ended: a change of our own, or one of another node that the host told us of
//! (`InvalidateKey`). No host tells of every change: an OpenBao standby says nothing of a snapshot
//! that is restored under it. So values are read again after [`LONGEST`] at the latest.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a value is kept when nobody says that it has changed.
pub(crate) const LONGEST: Duration = Duration::from_mins(1);

/// At most so many values, each by its name. What does not exist is not kept, for clients may ask
/// for any number of names.
pub(crate) struct Kept<T> {
    limit: usize,
    // A std mutex: nothing awaits under it.
    state: Mutex<State<T>>,
}

struct State<T> {
    /// How many changes there were. What was read while this number grew may be of before.
    changes: u64,
    values: HashMap<String, Value<T>>,
}

struct Value<T> {
    value: Arc<T>,
    /// From before it was read.
    since: Instant,
}

impl<T> Kept<T> {
    /// Room for `limit` values.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: Mutex::new(State {
                changes: 0,
                values: HashMap::new(),
            }),
        }
    }

    /// The value of that name, by `load` unless it is kept.
    pub(crate) async fn get<E>(
        &self,
        name: &str,
        load: impl Future<Output = Result<Option<T>, E>>,
    ) -> Result<Option<Arc<T>>, E> {
        let since = Instant::now();
        let changes = {
            let state = self.state();
            if let Some(kept) = state.values.get(name)
                && since - kept.since < LONGEST
            {
                return Ok(Some(Arc::clone(&kept.value)));
            }
            state.changes
        };
        let Some(value) = load.await? else {
            return Ok(None);
        };
        let value = Arc::new(value);
        let mut state = self.state();
        if state.changes == changes {
            let value = Arc::clone(&value);
            state.keep(name, Value { value, since }, self.limit);
        }
        Ok(Some(value))
    }

    /// What is stored under that name has changed.
    pub(crate) fn forget(&self, name: &str) {
        let mut state = self.state();
        state.changes += 1;
        state.values.remove(name);
    }

    /// To be held while what is stored under that name is written or deleted.
    pub(crate) fn change<'a>(&'a self, name: &'a str) -> Change<'a, T> {
        Change { kept: self, name }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> State<T> {
    fn keep(&mut self, name: &str, value: Value<T>, limit: usize) {
        // Any other one goes: to know which is needed least would cost more than to read it again.
        if self.values.len() >= limit
            && !self.values.contains_key(name)
            && let Some(other) = self.values.keys().next().cloned()
        {
            self.values.remove(&other);
        }
        self.values.insert(name.to_owned(), value);
    }
}

/// A change that is under way. Until it ends, what was there before may still be read.
#[must_use = "the change ends when this is dropped"]
pub(crate) struct Change<'a, T> {
    kept: &'a Kept<T>,
    name: &'a str,
}

impl<T> Drop for Change<'_, T> {
    fn drop(&mut self) {
        // However it ended: the host may have done what it says has failed.
        self.kept.forget(self.name);
    }
}
