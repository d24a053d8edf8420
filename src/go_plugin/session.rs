//! The one connection of a host that runs its plugin in a container: all that would else be sockets is
//! a stream in it, by yamux, with a TLS of its own.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt as _, TokioAsyncReadCompatExt as _};
use tokio_util::either::Either;

/// What TLS runs on: a socket of its own, or a stream in the session.
pub(super) type Wire = Either<UnixStream, Stream>;

/// One of the session.
pub(super) type Stream = Compat<yamux::Stream>;

/// One for the host and one for each mount.
const STREAMS: usize = 4096;

/// Opens streams to the host.
#[derive(Clone, Debug)]
pub(super) struct Session(mpsc::Sender<oneshot::Sender<Stream>>);

impl Session {
    /// Takes the connection over, and returns with the session the streams that the peer opens. It lives
    /// as long as the connection does.
    pub(super) fn on(connection: UnixStream) -> (Self, mpsc::Receiver<Stream>) {
        let (open, opened) = mpsc::channel(1);
        let (accepted, inbound) = mpsc::channel(STREAMS);
        let mut config = yamux::Config::default();
        // As much as the default window of all of them, which is as little as the crate allows.
        config.set_max_num_streams(STREAMS);
        let connection = yamux::Connection::new(connection.compat(), config, yamux::Mode::Server);
        let mut driver = Driver {
            connection,
            wanted: opened,
            waiting: None,
            accepted,
        };
        tokio::spawn(async move {
            match poll_fn(|cx| driver.poll(cx)).await {
                Ok(()) => tracing::debug!("the session with the host has ended"),
                Err(error) => tracing::warn!(%error, "the session with the host is broken"),
            }
        });
        (Self(open), inbound)
    }

    /// A new stream. The host hears of it with the first byte.
    pub(super) async fn open(&self) -> io::Result<Stream> {
        let ended = || io::Error::new(io::ErrorKind::NotConnected, "the session has ended");
        let (opened, stream) = oneshot::channel();
        self.0.send(opened).await.map_err(|_| ended())?;
        stream.await.map_err(|_| ended())
    }
}

/// Moves the bytes of all streams.
struct Driver {
    connection: yamux::Connection<Compat<UnixStream>>,
    wanted: mpsc::Receiver<oneshot::Sender<Stream>>,
    waiting: Option<oneshot::Sender<Stream>>,
    accepted: mpsc::Sender<Stream>,
}

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), yamux::ConnectionError>> {
        loop {
            if self.waiting.is_none()
                && let Poll::Ready(Some(wanted)) = self.wanted.poll_recv(cx)
            {
                self.waiting = Some(wanted);
            }
            if self.waiting.is_some()
                && let Poll::Ready(opened) = self.connection.poll_new_outbound(cx)
            {
                let stream = opened?;
                if let Some(waiting) = self.waiting.take() {
                    // Who no longer wants it drops it, which resets it.
                    let _ = waiting.send(stream.compat());
                }
                continue;
            }
            match self.connection.poll_next_inbound(cx) {
                // There is room for as many as there can be; with nobody to serve them they are reset.
                Poll::Ready(Some(stream)) => drop(self.accepted.try_send(stream?.compat())),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
