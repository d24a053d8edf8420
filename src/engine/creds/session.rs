//! What the three kinds of STS sessions have in common: their lifetime and their answer.

use std::time::Duration;

use serde_json::Value;
use time::format_description::well_known::Rfc3339;

use super::{Asked, DEFAULT_TTL, lease};
use crate::aws::{Arn, SessionCredentials};
use crate::engine::Engine;
use crate::logical::{Error, HostError, JsonObject, Response};
use crate::secret::ExposeSecret;

/// The lifetime to ask AWS for: the request's wish, else the role's, else an hour; never above the
/// role's limit, or the mount's where the role has none. AWS's own limits are left to AWS.
pub(super) async fn duration(engine: &Engine, asked: &Asked) -> Result<Duration, Error> {
    let of_role = Some(asked.role.default_sts_ttl).filter(|ttl| !ttl.is_zero());
    let wished = asked.ttl.or(of_role).unwrap_or(DEFAULT_TTL);
    let limit = if asked.role.max_sts_ttl.is_zero() {
        match engine.system.max_lease_ttl().await {
            Ok(limit) => limit,
            Err(HostError::Unsupported(_)) => return Ok(wished),
            Err(error) => return Err(error.into()),
        }
    } else {
        asked.role.max_sts_ttl
    };
    Ok(wished.min(limit))
}

/// Who the session is for, as far as AWS has a word for it.
#[derive(Default)]
pub(super) struct Identity<'a> {
    pub(super) arn: Option<&'a Arn>,
    pub(super) username: Option<&'a str>,
    /// What the Go engines keep as `policy` in the lease.
    pub(super) policy: Option<&'a str>,
}

/// The leased answer of a session. The lease cannot be renewed, and revoking it ends nothing at
/// AWS, yet clients see from it when to come back.
pub(super) fn response(
    engine: &Engine,
    credentials: &SessionCredentials,
    identity: &Identity<'_>,
) -> Response {
    let left = credentials.expiration - engine.clock.now();
    let left = Duration::try_from(left).unwrap_or_default();
    let token = credentials.session_token.expose_secret();
    let mut data = JsonObject::from_iter([
        (
            "access_key".to_owned(),
            Value::from(credentials.access_key_id.as_str()),
        ),
        (
            "secret_key".to_owned(),
            Value::from(credentials.secret_access_key.expose_secret()),
        ),
        ("session_token".to_owned(), Value::from(token)),
        ("security_token".to_owned(), Value::from(token)),
        ("ttl".to_owned(), Value::from(left.as_secs())),
    ]);
    if let Ok(expiration) = credentials.expiration.format(&Rfc3339) {
        data.insert("expiration".to_owned(), Value::from(expiration));
    }
    if let Some(arn) = identity.arn {
        data.insert("arn".to_owned(), Value::from(arn.as_str()));
    }
    if let Some(username) = identity.username {
        data.insert("username".to_owned(), Value::from(username));
    }
    lease::of_session(data, identity.username, identity.policy, left)
}
