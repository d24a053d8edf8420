//! The connection to one of the host's services.
//!
//! tonic's own channel puts a queue and a task of its own before each connection, which every mount
//! would have to pay for.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Request, Response, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use tonic::body::Body;
use tonic::codegen::{Service, StdError};

use super::door::Door;
use super::session::Wire;
use super::tls::MutualTls;

/// For connecting to the host on its own machine, TLS included.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A connection that is made for the first call, and again for the first one after it was lost.
/// Clones share it; when the last one is dropped, it ends.
#[derive(Clone)]
pub struct Channel(Arc<Shared>);

struct Shared {
    way: Way,
    connection: Mutex<Option<SendRequest<Body>>>,
}

/// How one comes to a service of the host.
pub(super) enum Way {
    /// It listens on a socket.
    Socket(Arc<MutualTls>, PathBuf),
    /// In the session, by its number.
    Door(Arc<Door>, u32),
}

impl Channel {
    pub(super) fn new(way: Way) -> Self {
        Self(Arc::new(Shared {
            way,
            connection: Mutex::new(None),
        }))
    }

    /// Where calls say they go: HTTP/2 wants it, and hosts do not look at it.
    pub fn origin() -> Uri {
        Uri::from_static("http://localhost")
    }
}

impl Shared {
    async fn connection(&self) -> Result<SendRequest<Body>, StdError> {
        // Held while connecting, so that calls that come meanwhile share what comes of it.
        let mut connection = self.connection.lock().await;
        if let Some(open) = connection.as_ref().filter(|made| !made.is_closed()) {
            return Ok(open.clone());
        }
        let stream = tokio::time::timeout(CONNECT_LIMIT, self.dial())
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        // No keepalive: grpc-go ends connections that ping it more often than every five minutes.
        let (made, ends) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            if let Err(error) = ends.await {
                tracing::debug!(%error, "lost a connection to the host");
            }
        });
        Ok(connection.insert(made).clone())
    }

    async fn dial(&self) -> io::Result<TlsStream<Wire>> {
        match &self.way {
            Way::Socket(tls, path) => {
                let socket = UnixStream::connect(path).await?;
                tls.connect(Either::Left(socket)).await
            }
            Way::Door(door, service_id) => door.dial(*service_id).await,
        }
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = StdError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        async move {
            let mut connection = shared.connection().await?;
            Ok(connection.send_request(request).await?)
        }
        .boxed()
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").finish_non_exhaustive()
    }
}
