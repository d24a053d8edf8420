//! The host's timer: periodic work, then the replay of old WAL entries.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::Lifecycle;
use super::wal::{self, WalId};
use crate::caller::Caller;
use crate::logical::{Error, Request, Storage};

/// The key in the request data that asks for young entries too.
const IMMEDIATE: &str = "immediate";

/// Runs the periodic work and rolls back every entry that is at least `min_age` old. One failure
/// stops nothing and all of them are reported together, except that a node which may not write
/// stops at once: it could undo work but not forget the entry.
pub(super) async fn run<S: Lifecycle>(
    state: &Arc<S>,
    request: &Request,
    now: OffsetDateTime,
    min_age: Duration,
) -> Result<(), Error> {
    let storage = &request.storage;
    let mut failures = Vec::new();
    let periodic = Arc::clone(state)
        .periodic(Arc::clone(storage), request.caller.clone())
        .await;
    collect(periodic, &mut failures)?;
    let ids = match wal::list(&**storage).await {
        Ok(ids) => ids,
        Err(error) => {
            collect(Err(error.into()), &mut failures)?;
            Vec::new()
        }
    };
    let youngest = if request.data.contains_key(IMMEDIATE) {
        i64::MAX
    } else {
        (now - min_age).unix_timestamp()
    };
    for id in ids {
        let replayed = replay(state, storage, &request.caller, &id, youngest).await;
        collect(replayed, &mut failures)?;
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Error::internal(failures.join("; ")))
    }
}

/// Keeps a failure for the report. The host reads [`Error::ReadOnly`], so that one is passed on
/// bare.
fn collect(outcome: Result<(), Error>, failures: &mut Vec<String>) -> Result<(), Error> {
    match outcome {
        Ok(()) => {}
        Err(error @ Error::ReadOnly(_)) => return Err(error),
        Err(error) => failures.push(error.to_string()),
    }
    Ok(())
}

/// Rolls back the entry if it was made at `youngest` (Unix seconds) or before.
async fn replay<S: Lifecycle>(
    state: &Arc<S>,
    storage: &Arc<dyn Storage>,
    caller: &Caller,
    id: &WalId,
    youngest: i64,
) -> Result<(), Error> {
    let Some(entry) = wal::get(&**storage, id).await? else {
        return Ok(());
    };
    if entry.created_at > youngest {
        return Ok(());
    }
    let context = format!("error rolling back {:?} entry", entry.kind);
    Arc::clone(state)
        .roll_back(Arc::clone(storage), caller.clone(), entry)
        .await
        .map_err(|error| error.context(&context))?;
    Ok(wal::delete(&**storage, id).await?)
}
