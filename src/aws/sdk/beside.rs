//! Work that reads files, beside the thread that serves: a file system may hang.

use tokio::runtime::Handle;
use tokio::sync::Mutex;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};

/// One piece of work at a time. Whoever comes while an earlier one still runs, which nobody may be
/// waiting for any more, gets what that one brings: what hangs takes one thread, not one for each
/// request.
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

    #[tokio::test]
    async fn what_hangs_takes_one_thread_and_reaches_whoever_waits_when_it_ends() {
        let beside = Beside::default();
        let begun = Arc::new(AtomicUsize::new(0));
        let (go_on, told) = mpsc::channel();
        let told = Arc::new(std::sync::Mutex::new(told));
        let work = || {
            let (begun, told) = (Arc::clone(&begun), Arc::clone(&told));
            async move {
                let number = begun.fetch_add(1, Ordering::SeqCst);
                told.lock().unwrap().recv().unwrap();
                number
            }
        };

        for _ in 0..3 {
            let in_time = tokio::time::timeout(Duration::from_millis(10), beside.run(work())).await;
            assert!(in_time.is_err());
        }
        go_on.send(()).unwrap();

        assert_eq!(beside.run(work()).await.unwrap(), 0);
        go_on.send(()).unwrap();
        assert_eq!(beside.run(work()).await.unwrap(), 1);
    }
}
