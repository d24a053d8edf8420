//! The write-ahead log of the engine: what each entry means and how it is undone.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use time::OffsetDateTime;

use super::Engine;
use super::issued;
use super::rotate_root::{self, RootRotation};
use super::static_roles::StaticRotation;
use crate::caller::Caller;
use crate::framework::Undone;
use crate::framework::wal::{self, WalEntry, WalId};
use crate::logical::{Error, Storage, StorageError};

const ROOT_ROTATION: &str = "root_rotation";
const STATIC_ROTATION: &str = "static_rotation";

/// How far AWS's clock and ours may be apart; AWS refuses requests that are further off.
pub(super) const CLOCK_TOLERANCE: Duration = Duration::from_mins(5);

/// Work that is about to begin at AWS.
#[derive(Debug)]
pub(super) enum Work<'a> {
    /// The root access key will be replaced.
    RootRotation(&'a RootRotation),
    /// The access key of a static role will be replaced.
    StaticRotation(&'a StaticRotation),
}

impl Engine {
    /// Stores what is about to begin, so that a crash leaves nothing behind for ever.
    pub(super) async fn write_ahead(
        &self,
        storage: &dyn Storage,
        work: &Work<'_>,
    ) -> Result<WalId, StorageError> {
        let now = self.clock.now();
        match work {
            Work::RootRotation(rotation) => {
                wal::put(storage, ROOT_ROTATION, rotation, now, &self.life).await
            }
            Work::StaticRotation(rotation) => {
                wal::put(storage, STATIC_ROTATION, rotation, now, &self.life).await
            }
        }
    }

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
            issued::KIND => return issued::roll_back(self, storage, caller, entry).await,
            ROOT_ROTATION => {
                rotate_root::roll_back(self, storage, caller, &read(entry.data)?, created_at)
                    .await?;
            }
            STATIC_ROTATION => {
                let rotation: StaticRotation = read(entry.data)?;
                rotation
                    .roll_back(self, storage, caller, created_at)
                    .await?;
            }
            _ => return Err(Error::internal("unknown type to rollback")),
        }
        Ok(Undone::Certainly)
    }
}

fn read<T: DeserializeOwned>(data: Value) -> Result<T, Error> {
    serde_json::from_value(data)
        .map_err(|_| Error::internal("the entry's data is not of its kind's form"))
}
