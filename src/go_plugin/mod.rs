//! A go-plugin process: started by a host, it announces itself in one line on stdout and then
//! serves gRPC over mutual TLS on a Unix socket. It has never heard of Vault.
//!
//! May depend on: [`crate::pb`], and the leaves [`crate::chance`], [`crate::clock`] and [`crate::environment`].
//!
//! Not offered: the `netrpc` protocol, and TCP sockets (go-plugin uses them on Windows only).

mod broker;
mod channel;
mod controller;
mod door;
#[cfg(any(test, feature = "test-util"))]
pub(crate) mod fuzzing;
mod handshake;
pub mod hclog;
mod host_env;
mod listener;
mod services;
mod session;
mod shutdown;
mod stdio;
mod tls;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::HealthServer;
use tonic_health::server::{HealthReporter, HealthService};

use crate::chance::NoChance;
use crate::clock::Clock;

pub use broker::{Broker, BrokerError};
pub use channel::Channel;
pub use handshake::Protocol;
pub use host_env::HostEnv;
pub use services::Services;
pub use shutdown::Shutdown;
pub use tls::TlsError;

use listener::Listener;
use tls::MutualTls;

/// Why the process cannot serve its host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// No version in common.
    #[error(
        "the host offers plugin protocol versions {offered:?}, this plugin speaks version {ours} \
         only; hosts fall back to older versions when an attempt with a newer one failed, so look \
         for an earlier error, or use a newer host"
    )]
    VersionNotOffered {
        /// `PLUGIN_PROTOCOL_VERSIONS`.
        offered: String,
        /// The one that is spoken here.
        ours: u32,
    },

    /// The host does not ask for mutual TLS, and without it anyone could connect.
    #[error(
        "the host sent no certificate (PLUGIN_CLIENT_CERT); this plugin serves nothing without \
         mutual TLS"
    )]
    NoHostCertificate,

    /// The certificates do not serve.
    #[error("cannot set up mutual TLS with the host")]
    Tls(#[from] TlsError),

    /// The socket can get no name.
    #[error("cannot name the socket")]
    NoChance(#[from] NoChance),

    /// The socket cannot be made.
    #[error("cannot listen on {path:?}; PLUGIN_UNIX_SOCKET_DIR or TMPDIR names its directory")]
    Listen {
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// The host could not read where the socket is.
    #[error(
        "the host cannot be told of the socket {0:?}: the directory that PLUGIN_UNIX_SOCKET_DIR or \
         TMPDIR names must be UTF-8, without | and line ends"
    )]
    SocketPath(PathBuf),

    /// The socket cannot be given to the group that the host wants.
    #[error("cannot give the socket to group {group:?} (PLUGIN_UNIX_SOCKET_GROUP)")]
    SocketGroup {
        /// The group's name or number.
        group: String,
        /// The system's reason.
        source: io::Error,
    },

    /// The host does not read.
    #[error("cannot write the handshake line to stdout")]
    Announce(#[source] io::Error),

    /// The server ended by itself.
    #[error("cannot serve the host")]
    Serve(#[from] tonic::transport::Error),
}

/// Starts, announces the process on `stdout`, and serves until `shutdown` begins, which a call of
/// the host does.
///
/// `services` makes the plugin's own services; the ones of go-plugin are added to them.
pub async fn serve(
    protocol: &Protocol,
    host: &HostEnv,
    clock: &dyn Clock,
    shutdown: &Shutdown,
    stdout: &mut impl io::Write,
    services: impl FnOnce(Arc<Broker>) -> Services,
) -> Result<(), StartError> {
    protocol.choose_version(host)?;
    let host_certificate = host.certificate.as_ref();
    let host_certificate = host_certificate.ok_or(StartError::NoHostCertificate)?;
    let tls = Arc::new(MutualTls::with_host(host_certificate, clock)?);
    let listener = Listener::bind(host)?;
    let line = protocol.handshake_line(host, listener.path(), tls.certificate())?;
    stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(StartError::Announce)?;

    let broker = Arc::new(if host.wants_multiplexing {
        Broker::in_session(Arc::clone(&tls), shutdown.clone())
    } else {
        Broker::new(Arc::clone(&tls))
    });
    let incoming = listener.incoming(tls, broker.door());
    let services = services(Arc::clone(&broker))
        .with(broker::service(broker, shutdown.clone()))
        .with(stdio::service(shutdown.clone()))
        .with(controller::service(shutdown.clone()))
        .with(health().await);
    let serving = Server::builder()
        // The host's connection also carries the broker's stream, and a broker whose stream ends
        // can set up no further mount. The peer is authenticated, so no number of abandoned
        // requests may end it.
        .http2_max_pending_accept_reset_streams(Some(usize::MAX))
        .http2_max_local_error_reset_streams(None)
        .serve_with_incoming_shutdown(services, incoming, shutdown.begun());
    shutdown.bound(serving).await?;
    Ok(())
}

/// The standard health service; hosts ask for the service named `plugin`.
async fn health() -> HealthServer<HealthService> {
    let reporter = HealthReporter::new();
    reporter
        .set_service_status("plugin", ServingStatus::Serving)
        .await;
    HealthServer::new(HealthService::from_health_reporter(reporter))
}
