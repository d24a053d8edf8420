//! `max_active`: how many users of a role may be out at once.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use super::record::IssuedUser;
use super::sweep::Register;
use crate::caller::Caller;
use crate::engine::Engine;
use crate::logical::{Error, Storage};

/// How many records a request reads before it looks at its time again, and how many at once.
const READS: usize = 2048;
const READS_AT_A_TIME: usize = 32;

/// Between two looks while somebody else reads the rest, or nothing can be read.
const PAUSE: Duration = Duration::from_millis(20);

/// A user that was admitted. Dropped before its WAL entry is stored, it was never there.
#[must_use]
pub(super) struct Seat<'a> {
    register: &'a Register,
    user: Option<&'a str>,
}

impl Seat<'_> {
    /// From now on whoever forgets the user's record gives the seat back.
    pub(super) fn taken(mut self) {
        self.user = None;
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if let Some(user) = self.user {
            self.register.forgotten(user);
        }
    }
}

impl Register {
    /// Makes sure that all users are counted. The first requests after the mount began read what the
    /// sweep has not read yet; one that has no time for all of it leaves the rest to the next.
    pub(in crate::engine) async fn count(
        &self,
        engine: &Engine,
        storage: &dyn Storage,
        caller: &Caller,
    ) -> Result<(), Error> {
        if self.is_counted() {
            return Ok(());
        }
        let until = caller.begin_by();
        let Ok(_alone) = timeout_at(until, self.counting.lock()).await else {
            return Err(not_counted());
        };
        while !self.is_counted() {
            if Instant::now() >= until {
                return Err(not_counted());
            }
            self.list(engine, storage).await?;
            let now = engine.clock.now();
            let read = self.read(storage, (now, None), (READS, READS_AT_A_TIME));
            if read.await == 0 {
                sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Counts a new user, unless so many of its role are out already.
    pub(super) fn admit<'a>(
        &'a self,
        user: &'a str,
        record: &IssuedUser,
        most: Option<usize>,
    ) -> Result<Seat<'a>, Error> {
        let (role, holder) = (&record.role, &record.display_name);
        match most {
            Some(most) => self
                .census
                .admit(user, role, holder, most)
                .map_err(|full| Error::invalid(full.to_string()))?,
            None => self.census.enter(user, role, holder),
        }
        Ok(Seat {
            register: self,
            user: Some(user),
        })
    }

    /// The user's record is gone.
    pub(super) fn forgotten(&self, user: &str) {
        self.census.leave(user);
    }
}

fn not_counted() -> Error {
    Error::Coded {
        status: 503,
        message: "the role has max_active, and after the start of this mount the register of IAM users could not be read in time to count them: try again in some seconds, it goes on where it was".to_owned(),
    }
}
