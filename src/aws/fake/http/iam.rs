//! The actions of IAM.

use percent_encoding::{NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};

use super::super::world::{Caller, World};
use super::form::Form;
use super::xml::Xml;
use super::{Answer, Client, Failure, Refused};
use crate::aws::{
    AccessKeyId, AccessKeyStatus, Arn, CertificateId, CreateUser, Error, GroupName, Iam as _,
    MfaSerialNumber, PolicyName, RoleName, ServiceSpecificCredentialId, SshPublicKeyId, Tag, User,
    UserName,
};
use crate::secret::ExposeSecret as _;

/// `None` when IAM has no such action.
pub(super) async fn act(client: &Client, action: &str, form: &Form) -> Option<Answer> {
    Some(match action {
        "ListUsers" => users(client).await,
        "CreateUser" | "GetUser" | "DeleteUser" | "TagUser" => user(client, action, form).await,
        "CreateAccessKey" | "DeleteAccessKey" | "UpdateAccessKey" | "ListAccessKeys" => {
            access_key(client, action, form).await
        }
        "AttachUserPolicy"
        | "DetachUserPolicy"
        | "ListAttachedUserPolicies"
        | "PutUserPolicy"
        | "DeleteUserPolicy"
        | "ListUserPolicies"
        | "GetUserPolicy" => policy(client, action, form).await,
        "PutRolePolicy" | "GetRolePolicy" | "DeleteRolePolicy" | "ListRolePolicies" => {
            role_policy(client, action, form).await
        }
        "AddUserToGroup"
        | "RemoveUserFromGroup"
        | "ListGroupsForUser"
        | "ListAttachedGroupPolicies"
        | "ListGroupPolicies"
        | "GetGroupPolicy" => group(client, action, form).await,
        "DeleteLoginProfile"
        | "ListMFADevices"
        | "DeactivateMFADevice"
        | "DeleteVirtualMFADevice"
        | "ListSSHPublicKeys"
        | "DeleteSSHPublicKey"
        | "ListSigningCertificates"
        | "DeleteSigningCertificate"
        | "ListServiceSpecificCredentials"
        | "DeleteServiceSpecificCredential" => belonging(client, action, form).await,
        _ => return None,
    })
}

async fn user(client: &Client, action: &str, form: &Form) -> Answer {
    let mut xml = Xml::default();
    match action {
        "CreateUser" => {
            let request = CreateUser {
                user_name: user_name(form)?,
                path: form.text("Path").map(ToOwned::to_owned),
                permissions_boundary: form.optional_name("PermissionsBoundary", Arn::new)?,
                tags: form.tags(),
            };
            describe(&mut xml, &client.create_user(request).await?);
        }
        "GetUser" => {
            let name = form.optional_name("UserName", UserName::new)?;
            describe(&mut xml, &client.get_user(name.as_ref()).await?);
        }
        "DeleteUser" => client.delete_user(&user_name(form)?).await?,
        _ => tag(client, user_name(form)?, form.tags()).await?,
    }
    Ok(xml)
}

async fn users(client: &Client) -> Answer {
    let mut xml = Xml::default();
    xml.list("Users", client.list_users().await?, |xml, user| {
        describe_as_member(xml, &user);
    });
    Ok(xml)
}

/// Our engine tags a user when it creates it, so the seam has no such call.
async fn tag(client: &Client, user: UserName, tags: Vec<Tag>) -> Result<(), Error> {
    let target = user.to_string();
    let rule = |world: &mut World, caller: &Caller| world.tag_user(caller, &user, tags);
    client.call("iam:TagUser", target, rule).await
}

async fn access_key(client: &Client, action: &str, form: &Form) -> Answer {
    let mut xml = Xml::default();
    let user = user_name(form)?;
    let id = || form.name("AccessKeyId", AccessKeyId::new);
    match action {
        "CreateAccessKey" => {
            let key = client.create_access_key(&user).await?;
            xml.element("AccessKey", |xml| {
                xml.text("UserName", &user);
                xml.text("AccessKeyId", &key.access_key_id);
                xml.text("Status", "Active");
                xml.text("SecretAccessKey", key.secret_access_key.expose_secret());
            });
        }
        "DeleteAccessKey" => client.delete_access_key(&user, &id()?).await?,
        "UpdateAccessKey" => {
            let status = match form.required("Status")? {
                "Active" => AccessKeyStatus::Active,
                "Inactive" => AccessKeyStatus::Inactive,
                other => {
                    return Err(Refused::invalid(format!("{other} is no status")).into());
                }
            };
            client.update_access_key(&user, &id()?, status).await?;
        }
        _ => {
            let keys = client.list_access_keys(&user).await?;
            xml.list("AccessKeyMetadata", keys, |xml, key| {
                xml.text("UserName", &user);
                xml.text("AccessKeyId", key.access_key_id);
                xml.text("Status", format!("{:?}", key.status));
                xml.moment("CreateDate", key.create_date);
            });
        }
    }
    Ok(xml)
}

async fn policy(client: &Client, action: &str, form: &Form) -> Answer {
    let mut xml = Xml::default();
    let user = user_name(form)?;
    let arn = || form.name("PolicyArn", Arn::new);
    match action {
        "AttachUserPolicy" => client.attach_user_policy(&user, &arn()?).await?,
        "DetachUserPolicy" => client.detach_user_policy(&user, &arn()?).await?,
        "ListAttachedUserPolicies" => {
            managed(&mut xml, client.list_attached_user_policies(&user).await?);
        }
        "PutUserPolicy" => {
            let document = form.required("PolicyDocument")?;
            let name = policy_name(form)?;
            client.put_user_policy(&user, &name, document).await?;
        }
        "DeleteUserPolicy" => {
            client
                .delete_user_policy(&user, &policy_name(form)?)
                .await?;
        }
        "GetUserPolicy" => {
            let name = policy_name(form)?;
            let document = client.get_user_policy(&user, &name).await?;
            xml.text("UserName", user);
            xml.text("PolicyName", name);
            xml.text("PolicyDocument", encoded(&document));
        }
        _ => xml.texts("PolicyNames", client.list_user_policies(&user).await?),
    }
    Ok(xml)
}

async fn role_policy(client: &Client, action: &str, form: &Form) -> Answer {
    let mut xml = Xml::default();
    let role = form.name("RoleName", RoleName::new)?;
    match action {
        "PutRolePolicy" => {
            let document = form.required("PolicyDocument")?;
            let name = policy_name(form)?;
            client.put_role_policy(&role, &name, document).await?;
        }
        "GetRolePolicy" => {
            let name = policy_name(form)?;
            let document = client.get_role_policy(&role, &name).await?;
            xml.text("RoleName", role);
            xml.text("PolicyName", name);
            xml.text("PolicyDocument", encoded(&document));
        }
        "DeleteRolePolicy" => {
            client
                .delete_role_policy(&role, &policy_name(form)?)
                .await?;
        }
        _ => xml.texts("PolicyNames", client.list_role_policies(&role).await?),
    }
    Ok(xml)
}

/// AWS sends documents URL-encoded.
fn encoded(document: &str) -> PercentEncode<'_> {
    utf8_percent_encode(document, NON_ALPHANUMERIC)
}

async fn group(client: &Client, action: &str, form: &Form) -> Answer {
    let mut xml = Xml::default();
    let group = || form.name("GroupName", GroupName::new);
    match action {
        "AddUserToGroup" => {
            client
                .add_user_to_group(&group()?, &user_name(form)?)
                .await?;
        }
        "RemoveUserFromGroup" => {
            let user = user_name(form)?;
            client.remove_user_from_group(&group()?, &user).await?;
        }
        "ListGroupsForUser" => {
            let groups = client.list_groups_for_user(&user_name(form)?).await?;
            xml.list("Groups", groups, |xml, group| {
                xml.text("Path", "/");
                xml.text("GroupName", &group);
                xml.text("GroupId", format!("AGPA{}", group.as_str().to_uppercase()));
                xml.text("Arn", client.aws.arn("iam", &format!("group/{group}")));
                xml.text("CreateDate", "2020-01-01T00:00:00Z");
            });
        }
        "ListAttachedGroupPolicies" => {
            managed(
                &mut xml,
                client.list_attached_group_policies(&group()?).await?,
            );
        }
        "ListGroupPolicies" => {
            xml.texts("PolicyNames", client.list_group_policies(&group()?).await?);
        }
        _ => {
            let (group, policy) = (group()?, policy_name(form)?);
            let document = client.get_group_policy(&group, &policy).await?;
            xml.text("GroupName", group);
            xml.text("PolicyName", policy);
            xml.text("PolicyDocument", encoded(&document));
        }
    }
    Ok(xml)
}

async fn belonging(client: &Client, action: &str, form: &Form) -> Answer {
    let mut xml = Xml::default();
    let serial = || form.name("SerialNumber", MfaSerialNumber::new);
    if action == "DeleteVirtualMFADevice" {
        client.delete_virtual_mfa_device(&serial()?).await?;
        return Ok(xml);
    }
    let user = user_name(form)?;
    match action {
        "DeleteLoginProfile" => client.delete_login_profile(&user).await?,
        "ListMFADevices" => {
            let devices = client.list_mfa_devices(&user).await?;
            xml.list("MFADevices", devices, |xml, serial| {
                xml.text("UserName", &user);
                xml.text("SerialNumber", serial);
                xml.text("EnableDate", "2020-01-01T00:00:00Z");
            });
        }
        "DeactivateMFADevice" => client.deactivate_mfa_device(&user, &serial()?).await?,
        "ListSSHPublicKeys" => {
            let keys = client.list_ssh_public_keys(&user).await?;
            xml.list("SSHPublicKeys", keys, |xml, id| {
                xml.text("UserName", &user);
                xml.text("SSHPublicKeyId", id);
                xml.text("Status", "Active");
                xml.text("UploadDate", "2020-01-01T00:00:00Z");
            });
        }
        "DeleteSSHPublicKey" => {
            let id = form.name("SSHPublicKeyId", SshPublicKeyId::new)?;
            client.delete_ssh_public_key(&user, &id).await?;
        }
        "ListSigningCertificates" => {
            let certificates = client.list_signing_certificates(&user).await?;
            xml.list("Certificates", certificates, |xml, id| {
                xml.text("UserName", &user);
                xml.text("CertificateId", id);
                xml.text("CertificateBody", "");
                xml.text("Status", "Active");
            });
        }
        "DeleteSigningCertificate" => {
            let id = form.name("CertificateId", CertificateId::new)?;
            client.delete_signing_certificate(&user, &id).await?;
        }
        "ListServiceSpecificCredentials" => {
            let credentials = client.list_service_specific_credentials(&user).await?;
            xml.list("ServiceSpecificCredentials", credentials, |xml, id| {
                xml.text("UserName", &user);
                xml.text("Status", "Active");
                xml.text("ServiceUserName", &user);
                xml.text("CreateDate", "2020-01-01T00:00:00Z");
                xml.text("ServiceSpecificCredentialId", id);
                xml.text("ServiceName", "codecommit.amazonaws.com");
            });
        }
        _ => {
            let id = form.name(
                "ServiceSpecificCredentialId",
                ServiceSpecificCredentialId::new,
            )?;
            client
                .delete_service_specific_credential(&user, &id)
                .await?;
        }
    }
    Ok(xml)
}

fn user_name(form: &Form) -> Result<UserName, Failure> {
    form.name("UserName", UserName::new)
}

fn policy_name(form: &Form) -> Result<PolicyName, Failure> {
    form.name("PolicyName", PolicyName::new)
}

fn describe(xml: &mut Xml, user: &User) {
    xml.element("User", |xml| describe_as_member(xml, user));
}

fn describe_as_member(xml: &mut Xml, user: &User) {
    xml.text("Path", &user.path);
    if let Some(name) = &user.user_name {
        xml.text("UserName", name);
    }
    xml.text("UserId", &user.user_id);
    xml.text("Arn", &user.arn);
    xml.moment("CreateDate", user.create_date);
    xml.element("Tags", |xml| {
        for tag in &user.tags {
            xml.element("member", |xml| {
                xml.text("Key", &tag.key);
                xml.text("Value", &tag.value);
            });
        }
    });
}

fn managed(xml: &mut Xml, arns: Vec<Arn>) {
    xml.list("AttachedPolicies", arns, |xml, arn| {
        let name = arn.resource().rsplit('/').next();
        xml.text("PolicyName", name.unwrap_or_default());
        xml.text("PolicyArn", arn);
    });
}
