//! Roles of before `credential_type`: one text that is a policy document or an ARN.

use super::CredentialType;
use super::record::RoleRecord;
use crate::engine::policies::PolicyDocument;

/// The role that an old text means. What cannot be read is kept as `invalid_data`.
pub(super) fn upgrade(text: &str) -> RoleRecord {
    let mut role = RoleRecord {
        version: 1,
        ..RoleRecord::default()
    };
    let trimmed = text.trim();
    let types: &[CredentialType] = if trimmed.starts_with("arn:") {
        let arns = || Some(vec![trimmed.to_owned()]);
        match split_arn(trimmed).map(|arn| arn.resource.split('/').next().unwrap_or_default()) {
            Ok("role") => {
                role.role_arns = arns();
                &[CredentialType::AssumedRole]
            }
            Ok("policy") => {
                role.policy_arns = arns();
                &[CredentialType::IamUser]
            }
            _ => &[],
        }
    } else {
        match PolicyDocument::parse(trimmed) {
            Ok(document) if !document.is_empty() => {
                role.policy_document = document.into_text();
                &[CredentialType::IamUser, CredentialType::FederationToken]
            }
            _ => &[],
        }
    };
    role.credential_types = types.iter().map(|of| of.as_str().to_owned()).collect();
    if types.is_empty() {
        text.clone_into(&mut role.invalid_data);
    } else {
        role.prohibit_flexible_cred_path = true;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn flagged(credential_types: &[&str]) -> RoleRecord {
        RoleRecord {
            credential_types: credential_types.iter().map(ToString::to_string).collect(),
            version: 1,
            prohibit_flexible_cred_path: true,
            ..RoleRecord::default()
        }
    }

    #[test]
    fn the_arn_of_an_aws_role_means_assuming_it() {
        let arn = "arn:aws:iam::123456789012:role/path/RoleName";
        let expected = RoleRecord {
            role_arns: Some(vec![arn.to_owned()]),
            ..flagged(&["assumed_role"])
        };
        assert_eq!(upgrade(arn), expected);
        assert_eq!(upgrade(&format!("{arn}\n")), expected);
    }

    #[test]
    fn the_arn_of_a_policy_means_a_user_with_it() {
        for arn in [
            "arn:aws:iam::123456789012:policy/MyPolicy",
            "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess",
        ] {
            let expected = RoleRecord {
                policy_arns: Some(vec![arn.to_owned()]),
                ..flagged(&["iam_user"])
            };
            assert_eq!(upgrade(arn), expected);
        }
    }

    #[test]
    fn a_policy_document_means_a_user_or_a_federation_token() {
        let expected = RoleRecord {
            policy_document: r#"{"Version":"2012-10-17","Statement":[{"Action":"*"}]}"#.to_owned(),
            ..flagged(&["iam_user", "federation_token"])
        };
        let pretty =
            "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [ {\"Action\": \"*\"} ]\n}\n";
        assert_eq!(upgrade(pretty), expected);
    }

    #[test]
    fn what_says_nothing_is_kept_without_a_type() {
        for text in [
            "arn:gobbledygook",
            "arn:aws:iam::123456789012:user/jane",
            "{",
            "[1]",
            "allow all",
            "",
        ] {
            let expected = RoleRecord {
                invalid_data: text.to_owned(),
                version: 1,
                ..RoleRecord::default()
            };
            assert_eq!(upgrade(text), expected);
        }
    }
}
