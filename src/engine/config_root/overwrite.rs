//! What becomes of an access key when another one is written over it.

use tokio::time::timeout_at;

use crate::engine::Engine;
use crate::engine::clients::root_config::RootConfig;
use crate::logical::{Error, Request};
use crate::secret::ExposeSecret;

/// Refuses to lose a key that works to one that cannot; warns of what is lost otherwise.
pub(super) async fn check(
    engine: &Engine,
    request: &Request,
    stored: &RootConfig,
    config: &RootConfig,
) -> Result<Vec<String>, Error> {
    if !stored.has_access_key() {
        return Ok(Vec::new());
    }
    let id = &stored.access_key;
    if config.access_key == *id {
        return same_key(engine, request, stored, config).await;
    }
    if stored.rotated_from.contains(&config.access_key) {
        return Err(Error::invalid(format!(
            "access_key {} is one that config/rotate-root has replaced by another and deleted, so nothing was changed: leave access_key and secret_key out, or send those of a key that exists",
            config.access_key
        )));
    }
    let mut warnings = Vec::new();
    if !config.has_access_key() && !config.identity_token_audience.is_empty() {
        warnings.push(format!(
            "access_key {id} and its secret_key are removed: from now on the engine assumes role_arn with identity tokens"
        ));
    } else if !config.has_access_key() {
        warnings.push(format!(
            "access_key {id} and its secret_key are removed: from now on the engine uses the AWS credentials of the server's environment"
        ));
    } else if config.secret_key.expose_secret() == stored.secret_key.expose_secret() {
        warnings.push(format!(
            "secret_key is that of access_key {id}, and no two access keys have the same"
        ));
    }
    if stored.rotated_to == *id {
        warnings.push(format!(
            "access_key {id} was made by config/rotate-root and nobody else has its secret_key: it still works and has no holder any more, so delete it (`aws iam delete-access-key --access-key-id {id}`, with --user-name where that is another user)"
        ));
    }
    Ok(warnings)
}

/// AWS never changes the secret of a key, so of two secrets one is wrong.
async fn same_key(
    engine: &Engine,
    request: &Request,
    stored: &RootConfig,
    config: &RootConfig,
) -> Result<Vec<String>, Error> {
    if config.secret_key.expose_secret() == stored.secret_key.expose_secret() {
        return Ok(Vec::new());
    }
    let id = &stored.access_key;
    let refusal = || {
        Error::invalid(format!(
            "secret_key is another one than that of access_key {id}, which is stored and works, and AWS never changes the secret of a key, so nothing was changed: leave secret_key out, or send another access_key with its secret_key"
        ))
    };
    if stored.rotated_to == *id {
        return Err(refusal());
    }
    let Ok(clients) = engine.clients.get(&*request.storage).await else {
        return Ok(Vec::new());
    };
    let caller = &request.caller;
    // STS may be out of reach for good reason, and the write is not to wait for it.
    let accepted = timeout_at(caller.a_look_by(), clients.sts_accepts_us(caller));
    match accepted.await {
        Ok(Ok(true)) => Err(refusal()),
        // It was mistyped when it was written.
        Ok(Err(_)) => Ok(Vec::new()),
        Ok(Ok(false)) | Err(_) => Ok(vec![format!(
            "secret_key is another one than was stored for access_key {id}, and AWS never changes the secret of a key: AWS could not be asked which of the two is right"
        )]),
    }
}
