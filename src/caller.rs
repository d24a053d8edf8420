//! Who waits for the answer of a request, and until when.
//!
//! This is the one place that decides how long anything may take: every limit of a request, of its
//! calls to AWS and of its undoing is one of the three moments of its [`Caller`]. It is also the one
//! place that knows whether anybody still waits.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long a client's request may take. The hosts' command line programs give up after 60 seconds,
/// and whoever gives up does not read the reason.
const OF_A_CLIENT: Duration = Duration::from_secs(54);

/// How long what the host asks for itself may take: it gives up after 90 seconds.
const OF_THE_HOST: Duration = Duration::from_secs(84);

/// How long one question of ours to the host may take, such as a read of its storage. It outlasts an
/// election of the host's storage, and ends while a client still waits for the reason.
pub const OF_A_QUESTION: Duration = Duration::from_secs(45);

/// The part of what the host allows that is left for the way back.
const WAY_BACK: u32 = 10;

/// Somebody who waits for the answer of a request.
#[derive(Clone, Debug)]
pub struct Caller {
    began: Instant,
    allowed: Duration,
    hung_up: CancellationToken,
}

impl Caller {
    /// A client, for which the host waits for `told`.
    pub fn client(told: Option<Duration>) -> Self {
        Self::within(OF_A_CLIENT, told)
    }

    /// The host itself: its timer, the end of a lease, its rotation manager.
    pub fn host(told: Option<Duration>) -> Self {
        Self::within(OF_THE_HOST, told)
    }

    fn within(usual: Duration, told: Option<Duration>) -> Self {
        let told = told.map_or(usual, |told| told * (WAY_BACK - 1) / WAY_BACK);
        Self {
            began: Instant::now(),
            allowed: usual.min(told),
            hung_up: CancellationToken::new(),
        }
    }

    /// The caller hangs up when this is dropped.
    #[must_use]
    pub fn line(&self) -> DropGuard {
        self.hung_up.clone().drop_guard()
    }

    /// The same time, and nobody who could hang up: for work that has changed something in AWS and
    /// so runs to its end.
    #[must_use]
    pub fn committed(&self) -> Self {
        Self {
            hung_up: CancellationToken::new(),
            ..self.clone()
        }
    }

    /// Whether anybody still waits.
    pub fn waits(&self) -> bool {
        !self.hung_up() && Instant::now() < self.answer_by()
    }

    /// Whether the caller hung up, be its time over or not.
    pub fn hung_up(&self) -> bool {
        self.hung_up.is_cancelled()
    }

    /// Ready when nobody waits any more.
    pub async fn gone(&self) {
        tokio::select! {
            () = self.hung_up.cancelled() => {}
            () = sleep_until(self.answer_by()) => {}
        }
    }

    /// Ready when the caller hangs up.
    pub async fn hangs_up(&self) {
        self.hung_up.cancelled().await;
    }

    /// Since when the caller waits.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Until when an answer is worth waiting for that need not come; a tenth of the time, from now
    /// on.
    pub fn a_look_by(&self) -> Instant {
        Instant::now() + self.allowed / 10
    }

    /// The last moment to begin what changes something in AWS; two thirds of the time.
    pub fn begin_by(&self) -> Instant {
        self.began + self.allowed * 2 / 3
    }

    /// When what has begun must be done, or be given up and undone; five sixths of the time.
    pub fn finish_by(&self) -> Instant {
        self.began + self.allowed * 5 / 6
    }

    /// When the caller must have its answer, and all traces of a failure must be gone.
    pub fn answer_by(&self) -> Instant {
        self.began + self.allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_client_is_answered_before_55_seconds_and_the_host_before_90() {
        let now = Instant::now();
        for told in [None, Some(90 * SECOND), Some(3600 * SECOND)] {
            assert!(Caller::client(told).answer_by() < now + 55 * SECOND);
            assert!(Caller::host(told).answer_by() < now + 90 * SECOND);
            assert!(now + OF_A_QUESTION <= Caller::client(told).finish_by());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_waits_for_less_is_answered_before_it_gives_up() {
        let now = Instant::now();
        for told in [SECOND, 20 * SECOND, 50 * SECOND] {
            for caller in [Caller::client(Some(told)), Caller::host(Some(told))] {
                assert!(caller.answer_by() < now + told);
                assert!(caller.begin_by() < caller.finish_by());
                assert!(caller.finish_by() < caller.answer_by());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_is_gone_when_it_hangs_up_or_its_time_is_over() {
        let hangs_up = Caller::client(None);
        let line = hangs_up.line();
        assert!(hangs_up.waits());
        let committed = hangs_up.committed();
        drop(line);
        hangs_up.gone().await;
        assert!(!hangs_up.waits());
        assert!(committed.waits(), "its work runs to its end");

        let late = Caller::client(Some(SECOND));
        late.gone().await;
        assert!(!late.waits());
    }
}
