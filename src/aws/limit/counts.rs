//! What became of one mount's calls, for whoever watches over it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::queue::Class;
use crate::aws::{Error, ErrorKind};

/// Where a call may have to wait: in the queue of its class, or for STS.
const QUEUES: [&str; 5] = ["key_killing", "issue", "removal", "background", "sts"];
const STS: usize = 4;

/// Counted since the mount began in this process. All names are of a fixed set.
#[derive(Debug, Default)]
pub struct Counts {
    // A std mutex: nothing awaits under it.
    counted: Mutex<Counted>,
    waiting: [AtomicUsize; QUEUES.len()],
}

#[derive(Debug, Default)]
struct Counted {
    /// By operation and outcome.
    calls: BTreeMap<(&'static str, &'static str), u64>,
    refused: BTreeMap<&'static str, u64>,
}

/// A call that waits for its turn, until this is dropped.
pub(super) struct Waits<'a>(&'a AtomicUsize);

impl Counts {
    /// Calls that were sent, by operation and outcome: `ok`, or the kind of AWS's error.
    pub fn calls(&self) -> Vec<(&'static str, &'static str, u64)> {
        let calls = &self.counted().calls;
        let flat = |((operation, outcome), count): (&(_, _), &u64)| (*operation, *outcome, *count);
        calls.iter().map(flat).collect()
    }

    /// Calls that were not sent, by reason.
    pub fn refused(&self) -> Vec<(&'static str, u64)> {
        let refused = &self.counted().refused;
        refused
            .iter()
            .map(|(reason, count)| (*reason, *count))
            .collect()
    }

    /// Calls that wait now, by queue.
    pub fn waiting(&self) -> impl Iterator<Item = (&'static str, usize)> {
        let counts = self
            .waiting
            .iter()
            .map(|count| count.load(Ordering::Relaxed));
        QUEUES.into_iter().zip(counts)
    }

    pub(super) fn called<T>(&self, operation: &'static str, result: &Result<T, Error>) {
        let (operation, outcome) = match result {
            Ok(_) => (operation, "ok"),
            // Whoever had to be asked for credentials first may be who refused.
            Err(error) => (error.operation(), name(error.kind())),
        };
        *self
            .counted()
            .calls
            .entry((operation, outcome))
            .or_default() += 1;
    }

    pub(super) fn not_sent(&self, error: &Error) {
        let reason = match error.kind() {
            ErrorKind::Throttled => "crowd",
            ErrorKind::CallerGone => "hung_up",
            _ => "late",
        };
        *self.counted().refused.entry(reason).or_default() += 1;
    }

    pub(super) fn waits(&self, class: Class) -> Waits<'_> {
        Waits::begin(&self.waiting[class as usize])
    }

    pub(super) fn waits_for_sts(&self) -> Waits<'_> {
        Waits::begin(&self.waiting[STS])
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<'a> Waits<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Denied => "denied",
        ErrorKind::NotFound => "not_found",
        ErrorKind::AlreadyExists => "already_exists",
        ErrorKind::Throttled => "throttled",
        ErrorKind::DeleteConflict => "delete_conflict",
        ErrorKind::Busy => "busy",
        ErrorKind::LimitExceeded => "limit_exceeded",
        ErrorKind::InvalidCredentials => "invalid_credentials",
        ErrorKind::Invalid => "invalid",
        ErrorKind::NoCredentials => "no_credentials",
        ErrorKind::Unreachable => "unreachable",
        ErrorKind::CallerGone => "caller_gone",
        ErrorKind::Other => "other",
    }
}
