//! What the three kinds of STS sessions have in common: their lifetime and their answer.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

use super::{Asked, DEFAULT_TTL, lease};
use crate::aws::{Arn, SessionCredentials};
use crate::engine::Engine;
use crate::engine::sessions::IssuedSession;
use crate::engine::stored::date_time;
use crate::go_duration::GoDuration;
use crate::logical::{Error, HostError, JsonObject, Response};
use crate::secret::ExposeSecret;

/// How long a session shall live, and who says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    /// What AWS is asked for.
    pub(super) duration: Duration,
    /// What it came from.
    pub(super) source: Source,
    /// The request's wish, when it was longer than allowed.
    cut: Option<Duration>,
}

/// What a lifetime came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Request,
    RoleDefault,
    Default,
    RoleLimit,
    MountLimit,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "ttl of the request",
            Self::RoleDefault => "default_sts_ttl of the role",
            Self::Default => "the default lifetime",
            Self::RoleLimit => "max_sts_ttl of the role",
            Self::MountLimit => "the mount's maximum lease TTL",
        })
    }
}

impl Lifetime {
    /// The request's wish, else the role's, else an hour; never above the role's limit, or the
    /// mount's where the role has none. AWS's own limits are left to AWS.
    pub(super) async fn of(engine: &Engine, asked: &Asked) -> Result<Self, Error> {
        let of_role = asked.role.default_sts_ttl;
        let (wished, source) = match asked.ttl {
            Some(ttl) => (ttl, Source::Request),
            None if !of_role.is_zero() => (of_role, Source::RoleDefault),
            None => (DEFAULT_TTL, Source::Default),
        };
        let (limit, limited_by) = if asked.role.max_sts_ttl.is_zero() {
            (mount_limit(engine).await?, Source::MountLimit)
        } else {
            (asked.role.max_sts_ttl, Source::RoleLimit)
        };
        if limit.is_zero() || wished <= limit {
            return Ok(Self {
                duration: wished,
                source,
                cut: None,
            });
        }
        Ok(Self {
            duration: limit,
            source: limited_by,
            cut: asked.ttl,
        })
    }

    /// The host's own limit of the lease, where the session is to live longer and can be ended.
    pub(super) async fn lease_limit(
        &self,
        engine: &Engine,
        asked: &Asked,
    ) -> Result<Option<Duration>, Error> {
        // Without max_sts_ttl that limit was the session's own already.
        if !asked.role.revocable_sessions || asked.role.max_sts_ttl.is_zero() {
            return Ok(None);
        }
        let limit = mount_limit(engine).await?;
        Ok((!limit.is_zero() && limit < self.duration).then_some(limit))
    }

    fn warning(&self) -> Option<String> {
        self.cut.map(|wished| {
            format!(
                "ttl of {} is cut to {}, {}",
                GoDuration(wished),
                GoDuration(self.duration),
                self.source
            )
        })
    }
}

/// Zero when the host does not tell.
async fn mount_limit(engine: &Engine) -> Result<Duration, Error> {
    match engine.system.max_lease_ttl().await {
        Ok(limit) => Ok(limit),
        Err(HostError::Unsupported(_)) => Ok(Duration::ZERO),
        Err(error) => {
            Err(Error::from(error).context("error reading the mount's maximum lease TTL"))
        }
    }
}

/// A session that AWS opened, and what we know of it.
pub(super) struct Session {
    pub(super) credentials: SessionCredentials,
    /// Whose it is; for the client.
    pub(super) arn: Option<Arn>,
    /// The name in it; for the client.
    pub(super) username: Option<String>,
    /// What the Go engines keep as `policy` in the lease, beside the name; nothing of a
    /// `session_token`.
    pub(super) policy: Option<String>,
    /// What the register has of one that can be ended.
    pub(super) issued: Option<IssuedSession>,
    /// For the client, beside those of the lifetime.
    pub(super) warnings: Vec<String>,
}

impl Session {
    /// The leased answer. The lease cannot be renewed, and revoking it ends nothing at AWS unless the
    /// session can be ended, yet clients see from it when to come back.
    pub(super) fn into_response(
        self,
        engine: &Engine,
        lifetime: &Lifetime,
    ) -> Result<Response, Error> {
        let credentials = &self.credentials;
        let left = credentials.expiration - engine.clock.now();
        let left = plausible(left, lifetime.duration);
        let token = credentials.session_token.expose_secret();
        let expiration = date_time(credentials.expiration);
        let data = JsonObject::from_iter(
            [
                (
                    "access_key",
                    Value::from(credentials.access_key_id.as_str()),
                ),
                (
                    "secret_key",
                    Value::from(credentials.secret_access_key.expose_secret()),
                ),
                ("session_token", Value::from(token)),
                ("security_token", Value::from(token)),
                ("arn", Value::from(self.arn.as_ref().map(Arn::as_str))),
                ("username", Value::from(self.username.as_deref())),
                ("ttl", Value::from(left.as_secs())),
                ("expiration", Value::from(expiration)),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        let username = self.policy.is_some().then_some(self.username).flatten();
        let mut response = lease::of_session(
            data,
            username.as_deref(),
            self.policy.as_deref(),
            self.issued.as_ref(),
            left,
        )?;
        response.warnings = self.warnings;
        response.warnings.extend(lifetime.warning());
        Ok(response)
    }
}

/// AWS's clock and ours may differ. No session is longer than it was asked for, and a lease without
/// time would get the mount's default.
fn plausible(left: time::Duration, asked: Duration) -> Duration {
    Duration::try_from(left)
        .unwrap_or_default()
        .min(asked)
        .max(Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_clocks_say_is_left_is_above_nothing_and_not_above_what_was_asked_for() {
        const HOUR: Duration = Duration::from_hours(1);
        for (left, expected) in [
            (time::Duration::minutes(59), Duration::from_mins(59)),
            (
                time::Duration::milliseconds(1500),
                Duration::from_millis(1500),
            ),
            (time::Duration::minutes(75), HOUR),
            (time::Duration::ZERO, Duration::from_secs(1)),
            (time::Duration::minutes(-15), Duration::from_secs(1)),
        ] {
            assert_eq!(plausible(left, HOUR), expected, "{left}");
        }
    }
}
