//! What is stored of a session that can be ended, from when it is opened until it has ended.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::Holder;
use super::denials::{Denied, GRACE};
use crate::aws::{AccessKeyId, Arn, SessionCredentials};
use crate::engine::Engine;
use crate::engine::stored::{date_time, seconds, unix};
use crate::logical::{Error, JsonObject, Request, Storage, StorageError, get_json, put_json};

/// Not replicated, as the WAL is not: every cluster ends its own sessions.
pub(in crate::engine) const PREFIX: &str = "sessions/";

/// The key of a lease's internal data under which its session is kept.
const IN_LEASE: &str = "session";

/// What ends within this time by itself is not worth a change of a policy, which AWS takes as long to
/// act on.
const SOON: Duration = Duration::from_secs(10);

/// A session of ours that can be ended. There is no secret in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::engine) struct IssuedSession {
    pub(in crate::engine) access_key_id: String,
    /// What conditions call `aws:userid`.
    pub(super) user_id: String,
    /// ARN of the AWS role or user whose session it is.
    pub(super) holder: String,
    /// Its own ARN.
    pub(super) arn: String,
    /// The role of ours.
    pub(in crate::engine) role: String,
    /// Of the token that asked.
    pub(in crate::engine) display_name: String,
    /// Of the token that asked; may be empty.
    pub(super) entity_id: String,
    /// By AWS's clock, in Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub(super) issued_at: i64,
    /// By AWS's clock, in Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub(super) expires_at: i64,
    /// The end of its lease if nobody ends it before, in Unix seconds: our clock may show another time
    /// than AWS's.
    #[serde(deserialize_with = "seconds")]
    pub(super) lease_ends_at: i64,
    /// Its end by whichever of the two clocks is later, in Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub(super) ends_at: i64,
    /// Whether the role of ours allowed it to be cut off together with older ones.
    pub(super) revoke_older: bool,
    /// When the host has ended its lease at the latest, in Unix seconds, where AWS lets it live longer:
    /// whoever is in the register after that has no lease any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lease_limit_at: Option<i64>,
    #[serde(flatten)]
    pub(super) unknown: JsonObject,
}

/// A session that AWS has opened.
pub(in crate::engine) struct Opened<'a> {
    pub(in crate::engine) holder: &'a Holder,
    pub(in crate::engine) user_id: &'a str,
    pub(in crate::engine) arn: &'a Arn,
    pub(in crate::engine) credentials: &'a SessionCredentials,
    pub(in crate::engine) duration: Duration,
    pub(in crate::engine) role: &'a str,
    pub(in crate::engine) revoke_older: bool,
    /// The host's own limit of its lease, where that is shorter than `duration`.
    pub(in crate::engine) lease_limit: Option<Duration>,
}

/// Stores the session, before anybody gets its credentials.
pub(in crate::engine) async fn register(
    engine: &Engine,
    request: &Request,
    opened: Opened<'_>,
) -> Result<IssuedSession, Error> {
    if opened.user_id.is_empty() {
        return Err(Error::invalid(format!(
            "role {:?}: what answers at sts_endpoint does not tell the session's id, without which it could not be ended: set revocable_sessions=false",
            opened.role
        )));
    }
    let now = engine.clock.now();
    let expiration = opened.credentials.expiration;
    let session = IssuedSession {
        access_key_id: opened.credentials.access_key_id.to_string(),
        user_id: opened.user_id.to_owned(),
        holder: opened.holder.arn().to_string(),
        arn: opened.arn.to_string(),
        role: opened.role.to_owned(),
        display_name: request.display_name.clone(),
        entity_id: request.entity_id.clone(),
        issued_at: (expiration - opened.duration).unix_timestamp(),
        expires_at: expiration.unix_timestamp(),
        lease_ends_at: end_of_lease(expiration, opened.duration, now).unix_timestamp(),
        ends_at: expiration.max(now + opened.duration).unix_timestamp(),
        revoke_older: opened.revoke_older,
        lease_limit_at: opened
            .lease_limit
            .map(|limit| (now + limit).unix_timestamp()),
        unknown: JsonObject::new(),
    };
    session
        .store(&*request.storage)
        .await
        .map_err(|error| Error::from(error).context("error writing the register of sessions"))?;
    engine.sessions.schedule().remember(&session);
    Ok(session)
}

impl IssuedSession {
    async fn store(&self, storage: &dyn Storage) -> Result<(), StorageError> {
        put_json(storage, &key(&self.access_key_id), self).await
    }

    /// The session of that access key.
    pub(in crate::engine) async fn named(
        storage: &dyn Storage,
        access_key_id: &str,
    ) -> Result<Option<Self>, StorageError> {
        if AccessKeyId::new(access_key_id).is_err() {
            return Ok(None);
        }
        get_json(storage, &key(access_key_id)).await
    }

    /// It has ended. A record that stays by a failure is met by the host's timer.
    pub(in crate::engine) async fn forget(&self, storage: &dyn Storage) {
        if let Err(error) = storage.delete(&key(&self.access_key_id)).await {
            tracing::warn!(session = self.user_id, %error, "ended session stays in the register for now");
        }
    }

    /// Whether it has ended by itself, or is about to, as its lease does then.
    pub(in crate::engine) fn has_ended(&self, now: OffsetDateTime) -> bool {
        (now + SOON).unix_timestamp() >= self.lease_ends_at
    }

    /// Whether it has certainly ended by itself, whatever the clocks.
    pub(in crate::engine) fn is_over(&self, now: OffsetDateTime) -> bool {
        now.unix_timestamp() >= self.ends_at() + GRACE
    }

    /// When it has certainly ended by itself, in Unix seconds. AWS takes our requests however far off
    /// our clock is, for the AWS SDK signs with AWS's time then.
    pub(super) fn ends_at(&self) -> i64 {
        self.ends_at.max(self.expires_at)
    }

    /// As it is to be denied.
    pub(super) fn denied(&self, may_cut_off: bool) -> Denied {
        Denied {
            user_id: self.user_id.clone(),
            issued_at: self.issued_at,
            expires_at: self.ends_at(),
            may_cut_off,
        }
    }

    /// Whether AWS has opened it until then.
    pub(in crate::engine) fn was_issued_until(&self, time: OffsetDateTime) -> bool {
        self.issued_at <= time.unix_timestamp()
    }

    /// ARN of the AWS role or user whose session it is.
    pub(in crate::engine) fn holder(&self) -> &str {
        &self.holder
    }

    /// Puts it into the internal data of its lease.
    pub(in crate::engine) fn keep_in_lease(
        &self,
        internal_data: &mut JsonObject,
    ) -> Result<(), Error> {
        let session =
            serde_json::to_value(self).map_err(|error| Error::internal(error.to_string()))?;
        internal_data.insert(IN_LEASE.to_owned(), session);
        Ok(())
    }

    /// The session of a lease; `None` of one that cannot be ended.
    pub(in crate::engine) fn of_lease(internal_data: &JsonObject) -> Result<Option<Self>, Error> {
        match internal_data.get(IN_LEASE) {
            None | Some(Value::Null) => Ok(None),
            Some(session) => serde_json::from_value(session.clone())
                .map(Some)
                .map_err(|_| {
                    Error::internal("the lease's session is not of the form that it was stored in")
                }),
        }
    }

    /// What operators see.
    pub(in crate::engine) fn shown(&self) -> JsonObject {
        let time = |seconds| date_time(unix(seconds));
        let name = self.user_id.split_once(':').map_or("", |(_, name)| name);
        let arn = Arn::new(&self.arn);
        JsonObject::from_iter(
            [
                ("username", Value::from(name)),
                ("access_key", Value::from(self.access_key_id.as_str())),
                ("role", Value::from(self.role.as_str())),
                ("display_name", Value::from(self.display_name.as_str())),
                ("entity_id", Value::from(self.entity_id.as_str())),
                (
                    "account",
                    Value::from(arn.as_ref().map_or("", Arn::account)),
                ),
                ("arn", Value::from(self.arn.as_str())),
                ("issued_at", Value::from(time(self.issued_at))),
                ("expires_at", Value::from(time(self.expires_at))),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        )
    }
}

/// A lease is never longer than its session was asked for, and never longer than both clocks say.
fn end_of_lease(
    expiration: OffsetDateTime,
    duration: Duration,
    now: OffsetDateTime,
) -> OffsetDateTime {
    expiration.min(now + duration)
}

fn key(access_key_id: &str) -> String {
    format!("{PREFIX}{access_key_id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_whose_lease_runs_out_counts_as_ended_whichever_clock_is_ahead() {
        const HOUR: Duration = Duration::from_hours(1);
        let aws = time::macros::datetime!(2026-01-02 03:04:05 UTC);
        for ahead in [-180, 0, 180].map(time::Duration::seconds) {
            let now = aws + ahead;
            let lease = (aws + HOUR - now).min(time::Duration::HOUR);
            let session = IssuedSession {
                lease_ends_at: end_of_lease(aws + HOUR, HOUR, now).unix_timestamp(),
                ..IssuedSession::default()
            };

            assert!(session.has_ended(now + lease), "{ahead}");
            assert!(
                !session.has_ended(now + lease - time::Duration::MINUTE),
                "{ahead}"
            );
        }
    }
}
