//! Roles of before `credential_type`: one text that is a policy document or an ARN.

use super::CredentialType;
use super::record::RoleRecord;
use crate::engine::policies::PolicyDocument;

/// The role that an old text means. What cannot be read is kept as `invalid_data`.
pub(crate) fn upgrade(text: &str) -> RoleRecord {
    let mut role = RoleRecord {
        version: 1,
        ..RoleRecord::default()
    };
    let types = |types: &[CredentialType]| types.iter().map(|of| of.as_str().to_owned()).collect();
    if text.starts_with("arn:") {
        match split_arn(text).map(|arn| arn.resource.split('/').next().unwrap_or_default()) {
            Ok("role") => {
                role.credential_types = types(&[CredentialType::AssumedRole]);
                role.role_arns = Some(vec![text.to_owned()]);
            }
            Ok("policy") => {
                role.credential_types = types(&[CredentialType::IamUser]);
                role.policy_arns = Some(vec![text.to_owned()]);
            }
            _ => text.clone_into(&mut role.invalid_data),
        }
    } else {
        match PolicyDocument::parse(text) {
            Ok(document) if !document.as_str().is_empty() => {
                role.credential_types =
                    types(&[CredentialType::IamUser, CredentialType::FederationToken]);
                document.as_str().clone_into(&mut role.policy_document);
            }
            _ => text.clone_into(&mut role.invalid_data),
        }
    }
    role.prohibit_flexible_cred_path = role.invalid_data.is_empty();
    role
}

/// The parts of an ARN that tell what it names.
pub(super) struct ArnParts<'a> {
    pub(super) service: &'a str,
    pub(super) resource: &'a str,
}

/// Takes an ARN apart as Go's AWS SDK does: six parts, none of them checked.
pub(super) fn split_arn(text: &str) -> Result<ArnParts<'_>, String> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    match parts.as_slice() {
        ["arn", _, service, _, _, resource] => Ok(ArnParts { service, resource }),
        ["arn", ..] => Err("arn: not enough sections".to_owned()),
        _ => Err("arn: invalid prefix".to_owned()),
    }
}
