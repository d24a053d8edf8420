//! `pb.Storage` and `pb.SystemView` as Vault and OpenBao serve them.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status};
use vault_plugin_secrets_aws::logical::testing::InMemoryStorage;
use vault_plugin_secrets_aws::logical::{Storage as _, StorageEntry};
use vault_plugin_secrets_aws::pb::backend as wire;
use vault_plugin_secrets_aws::pb::backend::storage_server::Storage;
use vault_plugin_secrets_aws::pb::backend::system_view_server::SystemView;
use vault_plugin_secrets_aws::pb::logical::PluginEnvironment;

/// Which host it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Product {
    /// Has calls of its own, and is a performance standby.
    Vault,
    /// Has none of Vault's own calls, and is the active node.
    OpenBao,
    /// Either of them at registration: every call fails.
    Registration,
}

/// The host's side of one mount.
#[derive(Clone, Debug)]
pub(crate) struct HostServices {
    product: Product,
    storage: Arc<InMemoryStorage>,
    calls: Arc<AtomicUsize>,
    snapshots: Arc<Mutex<Vec<String>>>,
}

/// A storage key at which the host never answers.
pub(crate) const HANGS: &str = "hangs";

/// A storage key at which the host answers with a failed call, not with an error text.
pub(crate) const FAILS: &str = "fails";

impl HostServices {
    pub(crate) fn new(product: Product, storage: Arc<InMemoryStorage>) -> Self {
        Self {
            product,
            storage,
            calls: Arc::default(),
            snapshots: Arc::default(),
        }
    }

    /// The snapshot that each question of the plugin to the storage was about; empty for none.
    pub(crate) fn snapshots(&self) -> Vec<String> {
        self.snapshots.lock().unwrap().clone()
    }

    fn note_snapshot<T>(&self, request: &Request<T>) {
        let id = request.metadata().get("snapshot_id");
        let id = id.map_or("", |id| id.to_str().unwrap()).to_owned();
        self.snapshots.lock().unwrap().push(id);
    }

    /// How many calls have come.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn storage(&self, key: &str) -> Result<&InMemoryStorage, Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.product == Product::Registration {
            return Err(Status::unknown(
                "missing storage implementation: this method should not be called during plugin \
                 Setup, but only during and after Initialize",
            ));
        }
        match key {
            HANGS => std::future::pending().await,
            FAILS => Err(Status::unknown("cannot write to readonly storage")),
            _ => Ok(&self.storage),
        }
    }

    fn system(&self) -> Result<(), Status> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.product == Product::Registration {
            return Err(Status::unknown("missing system view implementation"));
        }
        Ok(())
    }

    fn vault_only(&self, method: &str) -> Result<(), Status> {
        self.system()?;
        if self.product == Product::OpenBao {
            let text = format!("unknown method {method} for service pb.SystemView");
            return Err(Status::unimplemented(text));
        }
        Ok(())
    }
}

type Reply<T> = Result<Response<T>, Status>;

fn text<E: ToString>(outcome: Result<(), E>) -> String {
    outcome
        .err()
        .map(|error| error.to_string())
        .unwrap_or_default()
}

#[tonic::async_trait]
impl Storage for HostServices {
    async fn list(&self, request: Request<wire::StorageListArgs>) -> Reply<wire::StorageListReply> {
        self.note_snapshot(&request);
        let prefix = request.into_inner().prefix;
        let (keys, err) = match self.storage(&prefix).await?.list(&prefix).await {
            Ok(keys) => (keys, String::new()),
            Err(error) => (Vec::new(), error.to_string()),
        };
        Ok(Response::new(wire::StorageListReply { keys, err }))
    }

    async fn get(&self, request: Request<wire::StorageGetArgs>) -> Reply<wire::StorageGetReply> {
        self.note_snapshot(&request);
        let key = request.into_inner().key;
        let (entry, err) = match self.storage(&key).await?.get(&key).await {
            Ok(entry) => (entry, String::new()),
            Err(error) => (None, error.to_string()),
        };
        let entry = entry.map(|entry| wire::StorageEntry {
            key: entry.key,
            value: entry.value,
            seal_wrap: entry.seal_wrap,
        });
        Ok(Response::new(wire::StorageGetReply { entry, err }))
    }

    async fn put(&self, request: Request<wire::StoragePutArgs>) -> Reply<wire::StoragePutReply> {
        self.note_snapshot(&request);
        let entry = request.into_inner().entry.unwrap();
        let storage = self.storage(&entry.key).await?;
        let err = text(storage.put(StorageEntry::new(entry.key, entry.value)).await);
        Ok(Response::new(wire::StoragePutReply { err }))
    }

    async fn delete(
        &self,
        request: Request<wire::StorageDeleteArgs>,
    ) -> Reply<wire::StorageDeleteReply> {
        let key = request.into_inner().key;
        let err = text(self.storage(&key).await?.delete(&key).await);
        Ok(Response::new(wire::StorageDeleteReply { err }))
    }
}

const HOUR: i64 = 3_600_000_000_000;

#[tonic::async_trait]
impl SystemView for HostServices {
    async fn default_lease_ttl(&self, _: Request<wire::Empty>) -> Reply<wire::TtlReply> {
        self.system()?;
        Ok(Response::new(wire::TtlReply { ttl: HOUR }))
    }

    async fn max_lease_ttl(&self, _: Request<wire::Empty>) -> Reply<wire::TtlReply> {
        self.system()?;
        Ok(Response::new(wire::TtlReply { ttl: 24 * HOUR }))
    }

    async fn tainted(&self, _: Request<wire::Empty>) -> Reply<wire::TaintedReply> {
        self.system()?;
        Ok(Response::new(wire::TaintedReply { tainted: true }))
    }

    async fn replication_state(
        &self,
        _: Request<wire::Empty>,
    ) -> Reply<wire::ReplicationStateReply> {
        self.system()?;
        let state = match self.product {
            Product::Vault => 1 << 14,
            _ => 0,
        };
        Ok(Response::new(wire::ReplicationStateReply { state }))
    }

    async fn local_mount(&self, _: Request<wire::Empty>) -> Reply<wire::LocalMountReply> {
        self.system()?;
        Ok(Response::new(wire::LocalMountReply { local: true }))
    }

    async fn plugin_env(&self, _: Request<wire::Empty>) -> Reply<wire::PluginEnvReply> {
        self.system()?;
        let (version, err) = match self.product {
            Product::Vault => ("1.21.1", ""),
            _ => ("", "no environment for you"),
        };
        Ok(Response::new(wire::PluginEnvReply {
            plugin_environment: Some(PluginEnvironment {
                vault_version: version.to_owned(),
            }),
            err: err.to_owned(),
        }))
    }

    async fn generate_identity_token(
        &self,
        request: Request<wire::GenerateIdentityTokenRequest>,
    ) -> Reply<wire::GenerateIdentityTokenResponse> {
        self.vault_only("GenerateIdentityToken")?;
        let request = request.into_inner();
        Ok(Response::new(wire::GenerateIdentityTokenResponse {
            token: format!("jwt for {}", request.audience),
            ttl: request.ttl,
        }))
    }

    async fn register_rotation_job(
        &self,
        request: Request<wire::RegisterRotationJobRequest>,
    ) -> Reply<wire::RegisterRotationJobResponse> {
        self.vault_only("RegisterRotationJob")?;
        let job = request.into_inner().job.unwrap();
        let (rotation_id, err) = if job.rotation_period > 0 {
            (
                format!(
                    "{}{} every {} s",
                    job.mount_point, job.path, job.rotation_period
                ),
                "",
            )
        } else {
            (String::new(), "no schedule")
        };
        Ok(Response::new(wire::RegisterRotationJobResponse {
            rotation_id,
            err: err.to_owned(),
        }))
    }

    async fn deregister_rotation_job(
        &self,
        request: Request<wire::DeregisterRotationJobRequest>,
    ) -> Reply<wire::Empty> {
        self.vault_only("DeregisterRotationJob")?;
        match request.into_inner().req.unwrap().req_path.as_str() {
            "config/root" => Ok(Response::new(wire::Empty {})),
            path => Err(Status::internal(format!("no job at {path}"))),
        }
    }
}

/// A connection that tonic can serve on.
pub(super) struct Connection<S>(pub(super) TlsStream<S>);

impl<S> Connected for Connection<S> {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
