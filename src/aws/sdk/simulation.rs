//! IAM's policy simulator over the SDK.

use aws_sdk_iam::Client;
use aws_sdk_iam::types::{
    ContextEntry as SdkContextEntry, ContextKeyTypeEnum, EvaluationResult,
    PolicyEvaluationDecisionType as SdkDecision,
};

use super::call::{Calls, call};
use crate::aws::{ContextEntry, Decision, Error, SimulatePrincipalPolicy, Simulated};

/// The longest page that IAM gives.
const PAGE: i32 = 1000;

pub(super) async fn simulate_principal_policy(
    client: &Client,
    calls: &Calls,
    request: &SimulatePrincipalPolicy,
) -> Result<Vec<Simulated>, Error> {
    let context = request.context.iter().map(|ContextEntry { key, value }| {
        SdkContextEntry::builder()
            .context_key_name(key)
            .context_key_values(value)
            .context_key_type(ContextKeyTypeEnum::String)
            .build()
    });
    let context: Vec<_> = context.collect();
    let pages = client
        .simulate_principal_policy()
        .policy_source_arn(request.policy_source_arn.as_str())
        .set_action_names(Some(request.action_names.clone()))
        .set_resource_arns(Some(request.resource_arns.clone()))
        .set_context_entries((!context.is_empty()).then_some(context))
        .into_paginator()
        .page_size(PAGE);
    let sent = pages.items().send().try_collect();
    let results = call(calls, "iam:SimulatePrincipalPolicy", sent).await?;
    Ok(results.into_iter().flat_map(simulated).collect())
}

/// AWS tells of each resource in a list, and where there is one only, without it.
fn simulated(result: EvaluationResult) -> Vec<Simulated> {
    let organization_forbids = result
        .organizations_decision_detail
        .is_some_and(|detail| !detail.allowed_by_organizations);
    let forbids = |detail: Option<_>| {
        detail.is_some_and(
            |detail: aws_sdk_iam::types::PermissionsBoundaryDecisionDetail| {
                !detail.allowed_by_permissions_boundary
            },
        )
    };
    let of =
        |resource: String, of: &SdkDecision, missing: Option<Vec<String>>, boundary| Simulated {
            action: result.eval_action_name.clone(),
            resource,
            decision: decision(of),
            missing_context: missing.unwrap_or_default(),
            organization_forbids,
            boundary_forbids: boundary,
        };
    let resources = result.resource_specific_results.unwrap_or_default();
    if resources.is_empty() {
        let resource = result.eval_resource_name.unwrap_or_default();
        let boundary = forbids(result.permissions_boundary_decision_detail);
        let missing = result.missing_context_values;
        return vec![of(resource, &result.eval_decision, missing, boundary)];
    }
    let each = resources.into_iter().map(|one| {
        let boundary = forbids(one.permissions_boundary_decision_detail);
        let missing = one.missing_context_values;
        of(
            one.eval_resource_name,
            &one.eval_resource_decision,
            missing,
            boundary,
        )
    });
    each.collect()
}

fn decision(told: &SdkDecision) -> Decision {
    match told {
        SdkDecision::Allowed => Decision::Allowed,
        SdkDecision::ExplicitDeny => Decision::ExplicitDeny,
        _ => Decision::ImplicitDeny,
    }
}
