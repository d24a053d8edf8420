//! The lease of generated credentials: what the host keeps of it, renewal, revocation.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use time::OffsetDateTime;

use crate::aws::limit::{Class, LimitedIam};
use crate::aws::{Arn, UserName};
use crate::engine::Engine;
use crate::engine::clients::Connected;
use crate::engine::config_lease::LeaseConfig;
use crate::engine::counters::{Failed, RevokedBy};
use crate::engine::iam_user_removal::{Attached, Removal, remove_all, remove_known};
use crate::engine::issued::{self, IssuedUser, condemn};
use crate::engine::sessions::{self, IssuedSession};
use crate::framework::{Answer, SecretType, leased_response, wal};
use crate::logical::{Error, JsonObject, LeaseOptions, Request, Response, Secret, Storage};

/// The one secret type, named as in the Go engines.
const ACCESS_KEYS: &str = "access_keys";

/// Waits between the looks that make sure that a young user is really gone.
const CONFIRMATIONS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

pub(crate) fn access_keys() -> SecretType<Engine> {
    SecretType::new(ACCESS_KEYS, renew, revoke).when_abandoned(abandon)
}

/// What a lease of an IAM user remembers.
pub(super) struct UserLease {
    pub(super) username: String,
    /// AWS's own id of the user. `None` in leases of the Go engines, and of before there was the
    /// register.
    pub(super) user_id: Option<String>,
    /// `None` in leases of the Go engines.
    pub(super) arn: Option<String>,
    /// `None` in leases of the Go engines.
    pub(super) attached: Option<Attached>,
}

/// The leased answer of an IAM user. `policy` is what the Go engines keep under that name.
pub(super) fn of_user(
    data: JsonObject,
    lease: &UserLease,
    policy: Value,
    options: LeaseOptions,
) -> Result<Response, Error> {
    let attached = serde_json::to_value(&lease.attached)
        .map_err(|error| Error::internal(error.to_string()))?;
    let internal_data = JsonObject::from_iter([
        ("username".to_owned(), Value::from(lease.username.as_str())),
        ("policy".to_owned(), policy),
        ("is_sts".to_owned(), Value::from(false)),
        ("arn".to_owned(), Value::from(lease.arn.clone())),
        ("user_id".to_owned(), Value::from(lease.user_id.clone())),
        ("attached".to_owned(), attached),
    ]);
    Ok(leased_response(ACCESS_KEYS, data, internal_data, options))
}

/// The leased answer of a session of STS, which ends by itself; `session` if it can be ended before.
pub(super) fn of_session(
    data: JsonObject,
    username: Option<&str>,
    policy: Option<&str>,
    session: Option<&IssuedSession>,
    ttl: Duration,
) -> Result<Response, Error> {
    let mut internal_data = JsonObject::from_iter([("is_sts".to_owned(), Value::from(true))]);
    for (key, value) in [("username", username), ("policy", policy)] {
        if let Some(value) = value {
            internal_data.insert(key.to_owned(), Value::from(value));
        }
    }
    if let Some(session) = session {
        session.keep_in_lease(&mut internal_data)?;
    }
    let options = LeaseOptions {
        ttl,
        renewable: false,
        ..LeaseOptions::default()
    };
    Ok(leased_response(ACCESS_KEYS, data, internal_data, options))
}

impl UserLease {
    /// The AWS account that the user is in.
    fn account(&self) -> Option<String> {
        let arn = Arn::new(self.arn.as_ref()?).ok()?;
        Some(arn.account().to_owned())
    }

    fn read(internal_data: &JsonObject) -> Result<Self, Error> {
        let text = |key| {
            internal_data
                .get(key)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        Ok(Self {
            username: text("username")
                .ok_or_else(|| Error::internal("secret is missing username internal data"))?,
            user_id: text("user_id"),
            arn: text("arn"),
            attached: internal_data
                .get("attached")
                .and_then(|value| serde_json::from_value(value.clone()).ok()),
        })
    }
}

/// Whether the lease is of a session; very old leases do not say, and are of IAM users.
fn is_session(internal_data: &JsonObject) -> Result<bool, Error> {
    match internal_data.get("is_sts") {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(Error::internal(
            "secret has is_sts but value could not be understood",
        )),
    }
}

async fn renew(engine: Arc<Engine>, request: Request, mut secret: Secret) -> Answer {
    if is_session(&secret.internal_data).unwrap_or(false) {
        return Ok(None);
    }
    let storage = &*request.storage;
    let config = LeaseConfig::load(&engine, storage).await?;
    // Before the host extends the lease: its user must not seem to be over meanwhile. The host may
    // give less than this, never more.
    let lifetime = issued::lifetime(&engine, &config).await?;
    let lifetime = lifetime.max(secret.lease.increment);
    if let Ok(lease) = UserLease::read(&secret.internal_data)
        && let Ok(user) = UserName::new(&lease.username)
    {
        IssuedUser::renew(&engine, storage, &user, lifetime).await?;
    }
    let options = config.options();
    secret.lease.ttl = options.ttl;
    secret.lease.max_ttl = options.max_ttl;
    secret.lease.renewable = true;
    Ok(Some(Response {
        secret: Some(secret),
        ..Response::default()
    }))
}

async fn revoke(engine: Arc<Engine>, request: Request, secret: Secret) -> Answer {
    let answer = revoke_uncounted(&engine, &request, &secret).await;
    if let Err(error) = &answer {
        engine.counters.failed(Failed::Revoke, error);
    }
    answer
}

async fn revoke_uncounted(engine: &Engine, request: &Request, secret: &Secret) -> Answer {
    let storage = &*request.storage;
    if let Some(session) = IssuedSession::of_lease(&secret.internal_data)? {
        let caller = &request.caller;
        sessions::end(engine, storage, caller, &session, RevokedBy::Lease).await?;
        return Ok(None);
    }
    let Some(ending) = Ending::of(engine, request, secret).await? else {
        return Ok(None);
    };
    let mut waits = CONFIRMATIONS.iter();
    let begun = ending.begun(secret.lease.issue_time, engine.clock.now());
    loop {
        let removal = ending.remove().await?;
        if removal.is_certain(begun, engine.clock.now()) {
            tracing::debug!(user = %ending.user, ?removal, "IAM user of the revoked lease is gone");
            ending.forget(engine, storage).await;
            engine.counters.revoked(RevokedBy::Lease);
            return Ok(None);
        }
        // A lease that the host could not keep has no time, and nobody has ended its user before.
        if secret.lease.issue_time.is_some() && ending.has_left_the_register(storage).await? {
            tracing::debug!(user = %ending.user, "IAM user of the revoked lease was removed before");
            return Ok(None);
        }
        match waits.next() {
            Some(wait) => tokio::time::sleep(*wait).await,
            None => break,
        }
    }
    // The host may forget the lease, since the entry remembers the user.
    condemn(engine, storage, &ending.user, &ending.record).await?;
    engine.counters.revoked(RevokedBy::Lease);
    tracing::info!(user = %ending.user, "AWS does not know the young IAM user of the revoked lease, and is asked again");
    Ok(None)
}

/// The host does not know the lease, so what cannot be removed now must be in the WAL. A session whose
/// credentials nobody got ends by itself.
async fn abandon(engine: Arc<Engine>, request: Request, secret: Secret) -> Answer {
    let storage = &*request.storage;
    let Some(ending) = Ending::of(&engine, &request, &secret).await? else {
        return Ok(None);
    };
    let entry = condemn(&engine, storage, &ending.user, &ending.record).await?;
    if ending.remove().await? == Removal::Removed {
        ending.forget(&engine, storage).await;
        wal::delete(storage, &entry).await?;
    }
    Ok(None)
}

/// The end of an IAM user's lease.
struct Ending {
    clients: Arc<Connected>,
    iam: LimitedIam,
    user: UserName,
    lease: UserLease,
    record: IssuedUser,
    registered: bool,
}

impl Ending {
    /// `None` when there is no user to remove: the lease is of a session, or another lease has its
    /// name by now.
    async fn of(
        engine: &Engine,
        request: &Request,
        secret: &Secret,
    ) -> Result<Option<Self>, Error> {
        if is_session(&secret.internal_data)? {
            return Ok(None);
        }
        let storage = &*request.storage;
        let lease = UserLease::read(&secret.internal_data)?;
        let user = UserName::new(&lease.username)
            .map_err(|error| Error::internal(format!("username of the lease: {error}")))?;
        let record = IssuedUser::load(storage, &user).await?;
        if let (Some(record), Some(user_id)) = (&record, &lease.user_id)
            && !record.user_id.is_empty()
            && record.user_id != *user_id
        {
            tracing::info!(%user, "IAM user of the revoked lease was gone already, and another lease has its name");
            return Ok(None);
        }
        let clients = engine.clients.get(storage).await?;
        let caller = request.caller.committed();
        let iam = clients.iam.for_request(Class::Removal, &caller);
        let registered = record.is_some();
        let record = record.unwrap_or_else(|| {
            let user_id = lease.user_id.clone().unwrap_or_default();
            IssuedUser::unregistered(user_id, lease.account().unwrap_or_default())
        });
        Ok(Some(Self {
            clients,
            iam,
            user,
            lease,
            record,
            registered,
        }))
    }

    /// When the user was made at the latest. A host that could not keep a lease has it revoked without
    /// its time.
    fn begun(&self, issued: Option<OffsetDateTime>, now: OffsetDateTime) -> OffsetDateTime {
        let registered = self.registered.then(|| self.record.issued_at());
        issued.or(registered).unwrap_or(now)
    }

    /// Whether the user was in the register and was certainly gone when it left it: by name, by a
    /// containment, or by a revocation whose answer the host never got.
    async fn has_left_the_register(&self, storage: &dyn Storage) -> Result<bool, Error> {
        // What other engines gave, and versions without the register, was never in it.
        let was_in_it = self.lease.user_id.is_some();
        Ok(was_in_it && IssuedUser::load(storage, &self.user).await?.is_none())
    }

    /// The user is gone.
    async fn forget(&self, engine: &Engine, storage: &dyn Storage) {
        if self.registered {
            IssuedUser::forget(engine, storage, &self.user).await;
        }
    }

    async fn remove(&self) -> Result<Removal, Error> {
        let account = self.lease.account().unwrap_or_default();
        self.clients
            .must_be_of(&account, self.user.as_str(), self.iam.caller())
            .await?;
        let removed = match &self.lease.attached {
            Some(attached) => remove_known(&self.iam, &self.user, attached).await,
            None => remove_all(&self.iam, &self.user, None).await,
        };
        removed.map_err(|error| {
            Error::internal(format!("error removing IAM user {}: {error}", self.user))
        })
    }
}
