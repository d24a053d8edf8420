//! What can be attached to an IAM user: where it is found, and how it is removed.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::aws::{
    self, AccessKeyId, Arn, CertificateId, ErrorKind, GroupName, Iam, MfaSerialNumber, PolicyName,
    ServiceSpecificCredentialId, SshPublicKeyId, UserName,
};
use crate::engine::busy;

/// What was attached to a user when it was made. Kept with the lease.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Attached {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) access_key_id: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) policy_arns: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) inline_policies: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) groups: Vec<String>,
}

impl Attached {
    /// The key comes first, so that it is first on the wire as well. A text that is no name for
    /// AWS cannot be attached either.
    pub(super) fn parts(&self) -> Vec<Part> {
        let keys = self.access_key_id.iter();
        let keys = keys.filter_map(|text| AccessKeyId::new(text).ok().map(Part::AccessKey));
        let arns = self.policy_arns.iter();
        let arns = arns.filter_map(|text| Arn::new(text).ok().map(Part::ManagedPolicy));
        let names = self.inline_policies.iter();
        let names = names.filter_map(|text| PolicyName::new(text).ok().map(Part::InlinePolicy));
        let groups = self.groups.iter();
        let groups = groups.filter_map(|text| GroupName::new(text).ok().map(Part::Group));
        keys.chain(arns).chain(names).chain(groups).collect()
    }
}

/// Something that keeps AWS from deleting a user.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    AccessKey(AccessKeyId),
    ManagedPolicy(Arn),
    InlinePolicy(PolicyName),
    Group(GroupName),
    LoginProfile,
    MfaDevice(MfaSerialNumber),
    SshPublicKey(SshPublicKeyId),
    SigningCertificate(CertificateId),
    ServiceCredential(ServiceSpecificCredentialId),
}

impl Part {
    /// Repeated while AWS is busy with the user; done when it is already done.
    pub(super) async fn remove(&self, iam: &dyn Iam, user: &UserName) -> Result<(), aws::Error> {
        gone(busy::retry(|| self.remove_once(iam, user)).await)?;
        let Self::MfaDevice(serial) = self else {
            return Ok(());
        };
        if !serial.is_virtual() {
            return Ok(());
        }
        // Nobody's device any more, so it does not keep AWS from deleting the user.
        match gone(busy::retry(|| iam.delete_virtual_mfa_device(serial)).await) {
            Err(error) if error.kind() == ErrorKind::Denied => {
                tracing::warn!(%user, %serial, %error, "virtual MFA device of a removed user stays");
                Ok(())
            }
            other => other,
        }
    }

    async fn remove_once(&self, iam: &dyn Iam, user: &UserName) -> Result<(), aws::Error> {
        match self {
            Self::AccessKey(id) => iam.delete_access_key(user, id).await,
            Self::ManagedPolicy(arn) => iam.detach_user_policy(user, arn).await,
            Self::InlinePolicy(name) => iam.delete_user_policy(user, name).await,
            Self::Group(group) => iam.remove_user_from_group(group, user).await,
            Self::LoginProfile => iam.delete_login_profile(user).await,
            Self::MfaDevice(serial) => iam.deactivate_mfa_device(user, serial).await,
            Self::SshPublicKey(id) => iam.delete_ssh_public_key(user, id).await,
            Self::SigningCertificate(id) => iam.delete_signing_certificate(user, id).await,
            Self::ServiceCredential(id) => iam.delete_service_specific_credential(user, id).await,
        }
    }
}

fn gone(result: Result<(), aws::Error>) -> Result<(), aws::Error> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Where to look for what is attached to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Access keys, policies, groups.
    OfEngines,
    /// What people attach as well.
    Everything,
}

type Look<'a> = BoxFuture<'a, Result<Vec<Part>, aws::Error>>;

/// The lists to read, the access keys first.
pub(super) fn looks<'a>(iam: &'a dyn Iam, user: &'a UserName, scope: Scope) -> Vec<Look<'a>> {
    let mut looks = vec![
        look(iam.list_access_keys(user), |key| {
            Part::AccessKey(key.access_key_id)
        }),
        look(iam.list_attached_user_policies(user), Part::ManagedPolicy),
        look(iam.list_user_policies(user), Part::InlinePolicy),
        look(iam.list_groups_for_user(user), Part::Group),
    ];
    if scope == Scope::Everything {
        let certificates = iam.list_signing_certificates(user);
        let service_credentials = iam.list_service_specific_credentials(user);
        looks.extend([
            look(iam.list_mfa_devices(user), Part::MfaDevice),
            look(iam.list_ssh_public_keys(user), Part::SshPublicKey),
            look(certificates, Part::SigningCertificate),
            look(service_credentials, Part::ServiceCredential),
        ]);
    }
    looks
}

fn look<'a, T: 'a>(
    list: impl Future<Output = Result<Vec<T>, aws::Error>> + Send + 'a,
    part: fn(T) -> Part,
) -> Look<'a> {
    list.map(move |found| found.map(|items| items.into_iter().map(part).collect()))
        .boxed()
}
