//! The door through which the engine comes: the traits of the seam over the simulated AWS.

use async_trait::async_trait;

use super::client_credentials::ClientCredentials;
use super::world::{Caller, Refused, World};
use super::{FakeAws, Request};
use crate::aws::{
    AccessKey, AccessKeyId, AccessKeyMetadata, AccessKeyStatus, Arn, AssumeRole, AssumedRole,
    CallerIdentity, CertificateId, CreateUser, Error, FederatedUser, GetFederationToken,
    GetSessionToken, GroupName, Iam, MfaSerialNumber, PolicyName, RoleName,
    ServiceSpecificCredentialId, SessionCredentials, SimulatePrincipalPolicy, Simulated,
    SshPublicKeyId, Sts, User, UserName,
};

/// A client of both services, with its own credentials.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) aws: FakeAws,
    pub(super) region: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) credentials: ClientCredentials,
}

impl Client {
    pub(super) async fn call<T>(
        &self,
        operation: &'static str,
        target: String,
        rule: impl FnOnce(&mut World, &Caller) -> Result<T, Refused> + Send,
    ) -> Result<T, Error> {
        let proof = self.credentials.proof(&self.aws, operation).await?;
        let request = Request {
            operation,
            target,
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
        };
        self.aws.call(request, Some(&proof), rule).await
    }
}

#[async_trait]
impl Iam for Client {
    async fn create_user(&self, request: CreateUser) -> Result<User, Error> {
        let target = request.user_name.to_string();
        self.call("iam:CreateUser", target, |world, caller| {
            world.create_user(caller, request)
        })
        .await
    }

    async fn get_user(&self, user_name: Option<&UserName>) -> Result<User, Error> {
        let target = user_name.map(ToString::to_string).unwrap_or_default();
        self.call("iam:GetUser", target, |world, caller| {
            world.get_user(caller, user_name)
        })
        .await
    }

    async fn list_users(&self) -> Result<Vec<User>, Error> {
        self.call("iam:ListUsers", String::new(), |world, caller| {
            Ok(world.list_users(caller))
        })
        .await
    }

    async fn delete_user(&self, user_name: &UserName) -> Result<(), Error> {
        let target = user_name.to_string();
        self.call("iam:DeleteUser", target, |world, caller| {
            world.delete_user(caller, user_name)
        })
        .await
    }

    async fn create_access_key(&self, user_name: &UserName) -> Result<AccessKey, Error> {
        let target = user_name.to_string();
        self.call("iam:CreateAccessKey", target, |world, caller| {
            world.create_access_key(caller, user_name)
        })
        .await
    }

    async fn delete_access_key(
        &self,
        user_name: &UserName,
        access_key_id: &AccessKeyId,
    ) -> Result<(), Error> {
        let target = format!("{user_name} {access_key_id}");
        self.call("iam:DeleteAccessKey", target, |world, caller| {
            world.delete_access_key(caller, user_name, access_key_id)
        })
        .await
    }

    async fn update_access_key(
        &self,
        user_name: &UserName,
        access_key_id: &AccessKeyId,
        status: AccessKeyStatus,
    ) -> Result<(), Error> {
        let target = format!("{user_name} {access_key_id} {status:?}");
        self.call("iam:UpdateAccessKey", target, |world, caller| {
            world.update_access_key(caller, user_name, access_key_id, status)
        })
        .await
    }

    async fn list_access_keys(
        &self,
        user_name: &UserName,
    ) -> Result<Vec<AccessKeyMetadata>, Error> {
        let target = user_name.to_string();
        self.call("iam:ListAccessKeys", target, |world, caller| {
            world.list_access_keys(caller, user_name)
        })
        .await
    }

    async fn attach_user_policy(
        &self,
        user_name: &UserName,
        policy_arn: &Arn,
    ) -> Result<(), Error> {
        let target = format!("{user_name} {policy_arn}");
        self.call("iam:AttachUserPolicy", target, |world, caller| {
            world.attach_user_policy(caller, user_name, policy_arn)
        })
        .await
    }

    async fn detach_user_policy(
        &self,
        user_name: &UserName,
        policy_arn: &Arn,
    ) -> Result<(), Error> {
        let target = format!("{user_name} {policy_arn}");
        self.call("iam:DetachUserPolicy", target, |world, caller| {
            world.detach_user_policy(caller, user_name, policy_arn)
        })
        .await
    }

    async fn list_attached_user_policies(&self, user_name: &UserName) -> Result<Vec<Arn>, Error> {
        let target = user_name.to_string();
        self.call("iam:ListAttachedUserPolicies", target, |world, caller| {
            world.list_attached_user_policies(caller, user_name)
        })
        .await
    }

    async fn put_user_policy(
        &self,
        user_name: &UserName,
        policy_name: &PolicyName,
        policy_document: &str,
    ) -> Result<(), Error> {
        let target = format!("{user_name} {policy_name}");
        self.call("iam:PutUserPolicy", target, |world, caller| {
            world.put_user_policy(caller, user_name, policy_name, policy_document)
        })
        .await
    }

    async fn delete_user_policy(
        &self,
        user_name: &UserName,
        policy_name: &PolicyName,
    ) -> Result<(), Error> {
        let target = format!("{user_name} {policy_name}");
        self.call("iam:DeleteUserPolicy", target, |world, caller| {
            world.delete_user_policy(caller, user_name, policy_name)
        })
        .await
    }

    async fn list_user_policies(&self, user_name: &UserName) -> Result<Vec<PolicyName>, Error> {
        let target = user_name.to_string();
        self.call("iam:ListUserPolicies", target, |world, caller| {
            world.list_user_policies(caller, user_name)
        })
        .await
    }

    async fn get_user_policy(
        &self,
        user_name: &UserName,
        policy_name: &PolicyName,
    ) -> Result<String, Error> {
        let target = format!("{user_name} {policy_name}");
        self.call("iam:GetUserPolicy", target, |world, caller| {
            world.get_user_policy(caller, user_name, policy_name)
        })
        .await
    }

    async fn put_role_policy(
        &self,
        role_name: &RoleName,
        policy_name: &PolicyName,
        policy_document: &str,
    ) -> Result<(), Error> {
        let target = format!("{role_name} {policy_name}");
        self.call("iam:PutRolePolicy", target, |world, caller| {
            world.put_role_policy(caller, role_name, policy_name, policy_document)
        })
        .await
    }

    async fn get_role_policy(
        &self,
        role_name: &RoleName,
        policy_name: &PolicyName,
    ) -> Result<String, Error> {
        let target = format!("{role_name} {policy_name}");
        self.call("iam:GetRolePolicy", target, |world, caller| {
            world.get_role_policy(caller, role_name, policy_name)
        })
        .await
    }

    async fn delete_role_policy(
        &self,
        role_name: &RoleName,
        policy_name: &PolicyName,
    ) -> Result<(), Error> {
        let target = format!("{role_name} {policy_name}");
        self.call("iam:DeleteRolePolicy", target, |world, caller| {
            world.delete_role_policy(caller, role_name, policy_name)
        })
        .await
    }

    async fn list_role_policies(&self, role_name: &RoleName) -> Result<Vec<PolicyName>, Error> {
        let target = role_name.to_string();
        self.call("iam:ListRolePolicies", target, |world, caller| {
            world.list_role_policies(caller, role_name)
        })
        .await
    }

    async fn add_user_to_group(
        &self,
        group_name: &GroupName,
        user_name: &UserName,
    ) -> Result<(), Error> {
        let target = format!("{user_name} {group_name}");
        self.call("iam:AddUserToGroup", target, |world, caller| {
            world.add_user_to_group(caller, group_name, user_name)
        })
        .await
    }

    async fn remove_user_from_group(
        &self,
        group_name: &GroupName,
        user_name: &UserName,
    ) -> Result<(), Error> {
        let target = format!("{user_name} {group_name}");
        self.call("iam:RemoveUserFromGroup", target, |world, caller| {
            world.remove_user_from_group(caller, group_name, user_name)
        })
        .await
    }

    async fn list_groups_for_user(&self, user_name: &UserName) -> Result<Vec<GroupName>, Error> {
        let target = user_name.to_string();
        self.call("iam:ListGroupsForUser", target, |world, caller| {
            world.list_groups_for_user(caller, user_name)
        })
        .await
    }

    async fn list_attached_group_policies(
        &self,
        group_name: &GroupName,
    ) -> Result<Vec<Arn>, Error> {
        let target = group_name.to_string();
        self.call("iam:ListAttachedGroupPolicies", target, |world, caller| {
            world.list_attached_group_policies(caller, group_name)
        })
        .await
    }

    async fn list_group_policies(&self, group_name: &GroupName) -> Result<Vec<PolicyName>, Error> {
        let target = group_name.to_string();
        self.call("iam:ListGroupPolicies", target, |world, caller| {
            world.list_group_policies(caller, group_name)
        })
        .await
    }

    async fn get_group_policy(
        &self,
        group_name: &GroupName,
        policy_name: &PolicyName,
    ) -> Result<String, Error> {
        let target = format!("{group_name} {policy_name}");
        self.call("iam:GetGroupPolicy", target, |world, caller| {
            world.get_group_policy(caller, group_name, policy_name)
        })
        .await
    }

    async fn delete_login_profile(&self, user_name: &UserName) -> Result<(), Error> {
        let target = user_name.to_string();
        self.call("iam:DeleteLoginProfile", target, |world, caller| {
            world.delete_login_profile(caller, user_name)
        })
        .await
    }

    async fn list_mfa_devices(&self, user_name: &UserName) -> Result<Vec<MfaSerialNumber>, Error> {
        let target = user_name.to_string();
        self.call("iam:ListMFADevices", target, |world, caller| {
            world.list_mfa_devices(caller, user_name)
        })
        .await
    }

    async fn deactivate_mfa_device(
        &self,
        user_name: &UserName,
        serial_number: &MfaSerialNumber,
    ) -> Result<(), Error> {
        let target = format!("{user_name} {serial_number}");
        self.call("iam:DeactivateMFADevice", target, |world, caller| {
            world.deactivate_mfa_device(caller, user_name, serial_number)
        })
        .await
    }

    async fn delete_virtual_mfa_device(
        &self,
        serial_number: &MfaSerialNumber,
    ) -> Result<(), Error> {
        let target = serial_number.to_string();
        self.call("iam:DeleteVirtualMFADevice", target, |world, caller| {
            world.delete_virtual_mfa_device(caller, serial_number)
        })
        .await
    }

    async fn list_ssh_public_keys(
        &self,
        user_name: &UserName,
    ) -> Result<Vec<SshPublicKeyId>, Error> {
        let target = user_name.to_string();
        self.call("iam:ListSSHPublicKeys", target, |world, caller| {
            world.list_ssh_public_keys(caller, user_name)
        })
        .await
    }

    async fn delete_ssh_public_key(
        &self,
        user_name: &UserName,
        ssh_public_key_id: &SshPublicKeyId,
    ) -> Result<(), Error> {
        let target = format!("{user_name} {ssh_public_key_id}");
        self.call("iam:DeleteSSHPublicKey", target, |world, caller| {
            world.delete_ssh_public_key(caller, user_name, ssh_public_key_id)
        })
        .await
    }

    async fn list_signing_certificates(
        &self,
        user_name: &UserName,
    ) -> Result<Vec<CertificateId>, Error> {
        let target = user_name.to_string();
        self.call("iam:ListSigningCertificates", target, |world, caller| {
            world.list_signing_certificates(caller, user_name)
        })
        .await
    }

    async fn delete_signing_certificate(
        &self,
        user_name: &UserName,
        certificate_id: &CertificateId,
    ) -> Result<(), Error> {
        let target = format!("{user_name} {certificate_id}");
        self.call("iam:DeleteSigningCertificate", target, |world, caller| {
            world.delete_signing_certificate(caller, user_name, certificate_id)
        })
        .await
    }

    async fn list_service_specific_credentials(
        &self,
        user_name: &UserName,
    ) -> Result<Vec<ServiceSpecificCredentialId>, Error> {
        let target = user_name.to_string();
        self.call(
            "iam:ListServiceSpecificCredentials",
            target,
            |world, caller| world.list_service_specific_credentials(caller, user_name),
        )
        .await
    }

    async fn delete_service_specific_credential(
        &self,
        user_name: &UserName,
        service_specific_credential_id: &ServiceSpecificCredentialId,
    ) -> Result<(), Error> {
        let target = format!("{user_name} {service_specific_credential_id}");
        self.call(
            "iam:DeleteServiceSpecificCredential",
            target,
            |world, caller| {
                world.delete_service_specific_credential(
                    caller,
                    user_name,
                    service_specific_credential_id,
                )
            },
        )
        .await
    }

    async fn simulate_principal_policy(
        &self,
        request: &SimulatePrincipalPolicy,
    ) -> Result<Vec<Simulated>, Error> {
        let target = request.policy_source_arn.to_string();
        let denied = self.aws.denied(&request.action_names);
        self.call("iam:SimulatePrincipalPolicy", target, |world, caller| {
            world.simulate_principal_policy(caller, request, &denied)
        })
        .await
    }
}

#[async_trait]
impl Sts for Client {
    async fn get_caller_identity(&self) -> Result<CallerIdentity, Error> {
        self.call("sts:GetCallerIdentity", String::new(), |world, caller| {
            Ok(world.get_caller_identity(caller))
        })
        .await
    }

    async fn assume_role(&self, request: AssumeRole) -> Result<AssumedRole, Error> {
        let target = request.role_arn.to_string();
        self.call("sts:AssumeRole", target, |world, caller| {
            world.assume_role(caller, request)
        })
        .await
    }

    async fn get_federation_token(
        &self,
        request: GetFederationToken,
    ) -> Result<FederatedUser, Error> {
        let target = request.name.to_string();
        self.call("sts:GetFederationToken", target, |world, caller| {
            world.get_federation_token(caller, request)
        })
        .await
    }

    async fn get_session_token(
        &self,
        request: GetSessionToken,
    ) -> Result<SessionCredentials, Error> {
        let target = request
            .serial_number
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        self.call("sts:GetSessionToken", target, |world, caller| {
            world.get_session_token(caller, &request)
        })
        .await
    }
}
