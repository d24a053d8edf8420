//! The right to change `config/root`.

use std::sync::Arc;

use tokio::sync::{MutexGuard, RwLockWriteGuard};
use tokio::time::timeout_at;
use tokio_util::task::TaskTracker;

use super::root_config::RootConfig;
use super::{ClientCache, Connected, Slot};
use crate::caller::Caller;
use crate::logical::{Storage, StorageError};

impl ClientCache {
    /// The right to change `config/root`; waits until nobody else is at it.
    pub(crate) async fn begin_change(&self) -> RootChange<'_> {
        RootChange {
            cache: self,
            _changing: self.changing.lock().await,
        }
    }

    /// The same, for as long as there is time to begin something; `None` when there is none left.
    pub(crate) async fn begin_change_for(&self, caller: &Caller) -> Option<RootChange<'_>> {
        timeout_at(caller.begin_by(), self.begin_change())
            .await
            .ok()
    }
}

/// The right to change `config/root`.
pub(crate) struct RootChange<'a> {
    cache: &'a ClientCache,
    _changing: MutexGuard<'a, ()>,
}

impl RootChange<'_> {
    /// Stores the configuration and forgets the clients of the one before.
    pub(crate) async fn store(
        &self,
        storage: &dyn Storage,
        config: &RootConfig,
    ) -> Result<(), StorageError> {
        self.put(storage, config).await.map(drop)
    }

    /// Stores the configuration of `next` and hands its clients to every request from now on.
    ///
    /// The tracker is empty when the last request that works with older clients has ended; until
    /// then the old credentials must live.
    pub(crate) async fn replace(
        &self,
        storage: &dyn Storage,
        next: Connected,
    ) -> Result<(Arc<Connected>, TaskTracker), StorageError> {
        let mut slot = self.put(storage, &next.root).await?;
        next.acceptance.begin();
        let next = Arc::new(next);
        slot.connected = Some(Arc::clone(&next));
        let before = std::mem::replace(&mut *self.cache.holders(), next.holders.clone());
        before.close();
        Ok((next, before))
    }

    async fn put(
        &self,
        storage: &dyn Storage,
        config: &RootConfig,
    ) -> Result<RwLockWriteGuard<'_, Slot>, StorageError> {
        let mut slot = self.cache.slot.write().await;
        // Also when storing fails: the host may have done it all the same.
        slot.connected = None;
        match config.store(storage).await {
            Ok(()) => {
                slot.unsettled_until = None;
                slot.stored_key = Some(self.cache.root_keys.hold(&config.access_key));
                Ok(slot)
            }
            Err(error) => {
                slot.failed(&error);
                Err(error)
            }
        }
    }
}
