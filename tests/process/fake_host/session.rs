//! A host that has its plugin in a container: one connection, in which all others are streams.

use std::future::poll_fn;
use std::sync::Arc;

use futures_util::FutureExt as _;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _, TokioAsyncReadCompatExt as _};
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint, Server};
use vault_plugin_secrets_aws::pb::backend::SetupArgs;
use vault_plugin_secrets_aws::pb::backend::backend_client::BackendClient;
use vault_plugin_secrets_aws::pb::plugin::ConnInfo;
use vault_plugin_secrets_aws::pb::plugin::conn_info::Knock;
use vault_plugin_secrets_aws::pb::plugin::grpc_broker_client::GrpcBrokerClient;

use super::certificate::Identity;
use super::services::Connection;
use super::{Handshake, HostServices, Mount, WithMultiplexId, brokered, setup_args, soon};

type Stream = Compat<yamux::Stream>;

pub(crate) struct SessionHost {
    pub(crate) channel: Channel,
    knocks: Streaming<ConnInfo>,
    answers: mpsc::Sender<ConnInfo>,
    streams: mpsc::Receiver<Stream>,
    acceptor: TlsAcceptor,
}

impl SessionHost {
    /// Connects, and opens the broker's stream in the first one of the session.
    pub(crate) async fn connect(identity: &Identity, handshake: &Handshake) -> Self {
        let (first, streams) = open_session(handshake).await;
        let channel = main_connection(identity, handshake, first).await;
        let (answers, answered) = mpsc::channel(16);
        let mut broker = GrpcBrokerClient::new(channel.clone());
        let broker = broker.start_stream(ReceiverStream::new(answered));
        Self {
            knocks: soon(broker).await.unwrap().into_inner(),
            channel,
            answers,
            streams,
            acceptor: TlsAcceptor::from(Arc::new(identity.server_config(&handshake.certificate))),
        }
    }

    /// The client of one mount, which is set up.
    pub(crate) async fn set_up(&self, broker_id: u32, multiplex_id: &'static str) -> Mount {
        let channel = self.channel.clone();
        let mut mount =
            BackendClient::with_interceptor(channel, WithMultiplexId(Some(multiplex_id)));
        let arguments = SetupArgs {
            backend_uuid: multiplex_id.to_owned(),
            ..setup_args(broker_id)
        };
        let reply = soon(mount.setup(arguments)).await.unwrap();
        assert_eq!(reply.into_inner().err, "");
        mount
    }

    /// The number of the service at whose door the plugin knocks next.
    pub(crate) async fn knock(&mut self) -> u32 {
        let knock = soon(self.knocks.message()).await.unwrap().unwrap();
        let expected = ConnInfo {
            service_id: knock.service_id,
            knock: Some(Knock {
                knock: true,
                ..Knock::default()
            }),
            ..ConnInfo::default()
        };
        assert_eq!(knock, expected);
        knock.service_id
    }

    /// Opens the door, or says why not.
    pub(crate) async fn answer(&self, service_id: u32, error: &str) {
        let knock = Some(Knock {
            knock: true,
            ack: true,
            error: error.to_owned(),
        });
        let answer = ConnInfo {
            service_id,
            knock,
            ..ConnInfo::default()
        };
        self.answers.send(answer).await.unwrap();
    }

    /// Serves whoever comes in next.
    pub(crate) async fn let_in(&mut self, services: HostServices) {
        let stream = soon(self.streams.recv()).await.unwrap();
        let acceptor = self.acceptor.clone();
        tokio::spawn(async move {
            let connection = acceptor.accept(stream).await.map(Connection);
            let (connected, connections) = mpsc::channel(1);
            connected.send(connection).await.unwrap();
            let connections = ReceiverStream::new(connections);
            let serving = Server::builder().serve_with_incoming(brokered(services), connections);
            serving.await.unwrap();
        });
    }

    /// Whether nobody has come in or knocked since.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.streams.try_recv().is_err() && self.knocks.message().now_or_never().is_none()
    }
}

/// Connects, and returns the first stream of the session, and those that the plugin opens.
pub(crate) async fn open_session(handshake: &Handshake) -> (Stream, mpsc::Receiver<Stream>) {
    let socket = UnixStream::connect(&handshake.socket).await.unwrap();
    let mut session = yamux::Connection::new(
        socket.compat(),
        yamux::Config::default(),
        yamux::Mode::Client,
    );
    let first = poll_fn(|cx| session.poll_new_outbound(cx)).await.unwrap();
    let (accepted, streams) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Some(Ok(stream)) = poll_fn(|cx| session.poll_next_inbound(cx)).await {
            let _ = accepted.send(stream.compat()).await;
        }
    });
    (first.compat(), streams)
}

async fn main_connection(identity: &Identity, handshake: &Handshake, stream: Stream) -> Channel {
    let tls = TlsConnector::from(Arc::new(identity.client_config(&handshake.certificate)));
    let tls = tls.connect("localhost".try_into().unwrap(), stream);
    let tls = soon(tls).await.unwrap();
    let mut tls = Some(TokioIo::new(tls));
    let connector = tower::service_fn(move |_| {
        let tls = tls.take().ok_or(std::io::ErrorKind::NotConnected);
        async move { Ok::<_, std::io::Error>(tls?) }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    soon(endpoint.connect_with_connector(connector))
        .await
        .unwrap()
}
