//! Where calls wait until a test, or enough other calls, let them go on.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::lock;

/// How long a held call and whoever waits for it are patient.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where one call waits: reached once, then opened once.
#[derive(Default)]
pub(super) struct Gate {
    stage: Mutex<Stage>,
    changed: Condvar,
}

#[derive(Default, PartialEq, Eq, Clone, Copy)]
enum Stage {
    #[default]
    Awaited,
    Reached,
    Open,
}

impl Gate {
    /// A call waits here until it is open.
    pub(super) fn pass(&self) {
        let mut stage = lock(&self.stage);
        if *stage == Stage::Awaited {
            *stage = Stage::Reached;
            self.changed.notify_all();
        }
        drop(
            self.changed
                .wait_timeout_while(stage, PATIENCE, |stage| *stage != Stage::Open),
        );
    }

    /// Waits until a call waits here.
    pub(super) fn wait(&self) {
        let stage = lock(&self.stage);
        let (stage, _) = self
            .changed
            .wait_timeout_while(stage, PATIENCE, |stage| *stage == Stage::Awaited)
            .unwrap_or_else(PoisonError::into_inner);
        assert!(*stage != Stage::Awaited, "the call to hold never came");
    }

    pub(super) fn open(&self) {
        *lock(&self.stage) = Stage::Open;
        self.changed.notify_all();
    }
}

/// Calls that are answered only when all of their round have come. If one of a round were sent
/// only after another's answer, the round would never be full: so the number of rounds is the number
/// of round trips, however slow the machine is.
pub(super) struct Rounds {
    sizes: Vec<usize>,
    arrived: Mutex<usize>,
    changed: Condvar,
}

impl Rounds {
    pub(super) fn new(sizes: &[usize]) -> Self {
        Self {
            sizes: sizes.to_vec(),
            arrived: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// A call waits here until its round is full.
    pub(super) fn pass(&self) {
        let mut arrived = lock(&self.arrived);
        *arrived += 1;
        self.changed.notify_all();
        let full = self.end_of_round(*arrived);
        drop(
            self.changed
                .wait_timeout_while(arrived, PATIENCE, |arrived| *arrived < full),
        );
    }

    /// How many calls have come by the end of the round of the call with that number.
    fn end_of_round(&self, call: usize) -> usize {
        let mut end = 0;
        for size in &self.sizes {
            end += size;
            if call <= end {
                return end;
            }
        }
        call
    }
}
