//! One rotation: a new access key in the place of the stored one.
//!
//! The key is replaced as every access key is (`key_rotation`). What is special here: AWS allows a
//! user two keys, and the one before stays until the next rotation needs its place. In single-key
//! mode it goes as soon as the new one is stored.

use std::collections::BTreeSet;
use std::future::{Future, ready};

use async_trait::async_trait;
use futures_util::{StreamExt, stream};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::accounts::Account;
use super::keys::UserKeys;
use super::record::{CREDENTIALS, ROLES, StaticCredentials, StaticRole};
use super::unfinished::{self, StaticRotation};
use crate::aws::limit::Class;
use crate::aws::{self, AccessKey, AccessKeyId, CredentialSource, ErrorKind, Iam, Sts, UserName};
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::error::refused;
use crate::engine::key_rotation::{
    self, KeyChange, NotAccepted, NotStored, Owner, Reach, until_accepted,
};
use crate::logical::{Error, Storage, StorageError};

const READS_AT_A_TIME: usize = 8;

/// A rotation that is wished.
pub(super) struct Rotation<'a> {
    pub(super) engine: &'a Engine,
    pub(super) storage: &'a dyn Storage,
    pub(super) caller: &'a Caller,
    pub(super) class: Class,
    pub(super) role: &'a StaticRole,
    /// What the role had before; one that had nothing takes possession of its user, and is stored
    /// together with its credentials.
    pub(super) stored: Option<&'a StaticCredentials>,
    /// Since when it is due; `None` when it comes out of turn.
    pub(super) due: Option<OffsetDateTime>,
}

/// What a rotation came to.
pub(super) struct Rotated {
    pub(super) credentials: StaticCredentials,
    pub(super) expiration: OffsetDateTime,
    pub(super) warnings: Vec<String>,
}

impl Rotation<'_> {
    /// Gives the role a new access key. The caller holds the role's lock and has checked the user.
    pub(super) async fn run(self, account: Account) -> Result<Rotated, Error> {
        let Self {
            engine,
            storage,
            caller,
            role,
            ..
        } = self;
        let user_name = role.user_name()?;
        let _user = engine.static_roles.lock_user(&role.id, caller).await?;
        if self.stored.is_none() {
            refuse_claimed(storage, role).await?;
        }
        let mut keys = self.list_keys(&account, &user_name).await?;
        if self.stored.is_none() {
            refuse_engines_own(engine, &account, &user_name, &keys)?;
        }
        let before = keys.ids().map(str::to_owned).collect();
        let going = keys.take_out_of_the_way().map_err(|_| {
            Error::invalid(format!(
                "IAM user {user_name} has two access keys that config/root or other static roles use, and AWS allows no third"
            ))
        })?;
        let going = going.map(|key| key.access_key_id.to_string());
        let retired = keys
            .ids()
            .filter(|id| role.single_key && !keys.protected.contains(*id));
        let change = KeyChange {
            user_name: user_name.to_string(),
            aws_account: account.id().await,
            access_keys: Some(before),
            making_room: going.clone(),
            new_access_key: None,
            retired: retired.map(str::to_owned).collect(),
        };
        let mut owner = UserOfRole {
            previous: keys.ids().find(|id| keys.is_ours(id)).map(str::to_owned),
            rotation: self,
            rotated: None,
        };
        drop(account);
        let mut warnings =
            key_rotation::replace(engine, storage, caller, &mut owner, &user_name, change).await?;
        if let Some(id) = going.filter(|id| !keys.is_ours(id)) {
            warnings.push(format!(
                "IAM user {user_name} had two access keys, so {id} was deleted to make room for a new one"
            ));
        }
        let (credentials, expiration) = owner
            .rotated
            .ok_or_else(|| Error::internal("the new access key was not stored"))?;
        engine.counters.rotated("static_role");
        Ok(Rotated {
            credentials,
            expiration,
            warnings,
        })
    }

    /// What the user has. The keys of others are looked up only when there is a key that the role
    /// did not make.
    async fn list_keys(&self, account: &Account, user_name: &UserName) -> Result<UserKeys, Error> {
        let iam = account.iam().beginning();
        let listed = iam.list_access_keys(user_name);
        let listed = listed.await.map_err(|error| {
            refused(
                &format!("unable to list existing access keys for IAM user \"{user_name}\""),
                &error,
            )
        })?;
        let stored = self.stored;
        let mut keys = UserKeys {
            listed,
            current: stored.map(|stored| stored.access_key.clone()),
            previous: stored.and_then(|stored| stored.previous_access_key.clone()),
            ..UserKeys::default()
        };
        if keys.foreign().next().is_some() {
            let Self {
                engine,
                storage,
                role,
                ..
            } = self;
            keys.protected =
                needed_by_others(engine, *storage, account, &role.name, &role.id).await?;
        }
        Ok(keys)
    }
}

/// The IAM user of a static role.
struct UserOfRole<'a> {
    rotation: Rotation<'a>,
    /// The role's own key that stays beside the new one.
    previous: Option<String>,
    rotated: Option<(StaticCredentials, OffsetDateTime)>,
}

#[async_trait]
impl Owner for UserOfRole<'_> {
    const KIND: &'static str = unfinished::KIND;
    type Entry = StaticRotation;

    fn entry(&self, change: &KeyChange) -> StaticRotation {
        StaticRotation::of(self.rotation.role, change.clone())
    }

    async fn reach(&self, caller: &Caller) -> Result<Reach, Error> {
        let Rotation {
            engine,
            storage,
            role,
            class,
            ..
        } = &self.rotation;
        let static_roles = &engine.static_roles;
        let account = static_roles
            .connect(engine, *storage, role, *class, caller)
            .await?;
        Ok(account.into_reach())
    }

    fn no_new_key(&self, user_name: &UserName, _error: &aws::Error) -> String {
        format!("unable to create new access keys for user \"{user_name}\"")
    }

    async fn will_make_room(&mut self, id: &AccessKeyId) -> Result<(), StorageError> {
        let Rotation {
            engine,
            storage,
            role,
            stored,
            ..
        } = &self.rotation;
        let Some(stored) = stored else {
            return Ok(());
        };
        let mut stored = (*stored).clone();
        if stored.access_key == id.as_str() {
            // Until the new key is stored there is none that works, so from now on the role is due.
            stored.expiration = Some(engine.clock.now());
        } else if stored.previous_access_key.as_deref() == Some(id.as_str()) {
            return Ok(());
        }
        // Stored in any case: hosts put in order, so the put of a rotation before, which failed for
        // us, cannot come after this one and name the key that goes.
        stored.store(*storage, &role.name).await?;
        if stored.access_key != id.as_str() {
            tracing::warn!(static_role = %role.name, user = %role.username, access_key = %id, "access key that the role did not make goes to make room");
        }
        Ok(())
    }

    /// STS of the configured region is nearest to where the key will be used; where STS gives no
    /// answer that counts, IAM does.
    async fn prove(&mut self, key: &AccessKey, caller: &Caller) -> Result<(), Error> {
        let clients = &self.rotation.engine.clients;
        let root = clients.get(self.rotation.storage).await?;
        let credentials = CredentialSource::Static {
            access_key_id: key.access_key_id.clone(),
            secret_access_key: key.secret_access_key.clone(),
            session_token: None,
        };
        let clients = clients.connect_as(&root.root, credentials)?;
        drop(root);
        let (now, end) = (Instant::now(), caller.finish_by());
        let half = now + end.saturating_duration_since(now) / 2;
        let sts = clients.sts.for_request(caller);
        let by_sts = until_accepted(half, || known(sts.get_caller_identity()));
        let Err(reason) = by_sts.await else {
            return Ok(());
        };
        tracing::debug!(%reason, "STS does not vouch for a new access key");
        let iam = clients.iam.for_request(Class::Issue, caller).finishing();
        until_accepted(end, || known(iam.get_user(None)))
            .await
            .map_err(|reason| {
                let context = "AWS did not accept the new access key, so the one before stays";
                match &reason {
                    NotAccepted::Refused(error) => refused(context, error),
                    NotAccepted::Unanswered => Error::invalid(format!("{context}: {reason}")),
                }
            })
    }

    async fn store(&mut self, key: &AccessKey) -> Result<(), NotStored> {
        let Rotation {
            engine,
            storage,
            role,
            stored,
            ..
        } = &self.rotation;
        let now = engine.clock.now();
        let expiration = role.plan(now).next(self.rotation.due, now);
        let credentials = StaticCredentials {
            access_key: key.access_key_id.to_string(),
            expiration: Some(expiration),
            secret_key: key.secret_access_key.clone(),
            last_vault_rotation: Some(now),
            previous_access_key: self.previous.clone(),
            unknown: stored
                .map(|stored| stored.unknown.clone())
                .unwrap_or_default(),
        };
        let what = |prefix| format!("{prefix}{}", role.name);
        credentials
            .store(*storage, &role.name)
            .await
            .map_err(|error| NotStored::first(what(CREDENTIALS), error))?;
        if stored.is_none() {
            role.store(*storage).await.map_err(|error| NotStored {
                what: what(ROLES),
                error,
                // The credentials are, and who may not write cannot take them back.
                certainly: false,
            })?;
        }
        tracing::info!(
            static_role = %role.name,
            user = %role.username,
            access_key = %key.access_key_id,
            "static role rotated"
        );
        self.rotated = Some((credentials, expiration));
        Ok(())
    }

    async fn release(&mut self, caller: &Caller) -> Result<Reach, Error> {
        self.reach(caller).await
    }
}

/// A static role takes over all access keys of its user, so the user must not be one that an engine
/// acts as.
fn refuse_engines_own(
    engine: &Engine,
    account: &Account,
    user_name: &UserName,
    keys: &UserKeys,
) -> Result<(), Error> {
    let own = keys.ids().any(|id| id == account.root_access_key());
    let who = match own {
        true => "the engine itself acts as {user_name} (config/root)",
        false if keys.ids().any(|id| engine.clients.is_root_key(id)) => {
            "another mount acts as {user_name} (its config/root)"
        }
        false => return Ok(()),
    };
    let who = who.replace("{user_name}", user_name.as_str());
    Err(Error::invalid(format!(
        "username: {who}, and a static role takes over all of its user's access keys; give the static role a user of its own"
    )))
}

/// Two roles on one user would take away each other's keys.
pub(super) async fn refuse_claimed(storage: &dyn Storage, role: &StaticRole) -> Result<(), Error> {
    match others_of_user(storage, &role.name, &role.id).await?.first() {
        None => Ok(()),
        Some(other) => Err(Error::invalid(format!(
            "username: IAM user {:?} already belongs to the static role {other:?}, and two roles would take away each other's access keys; read static-creds/{other}, or delete that role first",
            role.username
        ))),
    }
}

/// The names of other roles that have the same user.
async fn others_of_user(
    storage: &dyn Storage,
    role: &str,
    user_id: &str,
) -> Result<Vec<String>, Error> {
    let names = storage.list(ROLES).await?;
    let names = names
        .into_iter()
        .filter(|name| name != role && !name.ends_with('/'));
    let mut others: Vec<String> = stream::iter(names)
        .map(|name| async move {
            match StaticRole::load(storage, &name).await {
                Ok(other) => other.filter(|other| other.id == user_id).map(|_| name),
                // Whose user that one has cannot be told; it must not stop all others.
                Err(error) => {
                    tracing::warn!(static_role = %name, %error, "static role cannot be read");
                    None
                }
            }
        })
        .buffer_unordered(READS_AT_A_TIME)
        .filter_map(ready)
        .collect()
        .await;
    others.sort_unstable();
    Ok(others)
}

/// The keys that engines themselves use, and those of other roles that have the same user, which
/// only the Go engines let be written.
pub(super) async fn needed_by_others(
    engine: &Engine,
    storage: &dyn Storage,
    account: &Account,
    role: &str,
    user_id: &str,
) -> Result<BTreeSet<String>, Error> {
    let mut needed = engine.clients.root_keys();
    needed.insert(account.root_access_key().to_owned());
    for other in others_of_user(storage, role, user_id).await? {
        if let Some(stored) = StaticCredentials::load(storage, &other).await? {
            needed.extend(stored.ids().map(str::to_owned));
        }
    }
    Ok(needed)
}

/// Whom AWS tells that something is not allowed, AWS knows.
async fn known<T>(answer: impl Future<Output = Result<T, aws::Error>>) -> Result<(), aws::Error> {
    match answer.await {
        Err(error) if error.kind() == ErrorKind::Denied => Ok(()),
        other => other.map(drop),
    }
}
