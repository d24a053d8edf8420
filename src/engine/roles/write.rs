//! Writing a role: the fields that were sent over those that are stored, or an old parameter in
//! place of all.

use std::sync::Arc;

use serde_json::Value;

use super::check::Problems;
use super::fields::{
    ARN, CREDENTIAL_TYPE, DEFAULT_STS_TTL, DISABLED, EXTERNAL_ID, IAM_GROUPS, IAM_TAGS, MAX_ACTIVE,
    MAX_STS_TTL, MFA_SERIAL_NUMBER, NAME, PERMISSIONS_BOUNDARY_ARN, POLICY, POLICY_ARNS,
    POLICY_DOCUMENT, REVOCABLE_SESSIONS, REVOKE_OLDER_SESSIONS, ROLE_ARNS, SESSION_TAGS, USER_PATH,
};
use super::record::load_locked;
use super::{RoleRecord, advice, legacy};
use crate::engine::Engine;
use crate::engine::config_root::RootConfig;
use crate::framework::{Answer, Field, FieldData, FieldType, FieldValue};
use crate::logical::{Error, Request, Response};

/// Any text, or an object: what the deprecated `policy` takes.
#[derive(Debug, Default)]
pub(super) struct PolicyText(String);

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

pub(super) async fn write(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let name = data.value(&NAME);
    let storage = &*request.storage;
    let _guard = engine.role_locks.lock(name.as_str()).await;
    let _change = engine.roles.change(name.as_str());
    let mut role = load_locked(storage, &name).await?.unwrap_or_default();
    let mut warnings = Vec::new();
    if !role.invalid_data.is_empty() {
        warnings.push(format!(
            "Invalid data of {:?} cleared out of role",
            role.invalid_data
        ));
        role.invalid_data.clear();
    }

    let sent = sent(&data);
    if let Some(text) = deprecated_text(&data)? {
        refuse_beside_deprecated(&sent)?;
        role = replace(&role, &text)?;
        warnings.push("Detected use of legacy role or policy parameter. Please upgrade to use the new parameters.".to_owned());
    } else {
        merge(&mut role, &data);
        role.prohibit_flexible_cred_path = false;
    }
    if let Some(disabled) = data.get(&DISABLED) {
        if disabled && !role.disabled {
            warnings.push(format!(
                "role {name:?} gives no credentials any more; those that it gave live on until their leases are over, or are revoked: `lease revoke -prefix` with {mount}creds/{name}",
                name = name.as_str(),
                mount = request.mount_point,
            ));
        }
        role.disabled = disabled;
    }

    let was_revocable = role.revocable_sessions;
    for (field, target) in [
        (&REVOCABLE_SESSIONS, &mut role.revocable_sessions),
        (&REVOKE_OLDER_SESSIONS, &mut role.revoke_older_sessions),
    ] {
        if let Some(sent) = data.get(field) {
            *target = sent;
        }
    }
    // Advice only, and whether a check counts: not to know is no reason to refuse the role.
    let root = RootConfig::load(storage).await.ok().flatten();
    let elsewhere = root.as_ref().is_some_and(RootConfig::elsewhere);
    let problems = role.problems(&name, elsewhere);
    if !problems.is_empty() {
        return Err(refusal(&problems, &sent));
    }
    warnings.extend(problems.into_doubts());
    warnings.extend(advice::on(&engine, root.as_ref(), &role).await);
    if role.revocable_sessions && !was_revocable {
        warnings.push(advice::on_revocable_sessions(&role));
    }
    role.store(storage, &name).await?;
    Ok((!warnings.is_empty()).then(|| Response::warnings(warnings)))
}

/// All mistakes in one sentence, and how to be rid of what only stands there from before.
fn refusal(problems: &Problems, sent: &[&str]) -> Error {
    let mut text = format!(
        "error(s) validating supplied role data: {}",
        problems.texts().join("; ")
    );
    let stored: Vec<_> = problems
        .misfits()
        .filter(|field| !sent.contains(field))
        .collect();
    if !stored.is_empty() {
        text.push_str(&format!(
            "; stored in the role before, to be sent empty (\"\") if the role is to change its type: {}",
            stored.join(", ")
        ));
    }
    Error::invalid(text)
}

/// The fields of today that were sent with a value.
fn sent(data: &FieldData) -> Vec<&'static str> {
    fn name<T: FieldValue>(data: &FieldData, field: &Field<T>) -> Option<&'static str> {
        (!data.is_null(field))
            .then(|| data.get(field))
            .flatten()
            .map(|_| field.name())
    }
    [
        name(data, &CREDENTIAL_TYPE),
        name(data, &ROLE_ARNS),
        name(data, &POLICY_ARNS),
        name(data, &POLICY_DOCUMENT),
        name(data, &DEFAULT_STS_TTL),
        name(data, &MAX_STS_TTL),
        name(data, &USER_PATH),
        name(data, &PERMISSIONS_BOUNDARY_ARN),
        name(data, &IAM_GROUPS),
        name(data, &IAM_TAGS),
        name(data, &SESSION_TAGS),
        name(data, &EXTERNAL_ID),
        name(data, &MFA_SERIAL_NUMBER),
        name(data, &REVOCABLE_SESSIONS),
        name(data, &REVOKE_OLDER_SESSIONS),
        name(data, &MAX_ACTIVE),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Puts the fields that were sent over the role.
fn merge(role: &mut RoleRecord, data: &FieldData) {
    if let Some(name) = data.get(&CREDENTIAL_TYPE) {
        // A role of before `credential_type` shows its two types as one text, which a form sends
        // back.
        if name != role.credential_types.join(",") {
            role.credential_types = Some(name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .into_iter()
                .collect();
        }
        role.as_sent.note(data, &CREDENTIAL_TYPE);
    }
    for (field, target) in [
        (&ROLE_ARNS, &mut role.role_arns),
        (&POLICY_ARNS, &mut role.policy_arns),
        (&IAM_GROUPS, &mut role.iam_groups),
    ] {
        if data.is_null(field) {
            // One that was never set reads `null`, which a form sends back.
            *target = target.as_ref().map(|_| Vec::new());
        } else if let Some(list) = data.get(field) {
            *target = Some(list);
        }
        role.as_sent.note(data, field);
    }
    for (field, target) in [
        (&IAM_TAGS, &mut role.iam_tags),
        (&SESSION_TAGS, &mut role.session_tags),
    ] {
        if data.is_null(field) {
            *target = None;
        } else if let Some(tags) = data.get(field) {
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
            text.trim().clone_into(target);
        }
        role.as_sent.note(data, field);
    }
    for (field, target) in [
        (&DEFAULT_STS_TTL, &mut role.default_sts_ttl),
        (&MAX_STS_TTL, &mut role.max_sts_ttl),
    ] {
        if let Some(ttl) = data.get(field) {
            *target = ttl;
        }
    }
    if data.is_null(&MAX_ACTIVE) {
        role.max_active = 0;
    } else if let Some(most) = data.get(&MAX_ACTIVE) {
        role.max_active = most;
    }
    if let Some(document) = data.get(&POLICY_DOCUMENT) {
        role.policy_document = document.into_text();
    }
}

/// What was sent as `policy` or `arn`, if anything was.
fn deprecated_text(data: &FieldData) -> Result<Option<String>, Error> {
    let PolicyText(policy) = data.value(&POLICY);
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
fn refuse_beside_deprecated(sent: &[&str]) -> Result<(), Error> {
    match sent.first() {
        None => Ok(()),
        Some(&"credential_type") => Err(Error::invalid(
            "cannot supply deprecated role or policy parameters with an explicit credential_type",
        )),
        Some(field) => Err(Error::invalid(format!(
            "cannot supply deprecated role or policy parameters with {field}"
        ))),
    }
}

/// The role that a deprecated parameter means. Of the one before, only what a newer engine stored
/// there stays.
fn replace(role: &RoleRecord, text: &str) -> Result<RoleRecord, Error> {
    let upgraded = legacy::upgrade(text);
    if upgraded.invalid_data.is_empty() {
        Ok(RoleRecord {
            disabled: role.disabled,
            max_active: role.max_active,
            unknown: role.unknown.clone(),
            ..upgraded
        })
    } else {
        Err(Error::invalid(format!(
            "unable to parse supplied data: {text:?}"
        )))
    }
}
