//! What policies deny: the inline policies of users and roles, and those that sessions are opened
//! with.
//!
//! This AWS lets everybody do what no statement denies. Of conditions it knows those by which one
//! session is told from another, and takes a statement with any other for one that does not apply.

use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::world::{Caller, Refused, World};

/// Somebody in the account of a [`Caller`] who has policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    User(String),
    /// With its path, without the first slash.
    Role(String),
}

#[derive(Clone, Debug)]
pub(super) struct SessionTerms {
    /// `aws:TokenIssueTime`.
    pub(super) issued_at: OffsetDateTime,
    pub(super) policy: Option<String>,
}

/// Needs no permission, and no policy can deny it.
const ALWAYS_ALLOWED: &str = "sts:GetCallerIdentity";

impl World {
    /// Refuses what a policy denies to the caller.
    pub(super) fn judge(&mut self, caller: &Caller, action: &str) -> Result<(), Refused> {
        if action == ALWAYS_ALLOWED {
            return Ok(());
        }
        let account = self.account(&caller.account);
        let inline = match &caller.holder {
            Some(Holder::User(name)) => account
                .users
                .get(&name.to_lowercase())
                .map(|user| &user.inline_policies),
            Some(Holder::Role(path)) => account.roles.get(path).map(|role| &role.inline_policies),
            None => None,
        };
        let of_session = caller
            .session
            .as_ref()
            .and_then(|terms| terms.policy.as_ref());
        let mut documents = inline
            .into_iter()
            .flat_map(|policies| policies.values())
            .chain(of_session);
        if documents.any(|document| denies(document, caller, action)) {
            return Err(Refused::new(
                "AccessDenied",
                format!(
                    "User: {} is not authorized to perform: {action} with an explicit deny in an \
                     identity-based policy",
                    caller.arn
                ),
            ));
        }
        Ok(())
    }
}

fn denies(document: &str, caller: &Caller, action: &str) -> bool {
    // A document that is stored was checked.
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let statements = match &document["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        statement => std::slice::from_ref(statement),
    };
    statements.iter().any(|statement| {
        let is_named = match (&statement["Action"], &statement["NotAction"]) {
            (Value::Null, others) => !any(others, |pattern| is_like(pattern, action)),
            (actions, _) => any(actions, |pattern| is_like(pattern, action)),
        };
        let conditions = statement["Condition"].as_object();
        statement["Effect"] == "Deny"
            && is_named
            && conditions
                .into_iter()
                .flatten()
                .all(|(operator, keys)| holds(operator, keys.as_object(), caller))
    })
}

/// Whether all keys of one operator have a value that it takes.
fn holds(operator: &str, keys: Option<&Map<String, Value>>, caller: &Caller) -> bool {
    keys.into_iter().flatten().all(|(key, values)| {
        let issued_at = caller.session.as_ref().map(|terms| terms.issued_at);
        // Keys are the same in any case of letters.
        match (key.to_lowercase().as_str(), operator) {
            ("aws:userid", "StringEquals") => any(values, |value| value == caller.user_id),
            ("aws:userid", "StringLike") => any(values, |value| is_like(value, &caller.user_id)),
            ("aws:tokenissuetime", "DateLessThan") => any(values, |value| {
                let limit = OffsetDateTime::parse(value, &Rfc3339);
                // A key without session has no such time, so the condition does not hold.
                limit.is_ok_and(|limit| issued_at.is_some_and(|time| time < limit))
            }),
            _ => false,
        }
    })
}

fn any(values: &Value, is_it: impl Fn(&str) -> bool) -> bool {
    match values {
        Value::Array(values) => values.iter().filter_map(Value::as_str).any(is_it),
        value => value.as_str().is_some_and(is_it),
    }
}

/// Whether the text is what the pattern says, in which `*` stands for anything.
fn is_like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}
