//! The permissions that features take, statement by statement as `docs/permissions.md` has them.

use std::collections::{BTreeMap, HashSet};

use super::principal::Principal;
use crate::aws::ContextEntry;
use crate::engine::roles::RoleRecord;

/// What the engine does, each named as its policy in `docs/permissions.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Feature {
    IamUser,
    RotateRoot,
    AssumedRole,
    FederationToken,
    SessionToken,
    GroupPolicies,
    RevocableSessions,
    RevocableFederation,
    StaticRoles,
    StaticRolesCrossAccount,
}

impl Feature {
    /// The field of the answer.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::IamUser => "permissions_iam_user",
            Self::RotateRoot => "permissions_rotate_root",
            Self::AssumedRole => "permissions_assumed_role",
            Self::FederationToken => "permissions_federation_token",
            Self::SessionToken => "permissions_session_token",
            Self::GroupPolicies => "permissions_group_policies",
            Self::RevocableSessions => "permissions_revocable_sessions",
            Self::RevocableFederation => "permissions_revocable_federation",
            Self::StaticRoles => "permissions_static_roles",
            Self::StaticRolesCrossAccount => "permissions_static_roles_cross_account",
        }
    }
}

/// A permission that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    pub(super) feature: Feature,
    /// The statement's id.
    pub(super) statement: &'static str,
    pub(super) action: &'static str,
    /// An ARN.
    pub(super) resource: String,
    /// What there is to tell of the resource, where the feature is about several.
    pub(super) on: Option<String>,
    pub(super) context: Vec<ContextEntry>,
    /// The feature does what most need without it.
    pub(super) may_be_left_out: bool,
}

/// Permissions, each once.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    pub(super) all: Vec<Wanted>,
    known: HashSet<Wanted>,
}

/// The statements by which somebody removes from generated users what people may have added.
const REMOVE_WHAT_PEOPLE_ADDED: [&str; 9] = [
    "iam:DeleteLoginProfile",
    "iam:ListMFADevices",
    "iam:DeactivateMFADevice",
    "iam:ListSSHPublicKeys",
    "iam:DeleteSSHPublicKey",
    "iam:ListSigningCertificates",
    "iam:DeleteSigningCertificate",
    "iam:ListServiceSpecificCredentials",
    "iam:DeleteServiceSpecificCredential",
];

impl Wishes {
    fn add(&mut self, wanted: Wanted) {
        if self.known.insert(wanted.clone()) {
            self.all.push(wanted);
        }
    }

    /// What users of a role take, if they are named like `user_name`, with or without tags.
    pub(super) fn add_iam_users(
        &mut self,
        principal: &Principal,
        (role, has_tags): (&RoleRecord, bool),
        examples: &mut BTreeMap<String, String>,
        user_name: &str,
    ) {
        let path = match role.user_path.as_str() {
            "" => "/",
            path => path,
        };
        let user = examples
            .entry(path.to_owned())
            .or_insert_with(|| principal.iam(&format!("user{path}{user_name}")));
        let boundary = (!role.permissions_boundary_arn.is_empty())
            .then(|| ContextEntry::new("iam:PermissionsBoundary", &role.permissions_boundary_arn));
        let policy = |arn: &String| ContextEntry::new("iam:PolicyARN", arn);
        let of_a_user = |statement, action| Wanted {
            feature: Feature::IamUser,
            statement,
            action,
            resource: user.clone(),
            on: None,
            // What no condition asks about does no harm, and one question serves for all.
            context: boundary
                .iter()
                .cloned()
                .chain(role.policy_arns().first().map(policy))
                .collect(),
            may_be_left_out: false,
        };
        self.add(of_a_user("MakeUsersWithinTheBoundary", "iam:CreateUser"));
        for arn in role.policy_arns() {
            let context: Vec<_> = boundary.iter().cloned().chain([policy(arn)]).collect();
            for (statement, action) in [
                ("MakeUsersWithinTheBoundary", "iam:AttachUserPolicy"),
                ("RemoveThem", "iam:DetachUserPolicy"),
            ] {
                self.add(Wanted {
                    context: context.clone(),
                    ..of_a_user(statement, action)
                });
            }
        }
        if !role.policy_document.is_empty() {
            self.add(of_a_user("MakeUsersWithinTheBoundary", "iam:PutUserPolicy"));
            self.add(of_a_user("RemoveThem", "iam:DeleteUserPolicy"));
        }
        self.add(of_a_user("GiveThemKeysAndTags", "iam:CreateAccessKey"));
        if has_tags {
            self.add(of_a_user("GiveThemKeysAndTags", "iam:TagUser"));
        }
        for action in [
            "iam:DeleteAccessKey",
            "iam:DeleteUser",
            "iam:GetUser",
            "iam:ListAccessKeys",
            "iam:ListAttachedUserPolicies",
            "iam:ListUserPolicies",
            "iam:ListGroupsForUser",
        ] {
            self.add(of_a_user("RemoveThem", action));
        }
        let rest = of_a_user("RemoveWhatPeopleAdded", "");
        for action in REMOVE_WHAT_PEOPLE_ADDED {
            self.add(Wanted {
                action,
                may_be_left_out: true,
                ..rest.clone()
            });
        }
        self.add(Wanted {
            statement: "RemoveTheirVirtualMfaDevices",
            action: "iam:DeleteVirtualMFADevice",
            resource: principal.iam("mfa/example"),
            context: Vec::new(),
            may_be_left_out: true,
            ..rest
        });
        for group in role.iam_groups() {
            self.add_group(
                principal,
                group,
                (Feature::IamUser, "JoinAndLeaveGroups"),
                &["iam:AddUserToGroup", "iam:RemoveUserFromGroup"],
            );
        }
    }

    /// What narrowing sessions by the policies of groups takes.
    pub(super) fn add_group_policies(&mut self, principal: &Principal, role: &RoleRecord) {
        for group in role.iam_groups() {
            self.add_group(
                principal,
                group,
                (Feature::GroupPolicies, "ReadTheGroupsPolicies"),
                &[
                    "iam:ListAttachedGroupPolicies",
                    "iam:ListGroupPolicies",
                    "iam:GetGroupPolicy",
                ],
            );
        }
    }

    /// What ending sessions of the AWS roles of a role takes.
    pub(super) fn add_ended_sessions(&mut self, role: &RoleRecord) {
        for arn in role.role_arns() {
            let name = arn.rsplit(':').next().unwrap_or_default();
            self.add_policy_of_the_ended(
                (Feature::RevocableSessions, "EndSessionsOfTheseRoles"),
                (arn, Some(name.to_owned())),
                [
                    "iam:GetRolePolicy",
                    "iam:PutRolePolicy",
                    "iam:DeleteRolePolicy",
                    "iam:ListRolePolicies",
                ],
            );
        }
    }

    /// What ending federation tokens takes of the IAM user that gives them.
    pub(super) fn add_ended_federation(&mut self, user: &Principal) {
        self.add_policy_of_the_ended(
            (Feature::RevocableFederation, "EndItsOwnFederatedSessions"),
            (user.arn.as_str(), None),
            [
                "iam:GetUserPolicy",
                "iam:PutUserPolicy",
                "iam:DeleteUserPolicy",
                "iam:ListUserPolicies",
            ],
        );
    }

    fn add_policy_of_the_ended(
        &mut self,
        (feature, statement): (Feature, &'static str),
        (resource, on): (&str, Option<String>),
        [get, put, delete, list]: [&'static str; 4],
    ) {
        for (action, may_be_left_out) in [(get, false), (put, false), (delete, false), (list, true)]
        {
            self.add(Wanted {
                feature,
                statement,
                action,
                resource: resource.to_owned(),
                on: on.clone(),
                context: Vec::new(),
                may_be_left_out,
            });
        }
    }

    fn add_group(
        &mut self,
        principal: &Principal,
        group: &str,
        (feature, statement): (Feature, &'static str),
        actions: &[&'static str],
    ) {
        let group = format!("group/{group}");
        for action in actions {
            self.add(Wanted {
                feature,
                statement,
                action,
                resource: principal.iam(&group),
                on: Some(group.clone()),
                context: Vec::new(),
                may_be_left_out: false,
            });
        }
    }

    /// What the rotation of its own key takes of an IAM user.
    pub(super) fn add_rotation(&mut self, user: &Principal) {
        for (action, may_be_left_out) in [
            ("iam:GetUser", false),
            ("iam:CreateAccessKey", false),
            ("iam:DeleteAccessKey", false),
            ("iam:ListAccessKeys", true),
        ] {
            self.add(Wanted {
                feature: Feature::RotateRoot,
                statement: "RotateItsOwnKey",
                action,
                resource: user.arn.to_string(),
                on: None,
                context: Vec::new(),
                may_be_left_out,
            });
        }
    }

    /// What a static role takes on its user.
    pub(super) fn add_static_role(&mut self, feature: Feature, user: &crate::aws::Arn) {
        for action in [
            "iam:GetUser",
            "iam:ListAccessKeys",
            "iam:CreateAccessKey",
            "iam:DeleteAccessKey",
        ] {
            self.add(Wanted {
                feature,
                statement: "RotateTheKeysOfTheseUsers",
                action,
                resource: user.to_string(),
                on: Some(user.resource().to_owned()),
                context: Vec::new(),
                may_be_left_out: false,
            });
        }
    }
}
