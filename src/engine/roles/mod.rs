//! `roles/`: what a client may get.

mod advice;
mod check;
mod disable;
mod fields;
mod legacy;
mod limits;
mod record;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use self::fields::{LIST_RESPONSE, RESPONSE};
pub(crate) use advice::ENDING_TAKES_TIME;
pub(crate) use disable::{disable, names};
pub(crate) use fields::NAME;
pub(crate) use record::{RoleRecord, load, look_at, tags};

use super::Engine;
use crate::framework::{Answer, FieldData, FieldType, FieldValue, OperationDocs, Path, PathDocs};
use crate::logical::{Operation, Request, Response};

const PREFIX: &str = "role/";
const LEGACY_PREFIX: &str = "policy/";

/// The name of a role of ours; AWS's roles are named by [`crate::aws::Arn`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RoleName(String);

impl RoleName {
    pub(crate) fn named(name: &str) -> Self {
        Self(name.to_owned())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    fn key(&self) -> String {
        format!("{PREFIX}{}", self.0)
    }

    fn legacy_key(&self) -> String {
        format!("{LEGACY_PREFIX}{}", self.0)
    }
}

/// The name of the role that is stored under that key.
pub(super) fn name_in(key: &str) -> Option<&str> {
    key.strip_prefix(PREFIX)
        .or_else(|| key.strip_prefix(LEGACY_PREFIX))
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FieldValue for RoleName {
    const TYPE: FieldType = FieldType::String;

    fn decode(value: &Value) -> Result<Self, String> {
        String::decode(value).map(Self)
    }

    fn encode(&self) -> Value {
        Value::from(self.as_str())
    }
}

/// What kind of credentials a role gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CredentialType {
    IamUser,
    AssumedRole,
    FederationToken,
    SessionToken,
}

impl CredentialType {
    const ALL: [Self; 4] = [
        Self::IamUser,
        Self::AssumedRole,
        Self::FederationToken,
        Self::SessionToken,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::IamUser => "iam_user",
            Self::AssumedRole => "assumed_role",
            Self::FederationToken => "federation_token",
            Self::SessionToken => "session_token",
        }
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|of| of.as_str() == name)
    }
}

pub(super) fn path() -> Path<Engine> {
    Path::new("roles/{name@}")
        .field(&NAME)
        .field(&fields::CREDENTIAL_TYPE)
        .field(&fields::ROLE_ARNS)
        .field(&fields::POLICY_ARNS)
        .field(&fields::POLICY_DOCUMENT)
        .field(&fields::IAM_GROUPS)
        .field(&fields::IAM_TAGS)
        .field(&fields::SESSION_TAGS)
        .field(&fields::EXTERNAL_ID)
        .field(&fields::DEFAULT_STS_TTL)
        .field(&fields::MAX_STS_TTL)
        .field(&fields::PERMISSIONS_BOUNDARY_ARN)
        .field(&fields::USER_PATH)
        .field(&fields::MFA_SERIAL_NUMBER)
        .field(&fields::MAX_ACTIVE)
        .field(&fields::DISABLED)
        .field(&fields::REVOCABLE_SESSIONS)
        .field(&fields::REVOKE_OLDER_SESSIONS)
        .field(&fields::ARN)
        .field(&fields::POLICY)
        .misnomers(fields::MISNOMERS)
        .on_with(
            Operation::Read,
            OperationDocs {
                response: RESPONSE,
                ..OperationDocs::NONE
            },
            read,
        )
        .on(Operation::Update, write::write)
        .on(Operation::Delete, delete)
        .docs(PathDocs {
            synopsis: "Define what a client may get.",
            description: "A role says what kind of credentials reading creds/<name> gives and what \
                they may do: by managed policies (policy_arns), a policy document, and IAM groups. \
                A write changes the fields that it names and keeps the others; an empty value \
                clears a field. All that can be known to fail is refused here, and what will work \
                differently than it seems is told as a warning; whether AWS knows the policies, \
                groups and roles shows when credentials are asked for. Deleting a role leaves its \
                leases alive; revoke them first with `lease revoke -prefix`. A role with \
                disabled=true gives no credentials until that is false again; one with max_active \
                gives no more IAM users than that at once. With revocable_sessions=true its sessions \
                end with their leases.",
            operation_suffix: "role",
        })
}

pub(super) fn list_path() -> Path<Engine> {
    Path::new("roles/?")
        .on_with(
            Operation::List,
            OperationDocs {
                response: LIST_RESPONSE,
                ..OperationDocs::NONE
            },
            list,
        )
        .docs(PathDocs {
            synopsis: "List the roles.",
            description: "The names of all roles, in alphabetical order.",
            operation_suffix: "roles",
        })
}

async fn list(_engine: Arc<Engine>, request: Request, _data: FieldData) -> Answer {
    let names = names(&*request.storage).await?;
    let names = names.iter().map(ToString::to_string);
    Ok(Some(Response::list(names.collect())))
}

async fn delete(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let name = data.value(&NAME);
    let _guard = engine.role_locks.lock(name.as_str()).await;
    let _change = engine.roles.change(name.as_str());
    request.storage.delete(&name.legacy_key()).await?;
    request.storage.delete(&name.key()).await?;
    Ok(None)
}

async fn read(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let Some(role) = load(&engine, &*request.storage, &data.value(&NAME)).await? else {
        return Ok(None);
    };
    let mut shown = json!({
        "credential_type": role.credential_types.join(","),
        "policy_arns": role.policy_arns,
        "role_arns": role.role_arns,
        "policy_document": role.policy_document,
        "iam_groups": role.iam_groups,
        "iam_tags": role.iam_tags,
        "session_tags": role.session_tags,
        "external_id": role.external_id,
        "default_sts_ttl": role.default_sts_ttl.as_secs(),
        "max_sts_ttl": role.max_sts_ttl.as_secs(),
        "user_path": role.user_path,
        "permissions_boundary_arn": role.permissions_boundary_arn,
        "mfa_serial_number": role.mfa_serial_number,
    });
    if !role.invalid_data.is_empty() {
        shown["invalid_data"] = Value::from(role.invalid_data.as_str());
    }
    if role.max_active != 0 {
        shown["max_active"] = Value::from(role.max_active);
    }
    if role.disabled {
        shown["disabled"] = Value::from(true);
    }
    for (field, is_set) in [
        ("revocable_sessions", role.revocable_sessions),
        ("revoke_older_sessions", role.revoke_older_sessions),
    ] {
        if is_set {
            shown[field] = Value::from(true);
        }
    }
    match shown {
        Value::Object(data) => Ok(Some(Response::data(
            data.into_iter()
                .map(|(name, used)| {
                    let shown = role.as_sent.show(&name, used);
                    (name, shown)
                })
                .collect(),
        ))),
        _ => Ok(None),
    }
}
