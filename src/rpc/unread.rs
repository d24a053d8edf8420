//! Answers that nobody waits for any more: the client hung up, or the host's time limit passed.
//!
//! The host keeps no lease of such an answer and so will never revoke it, which makes that ours.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::clock::{Clock, SystemClock};
use crate::logical::{Backend, Error, Operation, Request, Response, Secret};

/// Between the tries to revoke, as a host waits between its own.
const WAITS: [Duration; 6] = [
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(40),
    Duration::from_secs(80),
    Duration::from_secs(160),
    Duration::from_secs(320),
];

/// What became of a request.
pub(super) type Outcome = Result<Option<Response>, Error>;

/// Hands the outcome of `request` to whoever waits for it; when nobody does, what it grants is
/// revoked.
pub(super) async fn deliver(
    outcome: Outcome,
    to: oneshot::Sender<Outcome>,
    request: Request,
    backend: &dyn Backend,
) {
    let Err(Ok(Some(unread))) = to.send(outcome) else {
        return;
    };
    // A renewal grants nothing new: its lease was there before.
    let Some(granted) = unread
        .secret
        .filter(|_| request.operation != Operation::Renew)
    else {
        return;
    };
    let mut lease = granted.lease;
    // As the host would have noted it down.
    lease.issue_time = Some(SystemClock.now());
    let revocation = Request {
        operation: Operation::Revoke,
        data: unread.data,
        secret: Some(Secret { lease, ..granted }),
        ..request
    };
    let mut waits = WAITS.iter();
    loop {
        let Err(error) = backend.handle_request(revocation.clone()).await else {
            tracing::info!("nobody waited for the answer, so what it granted is revoked");
            return;
        };
        let Some(wait) = waits.next() else {
            tracing::error!(%error, "nobody waited for the answer, and what it granted could not be revoked: do it by hand");
            return;
        };
        tracing::warn!(%error, ?wait, "nobody waited for the answer, and what it granted cannot be revoked now");
        tokio::time::sleep(*wait).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use async_trait::async_trait;

    use super::*;
    use crate::logical::testing::InMemoryStorage;
    use crate::logical::{SpecialPaths, Storage};

    /// A backend that fails to revoke for so many times.
    struct Stubborn {
        failures: usize,
        revocations: AtomicUsize,
    }

    #[async_trait]
    impl Backend for Stubborn {
        fn special_paths(&self) -> SpecialPaths {
            SpecialPaths::default()
        }

        async fn initialize(&self, _storage: Arc<dyn Storage>) -> Result<(), Error> {
            Ok(())
        }

        async fn handle_request(&self, request: Request) -> Outcome {
            assert_eq!(request.operation, Operation::Revoke);
            assert!(request.secret.unwrap().lease.issue_time.is_some());
            let before = self.revocations.fetch_add(1, Ordering::Relaxed);
            if before < self.failures {
                return Err(Error::internal("not now"));
            }
            Ok(None)
        }

        async fn handle_existence_check(&self, _request: Request) -> Result<Option<bool>, Error> {
            Ok(None)
        }

        async fn invalidate_key(&self, _key: &str) {}

        async fn cleanup(&self) {}
    }

    async fn revocations(outcome: Outcome, failures: usize) -> usize {
        let backend = Stubborn {
            failures,
            revocations: AtomicUsize::new(0),
        };
        let storage = Arc::new(InMemoryStorage::default());
        let request = Request::new(Operation::Read, "creds/deploy", storage);
        let (reply, hung_up) = oneshot::channel();
        drop(hung_up);
        deliver(outcome, reply, request, &backend).await;
        backend.revocations.into_inner()
    }

    fn granted() -> Response {
        Response {
            secret: Some(Secret::default()),
            ..Response::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_reads_is_revoked_as_often_as_a_host_tries() {
        assert_eq!(revocations(Ok(Some(granted())), 0).await, 1);
        assert_eq!(revocations(Ok(Some(granted())), 3).await, 4);
        assert_eq!(
            revocations(Ok(Some(granted())), usize::MAX).await,
            WAITS.len() + 1
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_grants_nothing_needs_no_revocation() {
        assert_eq!(revocations(Ok(None), 0).await, 0);
        assert_eq!(revocations(Ok(Some(Response::default())), 0).await, 0);
        assert_eq!(revocations(Err(Error::UnsupportedPath), 0).await, 0);
    }
}
