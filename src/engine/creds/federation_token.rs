//! A federated session of the engine's own IAM user (`sts:GetFederationToken`).

use super::Asked;
use super::group_policies::SessionPolicies;
use super::refusal::refused;
use super::session::{Lifetime, Session};
use crate::aws::{FederatedUserName, GetFederationToken};
use crate::engine::clients::Connected;
use crate::engine::sessions::{self, Holder, Opened};
use crate::engine::{Engine, usernames};
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
    let holder = own_user(&clients, request, asked).await?;
    let lease_limit = lifetime.lease_limit(engine, asked).await?;
    let name = match &holder {
        Some(_) => alone(&name)?,
        None => name,
    };
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
    let issued = match &holder {
        Some(holder) => {
            let opened = Opened {
                holder,
                user_id: &federated.federated_user_id,
                arn: &federated.arn,
                credentials: &federated.credentials,
                duration: lifetime.duration,
                role: asked.role_name.as_str(),
                revoke_older: asked.role.revoke_older_sessions,
                lease_limit,
            };
            Some(sessions::register(engine, request, opened).await?)
        }
        None => None,
    };
    let session = Session {
        issued,
        credentials: federated.credentials,
        arn: Some(federated.arn),
        username: Some(name.to_string()),
        policy: Some(document.unwrap_or_default()),
        warnings: Vec::new(),
    };
    session.into_response(engine, &lifetime)
}

/// The engine's own user, whose policies are those of the session, if that is to be one that can be
/// ended.
async fn own_user(
    clients: &Connected,
    request: &Request,
    asked: &Asked,
) -> Result<Option<Holder>, Error> {
    if !asked.role.revocable_sessions {
        return Ok(None);
    }
    let identity = clients.caller(&request.caller).await.ok_or_else(|| {
        Error::invalid(format!(
            "role {:?}: AWS does not tell to which user the credentials of this engine belong, on which revocable_sessions would need a policy: try again, or set revocable_sessions=false",
            asked.role_name.as_str()
        ))
    })?;
    Holder::of(identity.arn.as_str()).map(Some)
}

fn alone(name: &FederatedUserName) -> Result<FederatedUserName, Error> {
    let alone = sessions::alone(name.as_str(), usernames::MAX_FEDERATED_NAME)?;
    FederatedUserName::new(alone).map_err(|error| Error::internal(error.to_string()))
}
