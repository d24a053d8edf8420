//! IAM's policy simulator, which moto has not: it judges by the inline policies of a user who else may
//! do everything, as the engine's root does here.

use std::collections::BTreeMap;

use vault_plugin_secrets_aws::aws::fake::simulate;
use vault_plugin_secrets_aws::aws::{Arn, ContextEntry, Decision, SimulatePrincipalPolicy};

use super::message::{Message, refusal};
use crate::aws::inline_policies_of;

const EVERYTHING: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
const ITSELF: &str = "iam:SimulatePrincipalPolicy";

/// The answer to a call with these parameters.
pub(super) fn answer(parameters: &BTreeMap<String, String>) -> Message {
    let source = parameters.get("PolicySourceArn").cloned();
    let Ok(source) = Arn::new(source.unwrap_or_default()) else {
        return refusal(400, "InvalidInput", "no PolicySourceArn");
    };
    let user = source.resource().rsplit('/').next().unwrap_or_default();
    let mut documents = inline_policies_of(user);
    documents.push(EVERYTHING.to_owned());
    let list = |name: &str| -> Vec<String> {
        let member = |number| parameters.get(&format!("{name}.member.{number}")).cloned();
        (1..).map_while(member).collect()
    };
    let entry = |number| {
        let part = |part| {
            let name = format!("ContextEntries.member.{number}.{part}");
            parameters.get(&name).cloned()
        };
        Some(ContextEntry::new(
            part("ContextKeyName")?,
            part("ContextKeyValues.member.1").unwrap_or_default(),
        ))
    };
    let asked = SimulatePrincipalPolicy {
        action_names: list("ActionNames"),
        resource_arns: list("ResourceArns"),
        context: (1..).map_while(entry).collect(),
        policy_source_arn: source.clone(),
    };
    let itself = SimulatePrincipalPolicy {
        action_names: vec![ITSELF.to_owned()],
        resource_arns: vec![source.to_string()],
        ..asked.clone()
    };
    if simulate(&documents, &itself)[0].decision != Decision::Allowed {
        let message =
            format!("User: {source} is not authorized to perform: {ITSELF} on resource: {source}");
        return refusal(403, "AccessDenied", &message);
    }
    let mut results = String::new();
    for one in simulate(&documents, &asked) {
        let decision = match one.decision {
            Decision::Allowed => "allowed",
            Decision::ExplicitDeny => "explicitDeny",
            Decision::ImplicitDeny => "implicitDeny",
        };
        results += &format!(
            "<member><EvalActionName>{}</EvalActionName><EvalResourceName>{}</EvalResourceName>\
             <EvalDecision>{decision}</EvalDecision></member>",
            one.action, one.resource
        );
    }
    Message::answer(
        200,
        format!(
            "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult>\
             <EvaluationResults>{results}</EvaluationResults><IsTruncated>false</IsTruncated>\
             </SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
        ),
    )
}
