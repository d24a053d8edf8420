//! When each static role is due: the stored times, kept in memory so that a tick of the host's timer
//! reads only the roles that it rotates.
//!
//! Storage has the last word: whoever takes a ticket looks there whether the role is still due.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;

use crate::clock::Clock;
use crate::engine::schedule::wait_after;

/// The due times of one mount.
pub(super) struct RotationQueue {
    clock: Arc<dyn Clock>,
    // A std mutex: nothing awaits under it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether every role in storage is known here.
    complete: bool,
    /// Counts how often everything was forgotten.
    era: u64,
    roles: HashMap<String, Place>,
}

struct Place {
    /// When it is tried.
    due: OffsetDateTime,
    /// When it was to be rotated.
    meant: OffsetDateTime,
    /// Failed rotations since the last that went well.
    failures: u32,
    /// Somebody holds the role's ticket.
    taken: bool,
}

impl RotationQueue {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// Sets when a role is due.
    pub(super) fn schedule(&self, role: &str, due: OffsetDateTime) {
        let mut state = self.state();
        let place = state.roles.entry(role.to_owned()).or_insert(Place {
            due,
            meant: due,
            failures: 0,
            taken: false,
        });
        place.due = due;
        place.meant = due;
    }

    /// When each of those was to be rotated that were not by then; `None` while not all are known.
    pub(super) fn overdue(&self, then: OffsetDateTime) -> Option<Vec<OffsetDateTime>> {
        let state = self.state();
        let meant = state.roles.values().map(|place| place.meant);
        state
            .complete
            .then(|| meant.filter(|meant| *meant <= then).collect())
    }

    /// The role is gone.
    pub(super) fn remove(&self, role: &str) {
        self.state().roles.remove(role);
    }

    /// Another node may have changed the roles, so they must be read again.
    pub(super) fn forget(&self) {
        let mut state = self.state();
        state.complete = false;
        state.era += 1;
        state.roles.clear();
    }

    /// The era that is to be filled from storage; `None` when nothing is missing.
    pub(super) fn incomplete(&self) -> Option<u64> {
        let state = self.state();
        (!state.complete).then_some(state.era)
    }

    /// Every role of storage was scheduled, which counts if nothing was forgotten meanwhile.
    pub(super) fn complete(&self, era: u64) {
        let mut state = self.state();
        state.complete |= state.era == era;
    }

    /// Tickets for all roles that are due, the longest overdue first.
    pub(super) fn take_due(self: &Arc<Self>) -> Vec<Ticket> {
        let now = self.clock.now();
        let mut state = self.state();
        let mut due: Vec<_> = state
            .roles
            .iter_mut()
            .filter(|(_, place)| !place.taken && place.due <= now)
            .map(|(role, place)| {
                place.taken = true;
                (place.due, role.clone())
            })
            .collect();
        due.sort_unstable();
        due.into_iter()
            .map(|(_, role)| Ticket {
                queue: Arc::clone(self),
                role,
                finished: false,
            })
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to rotate one role now. Dropped before it is finished, it puts the role back, to be
/// tried again a little later; later still with each failure.
pub(super) struct Ticket {
    queue: Arc<RotationQueue>,
    role: String,
    finished: bool,
}

impl Ticket {
    pub(super) fn role(&self) -> &str {
        &self.role
    }

    /// The role is due again at this time.
    pub(super) fn finish(mut self, due: OffsetDateTime) {
        self.finished = true;
        if let Some(place) = self.queue.state().roles.get_mut(&self.role) {
            *place = Place {
                due,
                meant: due,
                failures: 0,
                taken: false,
            };
        }
    }

    /// There was no time for it: the role stays due.
    pub(super) fn put_back(mut self) {
        self.finished = true;
        if let Some(place) = self.queue.state().roles.get_mut(&self.role) {
            place.taken = false;
        }
    }

    /// There is nothing to rotate any more.
    pub(super) fn remove(mut self) {
        self.finished = true;
        self.queue.remove(&self.role);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let now = self.queue.clock.now();
        if let Some(place) = self.queue.state().roles.get_mut(&self.role) {
            place.failures += 1;
            place.due = now + wait_after(place.failures);
            place.taken = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;

    const MINUTE: Duration = Duration::from_mins(1);

    fn queue() -> (Arc<ManualClock>, Arc<RotationQueue>) {
        let clock = Arc::new(ManualClock::default());
        let queue = RotationQueue::new(Arc::clone(&clock) as Arc<_>);
        (clock, Arc::new(queue))
    }

    fn roles(tickets: &[Ticket]) -> Vec<&str> {
        tickets.iter().map(Ticket::role).collect()
    }

    #[test]
    fn what_is_due_comes_out_once_and_the_longest_overdue_first() {
        let (clock, queue) = queue();
        queue.schedule("later", clock.now() + MINUTE);
        queue.schedule("now", clock.now());
        queue.schedule("overdue", clock.now() - MINUTE);

        let tickets = queue.take_due();

        assert_eq!(roles(&tickets), ["overdue", "now"]);
        assert!(queue.take_due().is_empty());
    }

    #[test]
    fn a_finished_ticket_comes_back_at_its_next_time() {
        let (clock, queue) = queue();
        queue.schedule("a", clock.now());
        for ticket in queue.take_due() {
            ticket.finish(clock.now() + MINUTE);
        }

        assert!(queue.take_due().is_empty());
        clock.advance(MINUTE);
        assert_eq!(roles(&queue.take_due()), ["a"]);
    }

    #[test]
    fn a_dropped_ticket_comes_back_after_ten_seconds_and_then_ever_later_up_to_five_minutes() {
        let (clock, queue) = queue();
        queue.schedule("a", clock.now());
        drop(queue.take_due());

        for seconds in [10, 20, 40, 80, 160, 300, 300] {
            clock.advance(Duration::from_secs(seconds - 1));
            assert!(queue.take_due().is_empty(), "before {seconds} s");
            clock.advance(Duration::from_secs(1));
            assert_eq!(roles(&queue.take_due()), ["a"], "after {seconds} s");
        }
    }

    #[test]
    fn a_role_that_was_removed_meanwhile_does_not_come_back() {
        let (clock, queue) = queue();
        queue.schedule("finished", clock.now());
        queue.schedule("dropped", clock.now() + MINUTE);
        clock.advance(MINUTE);
        let tickets = queue.take_due();
        queue.remove("finished");
        queue.remove("dropped");

        for ticket in tickets {
            if ticket.role() == "finished" {
                ticket.finish(clock.now());
            }
        }

        clock.advance(Duration::from_hours(1));
        assert!(queue.take_due().is_empty());
    }

    #[test]
    fn what_was_read_before_everything_was_forgotten_does_not_count_as_complete() {
        let (_, queue) = queue();
        let era = queue.incomplete().unwrap();
        queue.forget();
        queue.complete(era);
        assert!(queue.incomplete().is_some());

        queue.complete(queue.incomplete().unwrap());
        assert_eq!(queue.incomplete(), None);
    }
}
