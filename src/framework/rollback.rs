//! The host's timer: periodic work, then the replay of old WAL entries.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::Lifecycle;
use super::wal::{self, WalId};
use crate::logical::{Error, Request, Storage};

/// The key in the request data that asks for young entries too.
const IMMEDIATE: &str = "immediate";

/// Runs the periodic work and rolls back every entry that is at least `min_age` old. One failure
/// stops nothing; all of them are reported together.
pub(super) async fn run<S: Lifecycle>(
    state: &Arc<S>,
    request: &Request,
    now: OffsetDateTime,
    min_age: Duration,
) -> Result<(), Error> {
    let storage = &request.storage;
    let mut failures = Vec::new();
    let youngest = if request.data.contains_key(IMMEDIATE) {
        now
    } else {
        now - min_age
    };
    match Arc::clone(state).periodic(Arc::clone(storage)).await {
        Ok(()) => {}
        Err(Error::ReadOnly(text)) => return Err(Error::ReadOnly(text)),
        Err(error) => failures.push(error.to_string()),
    }
    for id in wal::list(&**storage).await? {
        match replay(state, storage, &id, youngest).await {
            Ok(()) => {}
            Err(Error::ReadOnly(text)) => return Err(Error::ReadOnly(text)),
            Err(error) => failures.push(error.to_string()),
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Error::internal(failures.join("; ")))
    }
}

async fn replay<S: Lifecycle>(
    state: &Arc<S>,
    storage: &Arc<dyn Storage>,
    id: &WalId,
    youngest: OffsetDateTime,
) -> Result<(), Error> {
    let Some(entry) = wal::get(&**storage, id).await? else {
        return Ok(());
    };
    if entry.created_at > youngest.unix_timestamp() {
        return Ok(());
    }
    Arc::clone(state)
        .roll_back(Arc::clone(storage), &entry.kind, entry.data)
        .await
        .map_err(|error| error.context(&format!("error rolling back {:?} entry", entry.kind)))?;
    wal::delete(&**storage, id).await?;
    Ok(())
}
