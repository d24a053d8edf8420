//! Lines for whoever waits.

use std::io::{Write as _, stderr};
use std::sync::OnceLock;

use tokio::time::Instant;

/// Writes a line to standard error, with the minutes and seconds since the first one.
pub(crate) fn say(line: &str) {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let seconds = FIRST.get_or_init(Instant::now).elapsed().as_secs();
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    // Nobody is left to tell if it is closed.
    let _ = writeln!(stderr(), "{minutes:2}:{seconds:02} {line}");
}
