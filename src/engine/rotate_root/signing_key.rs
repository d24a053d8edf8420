//! The rotation of the key that signs the mount's own identity tokens, where it is its own identity
//! provider: by hand, and by the host's timer.

use serde_json::Value;
use tokio::time::timeout_at;

use crate::aws::{ErrorKind, Sts as _};
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::clients::root_config::RootConfig;
use crate::engine::error::explain;
use crate::engine::schedule::is_ours;
use crate::engine::stored::date_time;
use crate::logical::{Error, JsonObject, Response, Storage};

/// Gives the turn to the next key, if whoever verifies tokens knows it; answers with its id.
pub(super) async fn roll(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    root: &RootConfig,
) -> Result<Response, Error> {
    let (identity, algorithm) = (&engine.identity, root.algorithm());
    let now = engine.clock.now();
    let keys = identity.tend(storage, algorithm).await?;
    let next = keys
        .next(now)
        .ok_or_else(|| Error::internal("there is no signing key to take over"))?;
    let known_from = next.known_from();
    if now < known_from {
        return Err(Error::invalid(format!(
            "the next signing key is too young, so nothing was changed: copies of the documents may be without it until {}, when it can take over (to cut off all credentials of this mount now, take the identity provider out of the trust policy of role_arn at AWS)",
            date_time(known_from)
        )));
    }
    let token = identity
        .token_of(&next.key, &root.claims())
        .map_err(|error| Error::internal(error.to_string()))?;
    let sts = engine.clients.connect_with_token(root, token)?.sts;
    let sts = sts.for_request(caller).beginning();
    // Only a clear no counts: STS may be out of reach for a while.
    if let Ok(Err(error)) = timeout_at(caller.a_look_by(), sts.get_caller_identity()).await
        && matches!(
            error.kind(),
            ErrorKind::InvalidCredentials | ErrorKind::Denied
        )
    {
        return Err(Error::invalid(format!(
            "AWS does not take tokens of the next signing key, so nothing was changed: {}",
            explain(&error)
        )));
    }
    identity.roll_to(storage, algorithm, next.key.id()).await?;
    Ok(Response::data(JsonObject::from_iter([(
        "identity_token_key_id".to_owned(),
        Value::from(next.key.id()),
    )])))
}

/// The host's timer: makes the key after the next one, and ends those whose time is over.
pub(in crate::engine) async fn tend_signing_keys(
    engine: &Engine,
    storage: &dyn Storage,
) -> Result<(), Error> {
    let now = engine.clock.now();
    if engine.signing_due.is_quiet(now) {
        return Ok(());
    }
    let root = RootConfig::load(storage).await?.unwrap_or_default();
    if root.is_keyless() {
        if !is_ours(engine).await? {
            return Ok(());
        }
        engine.identity.tend(storage, root.algorithm()).await?;
    }
    engine.signing_due.quiet(now, None);
    Ok(())
}
