//! The seam to AWS: every call the engine makes, in AWS's own words, as a trait.
//!
//! [`Iam`] and [`Sts`] have one method per AWS call; [`Connector`] opens them for a
//! [`ClientConfig`]. [`SdkConnector`] is the real thing, `fake` a simulated AWS for tests, and
//! [`limit`] keeps what goes to IAM within AWS's limits. Nothing above this layer knows of the AWS
//! SDK.
//! May depend on: `secret`, `environment`, `clock`, `caller`, `excerpt`.

mod arn;
mod client_config;
mod error;
#[cfg(any(test, feature = "test-util"))]
pub mod fake;
pub mod limit;
mod partition;
mod road;
mod sdk;
mod types;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

pub use arn::Arn;
pub use client_config::{
    AssumeRoleSource, ClientConfig, CredentialSource, Endpoint, IdentityTokenSource, Region,
    StsAddress, TokenSourceError, WebIdentitySource,
};
pub use error::{Error, ErrorKind};
pub use limit::{AccountIam, AccountSts};
pub use partition::{AwsAddress, Partition};
pub use road::{Closed, Obstacle, Proxy, Road};
pub use sdk::SdkConnector;
pub use types::*;

#[cfg(any(test, feature = "test-util"))]
pub(crate) use sdk::fuzzing;

/// AWS Identity and Access Management, as far as the engine uses it.
///
/// Lists are complete: an implementation follows AWS's pages to the last one. Lists and `get`
/// calls change nothing; whether a failed change may have happened all the same is told by
/// [`Error::may_have_happened`].
#[async_trait]
pub trait Iam: fmt::Debug + Send + Sync + 'static {
    /// `iam:CreateUser`; with tags AWS also asks for `iam:TagUser`.
    async fn create_user(&self, request: CreateUser) -> Result<User, Error>;

    /// `iam:GetUser`; `None` asks for the user whose credentials we hold.
    async fn get_user(&self, user_name: Option<&UserName>) -> Result<User, Error>;

    /// `iam:ListUsers`: every user of the account, which AWS tells without their tags.
    async fn list_users(&self) -> Result<Vec<User>, Error>;

    /// `iam:DeleteUser`: [`ErrorKind::DeleteConflict`] while anything is attached to the user.
    async fn delete_user(&self, user_name: &UserName) -> Result<(), Error>;

    /// `iam:CreateAccessKey`: [`ErrorKind::LimitExceeded`] when the user has two already.
    async fn create_access_key(&self, user_name: &UserName) -> Result<AccessKey, Error>;

    /// `iam:DeleteAccessKey`.
    async fn delete_access_key(
        &self,
        user_name: &UserName,
        access_key_id: &AccessKeyId,
    ) -> Result<(), Error>;

    /// `iam:UpdateAccessKey`: an inactive key is refused by AWS, and can be made active again.
    async fn update_access_key(
        &self,
        user_name: &UserName,
        access_key_id: &AccessKeyId,
        status: AccessKeyStatus,
    ) -> Result<(), Error>;

    /// `iam:ListAccessKeys`.
    async fn list_access_keys(&self, user_name: &UserName)
    -> Result<Vec<AccessKeyMetadata>, Error>;

    /// `iam:AttachUserPolicy`: a managed policy; attaching it twice is no error.
    async fn attach_user_policy(&self, user_name: &UserName, policy_arn: &Arn)
    -> Result<(), Error>;

    /// `iam:DetachUserPolicy`.
    async fn detach_user_policy(&self, user_name: &UserName, policy_arn: &Arn)
    -> Result<(), Error>;

    /// `iam:ListAttachedUserPolicies`: managed policies.
    async fn list_attached_user_policies(&self, user_name: &UserName) -> Result<Vec<Arn>, Error>;

    /// `iam:PutUserPolicy`: an inline policy, replaced if there is one of this name.
    async fn put_user_policy(
        &self,
        user_name: &UserName,
        policy_name: &PolicyName,
        policy_document: &str,
    ) -> Result<(), Error>;

    /// `iam:DeleteUserPolicy`.
    async fn delete_user_policy(
        &self,
        user_name: &UserName,
        policy_name: &PolicyName,
    ) -> Result<(), Error>;

    /// `iam:ListUserPolicies`: inline policies.
    async fn list_user_policies(&self, user_name: &UserName) -> Result<Vec<PolicyName>, Error>;

    /// `iam:GetUserPolicy`: the policy document as JSON text (AWS sends it URL-encoded).
    async fn get_user_policy(
        &self,
        user_name: &UserName,
        policy_name: &PolicyName,
    ) -> Result<String, Error>;

    /// `iam:PutRolePolicy`: an inline policy, replaced if there is one of this name.
    async fn put_role_policy(
        &self,
        role_name: &RoleName,
        policy_name: &PolicyName,
        policy_document: &str,
    ) -> Result<(), Error>;

    /// `iam:GetRolePolicy`: the policy document as JSON text (AWS sends it URL-encoded).
    async fn get_role_policy(
        &self,
        role_name: &RoleName,
        policy_name: &PolicyName,
    ) -> Result<String, Error>;

    /// `iam:DeleteRolePolicy`.
    async fn delete_role_policy(
        &self,
        role_name: &RoleName,
        policy_name: &PolicyName,
    ) -> Result<(), Error>;

    /// `iam:ListRolePolicies`: inline policies.
    async fn list_role_policies(&self, role_name: &RoleName) -> Result<Vec<PolicyName>, Error>;

    /// `iam:AddUserToGroup`: adding a member again is no error.
    async fn add_user_to_group(
        &self,
        group_name: &GroupName,
        user_name: &UserName,
    ) -> Result<(), Error>;

    /// `iam:RemoveUserFromGroup`.
    async fn remove_user_from_group(
        &self,
        group_name: &GroupName,
        user_name: &UserName,
    ) -> Result<(), Error>;

    /// `iam:ListGroupsForUser`.
    async fn list_groups_for_user(&self, user_name: &UserName) -> Result<Vec<GroupName>, Error>;

    /// `iam:ListAttachedGroupPolicies`: managed policies.
    async fn list_attached_group_policies(&self, group_name: &GroupName)
    -> Result<Vec<Arn>, Error>;

    /// `iam:ListGroupPolicies`: inline policies.
    async fn list_group_policies(&self, group_name: &GroupName) -> Result<Vec<PolicyName>, Error>;

    /// `iam:GetGroupPolicy`: the policy document as JSON text (AWS sends it URL-encoded).
    async fn get_group_policy(
        &self,
        group_name: &GroupName,
        policy_name: &PolicyName,
    ) -> Result<String, Error>;

    /// `iam:DeleteLoginProfile`: the console password. [`ErrorKind::NotFound`] when there is none.
    async fn delete_login_profile(&self, user_name: &UserName) -> Result<(), Error>;

    /// `iam:ListMFADevices`.
    async fn list_mfa_devices(&self, user_name: &UserName) -> Result<Vec<MfaSerialNumber>, Error>;

    /// `iam:DeactivateMFADevice`.
    async fn deactivate_mfa_device(
        &self,
        user_name: &UserName,
        serial_number: &MfaSerialNumber,
    ) -> Result<(), Error>;

    /// `iam:DeleteVirtualMFADevice`: only a deactivated one, and only a virtual one
    /// ([`MfaSerialNumber::is_virtual`]).
    async fn delete_virtual_mfa_device(&self, serial_number: &MfaSerialNumber)
    -> Result<(), Error>;

    /// `iam:ListSSHPublicKeys`.
    async fn list_ssh_public_keys(
        &self,
        user_name: &UserName,
    ) -> Result<Vec<SshPublicKeyId>, Error>;

    /// `iam:DeleteSSHPublicKey`.
    async fn delete_ssh_public_key(
        &self,
        user_name: &UserName,
        ssh_public_key_id: &SshPublicKeyId,
    ) -> Result<(), Error>;

    /// `iam:ListSigningCertificates`.
    async fn list_signing_certificates(
        &self,
        user_name: &UserName,
    ) -> Result<Vec<CertificateId>, Error>;

    /// `iam:DeleteSigningCertificate`.
    async fn delete_signing_certificate(
        &self,
        user_name: &UserName,
        certificate_id: &CertificateId,
    ) -> Result<(), Error>;

    /// `iam:ListServiceSpecificCredentials`.
    async fn list_service_specific_credentials(
        &self,
        user_name: &UserName,
    ) -> Result<Vec<ServiceSpecificCredentialId>, Error>;

    /// `iam:DeleteServiceSpecificCredential`.
    async fn delete_service_specific_credential(
        &self,
        user_name: &UserName,
        service_specific_credential_id: &ServiceSpecificCredentialId,
    ) -> Result<(), Error>;

    /// `iam:SimulatePrincipalPolicy`: what the policies of a user or role would allow. What a role's
    /// trust policy says is no part of it.
    async fn simulate_principal_policy(
        &self,
        request: &SimulatePrincipalPolicy,
    ) -> Result<Vec<Simulated>, Error>;
}

/// AWS Security Token Service, as far as the engine uses it.
#[async_trait]
pub trait Sts: fmt::Debug + Send + Sync + 'static {
    /// `sts:GetCallerIdentity`: needs no permission, only credentials that AWS accepts.
    async fn get_caller_identity(&self) -> Result<CallerIdentity, Error>;

    /// `sts:AssumeRole`; with tags AWS also asks for `sts:TagSession`, with a source identity for
    /// `sts:SetSourceIdentity`.
    async fn assume_role(&self, request: AssumeRole) -> Result<AssumedRole, Error>;

    /// `sts:GetFederationToken`: only for the credentials of an IAM user.
    async fn get_federation_token(
        &self,
        request: GetFederationToken,
    ) -> Result<FederatedUser, Error>;

    /// `sts:GetSessionToken`: only for the credentials of an IAM user.
    async fn get_session_token(
        &self,
        request: GetSessionToken,
    ) -> Result<SessionCredentials, Error>;
}

/// Opens clients. Nothing is sent to AWS before the first call on a client.
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// An IAM client. What AWS throttles is not tried again by it: that is for [`limit`] to see.
    fn iam(&self, config: &ClientConfig) -> Result<Arc<dyn Iam>, Error>;

    /// An STS client.
    fn sts(&self, config: &ClientConfig) -> Result<Arc<dyn Sts>, Error>;

    /// The way to IAM that such a client takes.
    fn road_to_iam(&self, config: &ClientConfig) -> Road;

    /// The way to STS that such a client takes.
    fn road_to_sts(&self, config: &ClientConfig) -> Road;
}

/// The two clients that one set of root credentials gives.
#[derive(Clone, Debug)]
pub struct Clients {
    /// IAM, one for the partition.
    pub iam: AccountIam,
    /// STS, of one region.
    pub sts: AccountSts,
}
