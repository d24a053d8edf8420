//! The stored role, and what a role must be to be stored.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::CredentialType;
use super::legacy;
use crate::aws::{Arn, GroupName, InvalidName, MfaSerialNumber, Tag};
use crate::engine::stored::{nanoseconds, null_as_default};
use crate::logical::JsonObject;

/// AWS's limits of tags on a user or a session.
const MAX_TAGS: usize = 50;
const MAX_TAG_KEY: usize = 128;
const MAX_TAG_VALUE: usize = 256;
/// AWS's limit of a path, both slashes included.
const MAX_PATH: usize = 512;

/// A role in the stored form of the Go engines; keys that we do not know are kept. Lists and maps
/// that were never set are `None`, which reads as `null`; cleared ones are empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct RoleRecord {
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) credential_types: Vec<String>,
    pub(crate) policy_arns: Option<Vec<String>>,
    pub(crate) role_arns: Option<Vec<String>>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) policy_document: String,
    pub(crate) iam_groups: Option<Vec<String>>,
    pub(crate) iam_tags: Option<BTreeMap<String, String>>,
    pub(crate) session_tags: Option<BTreeMap<String, String>>,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) external_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) invalid_data: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) prohibit_flexible_cred_path: bool,
    pub(crate) version: i64,
    #[serde(with = "nanoseconds")]
    pub(crate) default_sts_ttl: Duration,
    #[serde(with = "nanoseconds")]
    pub(crate) max_sts_ttl: Duration,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) user_path: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) permissions_boundary_arn: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(crate) mfa_serial_number: String,
    #[serde(flatten)]
    pub(crate) unknown: JsonObject,
}

/// The mistakes found in a role; empty for none.
pub(crate) type Problems = Vec<String>;

impl RoleRecord {
    pub(crate) fn policy_arns(&self) -> &[String] {
        self.policy_arns.as_deref().unwrap_or_default()
    }

    pub(crate) fn role_arns(&self) -> &[String] {
        self.role_arns.as_deref().unwrap_or_default()
    }

    pub(crate) fn iam_groups(&self) -> &[String] {
        self.iam_groups.as_deref().unwrap_or_default()
    }

    /// The credential types that it names, as far as they are known.
    pub(crate) fn types(&self) -> Vec<CredentialType> {
        self.credential_types
            .iter()
            .filter_map(|name| CredentialType::parse(name))
            .collect()
    }

    fn is(&self, credential_type: CredentialType) -> bool {
        self.types().contains(&credential_type)
    }

    /// Whether nothing says what the credentials may do.
    pub(crate) fn has_no_permissions(&self) -> bool {
        self.policy_arns().is_empty()
            && self.policy_document.is_empty()
            && self.iam_groups().is_empty()
    }

    /// Everything that is wrong with the role, each naming its field.
    pub(crate) fn problems(&self) -> Problems {
        let mut problems = Problems::new();
        if self.credential_types.is_empty() {
            problems.push("did not supply credential_type".to_owned());
        }
        for name in &self.credential_types {
            if CredentialType::parse(name).is_none() {
                problems.push(format!("unrecognized credential type: {name}"));
            }
        }
        self.check_ttls(&mut problems);
        self.check_iam_user_fields(&mut problems);
        self.check_session_fields(&mut problems);
        self.check_values(&mut problems);
        problems
    }

    fn check_ttls(&self, problems: &mut Problems) {
        let sts = self.types().iter().any(|of| *of != CredentialType::IamUser);
        for (field, ttl) in [
            ("default_sts_ttl", self.default_sts_ttl),
            ("max_sts_ttl", self.max_sts_ttl),
        ] {
            if !ttl.is_zero() && !sts {
                problems.push(format!(
                    "{field} parameter only valid for assumed_role, federation_token, and session_token credential types"
                ));
            }
        }
        if !self.max_sts_ttl.is_zero() && self.default_sts_ttl > self.max_sts_ttl {
            problems.push(
                r#""default_sts_ttl" value must be less than or equal to "max_sts_ttl" value"#
                    .to_owned(),
            );
        }
    }

    fn check_iam_user_fields(&self, problems: &mut Problems) {
        let iam_user = self.is(CredentialType::IamUser);
        if !self.user_path.is_empty() {
            if !iam_user {
                problems
                    .push("user_path parameter only valid for iam_user credential type".to_owned());
            }
            if !is_path(&self.user_path) {
                problems.push(format!(
                    "the specified value for user_path is invalid: {:?} must be \"/\", or begin and end with \"/\" with at most 510 visible ASCII characters between",
                    self.user_path
                ));
            }
        }
        if !self.permissions_boundary_arn.is_empty() {
            if !iam_user {
                problems.push(
                    "cannot supply permissions_boundary_arn when credential_type isn't iam_user"
                        .to_owned(),
                );
            }
            if let Err(reason) = policy_arn(&self.permissions_boundary_arn) {
                problems.push(format!(
                    "invalid permissions_boundary_arn parameter: {reason}"
                ));
            }
        }
    }

    fn check_session_fields(&self, problems: &mut Problems) {
        if self.is(CredentialType::SessionToken)
            && (!self.policy_document.is_empty() || !self.policy_arns().is_empty())
        {
            problems.push(
                "cannot supply a policy or role when using credential_type session_token"
                    .to_owned(),
            );
        }
        let assumed_role = self.is(CredentialType::AssumedRole);
        let has_tags = self
            .session_tags
            .as_ref()
            .is_some_and(|tags| !tags.is_empty());
        for (field, set) in [
            ("role_arns", !self.role_arns().is_empty()),
            ("session_tags", has_tags),
            ("external_id", !self.external_id.is_empty()),
        ] {
            if set && !assumed_role {
                problems.push(format!(
                    "cannot supply {field} when credential_type isn't assumed_role"
                ));
            }
        }
        if assumed_role && self.role_arns().is_empty() {
            problems.push(
                "role_arns is missing: an assumed_role credential needs a role to assume"
                    .to_owned(),
            );
        }
        if self.credential_types == [CredentialType::FederationToken.as_str()]
            && self.has_no_permissions()
        {
            problems.push(
                "must specify at least one of policy_arns, policy_document or iam_groups with federation_token credential_type".to_owned(),
            );
        }
    }

    fn check_values(&self, problems: &mut Problems) {
        let mut check = |field: &str, result: Result<(), InvalidName>| {
            if let Err(error) = result {
                problems.push(format!("{field}: {error}"));
            }
        };
        for text in self.policy_arns() {
            check("policy_arns", Arn::new(text).map(drop));
        }
        for text in self.role_arns() {
            check("role_arns", Arn::new(text).map(drop));
        }
        for text in self.iam_groups() {
            check("iam_groups", GroupName::new(text).map(drop));
        }
        if !self.mfa_serial_number.is_empty() {
            let serial = MfaSerialNumber::new(&self.mfa_serial_number);
            check("mfa_serial_number", serial.map(drop));
        }
        for (field, tags) in [
            ("iam_tags", &self.iam_tags),
            ("session_tags", &self.session_tags),
        ] {
            check_tags(field, tags.as_ref(), problems);
        }
    }
}

fn check_tags(field: &str, tags: Option<&BTreeMap<String, String>>, problems: &mut Problems) {
    let Some(tags) = tags else { return };
    if tags.len() > MAX_TAGS {
        problems.push(format!(
            "{field}: {} tags, and AWS takes at most {MAX_TAGS}",
            tags.len()
        ));
    }
    for (key, value) in tags {
        let (key_length, value_length) = (key.chars().count(), value.chars().count());
        if key_length == 0 || key_length > MAX_TAG_KEY {
            problems.push(format!(
                "{field}: key {key:?} must have 1 to {MAX_TAG_KEY} characters"
            ));
        }
        if value_length > MAX_TAG_VALUE {
            problems.push(format!(
                "{field}: value of {key:?} must have at most {MAX_TAG_VALUE} characters"
            ));
        }
    }
}

/// The tags in AWS's words.
pub(crate) fn tags(tags: Option<&BTreeMap<String, String>>) -> Vec<Tag> {
    tags.into_iter()
        .flatten()
        .map(|(key, value)| Tag::new(key, value))
        .collect()
}

/// `/`, or `/` + up to 510 visible characters + `/`.
fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path.ends_with('/')
        && path.len() <= MAX_PATH
        && path.bytes().all(|byte| (0x21..=0x7f).contains(&byte))
}

/// Checks that the text is the ARN of a managed policy.
fn policy_arn(text: &str) -> Result<(), String> {
    let arn = legacy::split_arn(text)?;
    if arn.service != "iam" {
        return Err(format!("expected a service of iam but got {}", arn.service));
    }
    if !arn.resource.starts_with("policy/") {
        return Err(format!(
            "expected a resource type of policy but got {}",
            arn.resource
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_path_begins_and_ends_with_a_slash() {
        for path in ["/", "/path/", &format!("/{}/", "x".repeat(510)), "/a/b/"] {
            assert!(is_path(path), "{path}");
        }
        for path in [
            "",
            "path/",
            "/path",
            "/pfäd/",
            "/a b/",
            &format!("/{}/", "x".repeat(511)),
        ] {
            assert!(!is_path(path), "{path}");
        }
    }

    #[test]
    fn a_boundary_is_the_arn_of_a_policy() {
        assert_eq!(policy_arn("arn:aws:iam::aws:policy/FooBar"), Ok(()));
        for text in [
            "not_an_arn",
            "notarn:aws:iam::aws:policy/FooBar",
            "arn:aws:notiam::aws:policy/FooBar",
            "arn:aws:iam::aws:notpolicy/FooBar",
            "arn:aws:iam::aws:policynot/FooBar",
        ] {
            assert!(policy_arn(text).is_err(), "{text}");
        }
    }
}
