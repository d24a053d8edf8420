//! The stored role.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CredentialType, RoleName, legacy};
use crate::aws::Tag;
use crate::engine::Engine;
use crate::engine::as_sent::AsSent;
use crate::engine::stored::{nanoseconds, null_as_default};
use crate::logical::{JsonObject, Storage, StorageError, get_json, put_json};

/// A role in the stored form of the Go engines; keys that we do not know are kept. Lists and maps
/// that were never set are `None`, which reads as `null`; cleared ones are empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RoleRecord {
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) credential_types: Vec<String>,
    pub(crate) policy_arns: Option<Vec<String>>,
    pub(crate) role_arns: Option<Vec<String>>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) policy_document: String,
    pub(crate) iam_groups: Option<Vec<String>>,
    pub(crate) iam_tags: Option<BTreeMap<String, String>>,
    pub(crate) session_tags: Option<BTreeMap<String, String>>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) external_id: String,
    /// A text of before `credential_type` that says nothing we understand.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub(crate) invalid_data: String,
    /// A role of before `credential_type`, which gives users under `creds/` and sessions under
    /// `sts/` only.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub(crate) prohibit_flexible_cred_path: bool,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) version: i64,
    #[serde(with = "nanoseconds")]
    pub(crate) default_sts_ttl: Duration,
    #[serde(with = "nanoseconds")]
    pub(crate) max_sts_ttl: Duration,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) user_path: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) permissions_boundary_arn: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) mfa_serial_number: String,
    /// Ours: how many IAM users may be out at once; any number if zero.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_zero")]
    pub(crate) max_active: i64,
    /// Ours: it gives no credentials.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub(crate) disabled: bool,
    /// Ours: its sessions end with their leases.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub(crate) revocable_sessions: bool,
    /// Ours: where there is no room to deny each by its name, older sessions may be cut off by time.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub(crate) revoke_older_sessions: bool,
    /// Ours.
    #[serde(
        deserialize_with = "null_as_default",
        skip_serializing_if = "AsSent::is_empty"
    )]
    pub(super) as_sent: AsSent,
    #[serde(flatten)]
    pub(crate) unknown: JsonObject,
}

impl RoleRecord {
    pub(crate) fn policy_arns(&self) -> &[String] {
        self.policy_arns.as_deref().unwrap_or_default()
    }

    pub(crate) fn role_arns(&self) -> &[String] {
        self.role_arns.as_deref().unwrap_or_default()
    }

    pub(crate) fn iam_groups(&self) -> &[String] {
        self.iam_groups.as_deref().unwrap_or_default()
    }

    /// How many IAM users may be out at once.
    pub(crate) fn max_active(&self) -> Option<usize> {
        usize::try_from(self.max_active)
            .ok()
            .filter(|most| *most > 0)
    }

    /// The credential types that it names, as far as they are known.
    pub(crate) fn types(&self) -> Vec<CredentialType> {
        self.credential_types
            .iter()
            .filter_map(|name| CredentialType::parse(name))
            .collect()
    }

    pub(super) fn is(&self, credential_type: CredentialType) -> bool {
        self.types().contains(&credential_type)
    }

    /// Whether nothing says what the credentials may do.
    pub(crate) fn has_no_permissions(&self) -> bool {
        self.policy_arns().is_empty()
            && self.policy_document.is_empty()
            && self.iam_groups().is_empty()
    }

    pub(super) async fn store(
        &self,
        storage: &dyn Storage,
        name: &RoleName,
    ) -> Result<(), StorageError> {
        put_json(storage, &name.key(), self).await
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// The tags in AWS's words.
pub(crate) fn tags(tags: Option<&BTreeMap<String, String>>) -> Vec<Tag> {
    tags.into_iter()
        .flatten()
        .map(|(key, value)| Tag::new(key, value))
        .collect()
}

/// The role, from memory or as it is stored; one of before `credential_type` is stored anew in
/// today's form on the way.
pub(crate) async fn load(
    engine: &Engine,
    storage: &dyn Storage,
    name: &RoleName,
) -> Result<Option<Arc<RoleRecord>>, StorageError> {
    let stored = async {
        if let Some(role) = get_json(storage, &name.key()).await? {
            return Ok(Some(role));
        }
        let _guard = engine.role_locks.lock(name.as_str()).await;
        load_locked(storage, name).await
    };
    if storage.is_snapshot() {
        return Ok(stored.await?.map(Arc::new));
    }
    engine.roles.get(name.as_str(), stored).await
}

/// The role as it is stored, in whichever form; nothing is stored anew.
pub(crate) async fn look_at(
    storage: &dyn Storage,
    name: &str,
) -> Result<Option<RoleRecord>, StorageError> {
    let name = RoleName(name.to_owned());
    if let Some(role) = get_json(storage, &name.key()).await? {
        return Ok(Some(role));
    }
    let legacy = storage.get(&name.legacy_key()).await?;
    Ok(legacy.map(|entry| legacy::upgrade(&String::from_utf8_lossy(&entry.value))))
}

/// The role as it is stored, for who holds its lock.
pub(super) async fn load_locked(
    storage: &dyn Storage,
    name: &RoleName,
) -> Result<Option<RoleRecord>, StorageError> {
    if let Some(role) = get_json(storage, &name.key()).await? {
        return Ok(Some(role));
    }
    let Some(entry) = storage.get(&name.legacy_key()).await? else {
        return Ok(None);
    };
    let role = legacy::upgrade(&String::from_utf8_lossy(&entry.value));
    match role.store(storage, name).await {
        Ok(()) => storage.delete(&name.legacy_key()).await?,
        // A node that may not write uses the upgraded role without storing it.
        Err(StorageError::ReadOnly(_)) => {}
        Err(error) => return Err(error),
    }
    Ok(Some(role))
}
