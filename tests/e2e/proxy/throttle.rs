//! A limit of calls, as IAM has one.

use time::OffsetDateTime;
use vault_plugin_secrets_aws::clock::{Clock as _, SystemClock};

/// A token bucket.
pub(super) struct Throttle {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled: OffsetDateTime,
}

impl Throttle {
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: per_second.into(),
            burst: burst.into(),
            tokens: burst.into(),
            filled: SystemClock.now(),
        }
    }

    /// Whether one more call is taken now.
    pub(super) fn takes(&mut self) -> bool {
        let now = SystemClock.now();
        let grown = (now - self.filled).as_seconds_f64() * self.per_second;
        self.filled = now;
        self.tokens = (self.tokens + grown).min(self.burst);
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}
