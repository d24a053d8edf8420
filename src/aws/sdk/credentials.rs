//! Where a client's credentials come from.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

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
use super::machine::{Chain, Origin};
use super::sts::SdkSts;
use crate::aws::{
    AccessKeyId, AssumeRole, AssumeRoleSource, Error, ErrorKind, Region, SessionCredentials, Sts,
    WebIdentitySource,
};
use crate::environment::Environment;
use crate::secret::{ExposeSecret, SecretString};

/// How long credentials are fetched at most; longer than one call to STS with all its tries, which
/// tells why it failed.
const LOAD_TIMEOUT: Duration = Duration::from_secs(35);

/// A source of credentials with a memory for what it gave. Clients that share both share what was
/// fetched.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) provider: SharedCredentialsProvider,
    pub(super) cache: SharedIdentityCache,
    /// Where those of the machine were found.
    pub(super) origin: Origin,
}

impl Credentials {
    fn new(provider: impl ProvideCredentials + 'static) -> Self {
        Self {
            provider: SharedCredentialsProvider::new(provider),
            cache: IdentityCache::lazy().load_timeout(LOAD_TIMEOUT).build(),
            origin: Origin::default(),
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

    /// What the process finds around it. `region` is where the chain finds STS, if it needs it;
    /// `logged` is what the log knows of all chains.
    pub(super) fn of_the_machine(
        region: &Region,
        http: &SharedHttpClient,
        environment: Arc<dyn Environment>,
        logged: &Origin,
    ) -> Self {
        let origin = Origin::default();
        let of_the_machine = Self::new(DefaultChain {
            lazy: Arc::new(LazyChain {
                region: SdkRegion::new(region.to_string()),
                http: http.clone(),
                environment,
                origin: origin.clone(),
                logged: logged.clone(),
                chain: OnceCell::new(),
            }),
            loading: Beside::default(),
        });
        Self {
            origin,
            ..of_the_machine
        }
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

/// The chain of the machine. It reads files, so it does all that it does beside the thread that serves.
#[derive(Debug)]
struct DefaultChain {
    lazy: Arc<LazyChain>,
    loading: Beside<Result<SdkCredentials, CredentialsError>>,
}

/// Built at its first use.
struct LazyChain {
    region: SdkRegion,
    http: SharedHttpClient,
    environment: Arc<dyn Environment>,
    origin: Origin,
    logged: Origin,
    chain: OnceCell<Chain>,
}

impl fmt::Debug for LazyChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LazyChain")
    }
}

impl LazyChain {
    async fn load(&self) -> Result<SdkCredentials, CredentialsError> {
        let build = || async {
            let config = ProviderConfig::without_region()
                .with_behavior_version(Some(BehaviorVersion::latest()))
                .with_region(Some(self.region.clone()))
                .with_http_client(self.http.clone());
            let environment = &*self.environment;
            let (origin, logged) = (self.origin.clone(), self.logged.clone());
            Chain::of_the_machine(&config, environment, origin, logged)
        };
        self.chain.get_or_init(build).await.load().await
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
        self.lazy.chain.get()?.fallback()
    }
}
