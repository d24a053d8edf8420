//! Answers that nobody waits for any more: the client hung up, or the host's time limit passed.
//!
//! The host keeps no lease of such an answer and so will never revoke it, which makes that ours.

use tokio::sync::oneshot;

use crate::clock::{Clock, SystemClock};
use crate::logical::{Backend, Error, Operation, Request, Response, Secret};

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
    match backend.handle_request(revocation).await {
        Ok(_) => tracing::info!("nobody waited for the answer, so what it granted is revoked"),
        Err(error) => {
            tracing::error!(%error, "nobody waited for the answer, and what it granted could not be revoked: do it by hand");
        }
    }
}
