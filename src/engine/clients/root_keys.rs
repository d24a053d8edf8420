//! The access keys that the engines of this process act with, whichever mount they belong to.
//!
//! A static role that takes over the user of another mount's `config/root` would delete that key,
//! and with it the mount. The ids are no secret.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ids, each with the number of those that hold it.
#[derive(Debug, Default)]
pub(crate) struct RootKeys {
    // A std mutex: nothing awaits under it.
    held: Mutex<HashMap<String, usize>>,
}

/// An id that an engine acts with for as long as this lives.
#[derive(Debug)]
pub(super) struct HeldKey {
    keys: Arc<RootKeys>,
    id: String,
}

impl RootKeys {
    pub(super) fn hold(self: &Arc<Self>, id: &str) -> HeldKey {
        *self.held().entry(id.to_owned()).or_default() += 1;
        HeldKey {
            keys: Arc::clone(self),
            id: id.to_owned(),
        }
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.held().contains_key(id)
    }

    pub(super) fn all(&self) -> BTreeSet<String> {
        self.held().keys().cloned().collect()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HeldKey {
    fn drop(&mut self) {
        let mut held = self.keys.held();
        if let Some(holders) = held.get_mut(&self.id) {
            *holders -= 1;
            if *holders == 0 {
                held.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_known_for_as_long_as_anybody_holds_it() {
        let keys = Arc::new(RootKeys::default());
        let one = keys.hold("AKIA1");
        let other = keys.hold("AKIA1");
        drop(one);
        assert!(keys.contains("AKIA1"));
        drop(other);
        assert!(!keys.contains("AKIA1"));
        assert!(keys.held().is_empty());
    }
}
