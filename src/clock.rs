//! The time of day, as a trait, so that tests set it by hand.

use std::sync::LazyLock;
use std::time::Duration;

use time::OffsetDateTime;

/// Tells the time.
pub trait Clock: std::fmt::Debug + Send + Sync + 'static {
    /// Now, in UTC. Somebody may set it forward and back.
    fn now(&self) -> OffsetDateTime;

    /// The time since some moment that stays the same, which nobody can set.
    fn uptime(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }

    fn uptime(&self) -> Duration {
        static BEGINNING: LazyLock<tokio::time::Instant> = LazyLock::new(tokio::time::Instant::now);
        BEGINNING.elapsed()
    }
}

/// A clock that stands until it is moved.
#[cfg(any(test, feature = "test-util"))]
#[derive(Debug)]
pub struct ManualClock(std::sync::Mutex<(OffsetDateTime, Duration)>);

#[cfg(any(test, feature = "test-util"))]
impl ManualClock {
    /// Stands at `now`.
    pub fn new(now: OffsetDateTime) -> Self {
        Self(std::sync::Mutex::new((now, Duration::ZERO)))
    }

    /// Moves on.
    pub fn advance(&self, by: Duration) {
        let mut time = self.time();
        time.0 += by;
        time.1 += by;
    }

    /// Somebody sets it forward or back.
    pub fn set_by(&self, by: time::Duration) {
        self.time().0 += by;
    }

    fn time(&self) -> std::sync::MutexGuard<'_, (OffsetDateTime, Duration)> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Default for ManualClock {
    fn default() -> Self {
        Self::new(time::macros::datetime!(2026-01-02 03:04:05 UTC))
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Clock for ManualClock {
    fn now(&self) -> OffsetDateTime {
        self.time().0
    }

    fn uptime(&self) -> Duration {
        self.time().1
    }
}
