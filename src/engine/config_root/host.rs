//! What Vault Enterprise does for a root configuration: identity tokens and scheduled rotation.

use super::RootConfig;
use crate::engine::Engine;
use crate::logical::{Error, HostError, Request, RotationJob};

/// Asks the host for a token once, so that a host that cannot mint one is found out now.
pub(super) async fn try_identity_token(engine: &Engine, config: &RootConfig) -> Result<(), Error> {
    let answer = engine
        .system
        .generate_identity_token(&config.identity_token_audience, config.identity_token_ttl)
        .await;
    match answer {
        Ok(_) => Ok(()),
        Err(HostError::Failed(text)) if !is_community_edition(&text) => Err(Error::internal(
            format!("failed to generate plugin identity token: {text}"),
        )),
        Err(error) => Err(Error::invalid(format!(
            "identity_token_audience: {error}; set identity_token_issuer, with which the mount vouches for itself, or use access_key and secret_key, or a web identity file in the server's environment"
        ))),
    }
}

/// Who rotates the key by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rotates {
    Nobody,
    /// The host's rotation manager.
    Host,
    /// This engine, by the host's timer.
    Engine,
}

/// Tells the host's rotation manager what is wished. A host without one has nothing to take a job
/// off of, and leaves the rotation to the engine.
pub(super) async fn update_rotation_job(
    engine: &Engine,
    request: &Request,
    config: &RootConfig,
) -> Result<Rotates, Error> {
    let wanted = config.plan(engine.clock.now()).is_some();
    if !wanted {
        return match engine
            .system
            .deregister_rotation_job(&request.mount_point, &request.path)
            .await
        {
            Ok(()) | Err(HostError::Unsupported(_)) => Ok(Rotates::Nobody),
            Err(error) if is_community_edition(&error.to_string()) => Ok(Rotates::Nobody),
            Err(error) => Err(Error::invalid(format!(
                "error deregistering rotation job: {error}"
            ))),
        };
    }
    let job = RotationJob {
        name: "aws-root-creds".to_owned(),
        mount_point: request.mount_point.clone(),
        path: request.path.clone(),
        schedule: config.rotation_schedule.clone(),
        window: config.rotation_window,
        period: config.rotation_period,
        policy: config.rotation_policy.clone(),
    };
    match engine.system.register_rotation_job(job).await {
        Ok(_) => Ok(Rotates::Host),
        Err(HostError::Unsupported(_)) => Ok(Rotates::Engine),
        Err(error) if is_community_edition(&error.to_string()) => Ok(Rotates::Engine),
        Err(error) => Err(Error::invalid(format!(
            "error registering rotation job: {error}; without it, call config/rotate-root on your own schedule"
        ))),
    }
}

fn is_community_edition(text: &str) -> bool {
    text.contains("not supported in Vault community edition")
}
