//! A session of an AWS role (`sts:AssumeRole`).

use super::Asked;
use super::group_policies::SessionPolicies;
use super::refusal::refused;
use super::session::{Lifetime, Session};
use crate::aws::{Arn, AssumeRole, RoleSessionName};
use crate::engine::clients::Connected;
use crate::engine::sessions::{self, Holder, Opened};
use crate::engine::{Engine, roles, usernames};
use crate::logical::{Error, Request, Response};

pub(super) async fn generate(
    engine: &Engine,
    request: &Request,
    asked: &Asked,
) -> Result<Response, Error> {
    let storage = &*request.storage;
    let role_arn = choose_role_arn(asked)?;
    let policies = SessionPolicies::of_role(engine, request, asked).await?;
    if policies.is_empty() && !asked.role.iam_groups().is_empty() {
        // Whoever emptied the groups wanted less to be allowed, not all that the AWS role may do.
        return Err(Error::invalid(
            "nothing would narrow the session: the groups in iam_groups of the role have no policies",
        ));
    }
    let clients = engine.clients.get(storage).await?;
    let holder = holder(&clients, request, asked, &role_arn).await?;
    let mut name = session_name(engine, &clients, asked)?;
    if holder.is_some() {
        name = alone(&name)?;
    }
    let warnings = Vec::from_iter(other_name(asked, &name));
    let lifetime = Lifetime::of(engine, asked).await?;
    let lease_limit = lifetime.lease_limit(engine, asked).await?;
    let sts = clients.sts(&request.caller).await?;
    let assumed = sts
        .assume_role(AssumeRole {
            duration: Some(lifetime.duration),
            policy: policies.document,
            policy_arns: policies.arns,
            external_id: Some(asked.role.external_id.clone()).filter(|id| !id.is_empty()),
            tags: roles::tags(asked.role.session_tags.as_ref()),
            ..AssumeRole::new(role_arn.clone(), name.clone())
        })
        .await
        .map_err(|error| refused("Error assuming role", &error, asked, &lifetime))?;
    let issued = match &holder {
        Some(holder) => {
            let opened = Opened {
                holder,
                user_id: &assumed.assumed_role_id,
                arn: &assumed.arn,
                credentials: &assumed.credentials,
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
        credentials: assumed.credentials,
        arn: Some(assumed.arn),
        username: Some(name.to_string()),
        policy: Some(role_arn.to_string()),
        warnings,
    };
    session.into_response(engine, &lifetime)
}

/// The AWS role as the one whose policies end the session, if it is to be one that can be ended.
async fn holder(
    clients: &Connected,
    request: &Request,
    asked: &Asked,
    role_arn: &Arn,
) -> Result<Option<Holder>, Error> {
    if !asked.role.revocable_sessions {
        return Ok(None);
    }
    let holder = Holder::of(role_arn.as_str())?;
    let ours = holder.must_be_ours(clients, &request.caller).await;
    ours.map_err(|error| Error::invalid(format!("{error}, or set revocable_sessions=false")))?;
    Ok(Some(holder))
}

/// What no other session is called.
fn alone(name: &RoleSessionName) -> Result<RoleSessionName, Error> {
    let alone = sessions::alone(name.as_str(), usernames::MAX_IAM_NAME)?;
    RoleSessionName::new(alone).map_err(|error| Error::internal(error.to_string()))
}

/// The AWS role: the request's, if the role of ours allows it, else the only one that it has.
fn choose_role_arn(asked: &Asked) -> Result<Arn, Error> {
    let allowed = asked.role.role_arns();
    let chosen = match (asked.role_arn.as_str(), allowed) {
        ("", [only]) => only,
        ("", several) => {
            let next = match several {
                [] => "the role has no role_arns",
                _ => "name one of the role's role_arns",
            };
            return Err(Error::invalid(format!(
                "did not supply a role_arn parameter and unable to determine one: {next}"
            )));
        }
        (wished, _) => allowed.iter().find(|arn| *arn == wished).ok_or_else(|| {
            Error::invalid(format!(
                "role_arn {wished:?} not in allowed role arns for Vault role {:?}",
                asked.role_name.as_str()
            ))
        })?,
    };
    // AWS says what it thinks of it, and another service may take it.
    Arn::of_any_service(chosen).map_err(|error| asked.invalid("role_arns", &error))
}

/// The request's name, made to fit AWS, or one of the template.
fn session_name(
    engine: &Engine,
    clients: &Connected,
    asked: &Asked,
) -> Result<RoleSessionName, Error> {
    if asked.role_session_name.is_empty() {
        let role = asked.role_name.as_str();
        return clients
            .names
            .role_session(&*engine.clock, &asked.display_name, role);
    }
    let mut name = usernames::normalize(&asked.role_session_name);
    name.truncate(usernames::MAX_IAM_NAME);
    RoleSessionName::new(name)
        .map_err(|error| Error::invalid(format!("role_session_name: {error}")))
}

/// A warning of a session that is not named as the request wished.
fn other_name(asked: &Asked, name: &RoleSessionName) -> Option<String> {
    let wished = &asked.role_session_name;
    (!wished.is_empty() && wished != name.as_str()).then(|| {
        let reason = if asked.role.revocable_sessions {
            "no other session is called so, and this one can be ended alone".to_owned()
        } else {
            format!(
                "it takes at most {} letters, digits and _+=,.@- there",
                usernames::MAX_IAM_NAME
            )
        };
        format!("role_session_name is {name} in AWS: {reason}")
    })
}
