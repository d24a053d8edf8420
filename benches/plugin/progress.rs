//! Counts what is done for whoever waits.

use std::time::Duration;

use tokio::time::{Instant, Interval, interval_at};

use crate::driver::progress::say;

/// When to say that a long step goes on.
pub(crate) fn pulse() -> Interval {
    const PAUSE: Duration = Duration::from_secs(15);
    interval_at(Instant::now() + PAUSE, PAUSE)
}

/// Counts the steps of a phase.
#[derive(Debug)]
pub(crate) struct Progress {
    phase: &'static str,
    done: usize,
    of: usize,
}

impl Progress {
    pub(crate) fn new(phase: &'static str, of: usize) -> Self {
        Self { phase, done: 0, of }
    }

    /// One more step is done.
    pub(crate) fn step(&mut self, what: &str) {
        self.done += 1;
        say(&format!("{} {}/{}: {what}", self.phase, self.done, self.of));
    }
}
