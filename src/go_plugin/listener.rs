//! The Unix socket that the host dials.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf, absolute};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rand::RngExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::either::Either;
use tonic::transport::server::Connected;

use super::door::Door;
use super::session::{Session, Wire};
use super::tls::MutualTls;
use super::{HostEnv, StartError};
use crate::chance;

/// A peer that does not finish its TLS handshake by then is dropped.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Between attempts to accept after the system refused one, as it does without file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A bound socket; dropping it removes the file.
pub(super) struct Listener {
    socket: Arc<UnixListener>,
    file: SocketFile,
}

struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may be gone already, and nobody is left to tell.
        let _ = fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Binds a socket with a random name where the host wants it.
    pub(super) fn bind(host: &HostEnv) -> Result<Self, StartError> {
        let name = format!("plugin{}", chance::generator()?.random::<u64>());
        let path = host.socket_dir.join(name);
        // The host dials it from a directory of its own.
        let path = absolute(&path).unwrap_or(path);
        let socket = UnixListener::bind(&path).map_err(|source| StartError::Listen {
            path: path.clone(),
            source,
        })?;
        let file = SocketFile(path);
        if let Some(group) = &host.socket_group {
            give_to_group(&file.0, group).map_err(|source| StartError::SocketGroup {
                group: group.clone(),
                source,
            })?;
        }
        Ok(Self {
            socket: Arc::new(socket),
            file,
        })
    }

    /// Where the socket is.
    pub(super) fn path(&self) -> &Path {
        &self.file.0
    }

    /// The connections of the host, once they have proved to be the host's. Each handshake runs on
    /// its own, so that a peer that says nothing keeps nobody waiting.
    /// With a door all of them are in one session.
    pub(super) fn incoming(
        &self,
        tls: Arc<MutualTls>,
        door: Option<Arc<Door>>,
    ) -> impl Stream<Item = io::Result<HostConnection>> + use<> {
        let socket = Arc::clone(&self.socket);
        let (ready, connections) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = socket.accept() => accepted,
                    () = ready.closed() => return,
                };
                match accepted {
                    Ok((stream, _)) => {
                        let host = Incoming {
                            tls: Arc::clone(&tls),
                            ready: ready.clone(),
                        };
                        let door = door.clone();
                        tokio::spawn(async move {
                            match door {
                                None => drop(host.shake_hands(Either::Left(stream)).await),
                                Some(door) => host.hold(stream, door).await,
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection, trying again");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        });
        ReceiverStream::new(connections)
    }
}

/// Where those go who have yet to prove that they are the host.
#[derive(Clone)]
struct Incoming {
    tls: Arc<MutualTls>,
    ready: mpsc::Sender<io::Result<HostConnection>>,
}

impl Incoming {
    /// Whether it was the host.
    async fn shake_hands(self, wire: Wire) -> bool {
        match tokio::time::timeout(HANDSHAKE_LIMIT, self.tls.accept(wire)).await {
            Ok(Ok(stream)) => {
                // Nobody receives it if the process is about to end.
                let _ = self.ready.send(Ok(HostConnection(stream))).await;
                return true;
            }
            Ok(Err(error)) => tracing::warn!(%error, "TLS handshake failed"),
            Err(_) => tracing::warn!("dropped a connection that did not finish its TLS handshake"),
        }
        false
    }

    /// Holds a session with whoever has connected. Its streams prove who that is, each for itself.
    async fn hold(self, connection: UnixStream, door: Arc<Door>) {
        let (session, mut streams) = Session::on(connection);
        while let Some(stream) = streams.recv().await {
            let (host, door, session) = (self.clone(), Arc::clone(&door), session.clone());
            tokio::spawn(async move {
                if host.shake_hands(Either::Right(stream)).await {
                    door.opens_into(session);
                }
            });
        }
    }
}

fn give_to_group(path: &Path, group: &str) -> io::Result<()> {
    let gid = match group.parse() {
        Ok(gid) => gid,
        Err(_) => group_id(&fs::read_to_string("/etc/group")?, group)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such group"))?,
    };
    chown(path, None, Some(gid))?;
    fs::set_permissions(path, Permissions::from_mode(0o660))
}

/// Finds a group in the text of `/etc/group`: lines of `name:password:id:members`.
fn group_id(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name))
            .then(|| fields.nth(1)?.parse().ok())
            .flatten()
    })
}

/// A connection whose other end is the host. It exists because tonic wants to know what it serves
/// on.
pub(super) struct HostConnection(TlsStream<Wire>);

impl Connected for HostConnection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for HostConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for HostConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::environment::FixedEnvironment;
    use crate::go_plugin::Protocol;

    fn host(directory: &Path, group: &str) -> HostEnv {
        let protocol = Protocol {
            cookie_key: "TOY_PLUGIN",
            cookie_value: "biscuit",
            version: 5,
        };
        HostEnv::read(
            &protocol,
            &FixedEnvironment::from([
                ("PLUGIN_UNIX_SOCKET_DIR", directory.to_str().unwrap()),
                ("PLUGIN_UNIX_SOCKET_GROUP", group),
            ]),
        )
    }

    #[tokio::test]
    async fn the_socket_is_in_the_hosts_directory_and_goes_with_the_listener() {
        let directory = tempfile::tempdir().unwrap();
        let listener = Listener::bind(&host(directory.path(), "")).unwrap();
        let path = listener.path().to_owned();

        assert_eq!(path.parent(), Some(directory.path()));
        assert!(UnixStream::connect(&path).await.is_ok());
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn every_socket_has_a_name_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let host = host(directory.path(), "");

        let first = Listener::bind(&host).unwrap();
        let second = Listener::bind(&host).unwrap();

        assert_ne!(first.path(), second.path());
    }

    #[tokio::test]
    async fn a_group_that_the_host_names_may_connect() {
        let directory = tempfile::tempdir().unwrap();
        // Root may give files to any group, everyone else to their own.
        let owner = fs::metadata(directory.path()).unwrap();
        let group = if owner.uid() == 0 { 4242 } else { owner.gid() };

        let listener = Listener::bind(&host(directory.path(), &group.to_string())).unwrap();

        let metadata = fs::metadata(listener.path()).unwrap();
        assert_eq!(metadata.gid(), group);
        assert_eq!(metadata.mode() & 0o777, 0o660);
    }

    #[tokio::test]
    async fn a_group_that_does_not_exist_is_named_and_leaves_no_socket() {
        let directory = tempfile::tempdir().unwrap();

        let error = Listener::bind(&host(directory.path(), "no-such-group"))
            .err()
            .unwrap();

        assert!(error.to_string().contains("no-such-group"), "{error}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_directory_that_does_not_serve_is_named() {
        let error = Listener::bind(&host(Path::new("/no/such/directory"), ""))
            .err()
            .unwrap();

        assert!(error.to_string().contains("/no/such/directory"), "{error}");
    }

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\nvaulted:x:900:\nvault:x:901:alice,bob\nbroken\n";

        assert_eq!(group_id(groups, "vault"), Some(901));
        assert_eq!(group_id(groups, "root"), Some(0));
        assert_eq!(group_id(groups, "alice"), None);
        assert_eq!(group_id(groups, "broken"), None);
    }
}
