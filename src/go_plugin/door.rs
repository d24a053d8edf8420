//! The way to the host's services through the session: one knocks with the service's number, the host
//! answers that the next stream is for that service, and then one opens it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::Shutdown;
use super::session::{Session, Wire};
use super::tls::MutualTls;
use crate::pb::plugin::ConnInfo;
use crate::pb::plugin::conn_info::Knock;

/// For an answer to a knock, and then for TLS, each, as in go-plugin.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where one knocks.
///
/// Nothing but the order tells the host which stream is for which service, and a stream that takes
/// another one's place would reach the storage of another mount. So one knocks at a time, the next one
/// only after the stream of the one before has proved to have arrived; and where the order is no longer
/// sure, the process ends. The host starts another at its next request.
pub(super) struct Door {
    tls: Arc<MutualTls>,
    session: watch::Sender<Option<Session>>,
    knocks: mpsc::Sender<ConnInfo>,
    turn: tokio::sync::Mutex<()>,
    awaited: Mutex<Option<Awaited>>,
    shutdown: Shutdown,
}

/// Whose knock has not been answered yet.
struct Awaited {
    service_id: u32,
    answer: oneshot::Sender<Knock>,
}

impl Door {
    /// The door, and the knocks at it, which are for the host.
    pub(super) fn new(
        tls: Arc<MutualTls>,
        shutdown: Shutdown,
    ) -> (Arc<Self>, mpsc::Receiver<ConnInfo>) {
        let (knocks, heard) = mpsc::channel(1);
        let door = Self {
            tls,
            session: watch::Sender::default(),
            knocks,
            turn: tokio::sync::Mutex::default(),
            awaited: Mutex::default(),
            shutdown,
        };
        (Arc::new(door), heard)
    }

    /// In this session somebody has proved to be the host.
    pub(super) fn opens_into(&self, session: Session) {
        self.session.send_replace(Some(session));
    }

    /// A connection to the host's service of this number. Goes on when nobody waits for it any more: a
    /// stream that the host has been told of has to come.
    pub(super) async fn dial(self: &Arc<Self>, service_id: u32) -> io::Result<TlsStream<Wire>> {
        let door = Arc::clone(self);
        tokio::spawn(async move { door.dial_in_turn(service_id).await })
            .await
            .map_err(io::Error::other)?
    }

    async fn dial_in_turn(&self, service_id: u32) -> io::Result<TlsStream<Wire>> {
        let _turn = self.turn.lock().await;
        let session = self.session.borrow().clone();
        let session = session.ok_or(io::ErrorKind::NotConnected)?;
        self.knock(service_id).await?;
        let dialed = tokio::time::timeout(PATIENCE, async {
            self.tls.connect(Either::Right(session.open().await?)).await
        });
        let dialed = dialed
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if let Err(error) = &dialed {
            self.lock_up(&format!(
                "the host opened the door to its service {service_id}, and nothing came in: {error}"
            ));
        }
        dialed
    }

    async fn knock(&self, service_id: u32) -> io::Result<()> {
        let (answer, mut answered) = oneshot::channel();
        self.await_answer(Some(Awaited { service_id, answer }));
        let knock = ConnInfo {
            service_id,
            knock: Some(Knock {
                knock: true,
                ..Knock::default()
            }),
            ..ConnInfo::default()
        };
        let sent = self.knocks.send(knock).await;
        sent.map_err(|_| io::Error::from(io::ErrorKind::NotConnected))?;
        let waited = tokio::time::timeout(PATIENCE, &mut answered).await;
        let answer = if let Ok(answer) = waited {
            answer.ok()
        } else {
            self.await_answer(None);
            // It may have come at the last moment.
            answered.try_recv().ok()
        };
        let answer = answer.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the host did not open the way to its service {service_id}"),
            )
        })?;
        if answer.error.is_empty() {
            Ok(())
        } else {
            Err(io::Error::other(format!(
                "the host refuses the way to its service {service_id}: {}",
                answer.error
            )))
        }
    }

    /// The host's answer to a knock.
    pub(super) fn answered(&self, service_id: u32, knock: Knock) {
        let awaited = self
            .lock()
            .take_if(|awaited| awaited.service_id == service_id);
        match awaited {
            // It is looked at once more when its time is over.
            Some(awaited) => drop(awaited.answer.send(knock)),
            // The host lets nobody in for it.
            None if !knock.error.is_empty() => {}
            None => self.lock_up(&format!(
                "the host opened the door to its service {service_id} for nobody"
            )),
        }
    }

    /// Nobody could say any more whom the next stream would reach.
    fn lock_up(&self, reason: &str) {
        tracing::error!(
            reason,
            "ending, so that no mount gets what belongs to another"
        );
        self.shutdown.begin();
    }

    fn await_answer(&self, awaited: Option<Awaited>) {
        *self.lock() = awaited;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Awaited>> {
        // Nothing can panic while it is held, and nothing awaits.
        self.awaited.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt as _;
    use tokio::net::UnixStream;
    use tokio::time::Instant;

    use super::*;
    use crate::go_plugin::tls::testing::mutual_tls;

    /// A door that opens into a session with nobody, and what is heard at it.
    fn door() -> (Arc<Door>, mpsc::Receiver<ConnInfo>, Shutdown, UnixStream) {
        let shutdown = Shutdown::default();
        let (door, heard) = Door::new(mutual_tls(), shutdown.clone());
        let (ours, theirs) = UnixStream::pair().unwrap();
        door.opens_into(Session::on(ours).0);
        (door, heard, shutdown, theirs)
    }

    fn has_ended(shutdown: &Shutdown) -> bool {
        shutdown.begun().now_or_never().is_some()
    }

    fn opens() -> Knock {
        Knock {
            knock: true,
            ack: true,
            ..Knock::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_knock_that_nobody_answers_is_an_error_after_five_seconds() {
        let (door, mut heard, shutdown, _host) = door();
        let started = Instant::now();

        let error = door.dial(3).await.unwrap_err();

        assert_eq!(started.elapsed(), PATIENCE);
        assert!(error.to_string().contains("its service 3"), "{error}");
        assert_eq!(heard.recv().await.unwrap().service_id, 3);
        assert!(!has_ended(&shutdown), "nothing was opened");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_too_late_ends_the_process() {
        let (door, mut heard, shutdown, _host) = door();
        door.dial(3).await.unwrap_err();
        heard.recv().await.unwrap();

        door.answered(3, opens());

        assert!(has_ended(&shutdown));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_that_comes_too_late_changes_nothing() {
        let (door, mut heard, shutdown, _host) = door();
        door.dial(3).await.unwrap_err();
        heard.recv().await.unwrap();

        let error = "no listener".to_owned();
        door.answered(3, Knock { error, ..opens() });

        assert!(!has_ended(&shutdown));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_in_which_the_host_does_not_shake_hands_ends_the_process() {
        let (door, mut heard, shutdown, _host) = door();
        let mut dialed = pin!(door.dial(3));
        assert!(dialed.as_mut().now_or_never().is_none());
        heard.recv().await.unwrap();
        door.answered(3, opens());

        let error = dialed.await.unwrap_err();

        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(has_ended(&shutdown));
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_after_the_knock_leaves_no_open_door_behind() {
        let (door, mut heard, shutdown, _host) = door();
        let mut given_up = Box::pin(door.dial(3));
        assert!(given_up.as_mut().now_or_never().is_none());
        heard.recv().await.unwrap();
        drop(given_up);

        door.answered(3, opens());
        let mut next = pin!(door.dial(4));
        assert!(next.as_mut().now_or_never().is_none());

        // The stream of the first one is on its way, and the next one does not knock before it is there.
        assert!(heard.recv().now_or_never().is_none());
        assert!(!has_ended(&shutdown));
    }

    #[tokio::test]
    async fn without_a_session_there_is_nobody_to_knock_at() {
        let (door, _heard) = Door::new(mutual_tls(), Shutdown::default());

        let error = door.dial(3).await.unwrap_err();

        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    }
}
