//! The end of a root rotation that was cut off, or whose outcome was in doubt: of the old and the new
//! key only the stored one may live.

use std::sync::Arc;

use serde_json::Value;
use time::OffsetDateTime;

use super::{RootRotation, of_the_key};
use crate::aws::limit::Class;
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::clients::root_config::RootConfig;
use crate::engine::key_rotation::{Kept, too_late};
use crate::framework::Undone;
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
    let mut rotation: RootRotation = serde_json::from_value(data)
        .map_err(|_| Error::internal("the entry's data is not of its kind's form"))?;
    let old = rotation.old_access_key;
    // Entries of older versions do not say it.
    rotation.change.retired = vec![old.clone()];
    let change = engine.clients.begin_change_for(caller).await;
    let change = change.ok_or_else(too_late)?;
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
