//! `config/rotate-root`: a new access key in place of the engine's own.
//!
//! The order keeps the engine working at every moment, and a crash at any of them leaves no key
//! behind: WAL entry, new key, proof that AWS accepts it, storage, old key deleted once nobody
//! uses it, WAL entry gone.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::clients::Connected;
use super::config_root::RootConfig;
use super::error::{explain, failed, refused};
use super::rollback::{CLOCK_TOLERANCE, Work};
use super::{Engine, access_keys};
use crate::aws::{AccessKeyId, ErrorKind, InvalidName, UserName};
use crate::framework::{
    Answer, FieldData, FieldType, OperationDocs, Path, PathDocs, ResponseField, wal,
};
use crate::logical::{Error, JsonObject, Operation, Request, Response, Storage};

/// How long AWS may take to accept a new key everywhere; some seconds are usual.
const PROPAGATION_LIMIT: Duration = Duration::from_secs(45);
/// How long requests that began with the old key may take to end.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);

const RESPONSE: &[ResponseField] = &[ResponseField {
    name: "access_key",
    field_type: FieldType::String,
    description: "Access key id of the new key",
}];

pub(super) fn path() -> Path<Engine> {
    Path::new("config/rotate-root")
        .on_with(
            Operation::Update,
            OperationDocs {
                verb: "rotate",
                suffix: "root-iam-credentials",
                forward: true,
                response: RESPONSE,
                ..OperationDocs::NONE
            },
            write,
        )
        .docs(PathDocs {
            synopsis: "Replace the engine's own access key by one that only the engine knows.",
            description: "Creates a new access key for the IAM user of config/root, waits until AWS \
                accepts it, stores it, and deletes the old one. Works only with an access_key and \
                secret_key in config/root, and only while the user has no second key, because AWS \
                allows two. The user needs iam:GetUser, iam:CreateAccessKey and \
                iam:DeleteAccessKey on itself, and iam:ListAccessKeys to tidy up after a crash.",
            operation_suffix: "root-iam-credentials",
        })
}

async fn write(engine: Arc<Engine>, request: Request, _data: FieldData) -> Answer {
    rotate(&engine, &request).await.map(Some)
}

/// The WAL entry of a rotation.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RootRotation {
    user_name: String,
    old_access_key: String,
    /// Known once AWS has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    new_access_key: Option<String>,
}

/// Rotates the root access key; answers with the new id.
pub(super) async fn rotate(engine: &Engine, request: &Request) -> Result<Response, Error> {
    let storage = &*request.storage;
    let change = engine.clients.begin_change().await;
    let root = RootConfig::load(storage)
        .await
        .map_err(|error| Error::from(error).context("error reading root configuration"))?
        .ok_or_else(|| {
            Error::invalid("no configuration found for config/root: write access_key and secret_key to it first")
        })?;
    if !root.has_access_key() {
        return Err(Error::invalid(
            "Cannot call config/rotate-root when either access_key or secret_key is empty",
        ));
    }
    let old_id = AccessKeyId::new(&root.access_key)
        .map_err(|error| Error::invalid(format!("access_key in config/root: {error}")))?;
    // Not kept: requests drain off the clients in the cache, and these would hold them up.
    let iam = Arc::clone(&engine.clients.get(storage).await?.iam);

    let user = iam
        .get_user(None)
        .await
        .map_err(|error| refused("error calling GetUser", &error))?;
    let user_name = user.user_name.ok_or_else(|| {
        Error::invalid(
            "the access key in config/root belongs to the account's root user, which has no name: use the key of an IAM user",
        )
    })?;

    let mut rotation = RootRotation {
        user_name: user_name.to_string(),
        old_access_key: old_id.to_string(),
        new_access_key: None,
    };
    let mut entry = engine
        .write_ahead(storage, &Work::RootRotation(&rotation))
        .await?;

    let key = match iam.create_access_key(&user_name).await {
        Ok(key) => key,
        Err(error) => {
            if !error.may_have_happened() {
                wal::delete(storage, &entry).await?;
            }
            let context = match error.kind() {
                ErrorKind::LimitExceeded => format!(
                    "error calling CreateAccessKey: user {user_name} has two access keys, and AWS allows no third; delete the one that config/root does not use"
                ),
                _ => "error calling CreateAccessKey".to_owned(),
            };
            return Err(refused(&context, &error));
        }
    };
    rotation.new_access_key = Some(key.access_key_id.to_string());
    let mut rotated = root;
    rotated.access_key = key.access_key_id.to_string();
    rotated.secret_key = key.secret_access_key;

    let stored = async {
        let without_new_key = entry.clone();
        entry = engine
            .write_ahead(storage, &Work::RootRotation(&rotation))
            .await?;
        wal::delete(storage, &without_new_key).await?;
        let next = engine.clients.connect(rotated)?;
        prove(&next).await?;
        change.replace(storage, next).await
    };
    let (next, unused) = match stored.await {
        Ok(stored) => stored,
        Err(error) => {
            // The old key is still the stored one, so the new one goes.
            if access_keys::delete(&*iam, &user_name, &key.access_key_id)
                .await
                .is_ok()
            {
                wal::delete(storage, &entry).await?;
            }
            return Err(error);
        }
    };
    tracing::info!(access_key = %next.root.access_key, "root access key rotated");
    drop(iam);
    if let Some(unused) = unused {
        // Past the limit the old key goes all the same: nobody should hold it that long.
        let _ = tokio::time::timeout(DRAIN_LIMIT, unused).await;
    }

    let mut response = Response::data(JsonObject::from_iter([(
        "access_key".to_owned(),
        Value::from(next.root.access_key.as_str()),
    )]));
    match access_keys::delete(&*next.iam, &user_name, &old_id).await {
        Ok(()) => wal::delete(storage, &entry).await?,
        Err(error) => {
            let text = explain(&error);
            tracing::warn!(old_access_key = %old_id, error = %text, "old root access key still alive");
            response.warnings.push(format!(
                "the new access key is stored and in use, but the old one, {old_id}, could not be deleted and still works: {text}; this is tried again every minute or so"
            ));
        }
    }
    Ok(response)
}

/// Waits until AWS accepts the new key.
async fn prove(next: &Connected) -> Result<(), Error> {
    access_keys::until_accepted(PROPAGATION_LIMIT, || next.iam.get_user(None))
        .await
        .map_err(|error| {
            refused(
                "AWS did not accept the new access key, so the old one stays",
                &error,
            )
        })
}

/// Ends a rotation that was cut off: of the old and the new key only the stored one may live.
pub(super) async fn roll_back(
    engine: &Engine,
    storage: &dyn Storage,
    rotation: &RootRotation,
    created_at: OffsetDateTime,
) -> Result<(), Error> {
    let _change = engine.clients.begin_change().await;
    let invalid = |error: InvalidName| Error::internal(error.to_string());
    let user_name = UserName::new(&rotation.user_name).map_err(invalid)?;
    let Some(root) = RootConfig::load(storage).await? else {
        return Ok(());
    };
    let iam = Arc::clone(&engine.clients.get(storage).await?.iam);
    let stored = root.access_key.as_str();
    let mut dead = Vec::new();
    match &rotation.new_access_key {
        Some(new) if stored == new => dead.push(rotation.old_access_key.clone()),
        Some(new) => dead.push(new.clone()),
        // The answer to CreateAccessKey was lost. AWS allows two keys, so while the old one is in
        // use, a second one of that time can only be the one that was made for us.
        None if stored == rotation.old_access_key => {
            let keys = match iam.list_access_keys(&user_name).await {
                Ok(keys) => keys,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(error) => {
                    return Err(failed("error listing the root user's access keys", &error));
                }
            };
            let of_that_time = |created: OffsetDateTime| {
                created >= created_at - CLOCK_TOLERANCE && created <= created_at + CLOCK_TOLERANCE
            };
            dead.extend(
                keys.into_iter()
                    .filter(|key| of_that_time(key.create_date))
                    .map(|key| key.access_key_id.to_string())
                    .filter(|id| id != stored),
            );
        }
        None => {}
    }
    for id in dead {
        let id = AccessKeyId::new(id).map_err(invalid)?;
        access_keys::delete(&*iam, &user_name, &id)
            .await
            .map_err(|error| failed("error deleting access key", &error))?;
        tracing::info!(access_key = %id, "access key of an unfinished root rotation deleted");
    }
    Ok(())
}
