//! The end of a root rotation that was cut off, or whose outcome was in doubt: of the old and the new
//! key only the stored one may live.

use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;

use super::{RootRotation, in_time, of_the_key};
use crate::aws::limit::Class;
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::clients::RootChange;
use crate::engine::clients::root_config::RootConfig;
use crate::engine::key_rotation::{Kept, too_late};
use crate::framework::{Undone, wal};
use crate::logical::{Error, Storage};

/// The kind of the WAL entry.
pub(in crate::engine) const KIND: &str = "root_rotation";

/// Deletes the key that is not stored, of a rotation that began at `begun`.
pub(in crate::engine) async fn roll_back(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    data: Value,
    begun: OffsetDateTime,
) -> Result<Undone, Error> {
    let change = engine.clients.begin_change_for(caller).await;
    let change = change.ok_or_else(too_late)?;
    finish(engine, storage, caller, &change, data, begun).await
}

/// Ends what earlier rotations left, so that there is room for another one. What cannot be ended now is
/// left to rollback.
pub(super) async fn finish_earlier(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    change: &RootChange<'_>,
) -> Result<(), Error> {
    for id in wal::list(storage).await? {
        in_time(caller)?;
        let entry = wal::get(storage, &id).await?;
        let Some(entry) = entry.filter(|entry| entry.kind == KIND) else {
            continue;
        };
        let begun = entry.began();
        match finish(engine, storage, caller, change, entry.data, begun).await {
            Ok(Undone::Certainly) => wal::delete(storage, &id).await?,
            Ok(Undone::LookAgain) => {}
            Err(error) => {
                tracing::warn!(%error, "what an earlier root rotation left cannot be ended now, rollback tries again");
            }
        }
    }
    Ok(())
}

async fn finish(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    change: &RootChange<'_>,
    data: Value,
    begun: OffsetDateTime,
) -> Result<Undone, Error> {
    let mut rotation: RootRotation = serde_json::from_value(data)
        .map_err(|_| Error::internal("the entry's data is not of its kind's form"))?;
    let old = rotation.old_access_key;
    // Entries of older versions do not say it.
    rotation.change.retired = vec![old.clone()];
    // What is in memory may be of the key that has to go.
    let clients = engine.clients.look_again(storage).await?;
    let is_configured = RootConfig::load(storage).await?.is_some();
    let stored = clients.root.access_key.as_str();
    let kept = Kept {
        current: Some(stored),
        ..Kept::default()
    };
    let of_the_key = of_the_key(engine, Arc::clone(&clients))?;
    let iam = of_the_key.iam.for_request(Class::Background, caller);
    let settled = rotation
        .change
        .settle(
            &iam,
            of_the_key.account(caller).await.as_deref(),
            (begun, engine.clock.now()),
            &kept,
            async {
                if is_configured {
                    change.store(storage, &clients.root).await?;
                }
                Ok(())
            },
        )
        .await?;
    if stored != old && rotation.change.new_access_key.as_deref() != Some(stored) {
        tracing::warn!(user = %rotation.change.user_name, old_access_key = %old, "root rotation was cut off and config/root has another access key since; the old one may still live and be used by nobody");
    }
    Ok(settled.undone)
}
