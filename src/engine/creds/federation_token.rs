//! A federated session of the engine's own IAM user (`sts:GetFederationToken`).

use super::Asked;
use super::group_policies::SessionPolicies;
use super::session::{self, Identity};
use crate::aws::GetFederationToken;
use crate::engine::error::refused;
use crate::engine::{Engine, usernames};
use crate::logical::{Error, Request, Response};

pub(super) async fn generate(
    engine: &Engine,
    request: &Request,
    asked: &Asked,
) -> Result<Response, Error> {
    let storage = &*request.storage;
    let policies = SessionPolicies::of_role(engine, storage, &asked.role).await?;
    if policies.is_empty() {
        return Err(Error::invalid(
            "must specify at least one of policy_arns or policy_document with federation_token credential_type",
        ));
    }
    let clients = engine.clients.get(storage).await?;
    let name = usernames::federated_user(engine, &clients.root)?;
    let duration = session::duration(engine, asked).await?;
    let sts = clients.sts().await?;
    let document = policies.document.clone();
    let federated = sts
        .get_federation_token(GetFederationToken {
            duration: Some(duration),
            policy: policies.document,
            policy_arns: policies.arns,
            ..GetFederationToken::new(name.clone())
        })
        .await
        .map_err(|error| refused("Error generating STS keys", &error))?;
    Ok(session::response(
        engine,
        &federated.credentials,
        &Identity {
            arn: Some(&federated.arn),
            username: Some(name.as_str()),
            policy: Some(document.as_deref().unwrap_or_default()),
        },
    ))
}
