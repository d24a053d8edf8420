//! IAM's rules for policies of users.

use std::collections::BTreeMap;

use serde_json::Value;

use super::world::{Caller, Refused, World};
use crate::aws::{Arn, PolicyName, UserName};

/// Inline policies: documents by name.
pub type InlinePolicies = BTreeMap<PolicyName, String>;

/// Those of AWS's own managed policies that exist here, without `arn:aws:iam::aws:policy/`.
const AWS_MANAGED: [&str; 9] = [
    "AdministratorAccess",
    "AmazonEC2ReadOnlyAccess",
    "AmazonS3FullAccess",
    "AmazonS3ReadOnlyAccess",
    "IAMReadOnlyAccess",
    "PowerUserAccess",
    "ReadOnlyAccess",
    "SecurityAudit",
    "job-function/ViewOnlyAccess",
];

impl World {
    pub(super) fn attach_user_policy(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
        policy: &Arn,
    ) -> Result<(), Refused> {
        const QUOTA: usize = 10;
        let exists = self.policy_exists(&caller.account, policy);
        let attached = &mut self.user(&caller.account, user_name)?.managed_policies;
        if !exists {
            return Err(Refused::not_found(format!(
                "Policy {policy} does not exist or is not attachable."
            )));
        }
        if attached.contains(policy) {
            return Ok(());
        }
        if attached.len() >= QUOTA {
            return Err(Refused::limit(format!(
                "Cannot exceed quota for PoliciesPerUser: {QUOTA}"
            )));
        }
        attached.push(policy.clone());
        Ok(())
    }

    pub(super) fn detach_user_policy(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
        policy: &Arn,
    ) -> Result<(), Refused> {
        let attached = &mut self.user(&caller.account, user_name)?.managed_policies;
        let Some(index) = attached.iter().position(|one| one == policy) else {
            return Err(Refused::not_found(format!(
                "Policy {policy} was not found."
            )));
        };
        attached.remove(index);
        Ok(())
    }

    pub(super) fn list_attached_user_policies(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
    ) -> Result<Vec<Arn>, Refused> {
        Ok(self
            .user(&caller.account, user_name)?
            .managed_policies
            .clone())
    }

    pub(super) fn put_user_policy(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
        policy_name: &PolicyName,
        document: &str,
    ) -> Result<(), Refused> {
        const QUOTA: usize = 2048;
        let policies = &mut self.user(&caller.account, user_name)?.inline_policies;
        check_document(document)?;
        if !put(policies, policy_name, document, QUOTA) {
            return Err(Refused::limit(format!(
                "Maximum policy size of {QUOTA} bytes exceeded for user {user_name}"
            )));
        }
        Ok(())
    }

    pub(super) fn delete_user_policy(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
        policy_name: &PolicyName,
    ) -> Result<(), Refused> {
        let user = self.user(&caller.account, user_name)?;
        user.inline_policies
            .remove(policy_name)
            .map(|_| ())
            .ok_or_else(|| {
                Refused::not_found(format!(
                    "The user policy with name {policy_name} cannot be found."
                ))
            })
    }

    pub(super) fn list_user_policies(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
    ) -> Result<Vec<PolicyName>, Refused> {
        let user = self.user(&caller.account, user_name)?;
        Ok(user.inline_policies.keys().cloned().collect())
    }

    pub(super) fn get_user_policy(
        &mut self,
        caller: &Caller,
        user_name: &UserName,
        policy_name: &PolicyName,
    ) -> Result<String, Refused> {
        let user = self.user(&caller.account, user_name)?;
        let document = user.inline_policies.get(policy_name).cloned();
        document.ok_or_else(|| {
            Refused::not_found(format!(
                "The user policy with name {policy_name} cannot be found."
            ))
        })
    }

    pub(super) fn policy_exists(&mut self, account: &str, arn: &Arn) -> bool {
        match arn.as_str().strip_prefix("arn:aws:iam::aws:policy/") {
            Some(name) => AWS_MANAGED.contains(&name),
            None => self.account(account).policies.contains(arn),
        }
    }
}

/// Puts the document in the place of the one of that name, if all together keep to the quota.
pub(super) fn put(
    policies: &mut InlinePolicies,
    name: &PolicyName,
    document: &str,
    quota: usize,
) -> bool {
    let others: usize = policies
        .iter()
        .filter(|(other, _)| *other != name)
        .map(|(_, document)| size(document))
        .sum();
    let has_room = others + size(document) <= quota;
    if has_room {
        policies.insert(name.clone(), document.to_owned());
    }
    has_room
}

/// White space does not count.
pub(super) fn size(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

/// The grammar of an identity-based policy, as far as its shape goes.
pub(super) fn check_document(document: &str) -> Result<(), Refused> {
    let malformed = |message: &str| Refused::new("MalformedPolicyDocument", message);
    let document: Value = serde_json::from_str(document)
        .map_err(|_| malformed("The policy is not in the valid JSON format."))?;
    let syntax = || malformed("Syntax errors in policy.");
    let document = document.as_object().ok_or_else(syntax)?;
    let known_version = match document.get("Version") {
        None => true,
        Some(version) => version == "2012-10-17" || version == "2008-10-17",
    };
    let statements = match document.get("Statement") {
        Some(Value::Array(statements)) if !statements.is_empty() => statements.as_slice(),
        Some(statement @ Value::Object(_)) => std::slice::from_ref(statement),
        _ => return Err(syntax()),
    };
    let known_keys = document
        .keys()
        .all(|key| ["Version", "Id", "Statement"].contains(&key.as_str()));
    if !known_version || !known_keys || !statements.iter().all(is_statement) {
        return Err(syntax());
    }
    Ok(())
}

fn is_statement(statement: &Value) -> bool {
    let one_of = |one: &str, other: &str| {
        let is_text_or_list = |value: &Value| {
            value.is_string()
                || value
                    .as_array()
                    .is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string))
        };
        match (statement.get(one), statement.get(other)) {
            (Some(value), None) | (None, Some(value)) => is_text_or_list(value),
            _ => false,
        }
    };
    let effect = statement.get("Effect").and_then(Value::as_str);
    matches!(effect, Some("Allow" | "Deny"))
        && one_of("Action", "NotAction")
        && one_of("Resource", "NotResource")
        && statement.get("Principal").is_none()
}
