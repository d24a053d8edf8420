//! Work that reads files, beside the thread that serves: a file system may hang.

use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// One piece of work at a time. Whoever comes while an earlier one still runs, which nobody may be
/// waiting for any more, gets what that one brings: what hangs takes one thread, not one for each
/// request. What has ended while nobody waited is forgotten, for it may be old.
#[derive(Debug)]
pub(super) struct Beside<T>(Mutex<Option<JoinHandle<T>>>);

impl<T> Default for Beside<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Send + 'static> Beside<T> {
    /// What `work` brings; an error if it panicked.
    pub(super) async fn run(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        let mut running = self.0.lock().await;
        running.take_if(|begun| begun.is_finished());
        let begun = running.get_or_insert_with(|| {
            let runtime = Handle::current();
            spawn_blocking(move || runtime.block_on(work))
        });
        let brought = begun.await;
        *running = None;
        brought
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use super::*;

    struct Work {
        beside: Beside<usize>,
        begun: Arc<AtomicUsize>,
        go_on: mpsc::Sender<()>,
        told: Arc<std::sync::Mutex<mpsc::Receiver<()>>>,
    }

    impl Work {
        fn new() -> Self {
            let (go_on, told) = mpsc::channel();
            Self {
                beside: Beside::default(),
                begun: Arc::default(),
                go_on,
                told: Arc::new(std::sync::Mutex::new(told)),
            }
        }

        /// Hangs until it is told to go on, and brings how many began before.
        async fn run(&self) -> usize {
            let (begun, told) = (Arc::clone(&self.begun), Arc::clone(&self.told));
            let work = async move {
                let number = begun.fetch_add(1, Ordering::SeqCst);
                told.lock().unwrap().recv().unwrap();
                number
            };
            self.beside.run(work).await.unwrap()
        }

        async fn is_given_up(&self) {
            let in_time = tokio::time::timeout(Duration::from_millis(10), self.run()).await;
            assert!(in_time.is_err());
        }
    }

    #[tokio::test]
    async fn what_hangs_takes_one_thread_and_reaches_whoever_waits_when_it_ends() {
        let work = Work::new();
        for _ in 0..3 {
            work.is_given_up().await;
        }

        let (brought, ()) = tokio::join!(work.run(), async {
            tokio::task::yield_now().await;
            work.go_on.send(()).unwrap();
        });

        assert_eq!(brought, 0);
    }

    #[tokio::test]
    async fn what_ended_while_nobody_waited_is_forgotten() {
        let work = Work::new();
        work.is_given_up().await;
        work.go_on.send(()).unwrap();
        while !work.beside.0.lock().await.as_ref().unwrap().is_finished() {
            tokio::task::yield_now().await;
        }

        work.go_on.send(()).unwrap();

        assert_eq!(work.run().await, 1);
    }
}
