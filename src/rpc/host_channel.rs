//! The connection of one instance to the services that the host has for it.

use std::error::Error;
use std::future::Future;
use std::iter::successors;
use std::sync::{PoisonError, RwLock};

use tokio_util::sync::CancellationToken;
use tonic::{Response, Status};

use crate::caller::OF_A_QUESTION;
use crate::go_plugin::Channel;

/// A channel that is given up when its instance goes.
pub(super) struct HostChannel {
    channel: RwLock<Option<Channel>>,
    closed: CancellationToken,
}

impl HostChannel {
    pub(super) fn new(channel: Channel) -> Self {
        Self {
            channel: RwLock::new(Some(channel)),
            closed: CancellationToken::new(),
        }
    }

    /// Makes one call, which is cancelled when the channel is closed.
    pub(super) async fn call<T, F>(&self, call: impl FnOnce(Channel) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        // Held for a clone only.
        let channel = self
            .channel
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let Some(channel) = channel else {
            return Err(closed());
        };
        tokio::select! {
            biased;
            () = self.closed.cancelled() => Err(closed()),
            answer = tokio::time::timeout(OF_A_QUESTION, call(channel)) => match answer {
                Ok(answer) => answer.map(Response::into_inner),
                Err(_) => Err(Status::deadline_exceeded(format!(
                    "the host did not answer within {} seconds",
                    OF_A_QUESTION.as_secs()
                ))),
            },
        }
    }

    /// Cancels what is under way, refuses what comes, and lets the connection go. The host waits
    /// for our calls to end before it stops serving the mount.
    pub(super) fn close(&self) {
        self.closed.cancel();
        *self.channel.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn closed() -> Status {
    Status::cancelled("the mount has been closed")
}

/// What to tell of a failed call. Where the host itself answered, its words stay unchanged, because
/// it may look for some of them in our answer.
pub(super) fn text(status: &Status) -> String {
    // Only a failure on our side of the connection has a cause, and the last one is the reason.
    if let Some(reason) = successors(status.source(), |&error| error.source()).last() {
        format!("cannot reach the host: {reason}")
    } else if status.message().is_empty() {
        status.code().description().to_owned()
    } else {
        status.message().to_owned()
    }
}
