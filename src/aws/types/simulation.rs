//! What IAM's policy simulator is asked and answers.

use crate::aws::Arn;

/// What `iam:SimulatePrincipalPolicy` is asked for: each action on each resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatePrincipalPolicy {
    /// The user or role whose policies count; no session.
    pub policy_source_arn: Arn,
    /// Such as `iam:CreateUser`. AWS takes together only those on resources of one kind.
    pub action_names: Vec<String>,
    /// They need not exist.
    pub resource_arns: Vec<String>,
    /// What conditions and variables of the policies ask about.
    pub context: Vec<ContextEntry>,
}

/// A context key, such as `aws:username`, and its value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContextEntry {
    /// The key.
    pub key: String,
    /// Its only value, a text.
    pub value: String,
}

impl ContextEntry {
    /// A key and its value.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
        }
    }
}

/// What the simulator says of one action on one resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Simulated {
    /// The action.
    pub action: String,
    /// The resource's ARN.
    pub resource: String,
    /// What would become of such a request.
    pub decision: Decision,
    /// Context keys that the policies ask about, and that nobody told the simulator.
    pub missing_context: Vec<String>,
    /// A policy of the organization does not allow it.
    pub organization_forbids: bool,
    /// The permissions boundary of the user or role does not allow it.
    pub boundary_forbids: bool,
}

/// What would become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is let through.
    Allowed,
    /// A statement denies it.
    ExplicitDeny,
    /// No statement allows it.
    ImplicitDeny,
}
