//! The end of a root rotation that was cut off: of the old and the new key only the stored one may
//! live.

use time::OffsetDateTime;

use super::RootRotation;
use crate::aws::limit::Class;
use crate::aws::{AccessKeyId, ErrorKind, Iam, InvalidName, UserName};
use crate::caller::Caller;
use crate::engine::config_root::RootConfig;
use crate::engine::error::failed;
use crate::engine::rollback::CLOCK_TOLERANCE;
use crate::engine::{Engine, access_keys};
use crate::logical::{Error, Storage};

/// Deletes the key that is not stored, of a rotation that began at `begun`.
pub(in crate::engine) async fn roll_back(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    rotation: &RootRotation,
    begun: OffsetDateTime,
) -> Result<(), Error> {
    let _change = engine.clients.begin_change().await;
    let invalid = |error: InvalidName| Error::internal(error.to_string());
    let user_name = UserName::new(&rotation.user_name).map_err(invalid)?;
    let Some(root) = RootConfig::load(storage).await? else {
        return Ok(());
    };
    let iam = &engine.clients.get(storage).await?.iam;
    let iam = iam.for_request(Class::Background, caller);
    let stored = root.access_key.as_str();
    let dead = match &rotation.new_access_key {
        Some(new) if stored == new => vec![rotation.old_access_key.clone()],
        Some(new) => vec![new.clone()],
        None if stored == rotation.old_access_key => {
            unanswered(&iam, &user_name, stored, begun).await?
        }
        None => {
            tracing::warn!(user = %user_name, "root rotation was cut off and config/root has another access key since; the user may have one that nobody uses");
            Vec::new()
        }
    };
    for id in dead {
        let id = AccessKeyId::new(id).map_err(invalid)?;
        access_keys::delete(&iam, &user_name, &id)
            .await
            .map_err(|error| {
                failed(
                    &format!("error deleting access key {id} of IAM user {user_name}, which an unfinished root rotation left"),
                    &error,
                )
            })?;
        tracing::info!(access_key = %id, "access key of an unfinished root rotation deleted");
    }
    Ok(())
}

/// The key that was made for us when the answer to `iam:CreateAccessKey` was lost.
///
/// AWS allows two keys. While the old one is in use, another one of that time can only be ours.
async fn unanswered(
    iam: &dyn Iam,
    user_name: &UserName,
    stored: &str,
    begun: OffsetDateTime,
) -> Result<Vec<String>, Error> {
    let keys = match iam.list_access_keys(user_name).await {
        Ok(keys) => keys,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(failed(
                &format!(
                    "error listing the access keys of IAM user {user_name}, of which an unfinished root rotation may have left one"
                ),
                &error,
            ));
        }
    };
    let of_that_time = begun - CLOCK_TOLERANCE..=begun + CLOCK_TOLERANCE;
    Ok(keys
        .into_iter()
        .filter(|key| of_that_time.contains(&key.create_date))
        .map(|key| key.access_key_id.to_string())
        .filter(|id| id != stored)
        .collect())
}
