//! What is stored of an issued user.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::aws::UserName;
use crate::engine::Engine;
use crate::engine::config_lease::LeaseConfig;
use crate::engine::stored::{seconds, unix};
use crate::logical::{Error, HostError, JsonObject, Storage, StorageError, get_json, put_json};

/// Not replicated, as the WAL is not: every cluster makes and removes its own users.
pub(in crate::engine) const PREFIX: &str = "issued/";

/// A user of ours. There is no secret in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::engine) struct IssuedUser {
    /// Tells this user from another one of the same name; also in its WAL entry.
    pub(super) making: String,
    /// AWS's own id of the user; empty until AWS has answered.
    pub(in crate::engine) user_id: String,
    /// Empty until AWS has answered.
    pub(in crate::engine) access_key_id: String,
    /// The AWS account; empty where that is not known before AWS has answered.
    pub(in crate::engine) account: String,
    pub(in crate::engine) role: String,
    /// Of the token that asked.
    pub(in crate::engine) display_name: String,
    /// Of the token that asked; may be empty.
    pub(in crate::engine) entity_id: String,
    /// Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub(in crate::engine) issued_at: i64,
    /// Until when the present lease can live, in Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub(in crate::engine) expires_at: i64,
    /// When this was stored, in Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub(super) stored_at: i64,
    #[serde(flatten)]
    pub(super) unknown: JsonObject,
}

impl IssuedUser {
    /// What a lease knows of a user that is not in the register.
    pub(in crate::engine) fn unregistered(user_id: String, account: String) -> Self {
        Self {
            user_id,
            account,
            ..Self::default()
        }
    }

    pub(in crate::engine) async fn load(
        storage: &dyn Storage,
        user: &UserName,
    ) -> Result<Option<Self>, StorageError> {
        get_json(storage, &key(user)).await
    }

    /// The user of that name, with the name in its own type.
    pub(in crate::engine) async fn named(
        storage: &dyn Storage,
        name: &str,
    ) -> Result<Option<(UserName, Self)>, StorageError> {
        let Ok(user) = UserName::new(name) else {
            return Ok(None);
        };
        let record = Self::load(storage, &user).await?;
        Ok(record.map(|record| (user, record)))
    }

    pub(super) async fn store(
        &self,
        storage: &dyn Storage,
        user: &UserName,
    ) -> Result<(), StorageError> {
        put_json(storage, &key(user), self).await
    }

    /// When it was asked for.
    pub(in crate::engine) fn issued_at(&self) -> OffsetDateTime {
        unix(self.issued_at)
    }

    /// The user is certainly gone. Who stays in the register by a failure is met by the sweep.
    pub(in crate::engine) async fn forget(engine: &Engine, storage: &dyn Storage, user: &UserName) {
        match storage.delete(&key(user)).await {
            Ok(()) => engine.issued.forgotten(user.as_str()),
            Err(error) => {
                tracing::warn!(%user, %error, "removed IAM user stays in the register for now");
            }
        }
    }

    /// The host has the lease renewed: it can live for `lifetime` from now on.
    pub(in crate::engine) async fn renew(
        engine: &Engine,
        storage: &dyn Storage,
        user: &UserName,
        lifetime: Duration,
    ) -> Result<(), Error> {
        let Some(mut record) = Self::load(storage, user).await? else {
            return Ok(());
        };
        record.live_from(engine.clock.now(), lifetime);
        record.store(storage, user).await?;
        engine.issued.expect(user.as_str(), &record);
        Ok(())
    }

    /// The lease can live for so long from now on.
    pub(super) fn live_from(&mut self, now: OffsetDateTime, lifetime: Duration) {
        self.expires_at = (now + lifetime).unix_timestamp();
        self.stored_at = now.unix_timestamp();
    }
}

fn key(user: &UserName) -> String {
    format!("{PREFIX}{user}")
}

/// How long the host lets a lease with these times live at most: it takes the mount's default where
/// there is none, and cuts what is longer than the mount's limit.
pub(in crate::engine) async fn lifetime(
    engine: &Engine,
    config: &LeaseConfig,
) -> Result<Duration, Error> {
    let ttl = config.options().ttl;
    if !ttl.is_zero() {
        return Ok(ttl);
    }
    match engine.system.default_lease_ttl().await {
        Ok(default) => Ok(default),
        Err(HostError::Unsupported(_)) => Ok(super::watch::LONGEST),
        Err(error) => {
            Err(Error::from(error).context("error reading the mount's default lease TTL"))
        }
    }
}
