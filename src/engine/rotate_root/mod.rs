//! `config/rotate-root`: a new access key in place of the engine's own.
//!
//! The order keeps the engine working at every moment, and a crash at any of them leaves no key
//! behind: WAL entry, new key, proof that AWS accepts it, storage, old key deleted once nobody
//! uses it, WAL entry gone.

#[cfg(test)]
mod tests;
mod undo;

use std::sync::Arc;
use std::time::Duration;

use futures_util::join;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout;

pub(super) use undo::roll_back;

use super::access_keys::{self, until_accepted};
use super::clients::Connected;
use super::config_root::RootConfig;
use super::error::{explain, refused};
use super::rollback::Work;
use super::{Engine, busy};
use crate::aws::limit::{Class, LimitedIam};
use crate::aws::{self, AccessKey, AccessKeyId, ErrorKind, Iam, UserName};
use crate::caller::Caller;
use crate::framework::wal::{self, WalId};
use crate::framework::{
    Answer, FieldData, FieldType, OperationDocs, Path, PathDocs, ResponseField,
};
use crate::logical::{Error, JsonObject, Operation, Request, Response, Storage, StorageError};

/// How long AWS may take to accept a new key everywhere; some seconds are usual.
const PROPAGATION_LIMIT: Duration = Duration::from_secs(45);
/// How long STS may take to say whether it accepts a key. It may be out of reach for good reason.
const STS_LIMIT: Duration = Duration::from_secs(5);
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
    let owner = Owner::find(&*engine.clients.get(storage).await?, &request.caller).await?;

    let mut rotation = RootRotation {
        user_name: owner.user_name.to_string(),
        old_access_key: old_id.to_string(),
        new_access_key: None,
    };
    let mut entry = engine
        .write_ahead(storage, &Work::RootRotation(&rotation))
        .await?;
    let key = owner.create_access_key(storage, &entry).await?;
    rotation.new_access_key = Some(key.access_key_id.to_string());

    let prepared = async {
        let without_id = entry.clone();
        entry = engine
            .write_ahead(storage, &Work::RootRotation(&rotation))
            .await?;
        forget(storage, &without_id).await;
        let next = engine.clients.connect(RootConfig {
            access_key: key.access_key_id.to_string(),
            secret_key: key.secret_access_key,
            ..root.rotated(&old_id, &key.access_key_id)
        })?;
        prove(&next, &owner).await?;
        Ok(next)
    };
    let next = match prepared.await {
        Ok(next) => next,
        Err(error) => {
            owner.discard(storage, &key.access_key_id, &entry).await;
            return Err(error);
        }
    };
    let (next, before) = match change.replace(storage, next).await {
        Ok(replaced) => replaced,
        Err(error @ StorageError::ReadOnly(_)) => {
            owner.discard(storage, &key.access_key_id, &entry).await;
            return Err(error.into());
        }
        // The host may have stored it all the same, so which key must go is for rollback to see.
        Err(error) => {
            return Err(Error::from(error).context(
                "error saving new config/root, so the access key that is not stored is deleted in some minutes",
            ));
        }
    };
    tracing::info!(access_key = %next.root.access_key, "root access key rotated");
    if timeout(DRAIN_LIMIT, before.wait()).await.is_err() {
        // Nobody should hold it that long.
        tracing::warn!(old_access_key = %old_id, "requests that began with the old root access key lose it");
    }

    let mut response = Response::data(JsonObject::from_iter([(
        "access_key".to_owned(),
        Value::from(next.root.access_key.as_str()),
    )]));
    match delete_old(&next, &owner, &old_id).await {
        Ok(()) => forget(storage, &entry).await,
        Err(error) => {
            let text = explain(&error);
            tracing::warn!(old_access_key = %old_id, error = %text, "old root access key still works, rollback deletes it");
            response.warnings.push(format!(
                "the new access key is stored and in use, but the old one, {old_id}, could not be deleted and still works: {text}; this is tried again in some minutes"
            ));
        }
    }
    Ok(response)
}

/// The IAM user whose key is rotated, seen with the key that is in use until then.
struct Owner {
    // Not all clients: requests drain off those, and holding them would hold that up.
    iam: LimitedIam,
    user_name: UserName,
    /// Whether STS accepts the key, and so must accept the new one.
    known_to_sts: bool,
}

impl Owner {
    async fn find(clients: &Connected, caller: &Caller) -> Result<Self, Error> {
        let iam = clients.iam.for_request(Class::Issue, &caller.committed());
        let (user, accepted) = join!(
            iam.get_user(None),
            timeout(STS_LIMIT, clients.sts_accepts_us())
        );
        let user = user.map_err(|error| refused("error calling GetUser", &error))?;
        let user_name = user.user_name.ok_or_else(|| {
            Error::invalid(
                "the access key in config/root belongs to the account's root user, which has no name: use the key of an IAM user",
            )
        })?;
        Ok(Self {
            iam,
            user_name,
            known_to_sts: matches!(accepted, Ok(Ok(true))),
        })
    }

    async fn create_access_key(
        &self,
        storage: &dyn Storage,
        entry: &WalId,
    ) -> Result<AccessKey, Error> {
        let user_name = &self.user_name;
        let error = match busy::retry(|| self.iam.create_access_key(user_name)).await {
            Ok(key) => return Ok(key),
            Err(error) => error,
        };
        let mut context = "error calling CreateAccessKey".to_owned();
        if error.may_have_happened() {
            context.push_str(", and if AWS made a key all the same, it is deleted in some minutes");
        } else {
            wal::delete(storage, entry).await.map_err(|unforgotten| {
                Error::from(unforgotten).context(&format!(
                    "{context}: {error}; and its WAL entry could not be deleted"
                ))
            })?;
        }
        if error.kind() == ErrorKind::LimitExceeded {
            context = format!(
                "{context}: AWS allows user {user_name} no further access key, so delete the one that config/root does not use (what a cut-off rotation left goes by itself in some minutes)"
            );
        }
        Err(refused(&context, &error))
    }

    /// Deletes a new key that was not stored.
    async fn discard(&self, storage: &dyn Storage, id: &AccessKeyId, entry: &WalId) {
        match access_keys::delete(&self.iam, &self.user_name, id).await {
            Ok(()) => forget(storage, entry).await,
            Err(error) => {
                tracing::warn!(access_key = %id, %error, "unused new root access key could not be deleted now, rollback tries again");
            }
        }
    }
}

/// Waits until AWS accepts the new key.
async fn prove(next: &Connected, owner: &Owner) -> Result<(), Error> {
    const CONTEXT: &str = "the new access key could not be shown to work, so the old one stays";
    let sts = async || {
        if !owner.known_to_sts {
            return Ok(());
        }
        match timeout(STS_LIMIT, next.sts_accepts_us()).await {
            Ok(Err(refusal)) => Err(refusal),
            // Only a clear no counts: STS may be out of reach for a while.
            _ => Ok(()),
        }
    };
    let iam = next.iam.for_request(Class::Issue, owner.iam.caller());
    let both = async || {
        let (user, sts) = join!(iam.get_user(None), sts());
        user.and(sts)
    };
    until_accepted(PROPAGATION_LIMIT, both)
        .await
        .map_err(|error| match error.kind() {
            // What there is to check of credentials is not for a key that AWS has just made.
            ErrorKind::InvalidCredentials => Error::invalid(format!("{CONTEXT}: {error}")),
            _ => refused(CONTEXT, &error),
        })
}

/// Deletes the key that was in use before, with the new one.
async fn delete_old(next: &Connected, owner: &Owner, id: &AccessKeyId) -> Result<(), aws::Error> {
    // Even when most of AWS knows the new key, the next front end may not.
    let passing = |error: &aws::Error| error.kind() == ErrorKind::InvalidCredentials;
    let iam = next.iam.for_request(Class::Issue, owner.iam.caller());
    let delete = || access_keys::delete(&iam, &owner.user_name, id);
    busy::retry_when(passing, delete).await
}

/// Deletes an entry that has nothing to undo any more; rollback would find that out as well.
async fn forget(storage: &dyn Storage, entry: &WalId) {
    if let Err(error) = wal::delete(storage, entry).await {
        tracing::warn!(%error, "WAL entry of a root rotation stays, rollback deletes it");
    }
}
