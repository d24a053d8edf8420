//! The clients of the root configuration, and the right to change it.

mod found;
mod sts;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use tokio::sync::{Mutex, MutexGuard, RwLock};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use self::found::Found;
use self::sts::StsCandidates;
use crate::aws::limit::MountLimits;
use crate::aws::{
    self, AccessKeyId, AccountIam, Arn, AssumeRoleSource, CallerIdentity, ClientConfig, Connector,
    CredentialSource, IdentityTokenSource, RoleSessionName, Sts, StsAddress, TokenSourceError,
    WebIdentitySource,
};
use crate::caller::Caller;
use crate::clock::Clock;
use crate::engine::config_root::{Misconfigured, RootConfig};
use crate::engine::error::explain;
use crate::engine::usernames::Names;
use crate::logical::{Error, Storage, StorageError, SystemView};
use crate::secret::SecretString;

/// The connected clients of one mount, kept until `config/root` changes.
///
/// Readers clone the [`Arc`] and let the lock go. Whoever changes the configuration holds
/// [`RootChange`] for the whole exchange, and takes the write lock only to store and forget, so
/// that no reader can keep clients of a configuration that is no longer stored.
pub(crate) struct ClientCache {
    connector: Arc<dyn Connector>,
    limits: MountLimits,
    system: Arc<dyn SystemView>,
    clock: Arc<dyn Clock>,
    connected: RwLock<Option<Arc<Connected>>>,
    changing: Mutex<()>,
    // Whoever has clients since the last rotation of the access key, in the cache or not.
    holders: std::sync::Mutex<TaskTracker>,
}

impl ClientCache {
    pub(crate) fn new(
        connector: Arc<dyn Connector>,
        limits: MountLimits,
        system: Arc<dyn SystemView>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            connector,
            limits,
            system,
            clock,
            connected: RwLock::new(None),
            changing: Mutex::new(()),
            holders: std::sync::Mutex::default(),
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
        let holders = self.holders().clone();
        let connected = Arc::new(self.connect_for(holders, root)?);
        *slot = Some(Arc::clone(&connected));
        Ok(connected)
    }

    /// Clients of a configuration that is not stored (yet).
    pub(crate) fn connect(&self, root: RootConfig) -> Result<Connected, Error> {
        self.connect_for(TaskTracker::new(), root)
    }

    fn connect_for(&self, holders: TaskTracker, root: RootConfig) -> Result<Connected, Error> {
        let credentials = self.credentials(&root)?;
        let iam = root.iam(credentials.clone())?;
        let iam = self.limits.iam(&*self.connector, &iam);
        let iam = iam.map_err(|error| unusable(&error))?;
        let sts = root.sts(&credentials)?;
        Ok(Connected {
            names: Names::of(&root.username_template, &*self.clock),
            root,
            iam,
            sts: Arc::new(StsCandidates::new(
                Arc::clone(&self.connector),
                self.limits.clone(),
                sts,
            )),
            caller: Found::new(),
            _held: holders.token(),
            holders,
        })
    }

    fn holders(&self) -> std::sync::MutexGuard<'_, TaskTracker> {
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Clients at the configuration's first addresses that sign with other credentials than its
    /// own.
    pub(crate) fn connect_as(
        &self,
        root: &RootConfig,
        credentials: CredentialSource,
    ) -> Result<aws::Clients, Error> {
        let unusable = |error: aws::Error| unusable(&error);
        let sts = first_sts(root, &credentials)?;
        let iam = root.iam(credentials)?;
        Ok(aws::Clients {
            iam: self.limits.iam(&*self.connector, &iam).map_err(unusable)?,
            sts: self.limits.sts(&*self.connector, &sts).map_err(unusable)?,
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
        let source = self.credentials(root)?;
        Ok(CredentialSource::AssumeRole(Box::new(AssumeRoleSource {
            sts: sts_address(first_sts(root, &source)?),
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
    ) -> Result<(), StorageError> {
        let mut slot = self.cache.connected.write().await;
        // Also when storing fails: the host may have done it all the same.
        *slot = None;
        config.store(storage).await
    }

    /// Stores the configuration of `next` and hands its clients to every request from now on.
    ///
    /// The tracker is empty when the last request that works with older clients has ended; until
    /// then the old credentials must live.
    pub(crate) async fn replace(
        &self,
        storage: &dyn Storage,
        next: Connected,
    ) -> Result<(Arc<Connected>, TaskTracker), StorageError> {
        let mut slot = self.cache.connected.write().await;
        *slot = None;
        next.root.store(storage).await?;
        let next = Arc::new(next);
        *slot = Some(Arc::clone(&next));
        let before = std::mem::replace(&mut *self.cache.holders(), next.holders.clone());
        before.close();
        Ok((next, before))
    }
}

/// The clients of one configuration.
pub(crate) struct Connected {
    /// What they were made of.
    pub(crate) root: RootConfig,
    /// The configuration's `username_template`.
    pub(crate) names: Names,
    /// IAM of the account.
    pub(crate) iam: AccountIam,
    sts: Arc<StsCandidates>,
    caller: Found<CallerIdentity, ()>,
    // Dropped with the last request that holds these clients.
    _held: TaskTrackerToken,
    holders: TaskTracker,
}

impl Connected {
    /// STS of the account, for a request of `caller`.
    ///
    /// With one address it is that one. With several, it is the first that answers
    /// `sts:GetCallerIdentity`, found out once, and again when it cannot be reached any more.
    pub(crate) async fn sts(&self, caller: &Caller) -> Result<Box<dyn Sts>, Error> {
        let chosen = self.sts.choose(caller).await.map_err(Error::from)?;
        Ok(Box::new(chosen))
    }

    /// Who AWS takes us for, asked once; `None` when AWS does not say in two thirds of the time.
    pub(crate) async fn caller(&self, caller: &Caller) -> Option<CallerIdentity> {
        let ask = || {
            let (sts, caller) = (Arc::clone(&self.sts), caller.committed());
            async move {
                let sts = sts.choose(&caller).await.map_err(drop)?.beginning();
                sts.get_caller_identity().await.map_err(drop)
            }
            .boxed()
        };
        tokio::select! {
            biased;
            identity = self.caller.get_or_ask(ask) => identity.ok(),
            () = caller.gone() => None,
        }
    }

    /// The AWS account, where the access key id tells it.
    pub(crate) fn key_account(&self) -> Option<String> {
        AccessKeyId::new(&self.root.access_key).ok()?.account()
    }

    /// The AWS account; `None` when neither the access key id nor AWS tells it.
    pub(crate) async fn account(&self, caller: &Caller) -> Option<String> {
        if let Some(account) = self.key_account() {
            return Some(account);
        }
        Some(self.caller(caller).await?.account)
    }

    /// Refuses to touch a user of another AWS account than ours: one of the same name here is
    /// somebody else's, and that there is none says nothing. Where one of the two accounts is not
    /// known (empty), they are taken to be the same.
    pub(crate) async fn must_be_of(
        &self,
        account: &str,
        user: &str,
        caller: &Caller,
    ) -> Result<(), Error> {
        if account.is_empty() {
            return Ok(());
        }
        match self.account(caller).await {
            Some(ours) if ours != account => Err(Error::internal(format!(
                "IAM user {user} is of AWS account {account}, and the AWS credentials of this engine belong to account {ours}: write credentials of account {account} to config/root for as long as its users live, or delete the user there (`lease revoke -force` then ends its lease)"
            ))),
            _ => Ok(()),
        }
    }

    /// Whether STS takes our credentials: false when it does not say, an error when it refuses them.
    pub(crate) async fn sts_accepts_us(&self, caller: &Caller) -> Result<bool, aws::Error> {
        self.sts.accepts_us(caller).await
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
