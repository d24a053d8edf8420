//! IAM's policy simulator, as far as a judgement needs no more than documents.
//!
//! Identity policies with actions, resources, the variable `${aws:username}`, and conditions on texts
//! and ARNs. Whoever has no policy at all here may do everything that no test forbids.

use std::collections::BTreeSet;

use serde_json::Value;

use super::world::{Caller, Refused, World};
use crate::aws::{Arn, ContextEntry, Decision, SimulatePrincipalPolicy, Simulated, UserName};

impl World {
    pub(super) fn simulate_principal_policy(
        &mut self,
        caller: &Caller,
        request: &SimulatePrincipalPolicy,
        denied: &[String],
    ) -> Result<Vec<Simulated>, Refused> {
        let documents = self.policies_of(caller, &request.policy_source_arn)?;
        let mut simulated = simulate(&documents, request);
        for one in &mut simulated {
            if documents.is_empty() {
                one.decision = Decision::Allowed;
            }
            if denied.contains(&one.action) {
                one.decision = Decision::ImplicitDeny;
            }
        }
        Ok(simulated)
    }

    /// The documents of a user or role of the caller's account.
    fn policies_of(&mut self, caller: &Caller, source: &Arn) -> Result<Vec<String>, Refused> {
        let unknown = || Refused::not_found(format!("The principal {source} cannot be found."));
        let name = source.resource().rsplit('/').next().unwrap_or_default();
        let account = &caller.account;
        if source.account() != account {
            return Err(unknown());
        }
        if source.resource().starts_with("role/") {
            let roles = &self.account(account).roles;
            return roles.get(name).map(|_| Vec::new()).ok_or_else(unknown);
        }
        if !source.resource().starts_with("user/") {
            return Err(Refused::new(
                "InvalidInput",
                format!(
                    "Invalid Entity Arn: {source} does not clearly define entity type and name."
                ),
            ));
        }
        let user = self
            .user(account, &UserName::from_aws(name))
            .map_err(|_| unknown())?;
        if user.arn != *source {
            return Err(unknown());
        }
        Ok(user.inline_policies.values().cloned().collect())
    }
}

/// What the documents of a user or role say of each action on each resource.
pub fn simulate(documents: &[String], request: &SimulatePrincipalPolicy) -> Vec<Simulated> {
    let statements: Vec<_> = documents.iter().flat_map(|text| statements(text)).collect();
    let mut simulated = Vec::new();
    for action in &request.action_names {
        for resource in &request.resource_arns {
            let mut missing = BTreeSet::new();
            let mut applies = |effect: &str| {
                statements.iter().any(|statement| {
                    statement["Effect"] == effect
                        && is_about(statement, action, resource, &request.context)
                        && holds(&statement["Condition"], &request.context, &mut missing)
                })
            };
            let decision = match (applies("Deny"), applies("Allow")) {
                (true, _) => Decision::ExplicitDeny,
                (false, true) => Decision::Allowed,
                (false, false) => Decision::ImplicitDeny,
            };
            simulated.push(Simulated {
                action: action.clone(),
                resource: resource.clone(),
                decision,
                missing_context: missing.into_iter().collect(),
                organization_forbids: false,
                boundary_forbids: false,
            });
        }
    }
    simulated
}

fn statements(document: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    match &document["Statement"] {
        Value::Array(statements) => statements.clone(),
        one => vec![one.clone()],
    }
}

fn is_about(statement: &Value, action: &str, resource: &str, context: &[ContextEntry]) -> bool {
    let action = action.to_lowercase();
    texts(&statement["Action"]).any(|pattern| is_like(&pattern.to_lowercase(), &action))
        && texts(&statement["Resource"]).any(|pattern| is_like(&filled(pattern, context), resource))
}

/// Puts values in the place of variables.
fn filled(pattern: &str, context: &[ContextEntry]) -> String {
    let fill = |text: String, entry: &ContextEntry| {
        text.replace(&format!("${{{}}}", entry.key), &entry.value)
    };
    context.iter().fold(pattern.to_owned(), fill)
}

fn holds(conditions: &Value, context: &[ContextEntry], missing: &mut BTreeSet<String>) -> bool {
    let empty = serde_json::Map::new();
    let mut all = true;
    for (operator, keys) in conditions.as_object().unwrap_or(&empty) {
        for (key, values) in keys.as_object().unwrap_or(&empty) {
            let known = context
                .iter()
                .find(|entry| entry.key.eq_ignore_ascii_case(key));
            let Some(entry) = known else {
                missing.insert(key.clone());
                all = false;
                continue;
            };
            let is = |value: &str| match operator.as_str() {
                "StringEquals" => value == entry.value,
                "StringLike" | "ArnEquals" | "ArnLike" => is_like(value, &entry.value),
                // No such operator is known here, so nothing is granted by it.
                _ => false,
            };
            all &= texts(values).any(is);
        }
    }
    all
}

/// A text, or a list of texts.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    let list = value.as_array().into_iter().flatten();
    list.chain(std::iter::once(value)).filter_map(Value::as_str)
}

/// `*` is any text, `?` any character.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else {
        return text.is_empty();
    };
    let rest = &pattern[first.len_utf8()..];
    let mut after = text.chars();
    match first {
        '*' => {
            let ends = text.char_indices().map(|(at, _)| at);
            ends.chain([text.len()])
                .any(|at| is_like(rest, &text[at..]))
        }
        '?' => after.next().is_some() && is_like(rest, after.as_str()),
        _ => after.next() == Some(first) && is_like(rest, after.as_str()),
    }
}
