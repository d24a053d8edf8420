//! Answers that nobody waits for any more: the client hung up, or the host's time limit passed.
//!
//! The host keeps no lease of such an answer and so will never revoke it, which makes that ours.

use tokio::sync::oneshot;

use crate::clock::{Clock, SystemClock};
use crate::logical::{Backend, Error, Operation, Request, Response, Secret};

/// What became of a request.
pub(super) type Outcome = Result<Option<Response>, Error>;

/// Hands the outcome of `request`, of which the data is not needed, to whoever waits for it; when
/// nobody does, the backend is told that what it grants is abandoned.
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
        caller: Operation::Revoke.caller(None),
        operation: Operation::Revoke,
        secret: Some(Secret { lease, ..granted }),
        ..request
    };
    match backend.abandon(revocation).await {
        Ok(()) => tracing::info!("nobody waited for the answer, so what it granted is revoked"),
        Err(error) => {
            tracing::warn!(%error, "nobody waited for the answer, and what it granted cannot be revoked now");
        }
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

    #[derive(Default)]
    struct Counting {
        abandoned: AtomicUsize,
    }

    #[async_trait]
    impl Backend for Counting {
        fn special_paths(&self) -> SpecialPaths {
            SpecialPaths::default()
        }

        async fn initialize(&self, _storage: Arc<dyn Storage>) -> Result<(), Error> {
            Ok(())
        }

        async fn handle_request(&self, _request: Request) -> Outcome {
            Ok(None)
        }

        async fn abandon(&self, request: Request) -> Result<(), Error> {
            assert_eq!(request.operation, Operation::Revoke);
            assert!(request.secret.unwrap().lease.issue_time.is_some());
            assert!(request.caller.waits());
            self.abandoned.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }

        async fn handle_existence_check(&self, _request: Request) -> Result<Option<bool>, Error> {
            Ok(None)
        }

        async fn invalidate_key(&self, _key: &str) {}

        async fn cleanup(&self, _storage: Arc<dyn Storage>) {}
    }

    async fn abandoned(operation: Operation, outcome: Outcome) -> usize {
        let backend = Counting::default();
        let storage = Arc::new(InMemoryStorage::default());
        let request = Request::new(operation, "creds/deploy", storage);
        drop(request.caller.line());
        let (reply, hung_up) = oneshot::channel();
        drop(hung_up);
        deliver(outcome, reply, request, &backend).await;
        backend.abandoned.into_inner()
    }

    fn granted() -> Response {
        Response {
            secret: Some(Secret::default()),
            ..Response::default()
        }
    }

    #[tokio::test]
    async fn a_lease_that_nobody_reads_is_abandoned_with_the_time_to_revoke_it() {
        assert_eq!(abandoned(Operation::Read, Ok(Some(granted()))).await, 1);
    }

    #[tokio::test]
    async fn an_answer_that_grants_nothing_new_abandons_nothing() {
        for (operation, outcome) in [
            (Operation::Renew, Ok(Some(granted()))),
            (Operation::Read, Ok(None)),
            (Operation::Read, Ok(Some(Response::default()))),
            (Operation::Read, Err(Error::UnsupportedPath)),
        ] {
            assert_eq!(abandoned(operation, outcome).await, 0);
        }
    }
}
