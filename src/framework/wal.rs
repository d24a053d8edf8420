//! The write-ahead log: what is about to be made outside is written down first, so that a crash
//! leaves nothing behind for ever.
//!
//! An entry is `wal/<uuid>` with `{"type": …, "data": …, "created_at": <unix seconds>}`, the form
//! of the Go framework, so that entries survive a change of engine in both directions.

use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Builder;

use crate::chance::{self, NoChance};
use crate::logical::{Storage, StorageEntry, StorageError};

/// The storage prefix of all entries. Not replicated: every cluster undoes its own work.
pub const WAL_PREFIX: &str = "wal/";

/// The name of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalId(String);

/// One entry.
#[derive(Clone, Debug, Deserialize)]
pub struct WalEntry {
    /// What kind of work it is about.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// What the engine needs to undo it.
    #[serde(default)]
    pub data: Value,
    /// Unix seconds.
    #[serde(default)]
    pub created_at: i64,
    /// The [`Life`] that stored it; empty in entries of the Go engines.
    #[serde(default)]
    pub life: String,
}

/// What a look at all entries has found: those that are still there after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// How many.
    pub entries: usize,
    /// When the oldest of those was stored that were read.
    pub oldest: Option<OffsetDateTime>,
    /// Whether there was time to read all of them.
    pub whole: bool,
}

/// One life of a mount: from its set-up in a process to its end there. What an ended life has begun
/// nobody works on any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life(String);

impl Life {
    /// A life that begins now.
    pub fn begin() -> Result<Self, NoChance> {
        Ok(Self(name()?))
    }

    /// Whether another life stored the entry, and said so.
    pub fn is_after(&self, entry: &WalEntry) -> bool {
        !entry.life.is_empty() && entry.life != self.0
    }
}

impl WalEntry {
    /// When the work began, so far from either end of time that a little before and after it are
    /// times as well, whatever was stored.
    pub fn began(&self) -> OffsetDateTime {
        // In the year 9987.
        const LATEST: i64 = 253_000_000_000;
        OffsetDateTime::from_unix_timestamp(self.created_at.clamp(0, LATEST))
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

#[derive(Serialize)]
struct Record<'a, T> {
    r#type: &'a str,
    data: &'a T,
    created_at: i64,
    // The Go engines do not read it.
    life: &'a str,
}

/// Stores an entry. To be called before the outside world hears of the work.
pub async fn put<T: Serialize + Sync>(
    storage: &dyn Storage,
    kind: &str,
    data: &T,
    now: OffsetDateTime,
    life: &Life,
) -> Result<WalId, StorageError> {
    let id = name().map_err(|error| StorageError::Failed(error.to_string()))?;
    let id = WalId(id);
    let record = Record {
        r#type: kind,
        data,
        created_at: now.unix_timestamp(),
        life: &life.0,
    };
    let text = serde_json::to_vec(&record)
        .map_err(|error| StorageError::Failed(format!("cannot encode WAL entry: {error}")))?;
    storage.put(StorageEntry::new(key(&id), text)).await?;
    Ok(id)
}

/// Forgets an entry: the work is finished or undone.
pub async fn delete(storage: &dyn Storage, id: &WalId) -> Result<(), StorageError> {
    storage.delete(&key(id)).await
}

/// The names of all entries.
pub async fn list(storage: &dyn Storage) -> Result<Vec<WalId>, StorageError> {
    Ok(storage
        .list(WAL_PREFIX)
        .await?
        .into_iter()
        .map(WalId)
        .collect())
}

/// Reads an entry; `None` when it is gone.
pub async fn get(storage: &dyn Storage, id: &WalId) -> Result<Option<WalEntry>, StorageError> {
    crate::logical::get_json(storage, &key(id)).await
}

fn key(id: &WalId) -> String {
    format!("{WAL_PREFIX}{}", id.0)
}

/// A name that nothing else has: a UUID by chance.
pub fn name() -> Result<String, NoChance> {
    let random = chance::generator()?.random();
    Ok(Builder::from_random_bytes(random).into_uuid().to_string())
}

#[cfg(test)]
impl Default for Life {
    fn default() -> Self {
        Self::begin().unwrap()
    }
}
