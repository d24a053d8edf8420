//! What a secrets engine and its host say to each other: nouns and traits, no I/O.
//!
//! Both neighbours meet here and nowhere else: [`crate::framework`] implements [`Backend`], and
//! the layer that speaks to the host implements [`Storage`] and [`SystemView`].
//! May depend on: nothing but the leaves.

mod error;
mod lease;
mod request;
mod response;
mod storage;
mod system;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

pub use error::{Error, READ_ONLY_STORAGE, UPSTREAM_RATE_LIMITED};
pub use lease::{LeaseOptions, Secret};
pub use request::{JsonObject, Operation, Request};
pub use response::Response;
pub use storage::{Storage, StorageEntry, StorageError, get_json, put_json};
pub use system::{
    HostError, IdentityToken, PluginEnvironment, ReplicationState, RotationJob, SystemView,
    if_offered,
};

/// One mounted secrets engine (`pb.Backend`).
///
/// Calls come concurrently.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Paths and storage prefixes that the host treats in a special way. Asked once per mount.
    fn special_paths(&self) -> SpecialPaths;

    /// Called once after the mount is set up, when storage is writable.
    async fn initialize(&self, storage: Arc<dyn Storage>) -> Result<(), Error>;

    /// Answers one request. `Ok(None)` is the answer without content: 404 to a read, 204 to a
    /// write or delete.
    async fn handle_request(&self, request: Request) -> Result<Option<Response>, Error>;

    /// Says whether the object that a create or update addresses exists; `None` when the path has
    /// no such check, which makes the host take the write as an update.
    async fn handle_existence_check(&self, request: Request) -> Result<Option<bool>, Error>;

    /// The storage entry under `key` was changed by another node: forget what was kept of it.
    async fn invalidate_key(&self, key: &str);

    /// Nobody read the answer that granted the lease in `request`, which is a request to revoke it:
    /// the host knows no such lease and will never ask to revoke it.
    async fn abandon(&self, request: Request) -> Result<(), Error> {
        self.handle_request(request).await.map(drop)
    }

    /// The mount goes away or the process ends. Storage may be gone already.
    async fn cleanup(&self, storage: Arc<dyn Storage>);
}

/// Makes one [`Backend`] per mount.
#[async_trait]
pub trait Factory: Send + Sync + 'static {
    /// Builds the backend. Must use neither storage nor system view: at registration the host
    /// offers neither, and storage is read-only at set-up.
    async fn create(&self, config: BackendConfig) -> Result<Arc<dyn Backend>, Error>;
}

/// What the host tells a backend when it is set up.
#[derive(Clone)]
pub struct BackendConfig {
    /// The mount's own storage.
    pub storage: Arc<dyn Storage>,
    /// What the host knows of the mount and itself.
    pub system: Arc<dyn SystemView>,
    /// Stable for the life of the mount; empty at registration.
    pub backend_uuid: String,
    /// `plugin_name`, `plugin_type`, `plugin_version` and the mount's options.
    pub config: BTreeMap<String, String>,
}

impl fmt::Debug for BackendConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Mount options may hold anything, so only their names are shown.
        f.debug_struct("BackendConfig")
            .field("backend_uuid", &self.backend_uuid)
            .field("config", &self.config.keys())
            .finish_non_exhaustive()
    }
}

/// Paths and prefixes that the host treats in a special way (`pb.Paths`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpecialPaths {
    /// API paths that need `sudo`; one trailing `*` makes a prefix.
    pub root: Vec<String>,
    /// API paths that need no token.
    pub unauthenticated: Vec<String>,
    /// Storage prefixes that are not replicated.
    pub local_storage: Vec<String>,
    /// Storage keys, or prefixes where they end in `/`, that the seal encrypts once more.
    pub seal_wrap_storage: Vec<String>,
}
