//! The clients of the root configuration, and the right to change it.

mod acceptance;
mod account;
mod change;
mod connected;
mod found;
mod identity_tokens;
mod key_date;
mod misconfigured;
mod own_times;
pub(in crate::engine) mod root_config;
mod root_keys;
mod sts;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

pub(super) use self::change::RootChange;
pub(crate) use self::connected::Connected;
pub(super) use self::root_keys::RootKeys;
pub(super) use self::sts::StsAnswer;

use self::acceptance::{Acceptance, WatchedConnector};
use self::found::Found;
use self::identity_tokens::{HostTokens, MountTokens, OneToken};
use self::key_date::KeyDate;
use self::root_config::{Misconfigured, RootConfig};
use self::root_keys::HeldKey;
use self::sts::StsCandidates;
use crate::aws::limit::MountLimits;
use crate::aws::{
    self, AccountIam, Arn, AssumeRoleSource, ClientConfig, Connector, CredentialSource,
    IdentityTokenSource, RoleSessionName, StsAddress, WebIdentitySource,
};
use crate::clock::Clock;
use crate::engine::error::explain;
use crate::engine::identity::Identity;
use crate::engine::usernames::Names;
use crate::logical::{Error, Storage, StorageError, SystemView};
use crate::secret::SecretString;

/// How AWS's logs name the session of `assume_role_arn`, unless they are told otherwise.
const DEFAULT_SESSION_NAME: &str = "vault-aws-secrets";

/// How long a put that failed for us may take to land: the host may have it in its queue.
const LANDS_WITHIN: Duration = Duration::from_mins(10);

/// The connected clients of one mount, kept until `config/root` changes. Storage is looked at again
/// when AWS does not accept the credentials any more, and for a while after a change whose outcome
/// is in doubt.
///
/// Readers clone the [`Arc`] and let the lock go. Whoever changes the configuration holds
/// [`RootChange`] for the whole exchange, and takes the write lock only to store and forget, so
/// that no reader can keep clients of a configuration that is no longer stored.
pub(crate) struct ClientCache {
    connector: Arc<dyn Connector>,
    limits: MountLimits,
    system: Arc<dyn SystemView>,
    clock: Arc<dyn Clock>,
    root_keys: Arc<RootKeys>,
    identity: Arc<Identity>,
    slot: RwLock<Slot>,
    changing: Mutex<()>,
    // Whoever has clients since the last rotation of the access key, in the cache or not.
    holders: std::sync::Mutex<TaskTracker>,
}

#[derive(Default)]
struct Slot {
    connected: Option<Arc<Connected>>,
    /// The stored access key, as far as we know, also while there are no clients of it.
    stored_key: Option<HeldKey>,
    /// A put of the configuration failed, and may land all the same until then.
    unsettled_until: Option<Instant>,
}

impl Slot {
    /// The clients, if there is no reason to look into storage first.
    fn trusted(&self) -> Option<Arc<Connected>> {
        let connected = self.connected.as_ref()?;
        let unsettled = |until| Instant::now() < until;
        let doubtful =
            connected.acceptance.is_doubtful() || self.unsettled_until.is_some_and(unsettled);
        (!doubtful).then(|| Arc::clone(connected))
    }

    /// A put of the configuration failed.
    fn failed(&mut self, error: &StorageError) {
        if !matches!(error, StorageError::ReadOnly(_)) {
            self.unsettled_until = Some(Instant::now() + LANDS_WITHIN);
        }
    }
}

impl ClientCache {
    pub(crate) fn new(
        connector: Arc<dyn Connector>,
        limits: MountLimits,
        root_keys: Arc<RootKeys>,
        identity: Arc<Identity>,
        system: Arc<dyn SystemView>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            connector,
            limits,
            system,
            clock,
            root_keys,
            identity,
            slot: RwLock::default(),
            changing: Mutex::new(()),
            holders: std::sync::Mutex::default(),
        }
    }

    /// The clients of the stored configuration.
    pub(crate) async fn get(&self, storage: &dyn Storage) -> Result<Arc<Connected>, Error> {
        if storage.is_snapshot() {
            return Err(Error::invalid(
                "a snapshot can be read, and nothing can be asked of AWS in its name: leave out read_snapshot_id",
            ));
        }
        if let Some(connected) = self.slot.read().await.trusted() {
            return Ok(connected);
        }
        let mut slot = self.slot.write().await;
        match slot.trusted() {
            Some(connected) => Ok(connected),
            None => self.look(storage, &mut slot).await,
        }
    }

    /// The same, after a look into storage in any case.
    pub(crate) async fn look_again(&self, storage: &dyn Storage) -> Result<Arc<Connected>, Error> {
        self.look(storage, &mut *self.slot.write().await).await
    }

    async fn look(&self, storage: &dyn Storage, slot: &mut Slot) -> Result<Arc<Connected>, Error> {
        let root = load(storage).await?;
        if let Some(kept) = &slot.connected {
            if kept.root.is_stored_as(&root) {
                kept.acceptance.confirm();
                return Ok(Arc::clone(kept));
            }
            tracing::info!(access_key = %root.access_key, "config/root in storage is not what is in use, connecting anew");
        }
        slot.connected = None;
        slot.stored_key = Some(self.root_keys.hold(&root.access_key));
        let holders = self.holders().clone();
        let connected = Arc::new(self.connect_for(holders, root)?);
        slot.connected = Some(Arc::clone(&connected));
        Ok(connected)
    }

    /// Makes the stored access key known to the other mounts, before anything is asked of AWS.
    pub(crate) async fn announce(&self, storage: &dyn Storage) {
        match load(storage).await {
            Ok(root) => {
                let held = self.root_keys.hold(&root.access_key);
                self.slot.write().await.stored_key = Some(held);
            }
            // It is read again before it is used.
            Err(error) => tracing::debug!(%error, "config/root cannot be read yet"),
        }
    }

    /// The ids of the access keys that the mounts of this process act with.
    pub(crate) fn root_keys(&self) -> BTreeSet<String> {
        self.root_keys.all()
    }

    /// Whether any mount of this process acts with this access key.
    pub(crate) fn is_root_key(&self, id: &str) -> bool {
        self.root_keys.contains(id)
    }

    /// Clients of a configuration that is not stored (yet).
    pub(crate) fn connect(&self, root: RootConfig) -> Result<Connected, Error> {
        self.connect_for(TaskTracker::new(), root)
    }

    fn connect_for(&self, holders: TaskTracker, root: RootConfig) -> Result<Connected, Error> {
        let credentials = self.credentials(&root)?;
        let acceptance = Arc::default();
        let connector = self.watched(&acceptance);
        let iam = root.iam(credentials.clone())?;
        let iam = self.limits.iam(&connector, &iam);
        let iam = iam.map_err(|error| unusable(&error))?;
        let sts = root.sts(&credentials)?;
        Ok(Connected {
            names: Names::of(&root.username_template, &*self.clock),
            iam,
            sts: Arc::new(StsCandidates::new(
                Arc::new(connector),
                self.limits.clone(),
                sts,
            )),
            acceptance,
            caller: Found::new(),
            key_date: KeyDate::new(),
            _key: self.root_keys.hold(&root.access_key),
            root,
            _held: holders.token(),
            holders,
        })
    }

    fn watched(&self, acceptance: &Arc<Acceptance>) -> WatchedConnector {
        WatchedConnector {
            connector: Arc::clone(&self.connector),
            acceptance: Arc::clone(acceptance),
        }
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

    /// IAM by a role that is assumed with the configuration's credentials.
    pub(crate) fn assume(
        &self,
        root: &Connected,
        role_arn: Arn,
        role_session_name: RoleSessionName,
        external_id: Option<String>,
    ) -> Result<AccountIam, Error> {
        let source = self.credentials(&root.root)?;
        let session = CredentialSource::AssumeRole(Box::new(AssumeRoleSource {
            sts: sts_address(first_sts(&root.root, &source)?),
            source,
            role_arn,
            role_session_name,
            external_id,
            tags: Vec::new(),
        }));
        let connector = self.watched(&root.acceptance);
        self.limits
            .iam(&connector, &root.root.iam(session)?)
            .map_err(|error| unusable(&error))
    }

    /// Another node changed the configuration.
    pub(crate) async fn forget(&self) {
        self.slot.write().await.connected = None;
    }

    /// Whose credentials sign: those of the role that is assumed with the root's own, if there is one.
    fn credentials(&self, root: &RootConfig) -> Result<CredentialSource, Misconfigured> {
        let source = self.own_credentials(root)?;
        let role_arn = root_config::parse("assume_role_arn", &root.assume_role_arn, |text| {
            Arn::new(text)
        })?;
        let Some(role_arn) = role_arn else {
            return Ok(source);
        };
        let name = match root.assume_role_session_name.as_str() {
            "" => DEFAULT_SESSION_NAME,
            name => name,
        };
        Ok(CredentialSource::AssumeRole(Box::new(AssumeRoleSource {
            sts: sts_address(first_sts(root, &source)?),
            source,
            role_arn,
            role_session_name: RoleSessionName::new(name)
                .map_err(|error| Misconfigured::field("assume_role_session_name", error))?,
            external_id: (!root.external_id.is_empty()).then(|| root.external_id.clone()),
            tags: Vec::new(),
        })))
    }

    fn own_credentials(&self, root: &RootConfig) -> Result<CredentialSource, Misconfigured> {
        if root.identity_token_audience.is_empty() {
            return root.credentials();
        }
        let tokens: Arc<dyn IdentityTokenSource> = if root.identity_token_issuer.is_empty() {
            Arc::new(HostTokens {
                system: Arc::clone(&self.system),
                audience: root.identity_token_audience.clone(),
                ttl: root.identity_token_ttl,
            })
        } else {
            Arc::new(MountTokens {
                identity: Arc::clone(&self.identity),
                claims: root.claims(),
            })
        };
        self.of_tokens(root, tokens)
    }

    /// Clients at the configuration's first addresses that assume its `role_arn` with this token.
    pub(crate) fn connect_with_token(
        &self,
        root: &RootConfig,
        token: SecretString,
    ) -> Result<aws::Clients, Error> {
        let credentials = self.of_tokens(root, Arc::new(OneToken(token)))?;
        self.connect_as(root, credentials)
    }

    fn of_tokens(
        &self,
        root: &RootConfig,
        tokens: Arc<dyn IdentityTokenSource>,
    ) -> Result<CredentialSource, Misconfigured> {
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
            tokens,
            sts,
        }))
    }
}

impl fmt::Debug for ClientCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCache").finish_non_exhaustive()
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

async fn load(storage: &dyn Storage) -> Result<RootConfig, Error> {
    let root = RootConfig::load(storage)
        .await
        .map_err(|error| Error::from(error).context("error reading root configuration"))?;
    Ok(root.unwrap_or_else(RootConfig::unconfigured))
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
