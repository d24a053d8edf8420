//! `roles/`: what a client may get.

mod legacy;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use record::{RoleRecord, tags};

use super::Engine;
use super::policies::PolicyDocument;
use crate::framework::{
    Answer, Field, FieldData, FieldType, FieldValue, OperationDocs, Path, PathDocs, ResponseField,
};
use crate::go_duration::GoDuration;
use crate::logical::{
    Error, Operation, Request, Response, Storage, StorageError, get_json, put_json,
};

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

pub(crate) const NAME: Field<RoleName> = Field::new("name", "Name of the role.").label("Role Name");
const CREDENTIAL_TYPE: Field<String> = Field::new(
    "credential_type",
    "What kind of credentials the role gives: iam_user (an IAM user made for the lease), assumed_role (sts:AssumeRole), federation_token (sts:GetFederationToken) or session_token (sts:GetSessionToken).",
)
.label("Credential Type");
const ROLE_ARNS: Field<Vec<String>> = Field::new(
    "role_arns",
    "ARNs of the AWS roles that may be assumed. assumed_role only.",
)
.label("Role ARNs");
const POLICY_ARNS: Field<Vec<String>> = Field::new(
    "policy_arns",
    "ARNs of managed policies. An iam_user gets them attached; they narrow an assumed_role and a federation_token.",
)
.label("Policy ARNs");
const POLICY_DOCUMENT: Field<PolicyDocument> = Field::new(
    "policy_document",
    "Policy document in JSON, as text or as an object. An iam_user gets it as an inline policy; it narrows an assumed_role and a federation_token.",
)
.label("Policy Document");
const IAM_GROUPS: Field<Vec<String>> = Field::new(
    "iam_groups",
    "Names of IAM groups. An iam_user joins them; their policies narrow an assumed_role and a federation_token.",
)
.label("IAM Groups");
const IAM_TAGS: Field<BTreeMap<String, String>> = Field::new(
    "iam_tags",
    "Tags of an iam_user: an object, or a list of key=value.",
)
.label("IAM Tags");
const SESSION_TAGS: Field<BTreeMap<String, String>> = Field::new(
    "session_tags",
    "Session tags of an assumed_role: an object, or a list of key=value.",
)
.label("Session Tags");
const EXTERNAL_ID: Field<String> = Field::new(
    "external_id",
    "External id that the assumed role's trust policy asks for. assumed_role only.",
)
.label("External ID");
const DEFAULT_STS_TTL: Field<Duration> = Field::new(
    "default_sts_ttl",
    "Lifetime of a session when the request names none. Not for iam_user.",
)
.label("Default STS TTL");
const MAX_STS_TTL: Field<Duration> = Field::new(
    "max_sts_ttl",
    "Longest lifetime of a session. Not for iam_user.",
)
.label("Max STS TTL");
const PERMISSIONS_BOUNDARY_ARN: Field<String> = Field::new(
    "permissions_boundary_arn",
    "ARN of the managed policy that bounds what an iam_user may ever do.",
)
.label("Permissions Boundary ARN");
const USER_PATH: Field<String> = Field::new(
    "user_path",
    "Path of an iam_user, such as /vault/. Without it AWS puts the user under /.",
)
.label("User Path");
const MFA_SERIAL_NUMBER: Field<String> = Field::new(
    "mfa_serial_number",
    "Multi-factor device of the engine's own user, for a session_token with mfa_code.",
)
.label("MFA Device Serial Number");
const ARN: Field<String> = Field::new("arn", "Use role_arns or policy_arns.").deprecated();
const POLICY: Field<PolicyText> = Field::new("policy", "Use policy_document.").deprecated();

const fn shown(
    name: &'static str,
    field_type: FieldType,
    description: &'static str,
) -> ResponseField {
    ResponseField {
        name,
        field_type,
        description,
    }
}

const RESPONSE: &[ResponseField] = &[
    shown(
        "credential_type",
        FieldType::String,
        "What kind of credentials the role gives",
    ),
    shown(
        "policy_arns",
        FieldType::CommaStringSlice,
        "ARNs of managed policies",
    ),
    shown(
        "role_arns",
        FieldType::CommaStringSlice,
        "ARNs of the AWS roles that may be assumed",
    ),
    shown("policy_document", FieldType::String, "Policy document"),
    shown(
        "iam_groups",
        FieldType::CommaStringSlice,
        "Names of IAM groups",
    ),
    shown("iam_tags", FieldType::KeyValuePairs, "Tags of an IAM user"),
    shown("session_tags", FieldType::KeyValuePairs, "Session tags"),
    shown("external_id", FieldType::String, "External id"),
    shown(
        "default_sts_ttl",
        FieldType::DurationSecond,
        "Lifetime of a session",
    ),
    shown(
        "max_sts_ttl",
        FieldType::DurationSecond,
        "Longest lifetime of a session",
    ),
    shown("user_path", FieldType::String, "Path of an IAM user"),
    shown(
        "permissions_boundary_arn",
        FieldType::String,
        "Bounds of an IAM user",
    ),
    shown(
        "mfa_serial_number",
        FieldType::String,
        "Multi-factor device",
    ),
    shown(
        "invalid_data",
        FieldType::String,
        "What could not be read of an old role",
    ),
];

pub(super) fn path() -> Path<Engine> {
    Path::new("roles/{name@}")
        .field(&NAME)
        .field(&CREDENTIAL_TYPE)
        .field(&ROLE_ARNS)
        .field(&POLICY_ARNS)
        .field(&POLICY_DOCUMENT)
        .field(&IAM_GROUPS)
        .field(&IAM_TAGS)
        .field(&SESSION_TAGS)
        .field(&EXTERNAL_ID)
        .field(&DEFAULT_STS_TTL)
        .field(&MAX_STS_TTL)
        .field(&PERMISSIONS_BOUNDARY_ARN)
        .field(&USER_PATH)
        .field(&MFA_SERIAL_NUMBER)
        .field(&ARN)
        .field(&POLICY)
        .on_with(
            Operation::Read,
            OperationDocs {
                response: RESPONSE,
                ..OperationDocs::NONE
            },
            read,
        )
        .on(Operation::Update, write)
        .on(Operation::Delete, delete)
        .docs(PathDocs {
            synopsis: "Define what a client may get.",
            description: "A role says what kind of credentials reading creds/<name> gives and what \
                they may do: by managed policies (policy_arns), a policy document, and IAM groups. \
                A write changes the fields that it names and keeps the others; an empty value \
                clears a field. Documents are checked to be JSON objects; whether AWS knows the \
                policies, groups and roles shows when credentials are asked for. Deleting a role \
                leaves its leases alive; revoke them first with `lease revoke -prefix`.",
            operation_suffix: "role",
        })
}

pub(super) fn list_path() -> Path<Engine> {
    const RESPONSE: &[ResponseField] = &[shown(
        "keys",
        FieldType::CommaStringSlice,
        "Names of the roles",
    )];
    Path::new("roles/?")
        .on_with(
            Operation::List,
            OperationDocs {
                response: RESPONSE,
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

/// Any text, or an object: what the deprecated `policy` takes.
#[derive(Debug, Default)]
struct PolicyText(String);

impl FieldValue for PolicyText {
    const TYPE: FieldType = FieldType::String;

    fn decode(value: &Value) -> Result<Self, String> {
        match value {
            Value::Object(_) => Ok(Self(value.to_string())),
            other => String::decode(other).map(Self),
        }
    }

    fn encode(&self) -> Value {
        Value::from(self.0.as_str())
    }
}

/// The stored role; one of before `credential_type` is stored anew in today's form on the way.
pub(crate) async fn load(
    engine: &Engine,
    storage: &dyn Storage,
    name: &RoleName,
) -> Result<Option<RoleRecord>, StorageError> {
    if let Some(role) = get_json(storage, &name.key()).await? {
        return Ok(Some(role));
    }
    if storage.get(&name.legacy_key()).await?.is_none() {
        return Ok(None);
    }
    let _guard = engine.role_locks.lock(name.as_str()).await;
    load_locked(storage, name).await
}

/// The same for who holds the role's lock.
async fn load_locked(
    storage: &dyn Storage,
    name: &RoleName,
) -> Result<Option<RoleRecord>, StorageError> {
    if let Some(role) = get_json(storage, &name.key()).await? {
        return Ok(Some(role));
    }
    let Some(entry) = storage.get(&name.legacy_key()).await? else {
        return Ok(None);
    };
    let role = legacy::upgrade(&String::from_utf8_lossy(&entry.value));
    match put_json(storage, &name.key(), &role).await {
        Ok(()) => storage.delete(&name.legacy_key()).await?,
        // A node that may not write uses the upgraded role without storing it.
        Err(StorageError::ReadOnly(_)) => {}
        Err(error) => return Err(error),
    }
    Ok(Some(role))
}

async fn list(_engine: Arc<Engine>, request: Request, _data: FieldData) -> Answer {
    let mut names = request.storage.list(PREFIX).await?;
    names.extend(request.storage.list(LEGACY_PREFIX).await?);
    names.sort_unstable();
    names.dedup();
    Ok(Some(Response::list(names)))
}

async fn delete(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let name = data.value(&NAME);
    let _guard = engine.role_locks.lock(name.as_str()).await;
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
        shown["invalid_data"] = Value::from(role.invalid_data);
    }
    match shown {
        Value::Object(data) => Ok(Some(Response::data(data))),
        _ => Ok(None),
    }
}

async fn write(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let name = data.value(&NAME);
    let storage = &*request.storage;
    let _guard = engine.role_locks.lock(name.as_str()).await;
    let mut role = load_locked(storage, &name).await?.unwrap_or_default();
    let mut warnings = Vec::new();
    if !role.invalid_data.is_empty() {
        warnings.push(format!(
            "Invalid data of {:?} cleared out of role",
            role.invalid_data
        ));
        role.invalid_data.clear();
    }

    match deprecated_text(&data)? {
        Some(text) => {
            refuse_beside_deprecated(&data)?;
            role = legacy::upgrade(&text);
            if !role.invalid_data.is_empty() {
                return Err(Error::invalid(format!(
                    "unable to parse supplied data: {text:?}"
                )));
            }
            warnings.push("Detected use of legacy role or policy parameter. Please upgrade to use the new parameters.".to_owned());
        }
        None => {
            merge(&mut role, &data);
            role.prohibit_flexible_cred_path = false;
        }
    }

    let problems = role.problems();
    if !problems.is_empty() {
        return Err(Error::invalid(format!(
            "error(s) validating supplied role data: {}",
            problems.join("; ")
        )));
    }
    warnings.extend(advice(&engine, &role).await);
    put_json(storage, &name.key(), &role).await?;
    Ok((!warnings.is_empty()).then(|| Response::warnings(warnings)))
}

/// Puts the fields that were sent over the role.
fn merge(role: &mut RoleRecord, data: &FieldData) {
    if let Some(name) = data.get(&CREDENTIAL_TYPE) {
        role.credential_types = vec![name.trim().to_owned()];
    }
    for (field, target) in [
        (&ROLE_ARNS, &mut role.role_arns),
        (&POLICY_ARNS, &mut role.policy_arns),
        (&IAM_GROUPS, &mut role.iam_groups),
    ] {
        if let Some(list) = data.get(field) {
            *target = Some(list);
        }
    }
    for (field, target) in [
        (&IAM_TAGS, &mut role.iam_tags),
        (&SESSION_TAGS, &mut role.session_tags),
    ] {
        if let Some(tags) = data.get(field) {
            *target = Some(tags);
        }
    }
    for (field, target) in [
        (&EXTERNAL_ID, &mut role.external_id),
        (
            &PERMISSIONS_BOUNDARY_ARN,
            &mut role.permissions_boundary_arn,
        ),
        (&USER_PATH, &mut role.user_path),
        (&MFA_SERIAL_NUMBER, &mut role.mfa_serial_number),
    ] {
        if let Some(text) = data.get(field) {
            *target = text;
        }
    }
    for (field, target) in [
        (&DEFAULT_STS_TTL, &mut role.default_sts_ttl),
        (&MAX_STS_TTL, &mut role.max_sts_ttl),
    ] {
        if let Some(ttl) = data.get(field) {
            *target = ttl;
        }
    }
    if let Some(document) = data.get(&POLICY_DOCUMENT) {
        document.as_str().clone_into(&mut role.policy_document);
    }
}

/// What was sent as `policy` or `arn`, if anything was.
fn deprecated_text(data: &FieldData) -> Result<Option<String>, Error> {
    let policy = data.get(&POLICY).map(|text| text.0).unwrap_or_default();
    let arn = data.value(&ARN);
    match (policy.is_empty(), arn.is_empty()) {
        (true, true) => Ok(None),
        (false, true) => Ok(Some(policy)),
        (true, false) => Ok(Some(arn)),
        (false, false) => Err(Error::invalid(
            "only one of policy or arn should be provided",
        )),
    }
}

/// The old parameters replace the whole role, so no new one may stand beside them.
fn refuse_beside_deprecated(data: &FieldData) -> Result<(), Error> {
    if data.get(&CREDENTIAL_TYPE).is_some() {
        return Err(Error::invalid(
            "cannot supply deprecated role or policy parameters with an explicit credential_type",
        ));
    }
    let sent = [
        (ROLE_ARNS.name(), data.get(&ROLE_ARNS).is_some()),
        (POLICY_ARNS.name(), data.get(&POLICY_ARNS).is_some()),
        (POLICY_DOCUMENT.name(), data.get(&POLICY_DOCUMENT).is_some()),
        (DEFAULT_STS_TTL.name(), data.get(&DEFAULT_STS_TTL).is_some()),
        (MAX_STS_TTL.name(), data.get(&MAX_STS_TTL).is_some()),
        (USER_PATH.name(), data.get(&USER_PATH).is_some()),
        (
            PERMISSIONS_BOUNDARY_ARN.name(),
            data.get(&PERMISSIONS_BOUNDARY_ARN).is_some(),
        ),
        (IAM_GROUPS.name(), data.get(&IAM_GROUPS).is_some()),
        (IAM_TAGS.name(), data.get(&IAM_TAGS).is_some()),
        (SESSION_TAGS.name(), data.get(&SESSION_TAGS).is_some()),
        (EXTERNAL_ID.name(), data.get(&EXTERNAL_ID).is_some()),
        (
            MFA_SERIAL_NUMBER.name(),
            data.get(&MFA_SERIAL_NUMBER).is_some(),
        ),
    ];
    match sent.into_iter().find(|(_, sent)| *sent) {
        Some((field, _)) => Err(Error::invalid(format!(
            "cannot supply deprecated role or policy parameters with {field}"
        ))),
        None => Ok(()),
    }
}

/// What will work, yet perhaps not as it was meant.
async fn advice(engine: &Engine, role: &RoleRecord) -> Vec<String> {
    let mut warnings = Vec::new();
    if role.types() == [CredentialType::IamUser] && role.has_no_permissions() {
        warnings.push(
            "role gives IAM users without any permission: it has no policy_arns, policy_document or iam_groups".to_owned(),
        );
    }
    let longest = role.max_sts_ttl.max(role.default_sts_ttl);
    if let Ok(limit) = engine.system.max_lease_ttl().await
        && longest > limit
    {
        warnings.push(format!(
            "sessions of up to {} outlive their lease: the mount's maximum lease TTL is {}",
            GoDuration(longest),
            GoDuration(limit)
        ));
    }
    warnings
}
