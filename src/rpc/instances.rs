//! The mounts that this process serves, told apart by the `multiplex_id` of each call.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures_util::join;
use tokio_util::task::TaskTracker;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tracing::{Instrument, Span};

use super::host_channel::HostChannel;
use super::storage::RemoteStorage;
use crate::go_plugin::Shutdown;
use crate::logical::{Backend, Error, Storage};

/// How long requests may go on after their mount was closed. The host waits meanwhile with the
/// mount locked, so it is short; it lets a key that AWS has just made reach the storage.
const CLOSING_GRACE: Duration = Duration::from_secs(1);

/// What the caller reads when our code panicked. What the panic said stays here.
pub(super) const PANICKED: &str =
    "the plugin failed at this call, which is a bug; the server's log names the place";

/// The error of a request whose work panicked.
pub(super) fn panicked() -> Error {
    Error::internal(PANICKED)
}

/// The host's name for one of its connections to us. A mount gets a new one with each reload.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct MultiplexId(String);

impl MultiplexId {
    /// Go's name for the instance of a host that does not send the metadata.
    const SINGLE: &str = "single";

    /// From the metadata of a call.
    pub(super) fn of(metadata: &MetadataMap) -> Result<Self, Status> {
        let id = metadata
            .get("multiplex_id")
            .map_or(Ok(Self::SINGLE), |id| id.to_str())
            .map_err(|_| Status::invalid_argument("multiplex_id is not printable ASCII"))?;
        Ok(Self(id.to_owned()))
    }
}

/// Every instance of this process.
#[derive(Default)]
pub(super) struct Instances {
    /// Held to look up, add and remove only, never over an await.
    by_id: RwLock<HashMap<MultiplexId, Arc<Instance>>>,
}

impl Instances {
    /// The instance that a call is for.
    pub(super) fn find(&self, metadata: &MetadataMap) -> Result<Arc<Instance>, Status> {
        let id = MultiplexId::of(metadata)?;
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        by_id
            .get(&id)
            .or_else(|| by_id.get(&MultiplexId(MultiplexId::SINGLE.to_owned())))
            .cloned()
            .ok_or_else(|| Status::unknown("this mount has not been set up in this process"))
    }

    /// Adds an instance; returns the one it replaces.
    pub(super) fn insert(&self, id: MultiplexId, instance: Instance) -> Option<Arc<Instance>> {
        self.by_id
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, Arc::new(instance))
    }

    /// Takes an instance out, so that no call finds it any more.
    pub(super) fn remove(&self, id: &MultiplexId) -> Option<Arc<Instance>> {
        self.by_id
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id)
    }
}

/// One mount: its backend, its connection to the host, and what it is working on.
pub(super) struct Instance {
    backend: Arc<dyn Backend>,
    storage: Arc<RemoteStorage>,
    host: Arc<HostChannel>,
    work: TaskTracker,
    shutdown: Shutdown,
}

impl Instance {
    pub(super) fn new(
        backend: Arc<dyn Backend>,
        storage: Arc<RemoteStorage>,
        host: Arc<HostChannel>,
        shutdown: Shutdown,
    ) -> Self {
        Self {
            backend,
            storage,
            host,
            work: TaskTracker::new(),
            shutdown,
        }
    }

    /// The mount's backend.
    pub(super) fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.backend)
    }

    /// The mount's storage.
    pub(super) fn storage(&self) -> Arc<dyn Storage> {
        Arc::<RemoteStorage>::clone(&self.storage)
    }

    /// What a call with this metadata is about: the mount's storage, or a snapshot of it.
    pub(super) fn storage_of(&self, metadata: &MetadataMap) -> Arc<dyn Storage> {
        match self.storage.snapshot(metadata) {
            Some(snapshot) => Arc::new(snapshot),
            None => self.storage(),
        }
    }

    /// Runs work to its end, even when the caller hangs up: it may have changed something in AWS
    /// that it has yet to write down. A panic becomes an error of this work alone; the log names
    /// its place.
    pub(super) async fn run<T, F>(&self, span: Span, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let work = self.work.track_future(work.instrument(span));
        let ended = self.shutdown.spawn(work).await;
        ended.unwrap_or_else(|_| Err(panicked()))
    }

    /// Ends the instance within [`CLOSING_GRACE`]: lets running requests finish and the backend
    /// clean up, then cuts the connection to the host.
    pub(super) async fn close(&self) {
        self.work.close();
        // Beside the requests, which may not end in time.
        let finishing = async {
            join!(self.work.wait(), self.backend.cleanup(self.storage()));
        };
        if tokio::time::timeout(CLOSING_GRACE, finishing)
            .await
            .is_err()
        {
            let unfinished = self.work.len();
            tracing::warn!(unfinished, "closing a mount with unfinished requests");
        }
        self.host.close();
    }
}
