//! The clients of the root configuration, and the right to change it.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Mutex, MutexGuard, OnceCell, RwLock, oneshot};

use super::config_root::{Misconfigured, RootConfig};
use super::error::explain;
use crate::aws::{
    self, Arn, AssumeRoleSource, ClientConfig, Connector, CredentialSource, Iam,
    IdentityTokenSource, RoleSessionName, Sts, StsAddress, TokenSourceError, WebIdentitySource,
};
use crate::clock::Clock;
use crate::logical::{Error, Storage, SystemView};
use crate::secret::SecretString;

/// The connected clients of one mount, kept until `config/root` changes.
///
/// Readers clone the [`Arc`] and let the lock go. Whoever changes the configuration holds
/// [`RootChange`] for the whole exchange, and takes the write lock only to store and forget, so
/// that no reader can keep clients of a configuration that is no longer stored.
pub(crate) struct ClientCache {
    connector: Arc<dyn Connector>,
    system: Arc<dyn SystemView>,
    clock: Arc<dyn Clock>,
    connected: RwLock<Option<Arc<Connected>>>,
    changing: Mutex<()>,
}

impl ClientCache {
    pub(crate) fn new(
        connector: Arc<dyn Connector>,
        system: Arc<dyn SystemView>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            connector,
            system,
            clock,
            connected: RwLock::new(None),
            changing: Mutex::new(()),
        }
    }

    /// The clients of the stored configuration.
    pub(crate) async fn get(&self, storage: &dyn Storage) -> Result<Arc<Connected>, Error> {
        if let Some(connected) = &*self.connected.read().await {
            return Ok(Arc::clone(connected));
        }
        let mut slot = self.connected.write().await;
        if let Some(connected) = &*slot {
            return Ok(Arc::clone(connected));
        }
        let root = RootConfig::load(storage)
            .await
            .map_err(|error| Error::from(error).context("error reading root configuration"))?
            .unwrap_or_else(RootConfig::unconfigured);
        let connected = Arc::new(self.connect(root)?);
        *slot = Some(Arc::clone(&connected));
        Ok(connected)
    }

    /// Clients of a configuration that is not stored (yet).
    pub(crate) fn connect(&self, root: RootConfig) -> Result<Connected, Error> {
        let credentials = self.credentials(&root).map_err(misconfigured)?;
        let iam = root.iam(credentials.clone()).map_err(misconfigured)?;
        let iam = self.connector.iam(&iam).map_err(|error| unusable(&error))?;
        let sts = root.sts(&credentials).map_err(misconfigured)?;
        let (in_use, unused) = oneshot::channel();
        Ok(Connected {
            root,
            iam,
            sts: StsCandidates {
                connector: Arc::clone(&self.connector),
                configs: sts,
                chosen: OnceCell::new(),
            },
            _in_use: in_use,
            unused: std::sync::Mutex::new(Some(unused)),
        })
    }

    /// Clients at the configuration's first addresses that sign with other credentials than its
    /// own.
    pub(crate) fn connect_as(
        &self,
        root: &RootConfig,
        credentials: CredentialSource,
    ) -> Result<aws::Clients, Error> {
        let unusable = |error: aws::Error| unusable(&error);
        let sts = first_sts(root, &credentials).map_err(misconfigured)?;
        let iam = root.iam(credentials).map_err(misconfigured)?;
        Ok(aws::Clients {
            iam: self.connector.iam(&iam).map_err(unusable)?,
            sts: self.connector.sts(&sts).map_err(unusable)?,
        })
    }

    /// A role that is assumed with the configuration's credentials.
    pub(crate) fn assume(
        &self,
        root: &RootConfig,
        role_arn: Arn,
        role_session_name: RoleSessionName,
        external_id: Option<String>,
    ) -> Result<CredentialSource, Error> {
        let source = self.credentials(root).map_err(misconfigured)?;
        Ok(CredentialSource::AssumeRole(Box::new(AssumeRoleSource {
            sts: sts_address(first_sts(root, &source).map_err(misconfigured)?),
            source,
            role_arn,
            role_session_name,
            external_id,
            tags: Vec::new(),
        })))
    }

    /// Another node changed the configuration.
    pub(crate) async fn forget(&self) {
        *self.connected.write().await = None;
    }

    /// The right to change `config/root`; waits until nobody else is at it.
    pub(crate) async fn begin_change(&self) -> RootChange<'_> {
        RootChange {
            cache: self,
            _changing: self.changing.lock().await,
        }
    }

    fn credentials(&self, root: &RootConfig) -> Result<CredentialSource, Misconfigured> {
        if root.identity_token_audience.is_empty() {
            return root.credentials();
        }
        let name = format!(
            "vault-aws-secrets-{}",
            self.clock.now().unix_timestamp_nanos()
        );
        let sts = sts_address(first_sts(root, &CredentialSource::DefaultChain)?);
        Ok(CredentialSource::WebIdentity(WebIdentitySource {
            role_arn: Arn::new(&root.role_arn)
                .map_err(|error| Misconfigured::field("role_arn", error))?,
            role_session_name: RoleSessionName::new(name)
                .map_err(|error| Misconfigured::field("role_arn", error))?,
            tokens: Arc::new(HostTokens {
                system: Arc::clone(&self.system),
                audience: root.identity_token_audience.clone(),
                ttl: root.identity_token_ttl,
            }),
            sts,
        }))
    }
}

impl fmt::Debug for ClientCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCache").finish_non_exhaustive()
    }
}

/// The right to change `config/root`.
pub(crate) struct RootChange<'a> {
    cache: &'a ClientCache,
    _changing: MutexGuard<'a, ()>,
}

impl RootChange<'_> {
    /// Stores the configuration and forgets the clients of the one before.
    pub(crate) async fn store(
        &self,
        storage: &dyn Storage,
        config: &RootConfig,
    ) -> Result<(), Error> {
        let mut slot = self.cache.connected.write().await;
        config.store(storage).await?;
        *slot = None;
        Ok(())
    }

    /// Stores the configuration of `next` and hands its clients to every request from now on.
    ///
    /// The receiver, if there is one, ends when the last request that still works with the clients
    /// of before is done; until then the old credentials must live.
    pub(crate) async fn replace(
        &self,
        storage: &dyn Storage,
        next: Connected,
    ) -> Result<(Arc<Connected>, Option<oneshot::Receiver<()>>), Error> {
        let mut slot = self.cache.connected.write().await;
        next.root.store(storage).await?;
        let next = Arc::new(next);
        let before = slot.replace(Arc::clone(&next));
        let unused = before.and_then(|before| {
            before
                .unused
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take()
        });
        Ok((next, unused))
    }
}

/// The clients of one configuration.
pub(crate) struct Connected {
    /// What they were made of.
    pub(crate) root: RootConfig,
    /// IAM of the account.
    pub(crate) iam: Arc<dyn Iam>,
    sts: StsCandidates,
    // Dropped with the last request that holds these clients, which ends `unused`.
    _in_use: oneshot::Sender<()>,
    unused: std::sync::Mutex<Option<oneshot::Receiver<()>>>,
}

impl Connected {
    /// STS of the account.
    ///
    /// With one address it is that one. With several, it is the first that answers
    /// `sts:GetCallerIdentity`, found out once.
    pub(crate) async fn sts(&self) -> Result<Arc<dyn Sts>, Error> {
        self.sts.choose().await
    }
}

struct StsCandidates {
    connector: Arc<dyn Connector>,
    configs: Vec<ClientConfig>,
    chosen: OnceCell<Arc<dyn Sts>>,
}

impl StsCandidates {
    async fn choose(&self) -> Result<Arc<dyn Sts>, Error> {
        self.chosen
            .get_or_try_init(|| async {
                let connect = |config| self.connector.sts(config).map_err(|error| unusable(&error));
                if let [only] = self.configs.as_slice() {
                    return connect(only);
                }
                let mut failures = Vec::new();
                for config in &self.configs {
                    let sts = connect(config)?;
                    match sts.get_caller_identity().await {
                        Ok(_) => return Ok(sts),
                        Err(error) => failures.push(explain(&error)),
                    }
                }
                failures.dedup();
                Err(Error::invalid(format!(
                    "could not obtain sts client: {}",
                    failures.join("; ")
                )))
            })
            .await
            .cloned()
    }
}

/// How to reach the first STS of the configuration.
fn first_sts(
    root: &RootConfig,
    credentials: &CredentialSource,
) -> Result<ClientConfig, Misconfigured> {
    let first = root.sts(credentials)?.into_iter().next();
    Ok(ClientConfig {
        credentials: credentials.clone(),
        ..first.unwrap_or_default()
    })
}

fn sts_address(config: ClientConfig) -> StsAddress {
    StsAddress {
        region: config.region,
        endpoint: config.endpoint,
    }
}

fn misconfigured(error: Misconfigured) -> Error {
    Error::invalid(error.to_string())
}

fn unusable(error: &aws::Error) -> Error {
    Error::invalid(explain(error))
}

/// Identity tokens that the host mints for this mount.
struct HostTokens {
    system: Arc<dyn SystemView>,
    audience: String,
    ttl: Duration,
}

#[async_trait]
impl IdentityTokenSource for HostTokens {
    async fn identity_token(&self) -> Result<SecretString, TokenSourceError> {
        self.system
            .generate_identity_token(&self.audience, self.ttl)
            .await
            .map(|answer| answer.token)
            .map_err(|error| {
                TokenSourceError::new(format!("failed to generate plugin identity token: {error}"))
            })
    }
}

impl fmt::Debug for HostTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostTokens")
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}
