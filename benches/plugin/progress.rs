//! Lines for whoever waits.

use std::io::{Write as _, stderr};
use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::{Instant, Interval, interval_at};

/// Writes a line to standard error, with the minutes and seconds since the first one.
pub(crate) fn say(line: &str) {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let seconds = FIRST.get_or_init(Instant::now).elapsed().as_secs();
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    // Nobody is left to tell if it is closed.
    let _ = writeln!(stderr(), "bench: {minutes:2}:{seconds:02} {line}");
}

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
