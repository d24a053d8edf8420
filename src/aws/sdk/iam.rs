//! IAM over the SDK.

use async_trait::async_trait;
use aws_sdk_iam::Client;
use aws_sdk_iam::operation::create_access_key::CreateAccessKeyError;
use aws_sdk_iam::operation::create_user::CreateUserError;
use aws_sdk_iam::types::{AttachedPolicy, StatusType, Tag as SdkTag, User as SdkUser};
use percent_encoding::percent_decode_str;

use super::call::{Calls, call, incomplete};
use super::retry::NotTwice;
use super::simulation;
use super::sts::moment;
use crate::aws::{
    AccessKey, AccessKeyId, AccessKeyMetadata, AccessKeyStatus, Arn, CertificateId, CreateUser,
    Error, ErrorKind, GroupName, Iam, MfaSerialNumber, PolicyName, RoleName,
    ServiceSpecificCredentialId, SimulatePrincipalPolicy, Simulated, SshPublicKeyId, Tag, User,
    UserName,
};

/// The longest page that IAM gives.
const PAGE: i32 = 1000;

/// IAM with one client's credentials.
#[derive(Debug)]
pub(super) struct SdkIam {
    client: Client,
    calls: Calls,
}

impl SdkIam {
    pub(super) fn new(client: Client, calls: Calls) -> Self {
        Self { client, calls }
    }
}

#[async_trait]
impl Iam for SdkIam {
    async fn create_user(&self, request: CreateUser) -> Result<User, Error> {
        const OPERATION: &str = "iam:CreateUser";
        let tags = request
            .tags
            .into_iter()
            .map(|Tag { key, value }| SdkTag::builder().key(key).value(value).build())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Error::unasked(OPERATION, ErrorKind::Invalid, error.to_string()))?;
        let not_twice =
            aws_sdk_iam::Config::builder().retry_classifier(NotTwice::<CreateUserError>::new());
        let sent = self
            .client
            .create_user()
            .user_name(request.user_name.as_str())
            .set_path(request.path)
            .set_permissions_boundary(request.permissions_boundary.map(|arn| arn.to_string()))
            .set_tags((!tags.is_empty()).then_some(tags))
            .customize()
            .config_override(not_twice)
            .send();
        let user = call(&self.calls, OPERATION, sent).await?.user;
        user.map(described)
            .ok_or_else(|| incomplete(OPERATION, "user"))
    }

    async fn get_user(&self, user_name: Option<&UserName>) -> Result<User, Error> {
        const OPERATION: &str = "iam:GetUser";
        let sent = self
            .client
            .get_user()
            .set_user_name(user_name.map(ToString::to_string))
            .send();
        let user = call(&self.calls, OPERATION, sent).await?.user;
        user.map(described)
            .ok_or_else(|| incomplete(OPERATION, "user"))
    }

    async fn list_users(&self) -> Result<Vec<User>, Error> {
        let pages = self.client.list_users().into_paginator().page_size(PAGE);
        let items = pages.items().send().try_collect();
        let users = call(&self.calls, "iam:ListUsers", items).await?;
        Ok(users.into_iter().map(described).collect())
    }

    async fn create_access_key(&self, user_name: &UserName) -> Result<AccessKey, Error> {
        const OPERATION: &str = "iam:CreateAccessKey";
        let not_twice = aws_sdk_iam::Config::builder()
            .retry_classifier(NotTwice::<CreateAccessKeyError>::new());
        let sent = self
            .client
            .create_access_key()
            .user_name(user_name.as_str())
            .customize()
            .config_override(not_twice)
            .send();
        let key = call(&self.calls, OPERATION, sent)
            .await?
            .access_key
            .filter(|key| !key.access_key_id.is_empty() && !key.secret_access_key.is_empty())
            .ok_or_else(|| incomplete(OPERATION, "access key"))?;
        Ok(AccessKey {
            access_key_id: AccessKeyId::from_aws(key.access_key_id),
            secret_access_key: key.secret_access_key.into(),
        })
    }

    async fn update_access_key(
        &self,
        user_name: &UserName,
        access_key_id: &AccessKeyId,
        status: AccessKeyStatus,
    ) -> Result<(), Error> {
        let status = match status {
            AccessKeyStatus::Active => StatusType::Active,
            AccessKeyStatus::Inactive => StatusType::Inactive,
        };
        let sent = self
            .client
            .update_access_key()
            .user_name(user_name.as_str())
            .access_key_id(access_key_id.as_str())
            .status(status)
            .send();
        call(&self.calls, "iam:UpdateAccessKey", sent)
            .await
            .map(|_| ())
    }

    async fn list_access_keys(
        &self,
        user_name: &UserName,
    ) -> Result<Vec<AccessKeyMetadata>, Error> {
        const OPERATION: &str = "iam:ListAccessKeys";
        let pages = self
            .client
            .list_access_keys()
            .user_name(user_name.as_str())
            .into_paginator()
            .page_size(PAGE);
        let keys = call(&self.calls, OPERATION, pages.items().send().try_collect()).await?;
        keys.into_iter()
            .map(|key| match (key.access_key_id, key.create_date) {
                (Some(id), Some(create_date)) => Ok(AccessKeyMetadata {
                    access_key_id: AccessKeyId::from_aws(id),
                    status: match key.status {
                        Some(StatusType::Active) => AccessKeyStatus::Active,
                        _ => AccessKeyStatus::Inactive,
                    },
                    create_date: moment(&create_date),
                }),
                _ => Err(incomplete(OPERATION, "access key id or creation date")),
            })
            .collect()
    }

    async fn delete_user(&self, user_name: &UserName) -> Result<(), Error> {
        let sent = self
            .client
            .delete_user()
            .user_name(user_name.as_str())
            .send();
        call(&self.calls, "iam:DeleteUser", sent).await.map(|_| ())
    }

    async fn delete_access_key(
        &self,
        user_name: &UserName,
        access_key_id: &AccessKeyId,
    ) -> Result<(), Error> {
        let sent = self
            .client
            .delete_access_key()
            .user_name(user_name.as_str())
            .access_key_id(access_key_id.as_str())
            .send();
        call(&self.calls, "iam:DeleteAccessKey", sent)
            .await
            .map(|_| ())
    }

    async fn attach_user_policy(
        &self,
        user_name: &UserName,
        policy_arn: &Arn,
    ) -> Result<(), Error> {
        let sent = self
            .client
            .attach_user_policy()
            .user_name(user_name.as_str())
            .policy_arn(policy_arn.as_str())
            .send();
        call(&self.calls, "iam:AttachUserPolicy", sent)
            .await
            .map(|_| ())
    }

    async fn detach_user_policy(
        &self,
        user_name: &UserName,
        policy_arn: &Arn,
    ) -> Result<(), Error> {
        let sent = self
            .client
            .detach_user_policy()
            .user_name(user_name.as_str())
            .policy_arn(policy_arn.as_str())
            .send();
        call(&self.calls, "iam:DetachUserPolicy", sent)
            .await
            .map(|_| ())
    }

    async fn list_attached_user_policies(&self, user_name: &UserName) -> Result<Vec<Arn>, Error> {
        let pages = self
            .client
            .list_attached_user_policies()
            .user_name(user_name.as_str())
            .into_paginator()
            .page_size(PAGE);
        let items = call(
            &self.calls,
            "iam:ListAttachedUserPolicies",
            pages.items().send().try_collect(),
        )
        .await?;
        Ok(attached(items))
    }

    async fn put_user_policy(
        &self,
        user_name: &UserName,
        policy_name: &PolicyName,
        policy_document: &str,
    ) -> Result<(), Error> {
        let sent = self
            .client
            .put_user_policy()
            .user_name(user_name.as_str())
            .policy_name(policy_name.as_str())
            .policy_document(policy_document)
            .send();
        call(&self.calls, "iam:PutUserPolicy", sent)
            .await
            .map(|_| ())
    }

    async fn delete_user_policy(
        &self,
        user_name: &UserName,
        policy_name: &PolicyName,
    ) -> Result<(), Error> {
        let sent = self
            .client
            .delete_user_policy()
            .user_name(user_name.as_str())
            .policy_name(policy_name.as_str())
            .send();
        call(&self.calls, "iam:DeleteUserPolicy", sent)
            .await
            .map(|_| ())
    }

    async fn list_user_policies(&self, user_name: &UserName) -> Result<Vec<PolicyName>, Error> {
        let pages = self
            .client
            .list_user_policies()
            .user_name(user_name.as_str())
            .into_paginator()
            .page_size(PAGE);
        let items = call(
            &self.calls,
            "iam:ListUserPolicies",
            pages.items().send().try_collect(),
        )
        .await?;
        Ok(items.into_iter().map(PolicyName::from_aws).collect())
    }

    async fn add_user_to_group(
        &self,
        group_name: &GroupName,
        user_name: &UserName,
    ) -> Result<(), Error> {
        let sent = self
            .client
            .add_user_to_group()
            .group_name(group_name.as_str())
            .user_name(user_name.as_str())
            .send();
        call(&self.calls, "iam:AddUserToGroup", sent)
            .await
            .map(|_| ())
    }

    async fn remove_user_from_group(
        &self,
        group_name: &GroupName,
        user_name: &UserName,
    ) -> Result<(), Error> {
        let sent = self
            .client
            .remove_user_from_group()
            .group_name(group_name.as_str())
            .user_name(user_name.as_str())
            .send();
        call(&self.calls, "iam:RemoveUserFromGroup", sent)
            .await
            .map(|_| ())
    }

    async fn list_groups_for_user(&self, user_name: &UserName) -> Result<Vec<GroupName>, Error> {
        let pages = self
            .client
            .list_groups_for_user()
            .user_name(user_name.as_str())
            .into_paginator()
            .page_size(PAGE);
        let items = call(
            &self.calls,
            "iam:ListGroupsForUser",
            pages.items().send().try_collect(),
        )
        .await?;
        Ok(items
            .into_iter()
            .map(|group| GroupName::from_aws(group.group_name))
            .collect())
    }

    async fn list_attached_group_policies(
        &self,
        group_name: &GroupName,
    ) -> Result<Vec<Arn>, Error> {
        let pages = self
            .client
            .list_attached_group_policies()
            .group_name(group_name.as_str())
            .into_paginator()
            .page_size(PAGE);
        let items = call(
            &self.calls,
            "iam:ListAttachedGroupPolicies",
            pages.items().send().try_collect(),
        )
        .await?;
        Ok(attached(items))
    }

    async fn list_group_policies(&self, group_name: &GroupName) -> Result<Vec<PolicyName>, Error> {
        let pages = self
            .client
            .list_group_policies()
            .group_name(group_name.as_str())
            .into_paginator()
            .page_size(PAGE);
        let items = call(
            &self.calls,
            "iam:ListGroupPolicies",
            pages.items().send().try_collect(),
        )
        .await?;
        Ok(items.into_iter().map(PolicyName::from_aws).collect())
    }

    async fn get_group_policy(
        &self,
        group_name: &GroupName,
        policy_name: &PolicyName,
    ) -> Result<String, Error> {
        const OPERATION: &str = "iam:GetGroupPolicy";
        let sent = self
            .client
            .get_group_policy()
            .group_name(group_name.as_str())
            .policy_name(policy_name.as_str())
            .send();
        let answer = call(&self.calls, OPERATION, sent).await?;
        decoded(OPERATION, &answer.policy_document)
    }

    async fn get_user_policy(
        &self,
        user_name: &UserName,
        policy_name: &PolicyName,
    ) -> Result<String, Error> {
        const OPERATION: &str = "iam:GetUserPolicy";
        let sent = self
            .client
            .get_user_policy()
            .user_name(user_name.as_str())
            .policy_name(policy_name.as_str())
            .send();
        let answer = call(&self.calls, OPERATION, sent).await?;
        decoded(OPERATION, &answer.policy_document)
    }

    async fn put_role_policy(
        &self,
        role_name: &RoleName,
        policy_name: &PolicyName,
        policy_document: &str,
    ) -> Result<(), Error> {
        let sent = self
            .client
            .put_role_policy()
            .role_name(role_name.as_str())
            .policy_name(policy_name.as_str())
            .policy_document(policy_document)
            .send();
        call(&self.calls, "iam:PutRolePolicy", sent)
            .await
            .map(|_| ())
    }

    async fn get_role_policy(
        &self,
        role_name: &RoleName,
        policy_name: &PolicyName,
    ) -> Result<String, Error> {
        const OPERATION: &str = "iam:GetRolePolicy";
        let sent = self
            .client
            .get_role_policy()
            .role_name(role_name.as_str())
            .policy_name(policy_name.as_str())
            .send();
        let answer = call(&self.calls, OPERATION, sent).await?;
        decoded(OPERATION, &answer.policy_document)
    }

    async fn delete_role_policy(
        &self,
        role_name: &RoleName,
        policy_name: &PolicyName,
    ) -> Result<(), Error> {
        let sent = self
            .client
            .delete_role_policy()
            .role_name(role_name.as_str())
            .policy_name(policy_name.as_str())
            .send();
        call(&self.calls, "iam:DeleteRolePolicy", sent)
            .await
            .map(|_| ())
    }

    async fn list_role_policies(&self, role_name: &RoleName) -> Result<Vec<PolicyName>, Error> {
        let pages = self
            .client
            .list_role_policies()
            .role_name(role_name.as_str())
            .into_paginator()
            .page_size(PAGE);
        let items = call(
            &self.calls,
            "iam:ListRolePolicies",
            pages.items().send().try_collect(),
        )
        .await?;
        Ok(items.into_iter().map(PolicyName::from_aws).collect())
    }

    async fn delete_login_profile(&self, user_name: &UserName) -> Result<(), Error> {
        let sent = self
            .client
            .delete_login_profile()
            .user_name(user_name.as_str())
            .send();
        call(&self.calls, "iam:DeleteLoginProfile", sent)
            .await
            .map(|_| ())
    }

    async fn list_mfa_devices(&self, user_name: &UserName) -> Result<Vec<MfaSerialNumber>, Error> {
        let pages = self
            .client
            .list_mfa_devices()
            .user_name(user_name.as_str())
            .into_paginator()
            .page_size(PAGE);
        let items = call(
            &self.calls,
            "iam:ListMFADevices",
            pages.items().send().try_collect(),
        )
        .await?;
        Ok(items
            .into_iter()
            .map(|device| MfaSerialNumber::from_aws(device.serial_number))
            .collect())
    }

    async fn deactivate_mfa_device(
        &self,
        user_name: &UserName,
        serial_number: &MfaSerialNumber,
    ) -> Result<(), Error> {
        let sent = self
            .client
            .deactivate_mfa_device()
            .user_name(user_name.as_str())
            .serial_number(serial_number.as_str())
            .send();
        call(&self.calls, "iam:DeactivateMFADevice", sent)
            .await
            .map(|_| ())
    }

    async fn delete_virtual_mfa_device(
        &self,
        serial_number: &MfaSerialNumber,
    ) -> Result<(), Error> {
        let sent = self
            .client
            .delete_virtual_mfa_device()
            .serial_number(serial_number.as_str())
            .send();
        call(&self.calls, "iam:DeleteVirtualMFADevice", sent)
            .await
            .map(|_| ())
    }

    async fn list_ssh_public_keys(
        &self,
        user_name: &UserName,
    ) -> Result<Vec<SshPublicKeyId>, Error> {
        let pages = self
            .client
            .list_ssh_public_keys()
            .user_name(user_name.as_str())
            .into_paginator()
            .page_size(PAGE);
        let items = call(
            &self.calls,
            "iam:ListSSHPublicKeys",
            pages.items().send().try_collect(),
        )
        .await?;
        Ok(items
            .into_iter()
            .map(|key| SshPublicKeyId::from_aws(key.ssh_public_key_id))
            .collect())
    }

    async fn delete_ssh_public_key(
        &self,
        user_name: &UserName,
        ssh_public_key_id: &SshPublicKeyId,
    ) -> Result<(), Error> {
        let sent = self
            .client
            .delete_ssh_public_key()
            .user_name(user_name.as_str())
            .ssh_public_key_id(ssh_public_key_id.as_str())
            .send();
        call(&self.calls, "iam:DeleteSSHPublicKey", sent)
            .await
            .map(|_| ())
    }

    async fn list_signing_certificates(
        &self,
        user_name: &UserName,
    ) -> Result<Vec<CertificateId>, Error> {
        let pages = self
            .client
            .list_signing_certificates()
            .user_name(user_name.as_str())
            .into_paginator()
            .page_size(PAGE);
        let items = call(
            &self.calls,
            "iam:ListSigningCertificates",
            pages.items().send().try_collect(),
        )
        .await?;
        Ok(items
            .into_iter()
            .map(|certificate| CertificateId::from_aws(certificate.certificate_id))
            .collect())
    }

    async fn delete_signing_certificate(
        &self,
        user_name: &UserName,
        certificate_id: &CertificateId,
    ) -> Result<(), Error> {
        let sent = self
            .client
            .delete_signing_certificate()
            .user_name(user_name.as_str())
            .certificate_id(certificate_id.as_str())
            .send();
        call(&self.calls, "iam:DeleteSigningCertificate", sent)
            .await
            .map(|_| ())
    }

    async fn list_service_specific_credentials(
        &self,
        user_name: &UserName,
    ) -> Result<Vec<ServiceSpecificCredentialId>, Error> {
        const OPERATION: &str = "iam:ListServiceSpecificCredentials";
        let mut ids = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let sent = self
                .client
                .list_service_specific_credentials()
                .user_name(user_name.as_str())
                .max_items(PAGE)
                .set_marker(marker.clone())
                .send();
            let page = call(&self.calls, OPERATION, sent).await?;
            let found = page.service_specific_credentials.unwrap_or_default();
            ids.extend(found.into_iter().map(|one| {
                ServiceSpecificCredentialId::from_aws(one.service_specific_credential_id)
            }));
            let next = page.marker.filter(|marker| !marker.is_empty());
            if next.is_none() {
                return Ok(ids);
            }
            if next == marker {
                // It would go on like this for ever.
                return Err(incomplete(OPERATION, "next page"));
            }
            marker = next;
        }
    }

    async fn delete_service_specific_credential(
        &self,
        user_name: &UserName,
        service_specific_credential_id: &ServiceSpecificCredentialId,
    ) -> Result<(), Error> {
        let sent = self
            .client
            .delete_service_specific_credential()
            .user_name(user_name.as_str())
            .service_specific_credential_id(service_specific_credential_id.as_str())
            .send();
        call(&self.calls, "iam:DeleteServiceSpecificCredential", sent)
            .await
            .map(|_| ())
    }

    async fn simulate_principal_policy(
        &self,
        request: &SimulatePrincipalPolicy,
    ) -> Result<Vec<Simulated>, Error> {
        simulation::simulate_principal_policy(&self.client, &self.calls, request).await
    }
}

fn described(user: SdkUser) -> User {
    User {
        // The root user of an account has none.
        user_name: (!user.user_name.is_empty()).then(|| UserName::from_aws(user.user_name)),
        user_id: user.user_id,
        arn: Arn::from_aws(user.arn),
        path: user.path,
        create_date: moment(&user.create_date),
        tags: user
            .tags
            .unwrap_or_default()
            .into_iter()
            .map(|tag| Tag::new(tag.key, tag.value))
            .collect(),
    }
}

fn attached(policies: Vec<AttachedPolicy>) -> Vec<Arn> {
    policies
        .into_iter()
        .filter_map(|policy| policy.policy_arn)
        .map(Arn::from_aws)
        .collect()
}

/// The text of a policy document. AWS writes a space as %20 and a plus as %2B; others write it as
/// forms are written.
fn decoded(operation: &'static str, document: &str) -> Result<String, Error> {
    percent_decode_str(&document.replace('+', " "))
        .decode_utf8()
        .map(Into::into)
        .map_err(|_| incomplete(operation, "readable policy document"))
}
