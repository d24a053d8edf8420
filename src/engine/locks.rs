//! One lock per name, so that slow work on one role never holds up another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// Locks by name; a name that nobody holds costs nothing.
#[derive(Debug, Default)]
pub(crate) struct NameLocks {
    // A std mutex: nothing awaits under it.
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl NameLocks {
    /// Waits until nobody else holds `name`. To be taken before any other lock of the engine.
    pub(crate) async fn lock(&self, name: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever holds or awaits a lock has a second reference to it.
            locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            Arc::clone(locks.entry(name.to_owned()).or_default())
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_name_is_held_once_and_other_names_are_free() {
        let locks = NameLocks::default();
        let held = locks.lock("a").await;

        drop(locks.lock("b").await);
        assert!(
            tokio::time::timeout(std::time::Duration::from_millis(5), locks.lock("a"))
                .await
                .is_err()
        );

        drop(held);
        drop(locks.lock("a").await);
    }

    #[tokio::test]
    async fn names_that_nobody_holds_are_forgotten() {
        let locks = NameLocks::default();
        for name in ["a", "b", "c"] {
            drop(locks.lock(name).await);
        }

        drop(locks.lock("d").await);

        assert_eq!(locks.locks.lock().unwrap().len(), 1);
    }
}
