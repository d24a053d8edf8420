//! A kind of lease: what it is called, and who renews and revokes it.

use std::future::Future;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;

use super::path::Answer;
use crate::logical::{Error, JsonObject, LeaseOptions, Request, Response, Secret};

/// The key in a lease's internal data that names its [`SecretType`].
const SECRET_TYPE: &str = "secret_type";

type LeaseHandler<S> =
    Box<dyn Fn(Arc<S>, Request, Secret) -> BoxFuture<'static, Answer> + Send + Sync>;

/// A kind of leased secret of an engine whose state is `S`.
pub struct SecretType<S> {
    name: &'static str,
    renew: LeaseHandler<S>,
    revoke: LeaseHandler<S>,
    abandon: Option<LeaseHandler<S>>,
}

impl<S: Send + Sync + 'static> SecretType<S> {
    /// `renew` answers the secret with its new times and its whole internal data, since the host
    /// keeps that in place of the old one; `revoke` answers nothing, also when what was leased is
    /// already gone.
    pub fn new<F, G, R, Q>(name: &'static str, renew: F, revoke: G) -> Self
    where
        F: Fn(Arc<S>, Request, Secret) -> R + Send + Sync + 'static,
        G: Fn(Arc<S>, Request, Secret) -> Q + Send + Sync + 'static,
        R: Future<Output = Answer> + Send + 'static,
        Q: Future<Output = Answer> + Send + 'static,
    {
        Self {
            name,
            renew: Box::new(move |state, request, secret| renew(state, request, secret).boxed()),
            revoke: Box::new(move |state, request, secret| revoke(state, request, secret).boxed()),
            abandon: None,
        }
    }

    /// What is done instead of a revocation when the host never got to know the lease, and so will
    /// not try again what fails.
    #[must_use]
    pub fn when_abandoned<F, R>(mut self, abandon: F) -> Self
    where
        F: Fn(Arc<S>, Request, Secret) -> R + Send + Sync + 'static,
        R: Future<Output = Answer> + Send + 'static,
    {
        self.abandon = Some(Box::new(move |state, request, secret| {
            abandon(state, request, secret).boxed()
        }));
        self
    }

    pub(super) async fn renew(&self, state: Arc<S>, request: Request, secret: Secret) -> Answer {
        let mut answer = (self.renew)(state, request, secret).await?;
        // The host keeps what is answered in place of the old internal data; without its type the
        // lease could never be revoked.
        if let Some(secret) = answer
            .as_mut()
            .and_then(|response| response.secret.as_mut())
        {
            secret
                .internal_data
                .insert(SECRET_TYPE.to_owned(), Value::from(self.name));
        }
        Ok(answer)
    }

    pub(super) async fn revoke(&self, state: Arc<S>, request: Request, secret: Secret) -> Answer {
        (self.revoke)(state, request, secret).await
    }

    pub(super) async fn abandon(&self, state: Arc<S>, request: Request, secret: Secret) -> Answer {
        let abandon = self.abandon.as_ref().unwrap_or(&self.revoke);
        abandon(state, request, secret).await
    }
}

impl<S> std::fmt::Debug for SecretType<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("SecretType").field(&self.name).finish()
    }
}

/// A leased answer: `data` for the client, `internal_data` for our own renew and revoke.
pub fn leased_response(
    secret_type: &'static str,
    data: JsonObject,
    mut internal_data: JsonObject,
    lease: LeaseOptions,
) -> Response {
    internal_data.insert(SECRET_TYPE.to_owned(), Value::from(secret_type));
    Response {
        secret: Some(Secret {
            lease,
            internal_data,
            lease_id: String::new(),
        }),
        data,
        warnings: Vec::new(),
    }
}

/// The declared type that a lease of the host belongs to.
pub(super) fn find<'a, S>(
    types: &'a [SecretType<S>],
    request: &mut Request,
) -> Result<(&'a SecretType<S>, Secret), Error> {
    let secret = request
        .secret
        .take()
        .ok_or_else(|| Error::internal("request has no secret"))?;
    let name = secret
        .internal_data
        .get(SECRET_TYPE)
        .and_then(Value::as_str);
    let found = types
        .iter()
        .find(|secret_type| Some(secret_type.name) == name)
        .ok_or_else(|| Error::internal("secret is unsupported by this backend"))?;
    Ok((found, secret))
}
