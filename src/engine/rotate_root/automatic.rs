//! The rotation of the engine's own access key by the host's timer, where the host has no rotation
//! manager.
//!
//! When it is due next stands in `config/root` and is put with the new key, so that a crash neither
//! forgets a rotation nor does one twice. What stands beside it tells of tries that failed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::rotate;
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::clients::root_config::RootConfig;
use crate::engine::counters::Failed;
use crate::engine::key_rotation::too_late;
use crate::engine::schedule::{is_ours, wait_after};
use crate::engine::stored::rfc3339;
use crate::logical::{Error, Storage, StorageError, get_json, put_json};

const KEY: &str = "root-rotation";

/// How long it is believed that nothing is due: no host tells of every change of what is stored.
const LONGEST: Duration = Duration::from_mins(10);

/// Until when the key of a mount need not be rotated, as far as it is known, so that a tick of the
/// host's timer reads nothing.
#[derive(Debug, Default)]
pub(in crate::engine) struct Due {
    // A std mutex: nothing awaits under it.
    quiet_until: Mutex<Option<OffsetDateTime>>,
}

impl Due {
    /// What is stored has changed, or may have.
    pub(in crate::engine) fn forget(&self) {
        *self.quiet_until() = None;
    }

    fn quiet_until(&self) -> MutexGuard<'_, Option<OffsetDateTime>> {
        self.quiet_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_quiet(&self, now: OffsetDateTime) -> bool {
        // A clock that was set back is not waited for.
        self.quiet_until()
            .is_some_and(|until| now < until && until - now <= LONGEST)
    }

    pub(super) fn quiet(&self, now: OffsetDateTime, due: Option<OffsetDateTime>) {
        let longest = now + LONGEST;
        *self.quiet_until() = Some(due.map_or(longest, |due| due.min(longest)));
    }
}

/// The tries of a rotation that failed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::engine) struct Failures {
    /// Of the rotation that was due then.
    #[serde(with = "rfc3339")]
    due: Option<OffsetDateTime>,
    count: u32,
    #[serde(with = "rfc3339")]
    try_again: Option<OffsetDateTime>,
    pub(in crate::engine) last_error: String,
}

impl Failures {
    /// Those of the rotation that is due then; none of another one.
    pub(in crate::engine) async fn of(
        storage: &dyn Storage,
        due: OffsetDateTime,
    ) -> Result<Self, StorageError> {
        let stored: Option<Self> = get_json(storage, KEY).await?;
        Ok(stored
            .filter(|failures| failures.due == Some(due))
            .unwrap_or_else(|| Self {
                due: Some(due),
                ..Self::default()
            }))
    }

    async fn store(&self, storage: &dyn Storage) -> Result<(), StorageError> {
        put_json(storage, KEY, self).await
    }
}

/// Rotates the key if it is due. A failure is tried again, after waits that grow.
pub(in crate::engine) async fn rotate_due(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
) -> Result<(), Error> {
    let now = engine.clock.now();
    if engine.root_due.is_quiet(now) {
        return Ok(());
    }
    let root = RootConfig::load(storage).await?.unwrap_or_default();
    let (Some(due), Some(plan)) = (root.next_rotation, root.plan(now)) else {
        engine.root_due.quiet(now, None);
        return Ok(());
    };
    if now < due {
        engine.root_due.quiet(now, Some(due));
        return Ok(());
    }
    if !is_ours(engine).await? {
        return Ok(());
    }
    let mut failures = Failures::of(storage, due).await?;
    if plan.is_missed(due, now) {
        return put_off(engine, storage, caller, due, failures).await;
    }
    if failures.try_again.is_some_and(|moment| now < moment) {
        return Ok(());
    }
    match rotate(engine, storage, caller, Some(due)).await {
        Ok(_) => Ok(()),
        Err(error @ Error::ReadOnly(_)) => Err(error),
        Err(error) => {
            failures.count = failures.count.saturating_add(1);
            let wait = wait_after(failures.count);
            failures.try_again = Some(engine.clock.now() + wait);
            failures.last_error = error.to_string();
            engine.counters.failed(Failed::Rotate, &error);
            tracing::warn!(%error, tries = failures.count, "scheduled rotation of the root access key failed, and is tried again");
            failures.store(storage).await?;
            Ok(())
        }
    }
}

/// The window has closed: the next time of the schedule counts.
async fn put_off(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    due: OffsetDateTime,
    failures: Failures,
) -> Result<(), Error> {
    let change = engine.clients.begin_change_for(caller).await;
    let change = change.ok_or_else(too_late)?;
    let now = engine.clock.now();
    let Some(mut root) = RootConfig::load(storage).await? else {
        return Ok(());
    };
    // Somebody may have written or rotated it meanwhile.
    let (Some(plan), true) = (root.plan(now), root.next_rotation == Some(due)) else {
        return Ok(());
    };
    let next = plan.next(None, now);
    root.next_rotation = Some(next);
    engine.counters.failed_by(Failed::Rotate, "missed");
    let reason = match failures.last_error.as_str() {
        "" => "the server's timer did not come",
        reason => reason,
    };
    let last_error = format!("rotation_window has closed without a rotation: {reason}");
    tracing::warn!(
        error = last_error,
        "scheduled rotation of the root access key missed its window"
    );
    // First the reason: without the time that it belongs to it says nothing.
    let of_the_next = Failures {
        due: Some(next),
        last_error,
        ..Failures::default()
    };
    of_the_next.store(storage).await?;
    change.store(storage, &root).await?;
    Ok(())
}
