//! One rotation: a new access key in the place of the stored one.
//!
//! The order keeps the stored credentials working at every moment, and a crash at any of them leaves
//! no key behind for ever: WAL entry, new key, proof that AWS accepts it, storage, WAL entry gone.
//! The key before stays until the next rotation needs its place. In single-key mode it goes as soon
//! as the new one is stored; the WAL entry stays until it is gone.

use std::collections::BTreeSet;
use std::future::{Future, ready};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use time::OffsetDateTime;

use super::accounts::Account;
use super::keys::UserKeys;
use super::record::{ROLES, StaticCredentials, StaticRole};
use super::unfinished::StaticRotation;
use crate::aws::limit::Class;
use crate::aws::{self, AccessKey, CredentialSource, ErrorKind, Iam, Sts, UserName};
use crate::caller::Caller;
use crate::engine::access_keys::{self, until_accepted};
use crate::engine::error::refused;
use crate::engine::rollback::Work;
use crate::engine::{Engine, busy};
use crate::framework::wal::{self, WalId};
use crate::logical::{Error, Storage};

/// How long STS may take to accept a new key, and after that IAM; some seconds are usual.
const PROPAGATION_LIMIT: Duration = Duration::from_secs(30);
const READS_AT_A_TIME: usize = 8;

/// What a rotation came to.
pub(super) struct Rotated {
    pub(super) credentials: StaticCredentials,
    pub(super) expiration: OffsetDateTime,
    pub(super) warnings: Vec<String>,
}

/// Gives the role a new access key. `stored` is what it had before; a role that had none takes
/// possession of its user, and is stored together with its credentials.
///
/// The caller holds the role's lock and has checked the user.
pub(super) async fn rotate(
    engine: &Engine,
    storage: &dyn Storage,
    account: Account,
    role: &StaticRole,
    stored: Option<&StaticCredentials>,
) -> Result<Rotated, Error> {
    let user_name = role.user_name()?;
    let _user = engine.static_roles.user_locks.lock(&role.id).await;
    if stored.is_none() {
        refuse_claimed(storage, role).await?;
    }
    let mut keys = list_keys(storage, &account, role, &user_name, stored).await?;
    if stored.is_none() && keys.ids().any(|id| id == account.root_access_key()) {
        return Err(Error::invalid(format!(
            "username: the engine itself acts as {user_name} (config/root), and a static role takes over all of its user's access keys; give the static role a user of its own"
        )));
    }
    let mut warnings = Vec::new();
    let room_made = make_room(
        engine,
        storage,
        account.iam(),
        role,
        &user_name,
        &mut keys,
        stored,
    )
    .await?;
    warnings.extend(room_made);

    let mut work = StaticRotation::of(role, &keys);
    let mut entry = engine
        .write_ahead(storage, &Work::StaticRotation(&work))
        .await?;
    let key = create_key(storage, account.iam(), &user_name, &entry).await?;
    let caller = account.caller().clone();
    drop(account);
    work.new_access_key = Some(key.access_key_id.to_string());
    let previous = keys.ids().find(|id| keys.is_ours(id)).map(str::to_owned);

    let taken_over = async {
        let without_new_key = entry.clone();
        entry = engine
            .write_ahead(storage, &Work::StaticRotation(&work))
            .await?;
        wal::delete(storage, &without_new_key).await?;
        prove(engine, storage, &caller, &key).await?;
        let now = engine.clock.now();
        let expiration = now + role.rotation_period;
        let credentials = StaticCredentials {
            access_key: key.access_key_id.to_string(),
            expiration: Some(expiration),
            secret_key: key.secret_access_key.clone(),
            last_vault_rotation: Some(now),
            previous_access_key: previous,
            unknown: stored
                .map(|stored| stored.unknown.clone())
                .unwrap_or_default(),
        };
        credentials.store(storage, &role.name).await?;
        if stored.is_none() {
            role.store(storage).await?;
        }
        Ok(Rotated {
            credentials,
            expiration,
            warnings,
        })
    };
    let mut rotated = match taken_over.await {
        Ok(rotated) => rotated,
        Err(error) => {
            undo(engine, storage, &caller, &work, &entry).await;
            return Err(error);
        }
    };
    tracing::info!(
        static_role = %role.name,
        user = %user_name,
        access_key = %key.access_key_id,
        "static role rotated"
    );
    rotated
        .warnings
        .extend(finish(engine, storage, &caller, &work, &entry).await);
    Ok(rotated)
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

/// What the user has. The keys of others are looked up only when there is a key that the role did
/// not make.
async fn list_keys(
    storage: &dyn Storage,
    account: &Account,
    role: &StaticRole,
    user_name: &UserName,
    stored: Option<&StaticCredentials>,
) -> Result<UserKeys, Error> {
    let listed = account
        .iam()
        .list_access_keys(user_name)
        .await
        .map_err(|error| {
            refused(
                &format!("unable to list existing access keys for IAM user \"{user_name}\""),
                &error,
            )
        })?;
    let mut keys = UserKeys {
        listed,
        current: stored.map(|stored| stored.access_key.clone()),
        previous: stored.and_then(|stored| stored.previous_access_key.clone()),
        ..UserKeys::default()
    };
    if keys.foreign().next().is_some() {
        keys.protected = needed_by_others(storage, account, &role.name, &role.id).await?;
    }
    Ok(keys)
}

/// The key that the engine itself uses, and those of other roles that have the same user, which
/// only the Go engines let be written.
pub(super) async fn needed_by_others(
    storage: &dyn Storage,
    account: &Account,
    role: &str,
    user_id: &str,
) -> Result<BTreeSet<String>, Error> {
    let mut needed = BTreeSet::from([account.root_access_key().to_owned()]);
    for other in others_of_user(storage, role, user_id).await? {
        if let Some(stored) = StaticCredentials::load(storage, &other).await? {
            needed.extend(stored.ids().map(str::to_owned));
        }
    }
    Ok(needed)
}

/// Deletes a key when AWS would not make another beside those that there are; a warning if it is one
/// that the role did not make.
async fn make_room(
    engine: &Engine,
    storage: &dyn Storage,
    iam: &dyn Iam,
    role: &StaticRole,
    user_name: &UserName,
    keys: &mut UserKeys,
    stored: Option<&StaticCredentials>,
) -> Result<Option<String>, Error> {
    let out_of_the_way = keys.take_out_of_the_way().map_err(|_| {
        Error::invalid(format!(
            "IAM user {user_name} has two access keys that config/root or other static roles use, and AWS allows no third"
        ))
    })?;
    let Some(key) = out_of_the_way else {
        return Ok(None);
    };
    let id = key.access_key_id;
    if let Some(stored) = stored.filter(|_| keys.is_current(id.as_str())) {
        // Until the new key is stored there is none that works, so from now on the role is due.
        let due = StaticCredentials {
            expiration: Some(engine.clock.now()),
            ..stored.clone()
        };
        due.store(storage, &role.name).await?;
    }
    access_keys::delete(iam, user_name, &id)
        .await
        .map_err(|error| {
            refused(
                &format!("unable to delete oldest access keys for user \"{user_name}\""),
                &error,
            )
        })?;
    if keys.is_ours(id.as_str()) {
        return Ok(None);
    }
    tracing::warn!(static_role = %role.name, user = %user_name, access_key = %id, "access key that the role did not make deleted to make room");
    Ok(Some(format!(
        "IAM user {user_name} had two access keys, so {id} was deleted to make room for a new one"
    )))
}

/// Makes the key; the WAL entry goes again if it is certain that there is none.
async fn create_key(
    storage: &dyn Storage,
    iam: &dyn Iam,
    user_name: &UserName,
    entry: &WalId,
) -> Result<AccessKey, Error> {
    // Right after a key was deleted, AWS may still count it.
    let passing =
        |error: &aws::Error| matches!(error.kind(), ErrorKind::Busy | ErrorKind::LimitExceeded);
    match busy::retry_when(passing, || iam.create_access_key(user_name)).await {
        Ok(key) => Ok(key),
        Err(error) => {
            if !error.may_have_happened() {
                wal::delete(storage, entry).await?;
            }
            Err(refused(
                &format!("unable to create new access keys for user \"{user_name}\""),
                &error,
            ))
        }
    }
}

/// Waits until AWS accepts the new key. STS of the configured region is nearest to where the key
/// will be used; where STS gives no answer that counts, IAM does.
async fn prove(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    key: &AccessKey,
) -> Result<(), Error> {
    let root = engine.clients.get(storage).await?;
    let credentials = CredentialSource::Static {
        access_key_id: key.access_key_id.clone(),
        secret_access_key: key.secret_access_key.clone(),
        session_token: None,
    };
    let clients = engine.clients.connect_as(&root.root, credentials)?;
    drop(root);
    let sts = clients.sts.for_request(caller).beginning();
    let by_sts = until_accepted(PROPAGATION_LIMIT, || known(sts.get_caller_identity()));
    let Err(error) = by_sts.await else {
        return Ok(());
    };
    tracing::debug!(%error, "STS does not vouch for a new access key");
    let iam = clients.iam.for_request(Class::Issue, caller).finishing();
    until_accepted(PROPAGATION_LIMIT, || known(iam.get_user(None)))
        .await
        .map_err(|error| {
            refused(
                "AWS did not accept the new access key, so the one before stays",
                &error,
            )
        })
}

/// Whom AWS tells that something is not allowed, AWS knows.
async fn known<T>(answer: impl Future<Output = Result<T, aws::Error>>) -> Result<(), aws::Error> {
    match answer.await {
        Err(error) if error.kind() == ErrorKind::Denied => Ok(()),
        other => other.map(drop),
    }
}

/// After a failure: what is stored decides which keys may live.
async fn undo(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    work: &StaticRotation,
    entry: &WalId,
) {
    if let Err(error) = settle(engine, storage, caller, work, entry).await {
        tracing::warn!(static_role = %work.role, %error, "new access key of a failed rotation could not be deleted now; rollback tries again");
    }
}

/// After a success: the keys whose time is over go. A warning if one still lives.
async fn finish(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    work: &StaticRotation,
    entry: &WalId,
) -> Option<String> {
    let finished = if work.retired.is_empty() {
        wal::delete(storage, entry).await.map_err(Error::from)
    } else {
        settle(engine, storage, caller, work, entry).await
    };
    let error = finished.err()?;
    tracing::warn!(static_role = %work.role, %error, "static role rotated, but not tidied up");
    Some(format!(
        "the new access key is stored, but the one before could not be tidied away: {error}; this is tried again every minute or so"
    ))
}

async fn settle(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    work: &StaticRotation,
    entry: &WalId,
) -> Result<(), Error> {
    work.settle(engine, storage, caller, engine.clock.now())
        .await?;
    Ok(wal::delete(storage, entry).await?)
}
