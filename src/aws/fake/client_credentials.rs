//! The credentials of one client, fetched when they are needed as the real client does.

use tokio::sync::Mutex;

use super::door::Client;
use super::{FakeAws, Proof, Request};
use crate::aws::{
    AssumeRole, AssumeRoleSource, CredentialSource, Error, ErrorKind, SessionCredentials,
    StsAddress, WebIdentitySource,
};
use crate::secret::ExposeSecret;

#[derive(Debug)]
pub(super) struct ClientCredentials {
    source: CredentialSource,
    /// What the source gave last, unless it is a plain key.
    session: Mutex<Option<SessionCredentials>>,
}

impl ClientCredentials {
    pub(super) fn new(source: &CredentialSource) -> Self {
        Self {
            source: source.clone(),
            session: Mutex::new(None),
        }
    }

    /// What to sign the call of `operation` with.
    pub(super) async fn proof(
        &self,
        aws: &FakeAws,
        operation: &'static str,
    ) -> Result<Proof, Error> {
        match &self.source {
            CredentialSource::DefaultChain => {
                aws.state().default_credentials.clone().ok_or_else(|| {
                    let message = "no AWS credentials were found";
                    Error::unasked(operation, ErrorKind::NoCredentials, message)
                })
            }
            CredentialSource::Static {
                access_key_id,
                secret_access_key,
                session_token,
            } => Ok(Proof {
                access_key_id: access_key_id.clone(),
                secret_access_key: secret_access_key.clone(),
                session_token: session_token.clone(),
            }),
            CredentialSource::AssumeRole(role) => self.session(aws, assume_role(aws, role)).await,
            CredentialSource::WebIdentity(role) => {
                let begin = assume_role_with_web_identity(aws, role, operation);
                self.session(aws, begin).await
            }
        }
    }

    /// The session under way, or a new one.
    async fn session(
        &self,
        aws: &FakeAws,
        begin: impl Future<Output = Result<SessionCredentials, Error>>,
    ) -> Result<Proof, Error> {
        let mut session = self.session.lock().await;
        let now = aws.state().world.now();
        let credentials = match session.take().filter(|kept| kept.expiration > now) {
            Some(kept) => kept,
            None => begin.await?,
        };
        *session = Some(credentials.clone());
        Ok(Proof {
            access_key_id: credentials.access_key_id,
            secret_access_key: credentials.secret_access_key,
            session_token: Some(credentials.session_token),
        })
    }
}

async fn assume_role(aws: &FakeAws, role: &AssumeRoleSource) -> Result<SessionCredentials, Error> {
    let mut request = AssumeRole::new(role.role_arn.clone(), role.role_session_name.clone());
    request.external_id.clone_from(&role.external_id);
    request.tags.clone_from(&role.tags);
    let client = Client {
        aws: aws.clone(),
        region: role.sts.region.as_ref().map(ToString::to_string),
        endpoint: role.sts.endpoint.as_ref().map(ToString::to_string),
        credentials: ClientCredentials::new(&role.source),
    };
    // Boxed, because the source may be a role itself.
    let assumed = Box::pin(crate::aws::Sts::assume_role(&client, request)).await?;
    Ok(assumed.credentials)
}

pub(super) async fn assume_role_with_web_identity(
    aws: &FakeAws,
    role: &WebIdentitySource,
    operation: &'static str,
) -> Result<SessionCredentials, Error> {
    let token = role.tokens.identity_token().await.map_err(|error| {
        Error::unasked(
            operation,
            ErrorKind::NoCredentials,
            format!("no identity token: {error}"),
        )
    })?;
    let StsAddress { region, endpoint } = &role.sts;
    let request = Request {
        operation: "sts:AssumeRoleWithWebIdentity",
        target: role.role_arn.to_string(),
        region: region.as_ref().map(ToString::to_string),
        endpoint: endpoint.as_ref().map(ToString::to_string),
    };
    aws.call(request, None, |world, caller| {
        world.assume_role_with_web_identity(
            caller,
            &role.role_arn,
            &role.role_session_name,
            token.expose_secret(),
        )
    })
    .await
}
