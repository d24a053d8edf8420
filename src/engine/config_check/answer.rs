//! The fields of the answer.

use serde_json::Value;
use time::OffsetDateTime;

use crate::engine::stored::date_time;
use crate::framework::{FieldType, ResponseField};
use crate::logical::JsonObject;

/// The answer as it grows.
#[derive(Debug, Default)]
pub(super) struct Report {
    data: JsonObject,
    problems: Vec<&'static str>,
}

impl Report {
    pub(super) fn tell(&mut self, field: &'static str, value: impl Into<Value>) {
        self.data.insert(field.to_owned(), value.into());
    }

    pub(super) fn tell_time(&mut self, field: &'static str, time: Option<OffsetDateTime>) {
        if let Some(time) = time {
            self.tell(field, date_time(time));
        }
    }

    pub(super) fn is_problem(&mut self, field: &'static str, is_problem: bool) {
        if is_problem && !self.problems.contains(&field) {
            self.problems.push(field);
        }
    }

    pub(super) fn into_data(mut self) -> JsonObject {
        let works = self.problems.is_empty();
        let problems = std::mem::take(&mut self.problems);
        self.tell("works", works);
        self.tell("problems", problems);
        self.data
    }
}

const fn text(name: &'static str, description: &'static str) -> ResponseField {
    ResponseField::new(name, FieldType::String, description)
}

pub(super) const RESPONSE: &[ResponseField] = &[
    ResponseField::new("works", FieldType::Bool, "Whether there is no problem"),
    ResponseField::new(
        "problems",
        FieldType::CommaStringSlice,
        "The fields that tell what is to be done",
    ),
    text("account", "AWS account of the engine"),
    text("arn", "Whom AWS takes the engine for"),
    text("kind", "What that is: IAM user, session of a role, …"),
    text("credentials", "Where the engine's credentials come from"),
    text("iam", "Address of IAM, and how fast it answered"),
    text("sts", "Addresses of STS, and how fast each answered"),
    text(
        "clock_difference",
        "How far the server's clock is from AWS's",
    ),
    text("access_key", "Access key id in use"),
    ResponseField::new(
        "access_key_create_date",
        FieldType::Time,
        "When AWS made the access key",
    ),
    text("access_key_age", "How old it is"),
    ResponseField::new(
        "access_keys",
        FieldType::Int,
        "How many access keys its user has, of the two that AWS allows; a rotation needs room for another",
    ),
    text("rotation", "How the access key is rotated"),
    ResponseField::new(
        "last_vault_rotation",
        FieldType::Time,
        "When the engine made the access key",
    ),
    ResponseField::new(
        "next_vault_rotation",
        FieldType::Time,
        "When the engine rotates it",
    ),
    text(
        "last_rotation_error",
        "Why the rotation that is due has not been done",
    ),
    text("roles", "How many roles there are to look at"),
    text("permissions_judged_by", "Who says what is granted"),
    text(
        "permissions_iam_user",
        "Whether iam_user has its permissions",
    ),
    text(
        "permissions_rotate_root",
        "Whether the rotation of the access key has its permissions",
    ),
    text(
        "permissions_assumed_role",
        "Whether AWS gives sessions of the roles in role_arns",
    ),
    text(
        "permissions_federation_token",
        "Whether AWS gives federation tokens",
    ),
    text(
        "permissions_session_token",
        "Whether AWS gives session tokens",
    ),
    text(
        "permissions_group_policies",
        "Whether the policies of groups that narrow sessions may be read",
    ),
    text(
        "permissions_revocable_sessions",
        "Whether sessions of the roles in role_arns can be ended",
    ),
    text(
        "permissions_revocable_federation",
        "Whether federation tokens can be ended",
    ),
    text(
        "permissions_static_roles",
        "Whether static roles have their permissions",
    ),
    text(
        "permissions_static_roles_cross_account",
        "Whether static roles of other accounts have theirs",
    ),
];
