//! The AWS secrets engine: what each path does, on the framework and on AWS's seam.
//!
//! The list of `paths` is the table of contents; a path's fields, handlers and stored form are in
//! the file that is named like it.
//! May depend on: [`crate::framework`], [`crate::logical`], [`crate::aws`] and the leaves.

mod as_sent;
mod busy;
mod clients;
mod closed;
mod config_check;
mod config_lease;
mod config_root;
mod contain;
mod counters;
mod creds;
mod error;
#[cfg(any(test, feature = "test-util"))]
pub(crate) mod fuzzing;
mod iam_user_removal;
mod identity;
mod issued;
mod kept;
mod key_rotation;
mod locks;
mod metrics;
mod owner;
mod policies;
mod roles;
mod rotate_root;
mod schedule;
mod sessions;
mod static_roles;
mod stored;
mod tag_rules;
mod tidy;
mod usernames;
mod well_known;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::join;

use self::clients::{ClientCache, RootKeys};
use self::config_lease::LeaseConfig;
use self::contain::Contain;
use self::counters::Counters;
use self::identity::Identity;
use self::issued::Register;
use self::kept::Kept;
use self::locks::NameLocks;
use self::owner::Owner;
use self::roles::RoleRecord;
use self::sessions::Endings;
use self::static_roles::StaticRoles;
use crate::aws::Connector;
use crate::aws::limit::{Counts, Limits};
use crate::caller::Caller;
use crate::clock::Clock;
use crate::framework::wal::{Life, Look, WAL_PREFIX, WalEntry};
use crate::framework::{Answer, Backend, Declaration, Lifecycle, Path, Undone};
use crate::logical::{
    self, BackendConfig, Error, Factory, Request, SpecialPaths, Storage, SystemView,
};

const DESCRIPTION: &str = "\
The AWS secrets engine hands out AWS credentials that end by themselves: IAM users
with an access key, made for one lease and removed with it, or sessions of STS.

Write the engine's own credentials to config/root and rotate them with
config/rotate-root. Define what a client may get in roles/<name>. Then reading
creds/<name> gives credentials, and revoking their lease ends an IAM user at once;
sessions of STS live until their time is up, unless their role makes them revocable.

For programs that need an IAM user that exists already, static-roles/<name> takes one
over and rotates its access key; static-creds/<name> shows the key of the moment.

When a key has leaked: issued/<access key id> tells whose it is, and a write to
issued/<access key id>/revoke ends it. A write to contain/<role> ends all that a role has
given out; look first with dry_run=true.";

/// How many roles a mount keeps in memory; most take a few kilobytes.
const KEPT_ROLES: usize = 1000;

/// The state of one mount. What other requests must not disturb is behind the locks of its parts.
pub(crate) struct Engine {
    clients: ClientCache,
    /// When the root key is rotated by itself.
    root_due: rotate_root::Due,
    /// Where the mount is its own identity provider.
    identity: Arc<Identity>,
    /// When its keys are looked at.
    signing_due: rotate_root::Due,
    /// By the role's name.
    roles: Kept<RoleRecord>,
    /// For whoever changes a role.
    role_locks: NameLocks,
    /// By its key, also where nothing is stored.
    lease_config: Kept<LeaseConfig>,
    static_roles: StaticRoles,
    /// The users that were made for leases.
    issued: Register,
    /// The sessions of STS that are ended before their time.
    sessions: Endings,
    owner: Owner,
    contain: Contain,
    counters: Counters,
    /// What became of the calls to AWS.
    aws_calls: Arc<Counts>,
    /// Whose work WAL entries are.
    life: Life,
    clock: Arc<dyn Clock>,
    system: Arc<dyn SystemView>,
}

fn paths() -> Vec<Path<Engine>> {
    vec![
        config_root::path(),
        rotate_root::path(),
        config_lease::path(),
        config_check::path(),
        roles::path(),
        roles::list_path(),
        static_roles::path(),
        static_roles::list_path(),
        static_roles::rotate_path(),
        static_roles::creds_path(),
        creds::path(),
        issued::path(),
        issued::list_path(),
        issued::revoke_path(),
        well_known::path(),
        contain::path(),
        contain::mount_path(),
        contain::status_path(),
        contain::list_path(),
        tidy::path(),
        metrics::path(),
    ]
}

fn declaration() -> Result<Declaration<Engine>, Error> {
    Ok(
        Declaration::new(DESCRIPTION, paths(), vec![creds::access_keys()])
            .map_err(|error| Error::internal(error.to_string()))?
            // Whatever the mount's type is called, clients are generated from these ids.
            .operation_prefix("aws")
            .special_paths(SpecialPaths {
                unauthenticated: well_known::PATHS.map(str::to_owned).to_vec(),
                local_storage: vec![
                    WAL_PREFIX.to_owned(),
                    issued::PREFIX.to_owned(),
                    issued::WATCH_KEY.to_owned(),
                    sessions::PREFIX.to_owned(),
                    sessions::DENIALS_PREFIX.to_owned(),
                    sessions::POLICY_NAME_KEY.to_owned(),
                    owner::KEY.to_owned(),
                    contain::PREFIX.to_owned(),
                ],
                seal_wrap_storage: vec![
                    config_root::KEY.to_owned(),
                    static_roles::CREDENTIALS.to_owned(),
                    identity::PREFIX.to_owned(),
                ],
                ..SpecialPaths::default()
            })
            .wal_rollback_min_age(Duration::from_mins(5)),
    )
}

#[async_trait]
impl Lifecycle for Engine {
    async fn initialize(self: Arc<Self>, storage: Arc<dyn Storage>) -> Result<(), Error> {
        self.clients.announce(&*storage).await;
        self.static_roles.begin();
        Ok(())
    }

    async fn periodic(
        self: Arc<Self>,
        storage: Arc<dyn Storage>,
        caller: Caller,
    ) -> Result<(), Error> {
        // First: it lets the requests of older keys end, and those below are such requests.
        let root = rotate_root::rotate_due(&self, &*storage, &caller).await;
        let (contained, rotated, swept, ended, tended) = join!(
            contain::go_on(&self, &*storage, &caller),
            static_roles::rotate_due(&self, &*storage, &caller),
            issued::sweep(&self, &*storage, &caller),
            sessions::tick(&self, &*storage, &caller),
            rotate_root::tend_signing_keys(&self, &*storage),
        );
        root?;
        [contained, rotated, swept, ended, tended]
            .into_iter()
            .fold(Ok(()), together)
    }

    async fn roll_back(
        self: Arc<Self>,
        storage: Arc<dyn Storage>,
        caller: Caller,
        entry: WalEntry,
    ) -> Result<Undone, Error> {
        let created_at = entry.began();
        let (engine, storage) = (&*self, &*storage);
        match entry.kind.as_str() {
            issued::KIND => issued::roll_back(engine, storage, &caller, entry).await,
            rotate_root::KIND => {
                rotate_root::roll_back(engine, storage, &caller, entry.data, created_at).await
            }
            static_roles::KIND => {
                static_roles::roll_back(engine, storage, &caller, entry.data, created_at).await
            }
            _ => Err(Error::internal("unknown type to rollback")),
        }
    }

    fn is_abandoned(&self, entry: &WalEntry) -> bool {
        // Whoever rotates a key holds the locks that the undoing waits for.
        let is_locked = [rotate_root::KIND, static_roles::KIND].contains(&entry.kind.as_str());
        is_locked || self.life.is_after(entry) || issued::is_condemned(entry)
    }

    fn looked_at_wal(&self, look: Look) {
        self.counters.looked_at_wal(look);
    }

    async fn invalidate_key(&self, key: &str) {
        if key == config_root::KEY {
            self.clients.forget().await;
            self.root_due.forget();
            self.signing_due.forget();
            self.identity.forget();
        }
        if key.starts_with(identity::PREFIX) {
            self.identity.forget();
        }
        if key == config_lease::KEY {
            self.lease_config.forget(key);
        }
        if let Some(role) = roles::name_in(key) {
            self.roles.forget(role);
        }
        self.static_roles.invalidate_key(key);
    }

    async fn rotate(self: Arc<Self>, request: Request) -> Answer {
        rotate_root::rotate_by_schedule(&self, &request).await
    }

    async fn cleanup(self: Arc<Self>, storage: Arc<dyn Storage>) {
        self.issued.close(&*storage).await;
    }
}

/// Two pieces of work that failed are told in one sentence.
fn together(one: Result<(), Error>, other: Result<(), Error>) -> Result<(), Error> {
    match (one, other) {
        (Err(Error::Internal(one)), Err(Error::Internal(other))) => {
            Err(Error::Internal(format!("{one}; {other}")))
        }
        (one, other) => other.and(one),
    }
}

/// Makes the engine of each mount.
pub struct EngineFactory {
    connector: Arc<dyn Connector>,
    // AWS counts the calls of all mounts of an account together.
    limits: Arc<Limits>,
    // A static role of one mount must not take the key that another acts with.
    root_keys: Arc<RootKeys>,
    clock: Arc<dyn Clock>,
    // The same for all mounts, so it is compiled once.
    declaration: OnceLock<Arc<Declaration<Engine>>>,
}

impl EngineFactory {
    /// Engines that reach AWS through `connector`.
    pub fn new(connector: Arc<dyn Connector>, clock: Arc<dyn Clock>) -> Self {
        Self {
            connector,
            limits: Arc::default(),
            root_keys: Arc::default(),
            clock,
            declaration: OnceLock::new(),
        }
    }

    fn engine(&self, config: &BackendConfig) -> Result<Engine, Error> {
        let identity = Arc::new(Identity::new(
            Arc::clone(&config.storage),
            Arc::clone(&self.clock),
            &config.backend_uuid,
        ));
        let limits = self.limits.mount();
        Ok(Engine {
            aws_calls: limits.counts(),
            clients: ClientCache::new(
                Arc::clone(&self.connector),
                limits,
                Arc::clone(&self.root_keys),
                Arc::clone(&identity),
                Arc::clone(&config.system),
                Arc::clone(&self.clock),
            ),
            root_due: rotate_root::Due::default(),
            identity,
            signing_due: rotate_root::Due::default(),
            roles: Kept::new(KEPT_ROLES),
            role_locks: NameLocks::default(),
            lease_config: Kept::new(1),
            static_roles: StaticRoles::new(Arc::clone(&self.clock)),
            issued: Register::begin(&*self.clock),
            sessions: Endings::default(),
            owner: Owner::default(),
            contain: Contain::default(),
            counters: Counters::default(),
            life: Life::begin().map_err(|error| Error::internal(error.to_string()))?,
            clock: Arc::clone(&self.clock),
            system: Arc::clone(&config.system),
        })
    }

    fn declaration(&self) -> Result<Arc<Declaration<Engine>>, Error> {
        if let Some(known) = self.declaration.get() {
            return Ok(Arc::clone(known));
        }
        let made = Arc::new(declaration()?);
        Ok(Arc::clone(self.declaration.get_or_init(|| made)))
    }
}

#[async_trait]
impl Factory for EngineFactory {
    async fn create(&self, config: BackendConfig) -> Result<Arc<dyn logical::Backend>, Error> {
        let engine = self.engine(&config)?;
        Ok(Arc::new(Backend::new(
            self.declaration()?,
            Arc::new(engine),
            config.system,
            Arc::clone(&self.clock),
        )))
    }
}

impl fmt::Debug for EngineFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineFactory")
            .field("connector", &self.connector)
            .finish_non_exhaustive()
    }
}
