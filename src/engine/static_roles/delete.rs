//! Deleting a static role: AWS first, so that nothing is forgotten that still lives.

use std::sync::Arc;

use super::NAME;
use super::record::{StaticCredentials, StaticRole};
use super::unfinished::{KIND, StaticRotation};
use crate::aws::AccessKeyId;
use crate::aws::limit::Class;
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::error::refused;
use crate::engine::key_rotation::{Deletion, KeyChange, delete as delete_key, write_ahead};
use crate::framework::{Answer, Field, FieldData};
use crate::logical::{Error, Request, Storage};

pub(super) const FORCE: Field<bool> = Field::new(
    "force",
    "On delete: forget the role even if AWS refuses to delete its access keys, such as in an account that is closed. The keys may live on.",
)
.query();

pub(super) async fn delete(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let storage = &*request.storage;
    let static_roles = &engine.static_roles;
    let name = data.value(&NAME);
    let _role = static_roles.lock(&name, &request.caller).await?;
    let Some(role) = StaticRole::load(storage, &name).await? else {
        return Ok(None);
    };
    let _user = static_roles.lock_user(&role.id, &request.caller).await?;
    if let Some(stored) = StaticCredentials::load(storage, &name).await? {
        match delete_keys(
            &engine,
            storage,
            &request.caller.committed(),
            &role,
            &stored,
        )
        .await
        {
            Err(error) if data.value(&FORCE) => {
                tracing::warn!(static_role = %name, %error, "static role deleted by force; its access keys may live on");
            }
            other => other?,
        }
    }
    StaticCredentials::delete(storage, &name).await?;
    StaticRole::delete(storage, &name).await?;
    static_roles.queue.remove(&name);
    tracing::info!(static_role = %name, user = %role.username, "static role deleted");
    Ok(None)
}

/// The keys that the role made; the stored one goes last, so that it works for as long as it is
/// shown.
async fn delete_keys(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    role: &StaticRole,
    stored: &StaticCredentials,
) -> Result<(), Error> {
    let user_name = role.user_name()?;
    let account = engine
        .static_roles
        .connect(engine, storage, role, Class::Removal, caller)
        .await?;
    for id in stored.ids() {
        let id = AccessKeyId::new(id)
            .map_err(|error| Error::internal(format!("stored credentials: {error}")))?;
        let deletion = delete_key(account.iam(), &user_name, &id)
            .await
            .map_err(|error| {
                refused(
                    &format!("static role {:?} stays, because its access key {id} of IAM user {user_name} could not be deleted", role.name),
                    &error,
                )
            })?;
        if deletion == Deletion::Unknown {
            // Gone, or too young for all of AWS to know it: rollback looks again.
            let change = KeyChange {
                user_name: user_name.to_string(),
                aws_account: account.id().await,
                new_access_key: Some(id.to_string()),
                ..KeyChange::default()
            };
            write_ahead(engine, storage, KIND, &StaticRotation::of(role, change)).await?;
        }
    }
    Ok(())
}
