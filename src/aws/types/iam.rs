//! The nouns of IAM.

use time::OffsetDateTime;

use super::{AccessKeyId, UserName};
use crate::aws::Arn;
use crate::secret::SecretString;

/// What `iam:CreateUser` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateUser {
    /// At most [`UserName::MAX_NEW_CHARS`] characters.
    pub user_name: UserName,
    /// `/` or `/a/b/`; `None` leaves it to AWS, which takes `/`.
    pub path: Option<String>,
    /// The managed policy that bounds what the user may ever do.
    pub permissions_boundary: Option<Arn>,
    /// At most 50, with distinct keys.
    pub tags: Vec<Tag>,
}

impl CreateUser {
    /// A user without path, boundary and tags.
    pub fn new(user_name: UserName) -> Self {
        Self {
            user_name,
            path: None,
            permissions_boundary: None,
            tags: Vec::new(),
        }
    }
}

/// A tag of a user or of a session.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    /// 1 to 128 characters.
    pub key: String,
    /// Up to 256 characters.
    pub value: String,
}

impl Tag {
    /// A tag.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
        }
    }
}

/// An IAM user as AWS describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// `None` for the root user of an account, which has no name.
    pub user_name: Option<UserName>,
    /// AWS's own id: it stays when the user is renamed and differs after delete and create.
    pub user_id: String,
    /// Its ARN.
    pub arn: Arn,
    /// `/` or `/a/b/`.
    pub path: String,
    /// When it was created.
    pub create_date: OffsetDateTime,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// An access key as AWS shows it once, when it is created.
#[derive(Clone, Debug)]
pub struct AccessKey {
    /// The public half.
    pub access_key_id: AccessKeyId,
    /// The confidential half.
    pub secret_access_key: SecretString,
}

/// An access key as AWS lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKeyMetadata {
    /// The public half.
    pub access_key_id: AccessKeyId,
    /// Whether AWS accepts it.
    pub status: AccessKeyStatus,
    /// When it was created.
    pub create_date: OffsetDateTime,
}

/// Whether AWS accepts an access key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessKeyStatus {
    /// It does.
    Active,
    /// It does not, for now.
    Inactive,
}
