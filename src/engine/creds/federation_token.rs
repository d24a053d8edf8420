//! A federated session of the engine's own IAM user (`sts:GetFederationToken`).

use super::Asked;
use super::group_policies::SessionPolicies;
use super::refusal::refused;
use super::session::{Lifetime, Session};
use crate::aws::GetFederationToken;
use crate::engine::Engine;
use crate::logical::{Error, Request, Response};

pub(super) async fn generate(
    engine: &Engine,
    request: &Request,
    asked: &Asked,
) -> Result<Response, Error> {
    let storage = &*request.storage;
    let policies = SessionPolicies::of_role(engine, request, asked).await?;
    if policies.is_empty() {
        // AWS would give a session that may do nothing by itself, yet all that a resource's own
        // policy grants to it.
        let groups = match asked.role.iam_groups() {
            [] => "",
            _ => ": the groups in iam_groups of the role have no policies",
        };
        return Err(Error::invalid(format!(
            "must specify at least one of policy_arns or policy_document with federation_token credential_type{groups}"
        )));
    }
    let clients = engine.clients.get(storage).await?;
    let name = clients.names.federated_user(&*engine.clock)?;
    let lifetime = Lifetime::of(engine, asked).await?;
    let sts = clients.sts(&request.caller).await?;
    let document = policies.document.clone();
    let federated = sts
        .get_federation_token(GetFederationToken {
            duration: Some(lifetime.duration),
            policy: policies.document,
            policy_arns: policies.arns,
            ..GetFederationToken::new(name.clone())
        })
        .await
        .map_err(|error| refused("Error generating STS keys", &error, asked, &lifetime))?;
    let session = Session {
        credentials: federated.credentials,
        arn: Some(federated.arn),
        username: Some(name.to_string()),
        policy: Some(document.unwrap_or_default()),
        warnings: Vec::new(),
    };
    Ok(session.into_response(engine, &lifetime))
}
