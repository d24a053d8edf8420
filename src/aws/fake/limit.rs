//! How many calls AWS takes.

use tokio::time::Instant;

use super::{FakeAws, Fault};

/// How many calls AWS takes; what comes beyond is refused with `Throttling`, done nothing for and
/// not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Calls a second in the long run.
    pub per_second: u32,
    /// How many may come at once after a pause.
    pub burst: u32,
}

/// A token bucket, in `tokio`'s time.
#[derive(Debug)]
pub struct Bucket {
    limit: RateLimit,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    /// One that has not been asked for anything yet.
    pub fn full(limit: RateLimit) -> Self {
        Self {
            limit,
            tokens: f64::from(limit.burst),
            filled: Instant::now(),
        }
    }

    /// Whether one more call is taken now.
    pub fn takes(&mut self) -> bool {
        let now = Instant::now();
        let grown = (now - self.filled).as_secs_f64() * f64::from(self.limit.per_second);
        self.filled = now;
        self.tokens = (self.tokens + grown).min(f64::from(self.limit.burst));
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }

    /// Takes one call, or says what becomes of it.
    pub(super) fn meet(&mut self) -> Option<Fault> {
        (!self.takes()).then_some(Fault::Code("Throttling"))
    }
}

impl FakeAws {
    /// From now on IAM takes so many calls of all accounts together; `None` takes all.
    pub fn limit_iam(&self, limit: Option<RateLimit>) {
        self.state().bucket = limit.map(Bucket::full);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_bucket_takes_its_burst_at_once_and_its_rate_after_that() {
        let mut bucket = Bucket::full(RateLimit {
            per_second: 20,
            burst: 5,
        });
        let mut taken = || (0..100).take_while(|_| bucket.meet().is_none()).count();

        assert_eq!(taken(), 5);
        tokio::time::advance(Duration::from_millis(150)).await;
        assert_eq!(taken(), 3);
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(taken(), 5);
    }
}
