//! How much of what a role holds AWS takes at most, whatever an account's quotas are.

use std::collections::BTreeSet;

use super::{CredentialType, RoleRecord};

/// Managed policies of a user: as many as the quota can be raised to, and as it is at first.
const USER_POLICIES: usize = 20;
const USER_POLICIES_AT_FIRST: usize = 10;
/// Groups of a user.
const USER_GROUPS: usize = 10;
/// Managed policies that narrow a session.
const SESSION_POLICIES: usize = 10;
/// Characters of all inline policies of a user together, white space not counted, and of a
/// session's policy, with it.
const DOCUMENT: usize = 2048;

impl RoleRecord {
    /// What AWS would refuse of credentials of this type, each with its field.
    pub(crate) fn beyond_aws(&self, of: CredentialType) -> Vec<String> {
        let mut beyond = Vec::new();
        let arns = distinct(self.policy_arns());
        let document = &self.policy_document;
        match of {
            CredentialType::IamUser => {
                if arns > USER_POLICIES {
                    beyond.push(format!(
                        "policy_arns has {arns} policies, and IAM attaches at most {USER_POLICIES} to a user"
                    ));
                }
                let groups = distinct(self.iam_groups());
                if groups > USER_GROUPS {
                    beyond.push(format!(
                        "iam_groups has {groups} groups, and IAM puts a user into at most {USER_GROUPS}"
                    ));
                }
                let characters = document.chars().filter(|c| !c.is_whitespace()).count();
                if characters > DOCUMENT {
                    beyond.push(format!(
                        "policy_document has {characters} characters without white space, and IAM takes at most {DOCUMENT} for a user: put it into a managed policy and name that in policy_arns"
                    ));
                }
            }
            CredentialType::AssumedRole | CredentialType::FederationToken => {
                if arns > SESSION_POLICIES {
                    beyond.push(format!(
                        "policy_arns has {arns} policies, and STS takes at most {SESSION_POLICIES} for a session"
                    ));
                }
                let characters = document.chars().count();
                if characters > DOCUMENT {
                    beyond.push(format!(
                        "policy_document has {characters} characters, and STS takes at most {DOCUMENT} for a session: put it into a managed policy and name that in policy_arns"
                    ));
                }
            }
            // It takes no policies, which is another mistake.
            CredentialType::SessionToken => {}
        }
        beyond
    }

    /// Warnings of what an account may not allow, and of what AWS's forms have no place for.
    pub(super) fn near_the_limits(&self, warnings: &mut Vec<String>) {
        let arns = distinct(self.policy_arns());
        if self.is(CredentialType::IamUser) && arns > USER_POLICIES_AT_FIRST {
            warnings.push(format!(
                "policy_arns has {arns} policies, and IAM attaches at most {USER_POLICIES_AT_FIRST} to a user unless the account's quota was raised"
            ));
        }
        let groups = distinct(self.iam_groups());
        if !self.is(CredentialType::IamUser) && groups > USER_GROUPS {
            warnings.push(format!(
                "iam_groups has {groups} groups, and the policies of all of them are read for each session, which takes two calls to IAM and more for each"
            ));
        }
        if let Some(c) = self.policy_document.chars().find(|c| *c > '\u{ff}') {
            warnings.push(format!(
                "policy_document has the character {c:?}, and AWS takes none beyond U+00FF: write it as \\u{:04x} in the JSON",
                u32::from(c)
            ));
        }
    }
}

fn distinct(list: &[String]) -> usize {
    list.iter().collect::<BTreeSet<_>>().len()
}
