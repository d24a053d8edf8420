//! The stored forms: the role, and the credentials that it has now.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::accounts::CrossAccount;
use crate::aws::UserName;
use crate::engine::as_sent::AsSent;
use crate::engine::schedule::Plan;
use crate::engine::stored::{nanoseconds, null_as_default, rfc3339};
use crate::logical::{Error, JsonObject, Storage, StorageError, get_json, put_json};
use crate::secret::{self, SecretString};

pub(super) const ROLES: &str = "static-roles/";
/// Seal-wrapped.
pub(crate) const CREDENTIALS: &str = "static-creds/";

/// A static role in the stored form of the Go engines; keys that we do not know are kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StaticRole {
    pub(super) name: String,
    /// AWS's own id of the user: it stays when the user is renamed.
    pub(super) id: String,
    pub(super) username: String,
    /// With a schedule, the time between its next two times: the Go engines know no schedule.
    #[serde(with = "nanoseconds")]
    pub(super) rotation_period: Duration,
    /// Ours.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub(super) rotation_schedule: String,
    /// Ours.
    #[serde(with = "nanoseconds", skip_serializing_if = "Duration::is_zero")]
    pub(super) rotation_window: Duration,
    #[serde(flatten)]
    pub(super) account: CrossAccount,
    /// Ours: the Go engines have no such mode.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub(super) single_key: bool,
    /// Ours.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "AsSent::is_empty"
    )]
    pub(super) as_sent: AsSent,
    #[serde(flatten)]
    pub(super) unknown: JsonObject,
}

impl StaticRole {
    pub(super) async fn load(
        storage: &dyn Storage,
        name: &str,
    ) -> Result<Option<Self>, StorageError> {
        let role: Option<Self> = get_json(storage, &format!("{ROLES}{name}")).await?;
        Ok(role.map(|role| Self {
            name: name.to_owned(),
            ..role
        }))
    }

    pub(super) async fn store(&self, storage: &dyn Storage) -> Result<(), StorageError> {
        put_json(storage, &format!("{ROLES}{}", self.name), self).await
    }

    pub(super) async fn delete(storage: &dyn Storage, name: &str) -> Result<(), StorageError> {
        storage.delete(&format!("{ROLES}{name}")).await
    }

    /// What says when it is rotated. The period beside a schedule follows from it, and from the day.
    pub(super) fn times(&self) -> (&str, Option<Duration>) {
        let schedule = self.rotation_schedule.as_str();
        (
            schedule,
            schedule.is_empty().then_some(self.rotation_period),
        )
    }

    /// When it is rotated.
    pub(super) fn plan(&self, now: OffsetDateTime) -> Plan {
        let (schedule, period) = (&self.rotation_schedule, self.rotation_period);
        Plan::stored(schedule, self.rotation_window, period, now).unwrap_or(Plan::Every(period))
    }

    pub(super) fn user_name(&self) -> Result<UserName, Error> {
        UserName::new(&self.username).map_err(|error| Error::invalid(format!("username: {error}")))
    }
}

/// The credentials of a static role in the stored form of the Go engines, which ignore the two keys
/// after `secret_key`; keys that we do not know are kept.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StaticCredentials {
    pub(super) access_key: String,
    /// When the next rotation is due. Old engines did not store it.
    #[serde(with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub(super) expiration: Option<OffsetDateTime>,
    #[serde(with = "secret::stored")]
    pub(super) secret_key: SecretString,
    /// When this key took its place. The Go engines do not store it.
    #[serde(with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub(super) last_vault_rotation: Option<OffsetDateTime>,
    /// The key before this one, as far as it may still live and was made for this role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) previous_access_key: Option<String>,
    #[serde(flatten)]
    pub(super) unknown: JsonObject,
}

impl StaticCredentials {
    pub(super) async fn load(
        storage: &dyn Storage,
        name: &str,
    ) -> Result<Option<Self>, StorageError> {
        get_json(storage, &format!("{CREDENTIALS}{name}")).await
    }

    pub(super) async fn store(
        &self,
        storage: &dyn Storage,
        name: &str,
    ) -> Result<(), StorageError> {
        put_json(storage, &format!("{CREDENTIALS}{name}"), self).await
    }

    pub(super) async fn delete(storage: &dyn Storage, name: &str) -> Result<(), StorageError> {
        storage.delete(&format!("{CREDENTIALS}{name}")).await
    }

    /// The ids of the keys that were made for the role and may live, the older one first.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        let previous = self.previous_access_key.as_deref();
        previous
            .into_iter()
            .chain(std::iter::once(self.access_key.as_str()))
            .filter(|id| !id.is_empty())
    }
}
