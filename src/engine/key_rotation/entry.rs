//! What the write-ahead log keeps of a change of access keys.

use serde::{Deserialize, Serialize};

use super::QUOTA;
use crate::aws::AccessKeyId;
use crate::logical::Error;

/// A change of one user's access keys that is under way; part of a WAL entry.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::engine) struct KeyChange {
    pub(in crate::engine) user_name: String,
    /// The 12 digits of the user's account, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::engine) aws_account: Option<String>,
    /// The keys that the user has before. Not known where `iam:ListAccessKeys` is not allowed, and
    /// in entries of older versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::engine) access_keys: Option<Vec<String>>,
    /// The one of them that goes first, because AWS would not make another beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::engine) making_room: Option<String>,
    /// Known once AWS has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::engine) new_access_key: Option<String>,
    /// The keys that go as soon as the new one is stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::engine) retired: Vec<String>,
}

impl KeyChange {
    /// Whether AWS should make another key for the user.
    pub(super) fn leaves_room(&self) -> bool {
        let before = self.access_keys.as_ref().map_or(QUOTA, Vec::len);
        before < QUOTA + usize::from(self.making_room.is_some())
    }

    pub(super) fn retired(&self) -> impl Iterator<Item = AccessKeyId> {
        self.retired.iter().flat_map(AccessKeyId::new)
    }

    /// The user's account. The ids of its keys tell where the entry does not say it.
    fn account(&self) -> Option<String> {
        let ids = self.access_keys.iter().flatten();
        let mut ids = ids.chain(&self.new_access_key).chain(&self.retired);
        self.aws_account
            .clone()
            .or_else(|| ids.find_map(|id| AccessKeyId::new(id).ok()?.account()))
    }

    /// Refuses to look for the user in another account, where one of its name may be somebody else.
    pub(super) fn check_account(&self, present: Option<&str>) -> Result<(), Error> {
        let Some(account) = self.account() else {
            return Ok(());
        };
        if present == Some(account.as_str()) {
            return Ok(());
        }
        let present = present.map_or_else(
            || "AWS does not tell which account the engine's credentials belong to now".to_owned(),
            |present| format!("the engine's credentials belong to account {present} now"),
        );
        let key = match &self.new_access_key {
            Some(id) => format!("access key {id}"),
            None => "maybe an access key".to_owned(),
        };
        Err(Error::internal(format!(
            "a rotation left {key} of IAM user {} in AWS account {account}, and {present}: write credentials of account {account} to config/root until it is deleted",
            self.user_name
        )))
    }
}
