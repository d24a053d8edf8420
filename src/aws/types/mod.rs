//! What is sent to AWS and what it answers, in AWS's words.

mod iam;
mod names;
mod simulation;
mod sts;

pub use iam::{AccessKey, AccessKeyMetadata, AccessKeyStatus, CreateUser, Tag, User};
pub use names::{
    AccessKeyId, CertificateId, ExternalId, FederatedUserName, GroupName, InvalidName,
    MfaSerialNumber, PolicyName, RoleName, RoleSessionName, ServiceSpecificCredentialId,
    SshPublicKeyId, UserName,
};
pub use simulation::{ContextEntry, Decision, SimulatePrincipalPolicy, Simulated};
pub use sts::{
    AssumeRole, AssumedRole, CallerIdentity, FederatedUser, GetFederationToken, GetSessionToken,
    SessionCredentials,
};
