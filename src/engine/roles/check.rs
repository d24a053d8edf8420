//! What a role must be to be stored: everything that can never work is found here, all of it at
//! once, each mistake naming its field.

use std::collections::BTreeSet;

use super::legacy::split_arn;
use super::{CredentialType, RoleName, RoleRecord};
use crate::aws::{Arn, ExternalId, GroupName, InvalidName, MfaSerialNumber, PolicyName};
use crate::engine::tag_rules;

/// AWS's limit of a path, both slashes included.
const MAX_PATH: usize = 512;
/// The mistakes of a role.
#[derive(Debug, Default)]
pub(super) struct Problems {
    texts: Vec<String>,
    misfits: BTreeSet<&'static str>,
    doubts: Vec<String>,
}

impl Problems {
    pub(super) fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// One sentence for each mistake.
    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// What AWS refuses, where it is not AWS that is asked.
    pub(super) fn into_doubts(self) -> Vec<String> {
        self.doubts
    }

    /// The fields that have a value and do not go with the credential type.
    pub(super) fn misfits(&self) -> impl Iterator<Item = &'static str> {
        self.misfits.iter().copied()
    }

    fn add(&mut self, text: impl Into<String>) {
        self.texts.push(text.into());
    }

    fn add_misfit(&mut self, field: &'static str, text: impl Into<String>) {
        self.misfits.insert(field);
        self.add(text);
    }
}

impl RoleRecord {
    /// Everything that is wrong with the role; `elsewhere` when it is not AWS that is asked.
    pub(super) fn problems(&self, name: &RoleName, elsewhere: bool) -> Problems {
        let mut problems = Problems::default();
        self.check_types(&mut problems);
        self.check_ttls(&mut problems);
        self.check_iam_user_fields(name, &mut problems);
        self.check_session_fields(&mut problems);
        self.check_arns(elsewhere, &mut problems);
        self.check_values(&mut problems);
        for of in self.types() {
            problems.texts.extend(self.beyond_aws(of));
        }
        problems
    }

    fn check_types(&self, problems: &mut Problems) {
        let known = CredentialType::ALL.map(CredentialType::as_str).join(", ");
        if self.credential_types.is_empty() {
            problems.add(format!("did not supply credential_type (one of {known})"));
        }
        for name in &self.credential_types {
            if CredentialType::parse(name).is_none() {
                problems.add(format!(
                    "unrecognized credential type: {name} (it is one of {known})"
                ));
            }
        }
    }

    fn check_ttls(&self, problems: &mut Problems) {
        let sts = self.types().iter().any(|of| *of != CredentialType::IamUser);
        for (field, ttl) in [
            ("default_sts_ttl", self.default_sts_ttl),
            ("max_sts_ttl", self.max_sts_ttl),
        ] {
            if !ttl.is_zero() && !sts {
                problems.add_misfit(field, format!(
                    "{field} parameter only valid for assumed_role, federation_token, and session_token credential types (the lease of an iam_user has the times of config/lease, else the mount's)"
                ));
            }
        }
        if !self.max_sts_ttl.is_zero() && self.default_sts_ttl > self.max_sts_ttl {
            problems.add(
                r#""default_sts_ttl" value must be less than or equal to "max_sts_ttl" value"#,
            );
        }
    }

    fn check_iam_user_fields(&self, name: &RoleName, problems: &mut Problems) {
        let iam_user = self.is(CredentialType::IamUser);
        if !self.user_path.is_empty() {
            if !iam_user {
                problems.add_misfit(
                    "user_path",
                    "user_path parameter only valid for iam_user credential type",
                );
            }
            if !is_path(&self.user_path) {
                problems.add(format!(
                    "the specified value for user_path is invalid: {:?} must be \"/\", or begin and end with \"/\" with at most 510 visible ASCII characters between",
                    self.user_path
                ));
            }
        }
        if !self.permissions_boundary_arn.is_empty() {
            if !iam_user {
                problems.add_misfit(
                    "permissions_boundary_arn",
                    "cannot supply permissions_boundary_arn when credential_type isn't iam_user",
                );
            }
            if let Err(reason) = check_policy_arn(&self.permissions_boundary_arn) {
                problems.add(format!(
                    "invalid permissions_boundary_arn parameter: {reason}"
                ));
            }
        }
        if self.max_active != 0 && !iam_user {
            problems.add_misfit(
                "max_active",
                "max_active parameter only valid for iam_user credential type (sessions are not counted)",
            );
        }
        if self.max_active < 0 {
            problems.add(format!(
                "max_active must be 0 (any number) or more, not {}",
                self.max_active
            ));
        }
        if iam_user
            && !self.policy_document.is_empty()
            && let Err(error) = PolicyName::new(name.as_str())
        {
            problems.add(format!(
                "policy_document is put on users under the name of the role: {error}"
            ));
        }
    }

    fn check_session_fields(&self, problems: &mut Problems) {
        if self.is(CredentialType::SessionToken) {
            for (field, set) in [
                ("policy_document", !self.policy_document.is_empty()),
                ("policy_arns", !self.policy_arns().is_empty()),
            ] {
                if set {
                    problems.add_misfit(field, format!(
                        "cannot supply a policy or role when using credential_type session_token: {field} has no effect on it"
                    ));
                }
            }
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
                problems.add_misfit(
                    field,
                    format!("cannot supply {field} when credential_type isn't assumed_role"),
                );
            }
        }
        self.check_revocable_sessions(problems);
        if self.credential_types == [CredentialType::FederationToken.as_str()]
            && self.has_no_permissions()
        {
            problems.add("must specify at least one of policy_arns, policy_document or iam_groups with federation_token credential_type");
        }
    }

    fn check_revocable_sessions(&self, problems: &mut Problems) {
        let can_be = |of: &CredentialType| {
            matches!(
                of,
                CredentialType::AssumedRole | CredentialType::FederationToken
            )
        };
        if self.revocable_sessions && !self.types().iter().any(can_be) {
            let reason = if self.is(CredentialType::SessionToken) {
                "AWS does not tell a session_token from the engine's own user, so it cannot be ended alone"
            } else {
                "the end of its lease removes an iam_user in any case"
            };
            problems.add_misfit(
                "revocable_sessions",
                format!("revocable_sessions is for assumed_role and federation_token: {reason}"),
            );
        }
        if self.revoke_older_sessions && !self.revocable_sessions {
            problems.add_misfit(
                "revoke_older_sessions",
                "revoke_older_sessions goes with revocable_sessions=true",
            );
        }
    }

    fn check_arns(&self, elsewhere: bool, problems: &mut Problems) {
        let policies = self
            .policy_arns()
            .iter()
            .map(|text| ("policy_arns", "policy", text));
        let roles = self
            .role_arns()
            .iter()
            .map(|text| ("role_arns", "role", text));
        for (field, kind, text) in policies.chain(roles) {
            let Err(reason) = check_iam_arn(text, kind) else {
                continue;
            };
            let problem = format!("{field}: {text:?}: {reason}");
            if elsewhere && Arn::of_any_service(text).is_ok() {
                problems
                    .doubts
                    .push(format!("{problem}; AWS would refuse it"));
            } else {
                problems.add(problem);
            }
        }
    }

    fn check_values(&self, problems: &mut Problems) {
        let mut check = |field: &str, result: Result<(), InvalidName>| {
            if let Err(error) = result {
                problems.add(format!("{field}: {error}"));
            }
        };
        for text in self.iam_groups() {
            check("iam_groups", GroupName::new(text).map(drop));
        }
        if !self.mfa_serial_number.is_empty() {
            let serial = MfaSerialNumber::new(&self.mfa_serial_number);
            check("mfa_serial_number", serial.map(drop));
        }
        if !self.external_id.is_empty() {
            check("external_id", ExternalId::new(&self.external_id).map(drop));
        }
        for (field, set) in [
            ("iam_tags", &self.iam_tags),
            ("session_tags", &self.session_tags),
        ] {
            for problem in set.iter().flat_map(tag_rules::problems) {
                problems.add(format!("{field}: {problem}"));
            }
        }
    }
}

/// `/`, or `/` + up to 510 visible characters + `/`.
fn is_path(path: &str) -> bool {
    path.starts_with('/')
        && path.ends_with('/')
        && path.len() <= MAX_PATH
        && path.bytes().all(|byte| (0x21..=0x7f).contains(&byte))
}

/// Checks that the text is the ARN of a managed policy.
fn check_policy_arn(text: &str) -> Result<(), String> {
    check_iam_arn(text, "policy")
}

/// Checks that the text is an ARN of IAM that names a thing of this kind.
fn check_iam_arn(text: &str, kind: &str) -> Result<(), String> {
    let arn = split_arn(text)?;
    if arn.service != "iam" {
        return Err(format!("expected a service of iam but got {}", arn.service));
    }
    if arn.resource.split_once('/').map(|(of, _)| of) != Some(kind) {
        return Err(format!(
            "expected a resource type of {kind} but got {}",
            arn.resource
        ));
    }
    Arn::new(text).map(drop).map_err(|error| error.to_string())
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
    fn a_policy_is_named_by_the_arn_of_a_policy_of_iam() {
        for text in [
            "arn:aws:iam::aws:policy/FooBar",
            "arn:aws-us-gov:iam::123456789012:policy/team/FooBar",
        ] {
            assert_eq!(check_policy_arn(text), Ok(()));
        }
        for (text, reason) in [
            ("not_an_arn", "arn: invalid prefix"),
            ("notarn:aws:iam::aws:policy/FooBar", "arn: invalid prefix"),
            ("arn:aws:iam", "arn: not enough sections"),
            (
                "arn:aws:notiam::aws:policy/FooBar",
                "expected a service of iam but got notiam",
            ),
            (
                "arn:aws:iam::aws:notpolicy/FooBar",
                "expected a resource type of policy but got notpolicy/FooBar",
            ),
            (
                "arn:aws:iam::aws:policynot/FooBar",
                "expected a resource type of policy but got policynot/FooBar",
            ),
            (
                "arn:aws:iam::aws:policy/Foo Bar",
                "ARN \"arn:aws:iam::aws:policy/Foo Bar\" must not contain white space",
            ),
        ] {
            assert_eq!(check_policy_arn(text), Err(reason.to_owned()), "{text}");
        }
    }

    #[test]
    fn an_external_id_has_the_characters_that_aws_takes() {
        for id in ["foo", "a:b/c=d", &"x".repeat(1224)] {
            assert!(ExternalId::new(id).is_ok(), "{id}");
        }
        for id in ["", "x", "a b", "ä_ä", "a\n", &"x".repeat(1225)] {
            assert!(ExternalId::new(id).is_err(), "{id}");
        }
    }
}
