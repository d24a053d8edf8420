//! The lease of generated credentials: what the host keeps of it, renewal, revocation.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::aws::limit::Class;
use crate::aws::{Arn, UserName};
use crate::engine::Engine;
use crate::engine::clients::Connected;
use crate::engine::config_lease::LeaseConfig;
use crate::engine::iam_user_removal::{Attached, Removal, remove_all, remove_known};
use crate::framework::{Answer, SecretType, leased_response};
use crate::logical::{Error, JsonObject, LeaseOptions, Request, Response, Secret};

/// The one secret type, named as in the Go engines.
const ACCESS_KEYS: &str = "access_keys";

/// For how long after its creation AWS may wrongly say that it does not know a user.
const YOUNG: Duration = Duration::from_mins(5);

/// Waits between the looks that make sure that a young user is really gone.
const CONFIRMATIONS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];

pub(crate) fn access_keys() -> SecretType<Engine> {
    SecretType::new(ACCESS_KEYS, renew, revoke)
}

/// What a lease of an IAM user remembers.
pub(super) struct UserLease {
    pub(super) username: String,
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
        ("attached".to_owned(), attached),
    ]);
    Ok(leased_response(ACCESS_KEYS, data, internal_data, options))
}

/// The leased answer of a session of STS, which ends by itself.
pub(super) fn of_session(
    data: JsonObject,
    username: Option<&str>,
    policy: Option<&str>,
    ttl: Duration,
) -> Response {
    let mut internal_data = JsonObject::from_iter([("is_sts".to_owned(), Value::from(true))]);
    for (key, value) in [("username", username), ("policy", policy)] {
        if let Some(value) = value {
            internal_data.insert(key.to_owned(), Value::from(value));
        }
    }
    let options = LeaseOptions {
        ttl,
        renewable: false,
        ..LeaseOptions::default()
    };
    leased_response(ACCESS_KEYS, data, internal_data, options)
}

impl UserLease {
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
    let config = LeaseConfig::load(&engine, &*request.storage)
        .await?
        .options();
    secret.lease.ttl = config.ttl;
    secret.lease.max_ttl = config.max_ttl;
    secret.lease.renewable = true;
    Ok(Some(Response {
        secret: Some(secret),
        ..Response::default()
    }))
}

async fn revoke(engine: Arc<Engine>, request: Request, secret: Secret) -> Answer {
    if is_session(&secret.internal_data)? {
        return Ok(None);
    }
    let lease = UserLease::read(&secret.internal_data)?;
    let user = UserName::new(&lease.username)
        .map_err(|error| Error::internal(format!("username of the lease: {error}")))?;
    let clients = engine.clients.get(&*request.storage).await?;
    let iam = clients
        .iam
        .for_request(Class::Removal, &request.caller.committed());
    let young = secret
        .lease
        .issue_time
        .is_some_and(|issued| engine.clock.now() - issued < YOUNG);
    let waits = if young { &CONFIRMATIONS[..] } else { &[] };
    let mut waits = waits.iter();
    loop {
        let removal = match &lease.attached {
            Some(attached) => remove_known(&iam, &user, attached).await,
            None => remove_all(&iam, &user).await,
        };
        match removal {
            Err(error) => {
                return Err(Error::internal(format!(
                    "error removing IAM user {user}: {error}"
                )));
            }
            Ok(Removal::Removed) => {
                tracing::debug!(%user, "IAM user removed");
                return Ok(None);
            }
            Ok(Removal::Unknown) => match waits.next() {
                Some(wait) => tokio::time::sleep(*wait).await,
                None => break,
            },
        }
    }
    same_account(&clients, &lease).await?;
    tracing::info!(%user, "IAM user of the revoked lease was gone already");
    Ok(None)
}

/// AWS does not know the user: it is gone, or it was made in another account than the one that the
/// engine's credentials are of now.
async fn same_account(clients: &Connected, lease: &UserLease) -> Result<(), Error> {
    let Some(arn) = lease.arn.as_ref().and_then(|text| Arn::new(text).ok()) else {
        return Ok(());
    };
    // Where AWS does not tell, its word that the user is unknown has to do.
    let Ok(sts) = clients.sts().await else {
        return Ok(());
    };
    match sts.get_caller_identity().await {
        Ok(caller) if caller.account != arn.account() => Err(Error::internal(format!(
            "IAM user {arn} is not of account {}, which the AWS credentials of this engine belong to: write credentials of account {} to config/root, or delete the user there and revoke the lease with -force",
            caller.account,
            arn.account()
        ))),
        _ => Ok(()),
    }
}
