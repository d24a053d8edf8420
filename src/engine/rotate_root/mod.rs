//! `config/rotate-root`: a new access key in place of the engine's own.
//!
//! The key is replaced as every access key is (`key_rotation`). What is special here: the engine
//! itself signs with it, so the old key lives until the last request that uses it has ended.

mod automatic;
mod signing_key;
#[cfg(test)]
mod tests;
mod unfinished;

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::join;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::time::timeout_at;
use tokio_util::task::TaskTracker;

pub(super) use automatic::{Due, Failures, rotate_due};
pub(super) use signing_key::tend_signing_keys;
pub(super) use unfinished::{KIND, roll_back};

use super::Engine;
use super::clients::root_config::RootConfig;
use super::clients::{Connected, RootChange};
use super::error::refused;
use super::key_rotation::{
    self, KeyChange, NotAccepted, NotStored, Owner, QUOTA, Reach, in_time, until_accepted,
};
use crate::aws::limit::Class;
use crate::aws::{self, AccessKey, AccessKeyId, AccountIam, ErrorKind, Iam, UserName};
use crate::caller::Caller;
use crate::framework::{
    Answer, FieldData, FieldType, OperationDocs, Path, PathDocs, ResponseField,
};
use crate::logical::{Error, JsonObject, Operation, Request, Response, Storage, StorageError};

const RESPONSE: &[ResponseField] = &[
    ResponseField::new(
        "access_key",
        FieldType::String,
        "Access key id of the new key",
    ),
    ResponseField::new(
        "identity_token_key_id",
        FieldType::String,
        "Id of the new signing key, with identity_token_issuer",
    ),
];

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
                accepts it, stores it, and deletes the old one. With identity_token_issuer in config/root, \
                where there is no access key, it gives the turn to the next signing key instead. Works only with an access_key and \
                secret_key in config/root, and only while the user has no second key, because AWS \
                allows two. The user needs iam:GetUser, iam:CreateAccessKey and \
                iam:DeleteAccessKey on itself, and iam:ListAccessKeys, by which a key is found \
                that a crash left.",
            operation_suffix: "root-iam-credentials",
        })
}

async fn write(engine: Arc<Engine>, request: Request, _data: FieldData) -> Answer {
    let (storage, caller) = (&*request.storage, &request.caller);
    rotate(&engine, storage, caller, None).await.map(Some)
}

/// A rotation that the host's rotation manager asks for. It tries again what failed only when it is
/// told so by an error that is nobody's mistake: it does not look at answers.
pub(super) async fn rotate_by_schedule(engine: &Engine, request: &Request) -> Answer {
    match rotate(engine, &*request.storage, &request.caller, None).await {
        Ok(response) => Ok(Some(response)),
        Err(error @ Error::ReadOnly(_)) => Err(error),
        Err(error) => Err(Error::internal(format!(
            "scheduled rotation of the root access key failed: {error}"
        ))),
    }
}

/// Rotates the root access key, which was due then; answers with the new id.
async fn rotate(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    due: Option<OffsetDateTime>,
) -> Result<Response, Error> {
    let change = engine.clients.begin_change_for(caller).await;
    let change = change.ok_or_else(key_rotation::too_late)?;
    let stored = RootConfig::load(storage)
        .await
        .map_err(|error| Error::from(error).context("error reading root configuration"))?;
    let Some(stored) = stored else {
        return Err(Error::invalid(
            "no configuration found for config/root: write access_key and secret_key to it first",
        ));
    };
    if stored.is_keyless() {
        return signing_key::roll(engine, storage, caller, &stored).await;
    }
    let clients = engine.clients.look_again(storage).await?;
    let root = clients.root.clone();
    if !root.has_access_key() {
        return Err(Error::invalid(
            "Cannot call config/rotate-root when either access_key or secret_key is empty",
        ));
    }
    let old_id = AccessKeyId::new(&root.access_key)
        .map_err(|error| Error::invalid(format!("access_key in config/root: {error}")))?;
    in_time(caller)?;
    let clients = of_the_key(engine, clients)?;
    let iam = clients.iam.for_request(Class::Issue, caller).beginning();
    let sts = timeout_at(caller.a_look_by(), clients.sts_accepts_us(caller));
    let (user, accepted) = join!(iam.get_user(None), sts);
    let user = user.map_err(|error| refused("error calling GetUser", &error))?;
    let user_name = user.user_name.ok_or_else(|| {
        Error::invalid(
            "the access key in config/root belongs to the account's root user, which has no name: use the key of an IAM user",
        )
    })?;
    let mut access_keys = list_keys(&iam, &user_name).await?;
    if access_keys.as_ref().is_some_and(|ids| ids.len() >= QUOTA) {
        unfinished::finish_earlier(engine, storage, caller, &change).await?;
        access_keys = list_keys(&iam, &user_name).await?;
    }
    let key_change = KeyChange {
        user_name: user_name.to_string(),
        aws_account: clients.account(caller).await,
        access_keys,
        retired: vec![old_id.to_string()],
        ..KeyChange::default()
    };
    let mut owner = RootUser {
        engine,
        storage,
        change,
        iam: clients.iam.clone(),
        old_id,
        root,
        due,
        known_to_sts: matches!(accepted, Ok(Ok(true))),
        next: None,
        of_next_key: None,
        in_use: None,
    };
    // Not all clients: requests drain off those, and holding them would hold that up.
    drop((clients, iam));
    let warnings =
        key_rotation::replace(engine, storage, caller, &mut owner, &user_name, key_change).await?;
    engine.counters.rotated("root");
    let new_id = owner.in_use.map(|(next, _)| next.root.access_key.clone());
    Ok(Response {
        data: JsonObject::from_iter([("access_key".to_owned(), Value::from(new_id))]),
        warnings,
        ..Response::default()
    })
}

/// Clients that sign with the access key itself, where the engine assumes a role with it.
fn of_the_key(engine: &Engine, clients: Arc<Connected>) -> Result<Arc<Connected>, Error> {
    if clients.root.assume_role_arn.is_empty() {
        return Ok(clients);
    }
    let of_the_key = clients.root.clone().without_role();
    Ok(Arc::new(engine.clients.connect(of_the_key)?))
}

/// The ids of the keys that the user has, unless we may not look.
async fn list_keys(iam: &dyn Iam, user_name: &UserName) -> Result<Option<Vec<String>>, Error> {
    match iam.list_access_keys(user_name).await {
        Ok(keys) => {
            let ids = keys.into_iter().map(|key| key.access_key_id.to_string());
            Ok(Some(ids.collect()))
        }
        Err(error) if error.kind() == ErrorKind::Denied => Ok(None),
        Err(error) => Err(refused("error calling ListAccessKeys", &error)),
    }
}

/// The WAL entry of a rotation.
#[derive(Debug, Serialize, Deserialize)]
struct RootRotation {
    old_access_key: String,
    #[serde(flatten)]
    change: KeyChange,
}

/// The IAM user whose key is rotated.
struct RootUser<'a> {
    engine: &'a Engine,
    storage: &'a dyn Storage,
    change: RootChange<'a>,
    /// With the key that is in use until then.
    iam: AccountIam,
    old_id: AccessKeyId,
    root: RootConfig,
    due: Option<OffsetDateTime>,
    /// Whether STS accepts the key, and so must accept the new one.
    known_to_sts: bool,
    /// Clients of the new key, until they are in use.
    next: Option<Connected>,
    /// IAM of the new key itself, where the engine assumes a role with it.
    of_next_key: Option<AccountIam>,
    /// The same after that, and who still uses older ones.
    in_use: Option<(Arc<Connected>, TaskTracker)>,
}

impl RootUser<'_> {
    /// Waits until AWS accepts the new key.
    async fn wait_for(&self, next: &Connected, caller: &Caller) -> Result<(), Error> {
        const CONTEXT: &str = "the new access key could not be shown to work, so the old one stays";
        let sts = async || {
            if !self.known_to_sts {
                return Ok(());
            }
            match timeout_at(caller.a_look_by(), next.sts_accepts_us(caller)).await {
                Ok(Err(refusal)) => Err(refusal),
                // Only a clear no counts: STS may be out of reach for a while.
                _ => Ok(()),
            }
        };
        let iam = next.iam.for_request(Class::Issue, caller).finishing();
        let both = async || {
            let (user, sts) = join!(iam.get_user(None), sts());
            user.and(sts)
        };
        until_accepted(caller.finish_by(), both)
            .await
            .map_err(|error| match error {
                // What there is to check of credentials is not for a key that AWS has just made.
                NotAccepted::Refused(error) if error.kind() != ErrorKind::InvalidCredentials => {
                    refused(CONTEXT, &error)
                }
                other => Error::invalid(format!("{CONTEXT}: {other}")),
            })
    }
}

#[async_trait]
impl Owner for RootUser<'_> {
    const KIND: &'static str = KIND;
    type Entry = RootRotation;

    fn entry(&self, change: &KeyChange) -> RootRotation {
        RootRotation {
            old_access_key: self.old_id.to_string(),
            change: change.clone(),
        }
    }

    async fn reach(&self, caller: &Caller) -> Result<Reach, Error> {
        Ok(Reach {
            iam: self.iam.for_request(Class::Issue, caller),
            _held: None,
        })
    }

    fn no_new_key(&self, user_name: &UserName, error: &aws::Error) -> String {
        let context = "error calling CreateAccessKey";
        if error.kind() != ErrorKind::LimitExceeded {
            return context.to_owned();
        }
        format!(
            "{context}: AWS allows user {user_name} no further access key, so delete the one that config/root does not use (what a cut-off rotation left goes by itself in some minutes)"
        )
    }

    async fn will_make_room(&mut self, _id: &AccessKeyId) -> Result<(), StorageError> {
        // Both keys of the engine's own user may be needed, so none goes by itself.
        Ok(())
    }

    async fn prove(&mut self, key: &AccessKey, caller: &Caller) -> Result<(), Error> {
        let clients = &self.engine.clients;
        let keys = (&self.old_id, &key.access_key_id);
        let now = self.engine.clock.now();
        let root = RootConfig {
            access_key: key.access_key_id.to_string(),
            secret_key: key.secret_access_key.clone(),
            ..self.root.clone().rotated(keys, self.due, now)
        };
        let next = clients.connect(root.clone())?;
        if root.assume_role_arn.is_empty() {
            self.wait_for(&next, caller).await?;
        } else {
            let of_key = clients.connect(root.without_role())?;
            self.wait_for(&of_key, caller).await?;
            self.of_next_key = Some(of_key.iam.clone());
        }
        self.next = Some(next);
        Ok(())
    }

    async fn store(&mut self, key: &AccessKey) -> Result<(), NotStored> {
        let what = "new config/root";
        let Some(next) = self.next.take() else {
            let error = StorageError::Failed("the new access key was not proven".to_owned());
            return Err(NotStored::first(what, error));
        };
        let replaced = self.change.replace(self.storage, next).await;
        self.in_use = Some(replaced.map_err(|error| NotStored::first(what, error))?);
        tracing::info!(access_key = %key.access_key_id, "root access key rotated");
        Ok(())
    }

    async fn release(&mut self, caller: &Caller) -> Result<Reach, Error> {
        let Some((next, before)) = &self.in_use else {
            return self.reach(caller).await;
        };
        if timeout_at(caller.finish_by(), before.wait()).await.is_err() {
            return Err(Error::internal(
                "requests that began with it have not ended yet",
            ));
        }
        let iam = self.of_next_key.as_ref().unwrap_or(&next.iam);
        Ok(Reach {
            iam: iam.for_request(Class::Issue, caller),
            _held: None,
        })
    }
}
