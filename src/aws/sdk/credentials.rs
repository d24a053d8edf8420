//! Where a client's credentials come from.

use std::fmt;
use std::sync::Arc;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region as SdkRegion};
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_iam::config::{
    Credentials as SdkCredentials, IdentityCache, SharedCredentialsProvider, SharedHttpClient,
    SharedIdentityCache,
};
use futures_util::FutureExt as _;
use tokio::sync::OnceCell;

use super::beside::Beside;
use super::sts::SdkSts;
use crate::aws::{
    AccessKeyId, AssumeRole, AssumeRoleSource, Error, ErrorKind, Region, SessionCredentials, Sts,
    WebIdentitySource,
};
use crate::secret::{ExposeSecret, SecretString};

/// A source of credentials with a memory for what it gave. Clients that share both share what was
/// fetched.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) provider: SharedCredentialsProvider,
    pub(super) cache: SharedIdentityCache,
}

impl Credentials {
    fn new(provider: impl ProvideCredentials + 'static) -> Self {
        Self {
            provider: SharedCredentialsProvider::new(provider),
            cache: IdentityCache::lazy().build(),
        }
    }

    pub(super) fn of_key(
        id: &AccessKeyId,
        secret: &SecretString,
        token: Option<&SecretString>,
    ) -> Self {
        Self::new(SdkCredentials::new(
            id.as_str(),
            secret.expose_secret(),
            token.map(|token| token.expose_secret().to_owned()),
            None,
            "Static",
        ))
    }

    /// `region` is where the chain finds STS, if it needs it.
    pub(super) fn default_chain(region: &Region, http: &SharedHttpClient) -> Self {
        Self::new(DefaultChain {
            lazy: Arc::new(LazyChain {
                region: SdkRegion::new(region.to_string()),
                http: http.clone(),
                chain: OnceCell::new(),
            }),
            loading: Beside::default(),
        })
    }

    pub(super) fn of_assumed_role(sts: SdkSts, role: &AssumeRoleSource) -> Self {
        let mut request = AssumeRole::new(role.role_arn.clone(), role.role_session_name.clone());
        request.external_id.clone_from(&role.external_id);
        request.tags.clone_from(&role.tags);
        let sts = Arc::new(sts);
        Self::new(Session(move || {
            let (sts, request) = (Arc::clone(&sts), request.clone());
            async move { Ok(sts.assume_role(request).await?.credentials) }.boxed()
        }))
    }

    pub(super) fn of_web_identity(sts: SdkSts, role: &WebIdentitySource) -> Self {
        let sts = Arc::new(sts);
        let role = role.clone();
        Self::new(Session(move || {
            let (sts, role) = (Arc::clone(&sts), role.clone());
            async move {
                let token = role.tokens.identity_token().await.map_err(|error| {
                    Error::unasked(
                        SdkSts::ASSUME_ROLE_WITH_WEB_IDENTITY,
                        ErrorKind::NoCredentials,
                        format!("no identity token: {error}"),
                    )
                })?;
                sts.assume_role_with_web_identity(&role.role_arn, &role.role_session_name, &token)
                    .await
            }
            .boxed()
        }))
    }
}

/// Begins a session whenever the last one is about to end.
struct Session<F>(F);

type Begun = futures_util::future::BoxFuture<'static, Result<SessionCredentials, Error>>;

impl<F: Fn() -> Begun + Send + Sync> ProvideCredentials for Session<F> {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let begun = (self.0)();
        future::ProvideCredentials::new(async move {
            let session = begun.await.map_err(CredentialsError::provider_error)?;
            Ok(SdkCredentials::new(
                session.access_key_id.as_str(),
                session.secret_access_key.expose_secret(),
                Some(session.session_token.expose_secret().to_owned()),
                Some(session.expiration.into()),
                "Session",
            ))
        })
    }
}

impl<F> fmt::Debug for Session<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Session")
    }
}

/// The SDK's own chain. It reads files, so it does all that it does beside the thread that serves.
#[derive(Debug)]
struct DefaultChain {
    lazy: Arc<LazyChain>,
    loading: Beside<Result<SdkCredentials, CredentialsError>>,
}

/// Built at its first use.
#[derive(Debug)]
struct LazyChain {
    region: SdkRegion,
    http: SharedHttpClient,
    chain: OnceCell<DefaultCredentialsChain>,
}

impl LazyChain {
    async fn load(&self) -> Result<SdkCredentials, CredentialsError> {
        let build = || async {
            let config = ProviderConfig::without_region()
                .with_behavior_version(Some(BehaviorVersion::latest()))
                .with_region(Some(self.region.clone()))
                .with_http_client(self.http.clone());
            DefaultCredentialsChain::builder()
                .region(self.region.clone())
                .configure(config)
                .build()
                .await
        };
        self.chain
            .get_or_init(build)
            .await
            .provide_credentials()
            .await
    }
}

impl ProvideCredentials for DefaultChain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let lazy = Arc::clone(&self.lazy);
        let load = async move { lazy.load().await };
        future::ProvideCredentials::new(async {
            let loaded = self.loading.run(load).await;
            loaded.map_err(CredentialsError::unhandled).flatten()
        })
    }

    /// What was fetched last, for when the instance's metadata service is down for a while.
    fn fallback_on_interrupt(&self) -> Option<SdkCredentials> {
        self.lazy.chain.get()?.fallback_on_interrupt()
    }
}
