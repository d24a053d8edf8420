//! The end of the process: a signal that it has begun, and the work that may still finish.

use std::future::Future;
use std::io;
use std::os::unix::process::parent_id;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;

/// From the beginning of the end to the exit. The host kills after two seconds.
const GRACE: Duration = Duration::from_secs(1);

/// How often to look whether the host is still there.
const ORPHAN_CHECK: Duration = Duration::from_secs(2);

/// A handle on the end of the process.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    begun: CancellationToken,
    work: TaskTracker,
}

impl Shutdown {
    /// Runs work that nobody's hanging up interrupts: it ends by itself, or with the process.
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.work.spawn(work)
    }

    /// Lets the process end.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Ready from the moment that the end has begun.
    pub(super) fn begun(&self) -> WaitForCancellationFutureOwned {
        self.begun.clone().cancelled_owned()
    }

    /// Runs the server, and after the end has begun gives it and the unfinished work a little time.
    pub(super) async fn bound<E>(
        &self,
        serving: impl Future<Output = Result<(), E>>,
    ) -> Result<(), E> {
        let finishing = async {
            serving.await?;
            self.work.close();
            self.work.wait().await;
            Ok(())
        };
        let giving_up = async {
            self.begun.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            finished = finishing => finished,
            () = giving_up => {
                tracing::warn!(unfinished = self.work.len(), "ending with unfinished requests");
                Ok(())
            }
        }
    }

    /// Lets SIGTERM and the host's death end the process. SIGINT does not: Ctrl-C in a terminal
    /// reaches the host's children too, while the host still needs them. Needs a tokio runtime, and
    /// is called before the host learns of the process.
    pub fn on_signals(&self) -> io::Result<()> {
        let mut interrupts = signal(SignalKind::interrupt())?;
        let mut terminations = signal(SignalKind::terminate())?;
        let host = parent_id();
        let shutdown = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = terminations.recv() => {}
                () = death_of(host) => tracing::warn!("the host is gone, ending"),
                // Receives the signals and does nothing about them.
                () = async { while interrupts.recv().await.is_some() {} } => {}
            }
            shutdown.begin();
        });
        Ok(())
    }
}

/// Ready when another process has become our parent: a host that is killed tells nobody, and the
/// end of stdin is no sign of it.
async fn death_of(host: u32) {
    while parent_id() == host {
        tokio::time::sleep(ORPHAN_CHECK).await;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;

    use tokio::time::Instant;

    use super::*;

    async fn server(shutdown: Shutdown) -> Result<(), Infallible> {
        shutdown.begun().await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn without_work_the_end_is_at_once() {
        let shutdown = Shutdown::default();
        shutdown.begin();
        let begun = Instant::now();

        shutdown.bound(server(shutdown.clone())).await.unwrap();

        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_nobody_waits_for_may_still_finish() {
        let shutdown = Shutdown::default();
        let (done, finished) = tokio::sync::oneshot::channel();
        drop(shutdown.spawn(async move {
            tokio::time::sleep(GRACE / 2).await;
            done.send(()).unwrap();
        }));
        shutdown.begin();

        shutdown.bound(server(shutdown.clone())).await.unwrap();

        assert!(finished.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn neither_work_nor_server_holds_the_end_up_for_longer_than_the_grace() {
        let shutdown = Shutdown::default();
        shutdown.spawn(pending::<()>());
        shutdown.begin();
        let begun = Instant::now();

        shutdown
            .bound(pending::<Result<(), Infallible>>())
            .await
            .unwrap();

        assert_eq!(begun.elapsed(), GRACE);
        assert!(
            GRACE < Duration::from_secs(2),
            "the host kills after two seconds"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_ends_before_the_end_has_begun() {
        let shutdown = Shutdown::default();
        let ended = shutdown.bound(server(shutdown.clone()));

        assert!(
            tokio::time::timeout(Duration::from_hours(1), ended)
                .await
                .is_err()
        );
    }
}
