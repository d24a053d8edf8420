//! The write-ahead log of the engine: who undoes which entry.

use time::OffsetDateTime;

use super::{Engine, issued, rotate_root, static_roles};
use crate::caller::Caller;
use crate::framework::Undone;
use crate::framework::wal::WalEntry;
use crate::logical::{Error, Storage};

impl Engine {
    /// Undoes what an entry speaks of.
    pub(super) async fn undo(
        &self,
        storage: &dyn Storage,
        caller: &Caller,
        entry: WalEntry,
    ) -> Result<Undone, Error> {
        let created_at = OffsetDateTime::from_unix_timestamp(entry.created_at)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH);
        match entry.kind.as_str() {
            issued::KIND => issued::roll_back(self, storage, caller, entry).await,
            rotate_root::KIND => {
                rotate_root::roll_back(self, storage, caller, entry.data, created_at).await
            }
            static_roles::KIND => {
                static_roles::roll_back(self, storage, caller, entry.data, created_at).await
            }
            _ => Err(Error::internal("unknown type to rollback")),
        }
    }
}
