//! The host's timer: periodic work, and the replay of WAL entries.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{StreamExt, stream, try_join};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::wal::{self, Look, WalId};
use super::{Lifecycle, Undone};
use crate::caller::Caller;
use crate::logical::{Error, Request, Storage};

/// The key in the request data that asks for young entries too.
const IMMEDIATE: &str = "immediate";

/// How many entries are replayed at a time.
const AT_A_TIME: usize = 8;

/// Runs the periodic work, and rolls back every entry that was made at `youngest` or before, or that
/// nobody works on any more. One failure stops nothing and all of them are reported together, except
/// that a node which may not write stops at once: it could undo work but not forget the entry. What
/// cannot begin in time is left to the next tick.
pub(super) async fn run<S: Lifecycle>(
    state: &Arc<S>,
    request: &Request,
    youngest: OffsetDateTime,
) -> Result<(), Error> {
    let youngest = if request.data.contains_key(IMMEDIATE) {
        i64::MAX
    } else {
        youngest.unix_timestamp()
    };
    let (storage, caller) = (&request.storage, &request.caller);
    let failures = Mutex::default();
    let periodic = Arc::clone(state).periodic(Arc::clone(storage), caller.clone());
    let periodic = async { keep(periodic.await, &failures) };
    let replays = async {
        let ids = match wal::list(&**storage).await {
            Ok(ids) => ids,
            Err(error) => return keep(Err(error.into()), &failures),
        };
        let mut replays = stream::iter(ids)
            .map(|id| replay(state, storage, caller, id, youngest))
            .buffer_unordered(AT_A_TIME);
        let mut look = Look {
            whole: true,
            ..Look::default()
        };
        while let Some((left, replayed)) = replays.next().await {
            note(&mut look, left);
            keep(replayed, &failures)?;
        }
        state.looked_at_wal(look);
        Ok(())
    };
    try_join!(periodic, replays)?;
    let failures = failures
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Error::internal(failures.join("; ")))
    }
}

/// Keeps a failure for the report. The host reads [`Error::ReadOnly`], so that one is passed on
/// bare.
fn keep(outcome: Result<(), Error>, failures: &Mutex<Vec<String>>) -> Result<(), Error> {
    match outcome {
        Ok(()) => {}
        Err(error @ Error::ReadOnly(_)) => return Err(error),
        Err(error) => failures
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(error.to_string()),
    }
    Ok(())
}

/// What is left of an entry.
#[derive(Clone, Copy)]
enum Left {
    Nothing,
    /// It stays.
    Entry(OffsetDateTime),
    /// It was not read.
    Unread,
}

fn note(look: &mut Look, left: Left) {
    match left {
        Left::Nothing => return,
        Left::Unread => look.whole = false,
        Left::Entry(began) => {
            look.oldest = Some(look.oldest.map_or(began, |oldest| oldest.min(began)));
        }
    }
    look.entries += 1;
}

/// Rolls back the entry if it was made at `youngest` (Unix seconds) or before.
async fn replay<S: Lifecycle>(
    state: &Arc<S>,
    storage: &Arc<dyn Storage>,
    caller: &Caller,
    id: WalId,
    youngest: i64,
) -> (Left, Result<(), Error>) {
    if Instant::now() >= caller.begin_by() {
        return (Left::Unread, Ok(()));
    }
    let entry = match wal::get(&**storage, &id).await {
        Ok(Some(entry)) => entry,
        Ok(None) => return (Left::Nothing, Ok(())),
        Err(error) => return (Left::Unread, Err(error.into())),
    };
    let stays = Left::Entry(entry.began());
    if entry.created_at > youngest && !state.is_abandoned(&entry) {
        return (stays, Ok(()));
    }
    let context = format!("error rolling back {:?} entry", entry.kind);
    let undone = Arc::clone(state)
        .roll_back(Arc::clone(storage), caller.clone(), entry)
        .await;
    match undone {
        Ok(Undone::Certainly) => match wal::delete(&**storage, &id).await {
            Ok(()) => (Left::Nothing, Ok(())),
            Err(error) => (stays, Err(error.into())),
        },
        Ok(Undone::LookAgain) => (stays, Ok(())),
        Err(error) => (stays, Err(error.context(&context))),
    }
}
