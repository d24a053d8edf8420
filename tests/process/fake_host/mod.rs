//! What go-plugin's client does, and the services that a host has for a plugin.

pub(crate) mod certificate;
mod services;
pub(crate) mod session;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tempfile::TempDir;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Status, Streaming};
use vault_plugin_secrets_aws::go_plugin::Services;
use vault_plugin_secrets_aws::logical::testing::InMemoryStorage;
use vault_plugin_secrets_aws::pb::backend::backend_client::BackendClient;
use vault_plugin_secrets_aws::pb::backend::storage_server::StorageServer;
use vault_plugin_secrets_aws::pb::backend::system_view_server::SystemViewServer;
use vault_plugin_secrets_aws::pb::backend::{self as wire, SetupArgs};
use vault_plugin_secrets_aws::pb::plugin::grpc_broker_client::GrpcBrokerClient;
use vault_plugin_secrets_aws::pb::plugin::grpc_controller_client::GrpcControllerClient;
use vault_plugin_secrets_aws::pb::plugin::grpc_stdio_client::GrpcStdioClient;
use vault_plugin_secrets_aws::pb::plugin::{ConnInfo, Empty, StdioData};

use certificate::{Identity, PluginCertificate};
pub(crate) use services::{FAILS, HANGS, HostServices, Product};

/// Long enough for a busy machine, short enough to notice a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Bounds what a test waits for.
pub(crate) async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("nothing happened for a long time")
}

/// The fields of the handshake line.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    pub(crate) socket: PathBuf,
    pub(crate) certificate: PluginCertificate,
}

impl Handshake {
    /// Reads the line as a host does that has asked for a session.
    pub(crate) fn parse_with_session(line: &str) -> Self {
        let (six, multiplexing) = line.trim().rsplit_once('|').unwrap();
        assert_eq!(multiplexing, "true", "{line}");
        Self::parse(six)
    }

    /// Reads the line as strictly as the oldest host does.
    pub(crate) fn parse(line: &str) -> Self {
        let fields: Vec<_> = line.trim().split('|').collect();
        let [core, version, network, socket, protocol, certificate] = fields[..] else {
            panic!("{line:?} has not six fields");
        };
        assert_eq!(
            [core, version, network, protocol],
            ["1", "5", "unix", "grpc"]
        );
        assert!(Path::new(socket).is_absolute(), "{socket}");
        Self {
            socket: socket.into(),
            certificate: PluginCertificate::parse(certificate),
        }
    }
}

/// Puts the id of a mount's connection on each call.
#[derive(Clone)]
pub(crate) struct WithMultiplexId(Option<&'static str>);

impl Interceptor for WithMultiplexId {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(id) = self.0 {
            let id = MetadataValue::from_static(id);
            request.metadata_mut().insert("multiplex_id", id);
        }
        Ok(request)
    }
}

pub(crate) type Mount = BackendClient<InterceptedService<Channel, WithMultiplexId>>;

/// A host with its connection to one plugin process.
pub(crate) struct FakeHost {
    pub(crate) channel: Channel,
    pub(crate) storage: Arc<InMemoryStorage>,
    pub(crate) stdio: Streaming<StdioData>,
    pub(crate) identity: Identity,
    plugin: PluginCertificate,
    announce: mpsc::Sender<ConnInfo>,
    _broker: Streaming<ConnInfo>,
    directory: TempDir,
}

impl FakeHost {
    /// Connects and opens the two streams.
    pub(crate) async fn connect(identity: Identity, handshake: &Handshake) -> Self {
        let channel = dial(&identity, handshake).await;
        let (announce, announcements) = mpsc::channel(16);
        let mut broker = GrpcBrokerClient::new(channel.clone());
        let broker = broker.start_stream(ReceiverStream::new(announcements));
        let broker = soon(broker).await.unwrap().into_inner();
        let mut stdio = GrpcStdioClient::new(channel.clone());
        let stdio = soon(stdio.stream_stdio(())).await.unwrap().into_inner();
        Self {
            channel,
            storage: Arc::default(),
            stdio,
            identity,
            plugin: handshake.certificate.clone(),
            announce,
            _broker: broker,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// The client of one mount.
    pub(crate) fn mount(&self, multiplex_id: Option<&'static str>) -> Mount {
        BackendClient::with_interceptor(self.channel.clone(), WithMultiplexId(multiplex_id))
            .max_decoding_message_size(i32::MAX as usize)
    }

    /// A mount that is set up with this host's storage, as OpenBao would.
    pub(crate) async fn set_up(&self, broker_id: u32, multiplex_id: &'static str) -> Mount {
        let services = HostServices::new(Product::OpenBao, Arc::clone(&self.storage));
        self.serve(broker_id, services).await;
        let mut mount = self.mount(Some(multiplex_id));
        let reply = mount.setup(setup_args(broker_id)).await.unwrap();
        assert_eq!(reply.into_inner().err, "");
        mount
    }

    /// Serves a mount's services, and tells the plugin where.
    pub(crate) async fn serve(&self, broker_id: u32, services: HostServices) -> BrokeredServer {
        let server = self.listen(broker_id, services, &self.identity);
        self.announce(broker_id, "unix", server.socket.to_str().unwrap())
            .await;
        server
    }

    /// Tells the plugin an address.
    pub(crate) async fn announce(&self, service_id: u32, network: &str, address: &str) {
        let address = ConnInfo {
            service_id,
            network: network.to_owned(),
            address: address.to_owned(),
            knock: None,
        };
        self.announce.send(address).await.unwrap();
    }

    /// Serves a mount's services, with the same certificate as on the main connection, and admits
    /// only the plugin's own certificate.
    pub(crate) fn listen(
        &self,
        broker_id: u32,
        services: HostServices,
        identity: &Identity,
    ) -> BrokeredServer {
        let socket = self.directory.path().join(format!("brokered{broker_id}"));
        // Left by a server that has been stopped.
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(identity.server_config(&self.plugin)));
        let (connected, connections) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tls = acceptor.accept(stream).await;
                if let Ok(tls) = &tls {
                    let alpn = tls.get_ref().1.alpn_protocol();
                    assert_eq!(
                        alpn,
                        Some(b"h2".as_slice()),
                        "grpc-go refuses a peer without it"
                    );
                }
                let _ = connected.send(tls.map(services::Connection)).await;
            }
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = Server::builder().serve_with_incoming_shutdown(
            brokered(services),
            ReceiverStream::new(connections),
            async {
                // A test that drops the handle wants it to serve on.
                if stopped.await.is_err() {
                    std::future::pending::<()>().await;
                }
            },
        );
        BrokeredServer {
            socket,
            stop,
            serving: tokio::spawn(async { serving.await.unwrap() }),
        }
    }

    /// Ends the process.
    pub(crate) async fn shut_down(&self) {
        let mut controller = GrpcControllerClient::new(self.channel.clone());
        soon(controller.shutdown(Empty {})).await.unwrap();
    }
}

/// What a mount finds behind its broker's number.
fn brokered(services: HostServices) -> Services {
    Services::default()
        .with(StorageServer::new(services.clone()).max_decoding_message_size(i32::MAX as usize))
        .with(SystemViewServer::new(services))
}

/// The host's server for one mount.
pub(crate) struct BrokeredServer {
    socket: PathBuf,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl BrokeredServer {
    /// Where it listens.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Stops it the way the host does after `Cleanup`: when no call of the plugin is left.
    pub(crate) async fn stop_gracefully(self) {
        let _ = self.stop.send(());
        soon(self.serving).await.unwrap();
    }
}

/// Dials the plugin with mutual TLS.
pub(crate) async fn dial(identity: &Identity, handshake: &Handshake) -> Channel {
    let tls = TlsConnector::from(Arc::new(identity.client_config(&handshake.certificate)));
    let socket = handshake.socket.clone();
    let connector = tower::service_fn(move |_| {
        let (tls, socket) = (tls.clone(), socket.clone());
        async move {
            let stream = UnixStream::connect(socket).await?;
            let tls = tls.connect("localhost".try_into().unwrap(), stream).await?;
            assert_eq!(tls.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
            Ok::<_, std::io::Error>(TokioIo::new(tls))
        }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    soon(endpoint.connect_with_connector(connector))
        .await
        .unwrap()
}

/// What a host sends when it enables a mount.
pub(crate) fn setup_args(broker_id: u32) -> SetupArgs {
    SetupArgs {
        broker_id,
        config: [("plugin_name", "toy"), ("plugin_type", "secret")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into(),
        backend_uuid: "b8d6".to_owned(),
    }
}

/// A request in the host's words.
pub(crate) fn request(operation: &str, path: &str, data: &str) -> wire::HandleRequestArgs {
    wire::HandleRequestArgs {
        request: Some(wire::Request {
            id: "5b2c4c1c-a338-15fd-698b-c83709849b1c".to_owned(),
            operation: operation.to_owned(),
            path: path.to_owned(),
            data: data.to_owned(),
            mount_point: "toy/".to_owned(),
            ..wire::Request::default()
        }),
    }
}

/// Sends a request and takes the answer apart.
pub(crate) async fn send(
    mount: &mut Mount,
    operation: &str,
    path: &str,
    data: &str,
) -> Result<Option<String>, (u32, String)> {
    let reply = soon(mount.handle_request(request(operation, path, data))).await;
    let reply = reply.unwrap().into_inner();
    match reply.err {
        Some(error) => Err((error.err_type, error.err_msg)),
        None => Ok(reply.response.map(|response| response.data)),
    }
}
