//! Removes an IAM user with all that is attached to it: revoke, the undoing of a failed issue, and
//! rollback all end here.
//!
//! What is known to be attached is removed first, all at once with the access key, and then the
//! user: two round trips. Only when AWS says that something is left, or when nothing is known, is
//! everything listed and removed. What is already gone counts as removed.

use futures_util::future::join_all;
use futures_util::{FutureExt, try_join};
use serde::{Deserialize, Serialize};

use super::busy;
use crate::aws::{
    self, AccessKeyId, Arn, CertificateId, ErrorKind, GroupName, Iam, MfaSerialNumber, PolicyName,
    ServiceSpecificCredentialId, SshPublicKeyId, UserName,
};

/// How often everything is listed and removed when AWS goes on saying that something is left: the
/// lists may lag behind.
const STRIPS: u32 = 3;

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

/// Whether AWS still knew the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// The user is gone now.
    Removed,
    /// AWS did not know the user. Right after its creation that need not mean that it is gone.
    Unknown,
}

impl Attached {
    /// The key comes first, so that it is first on the wire as well. A text that is no name for
    /// AWS cannot be attached either.
    fn parts(&self) -> Vec<Part> {
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

/// Removes a user of which it is known what is attached to it.
pub(crate) async fn remove_known(
    iam: &dyn Iam,
    user: &UserName,
    attached: &Attached,
) -> Result<Removal, aws::Error> {
    remove_parts(iam, user, attached.parts()).await?;
    match delete_user(iam, user).await {
        Err(error) if error.kind() == ErrorKind::DeleteConflict => remove_all(iam, user).await,
        other => other,
    }
}

/// Removes a user of which nothing is known.
pub(crate) async fn remove_all(iam: &dyn Iam, user: &UserName) -> Result<Removal, aws::Error> {
    let mut strips = 0;
    loop {
        strips += 1;
        let Some(parts) = list_parts(iam, user).await? else {
            return Ok(Removal::Unknown);
        };
        remove_parts(iam, user, parts).await?;
        match delete_user(iam, user).await {
            Err(error) if error.kind() == ErrorKind::DeleteConflict && strips < STRIPS => {}
            other => return other,
        }
    }
}

async fn delete_user(iam: &dyn Iam, user: &UserName) -> Result<Removal, aws::Error> {
    match busy::retry(|| iam.delete_user(user)).await {
        Ok(()) => Ok(Removal::Removed),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Removal::Unknown),
        Err(error) => Err(error),
    }
}

/// Removes all at once. One failure stops no other; the first is reported.
async fn remove_parts(iam: &dyn Iam, user: &UserName, parts: Vec<Part>) -> Result<(), aws::Error> {
    join_all(parts.iter().map(|part| part.remove(iam, user)))
        .await
        .into_iter()
        .collect()
}

/// Something that keeps AWS from deleting a user.
#[derive(Debug)]
enum Part {
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
    async fn remove(&self, iam: &dyn Iam, user: &UserName) -> Result<(), aws::Error> {
        match busy::retry(|| self.remove_once(iam, user)).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
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
            Self::MfaDevice(serial) => {
                iam.deactivate_mfa_device(user, serial).await?;
                if serial.is_virtual() {
                    iam.delete_virtual_mfa_device(serial).await?;
                }
                Ok(())
            }
            Self::SshPublicKey(id) => iam.delete_ssh_public_key(user, id).await,
            Self::SigningCertificate(id) => iam.delete_signing_certificate(user, id).await,
            Self::ServiceCredential(id) => iam.delete_service_specific_credential(user, id).await,
        }
    }
}

/// All that is attached to the user, the keys first; `None` when AWS does not know the user.
async fn list_parts(iam: &dyn Iam, user: &UserName) -> Result<Option<Vec<Part>>, aws::Error> {
    // What only people attach, and what an operator may not have let us look at.
    let optional = |result: Result<Vec<Part>, aws::Error>| match result {
        Err(error) if error.kind() == ErrorKind::Denied => Ok(Vec::new()),
        other => other,
    };
    let listed = try_join!(
        iam.list_access_keys(user).map(|keys| keys.map(|keys| keys
            .into_iter()
            .map(|key| Part::AccessKey(key.access_key_id))
            .collect::<Vec<_>>())),
        iam.list_attached_user_policies(user)
            .map(|arns| arns.map(|arns| parts(arns, Part::ManagedPolicy))),
        iam.list_user_policies(user)
            .map(|names| names.map(|names| parts(names, Part::InlinePolicy))),
        iam.list_groups_for_user(user)
            .map(|groups| groups.map(|groups| parts(groups, Part::Group))),
        iam.list_mfa_devices(user)
            .map(|serials| optional(serials.map(|serials| parts(serials, Part::MfaDevice)))),
        iam.list_ssh_public_keys(user)
            .map(|ids| optional(ids.map(|ids| parts(ids, Part::SshPublicKey)))),
        iam.list_signing_certificates(user)
            .map(|ids| optional(ids.map(|ids| parts(ids, Part::SigningCertificate)))),
        iam.list_service_specific_credentials(user)
            .map(|ids| optional(ids.map(|ids| parts(ids, Part::ServiceCredential)))),
    );
    let (keys, arns, names, groups, mfa, ssh, certificates, service) = match listed {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let all = [keys, arns, names, groups, mfa, ssh, certificates, service];
    // There is no list of it, only a delete that may say that there is none.
    let login_profile = std::iter::once(Part::LoginProfile);
    Ok(Some(
        all.into_iter().flatten().chain(login_profile).collect(),
    ))
}

fn parts<T>(items: Vec<T>, part: fn(T) -> Part) -> Vec<Part> {
    items.into_iter().map(part).collect()
}
