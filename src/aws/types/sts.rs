//! The nouns of STS.

use std::time::Duration;

use time::OffsetDateTime;

use super::{AccessKeyId, FederatedUserName, MfaSerialNumber, RoleSessionName, Tag};
use crate::aws::Arn;
use crate::secret::SecretString;

/// Who AWS takes us for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerIdentity {
    /// The account's twelve digits.
    pub account: String,
    /// The user's or session's ARN.
    pub arn: Arn,
    /// AWS's own id of it.
    pub user_id: String,
    /// What AWS's clock showed when it answered, where the answer says so.
    pub aws_time: Option<OffsetDateTime>,
    /// Where the process found the credentials, if they are not of a configuration.
    pub credentials_from: Option<&'static str>,
}

/// What `sts:AssumeRole` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssumeRole {
    /// The role.
    pub role_arn: Arn,
    /// Names the session in logs and in its ARN.
    pub role_session_name: RoleSessionName,
    /// Whole seconds, 900 to the role's maximum; `None` leaves it to AWS, which takes an hour.
    pub duration: Option<Duration>,
    /// A policy document that narrows the session.
    pub policy: Option<String>,
    /// Managed policies that narrow the session; at most ten.
    pub policy_arns: Vec<Arn>,
    /// What the role's trust policy may ask for.
    pub external_id: Option<String>,
    /// Session tags; at most fifty.
    pub tags: Vec<Tag>,
    /// Keys of tags that pass on to roles assumed from this session.
    pub transitive_tag_keys: Vec<String>,
    /// Stays with the session and all that are assumed from it.
    pub source_identity: Option<String>,
}

impl AssumeRole {
    /// A session of the role with AWS's defaults.
    pub fn new(role_arn: Arn, role_session_name: RoleSessionName) -> Self {
        Self {
            role_arn,
            role_session_name,
            duration: None,
            policy: None,
            policy_arns: Vec::new(),
            external_id: None,
            tags: Vec::new(),
            transitive_tag_keys: Vec::new(),
            source_identity: None,
        }
    }
}

/// A session of an assumed role.
#[derive(Clone, Debug)]
pub struct AssumedRole {
    /// Its credentials.
    pub credentials: SessionCredentials,
    /// `arn:aws:sts::account:assumed-role/role/session`.
    pub arn: Arn,
    /// `AROA…:session`, which conditions call `aws:userid`; empty where a service does not tell.
    pub assumed_role_id: String,
}

/// What `sts:GetFederationToken` is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GetFederationToken {
    /// Names the session in logs and in its ARN.
    pub name: FederatedUserName,
    /// Whole seconds, 900 to 129,600; `None` leaves it to AWS, which takes twelve hours.
    pub duration: Option<Duration>,
    /// A policy document; the session may do what both it and the user may.
    pub policy: Option<String>,
    /// Managed policies, with the same effect; at most ten.
    pub policy_arns: Vec<Arn>,
    /// Session tags; at most fifty.
    pub tags: Vec<Tag>,
}

impl GetFederationToken {
    /// A session with AWS's defaults; without a policy it may do nothing by itself.
    pub fn new(name: FederatedUserName) -> Self {
        Self {
            name,
            duration: None,
            policy: None,
            policy_arns: Vec::new(),
            tags: Vec::new(),
        }
    }
}

/// A federated user's session.
#[derive(Clone, Debug)]
pub struct FederatedUser {
    /// Its credentials.
    pub credentials: SessionCredentials,
    /// `arn:aws:sts::account:federated-user/name`.
    pub arn: Arn,
    /// `account:name`, which conditions call `aws:userid`; empty where a service does not tell.
    pub federated_user_id: String,
}

/// What `sts:GetSessionToken` is asked for.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct GetSessionToken {
    /// Whole seconds, 900 to 129,600; `None` leaves it to AWS, which takes twelve hours.
    pub duration: Option<Duration>,
    /// The user's multi-factor device.
    pub serial_number: Option<MfaSerialNumber>,
    /// The six digits that the device shows.
    pub token_code: Option<String>,
}

impl std::fmt::Debug for GetSessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A code is good for one use within a minute, so it is not shown.
        f.debug_struct("GetSessionToken")
            .field("duration", &self.duration)
            .field("serial_number", &self.serial_number)
            .field("has_token_code", &self.token_code.is_some())
            .finish()
    }
}

/// Credentials that end by themselves.
#[derive(Clone, Debug)]
pub struct SessionCredentials {
    /// The public half.
    pub access_key_id: AccessKeyId,
    /// The confidential half.
    pub secret_access_key: SecretString,
    /// Goes with both in every request.
    pub session_token: SecretString,
    /// When AWS stops accepting them.
    pub expiration: OffsetDateTime,
}
