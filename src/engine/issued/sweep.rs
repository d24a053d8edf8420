//! Users whose lease is over without the host having said so: a little at each tick of its timer.
//!
//! All names are listed once an hour and read a bounded number a tick. Who is over within the hour
//! is kept in memory until then; so is who is issued or renewed meanwhile and over within the hour.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::record::{IssuedUser, PREFIX, unix};
use super::removal::{Condemned, remove};
use super::watch::{Hold, Watch};
use crate::aws::limit::Class;
use crate::caller::Caller;
use crate::clock::Clock;
use crate::engine::Engine;
use crate::engine::locks::NameLocks;
use crate::logical::{Error, Storage};

/// For how long after the end of its lease a user is left alone: a renewal may be on its way.
const GRACE: Duration = Duration::from_mins(2);

/// How often all names are listed, and how far ahead of its end a user is remembered.
const ROUND: Duration = Duration::from_hours(1);

/// How many records are read in a tick, so that 100,000 take a round; and how many of those that were
/// remembered are read again.
const READS: usize = 2000;
const READS_AT_A_TIME: usize = 8;

/// How many users are removed in a tick; a removal takes several calls to AWS.
const REMOVALS: usize = 100;
const REMOVALS_AT_A_TIME: usize = 4;

/// When a user is looked at again that could not be removed.
const AGAIN: Duration = Duration::from_mins(1);

/// How many users are remembered; others are met an hour later.
const REMEMBERED: usize = 20_000;

/// The register of one mount, as far as it is in memory.
pub(in crate::engine) struct Register {
    watch: Watch,
    /// For names that templates give again and again.
    pub(super) names: NameLocks,
    // A std mutex: nothing awaits under it.
    schedule: Mutex<Schedule>,
}

#[derive(Default)]
struct Schedule {
    /// Whether there was any user.
    used: bool,
    /// By [`Clock::uptime`]; at once if not set.
    list_at: Option<Duration>,
    /// Listed, and not read yet.
    unread: Vec<Box<str>>,
    /// When who is over, in Unix seconds.
    soon: BTreeSet<(i64, Box<str>)>,
}

impl Register {
    /// A life that begins now.
    pub(in crate::engine) fn begin(clock: &dyn Clock) -> Self {
        Self {
            watch: Watch::begin(clock),
            names: NameLocks::default(),
            schedule: Mutex::default(),
        }
    }

    /// The record was stored, or will be.
    pub(super) fn expect(&self, user: &str, record: &IssuedUser) {
        let soon = record.stored_at.saturating_add(seconds(ROUND));
        let mut schedule = self.schedule();
        schedule.used = true;
        if record.expires_at < soon {
            schedule.remember(record.expires_at, user);
        }
    }

    /// The mount is closed in order.
    pub(in crate::engine) async fn close(&self, storage: &dyn Storage) {
        if !self.schedule().used {
            return;
        }
        if let Err(error) = self.watch.close(storage).await {
            tracing::debug!(%error, "could not note down that the mount is closed");
        }
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists all names when it is time; answers whether there is anything to watch over.
    async fn list(&self, engine: &Engine, storage: &dyn Storage) -> Result<bool, Error> {
        let uptime = engine.clock.uptime();
        {
            let schedule = self.schedule();
            if schedule.list_at.is_some_and(|time| uptime < time) || !schedule.unread.is_empty() {
                return Ok(schedule.used);
            }
        }
        let names = storage
            .list(PREFIX)
            .await
            .map_err(|error| Error::from(error).context("error listing issued users"))?;
        let mut schedule = self.schedule();
        schedule.list_at = Some(uptime + ROUND);
        schedule.used |= !names.is_empty();
        schedule.unread = names.into_iter().map(String::into_boxed_str).collect();
        Ok(schedule.used)
    }

    /// The next names to read.
    fn take_unread(&self) -> Vec<Box<str>> {
        let mut schedule = self.schedule();
        let rest = schedule.unread.len().saturating_sub(READS);
        let taken = schedule.unread.split_off(rest);
        if rest == 0 {
            schedule.unread = Vec::new();
        }
        taken
    }

    /// Whose time seems to be over; many will have been revoked meanwhile.
    fn take_over(&self, now: OffsetDateTime) -> Vec<Box<str>> {
        let over = (now - GRACE).unix_timestamp();
        let mut schedule = self.schedule();
        let mut taken = Vec::new();
        while taken.len() < READS
            && schedule.soon.first().is_some_and(|(time, _)| *time <= over)
            && let Some((_, name)) = schedule.soon.pop_first()
        {
            taken.push(name);
        }
        taken
    }
}

impl Schedule {
    fn remember(&mut self, over: i64, user: &str) {
        if self.soon.len() < REMEMBERED {
            self.soon.insert((over, user.into()));
        }
    }
}

/// One tick, on the node that issues; the host's timer does nothing on the others.
pub(in crate::engine) async fn sweep(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
) -> Result<(), Error> {
    let register = &engine.issued;
    if !register.list(engine, storage).await? {
        return Ok(());
    }
    let hold = register.watch.tick(engine, storage).await?;
    let now = engine.clock.now();
    stream::iter(register.take_unread())
        .for_each_concurrent(READS_AT_A_TIME, |name| async move {
            let over = match IssuedUser::named(storage, &name).await {
                Ok(Some((_, record))) => Hold::over(hold, &record),
                Ok(None) => return,
                // It is read again then, and what is wrong with it is said.
                Err(_) => now.unix_timestamp(),
            };
            if over < (now + ROUND).unix_timestamp() {
                engine.issued.schedule().remember(over, &name);
            }
        })
        .await;
    let removals = &AtomicUsize::new(0);
    let failures: Vec<_> = stream::iter(register.take_over(now))
        .map(|name| async move {
            let outcome = end(engine, storage, caller, hold, &name, removals).await;
            if outcome.is_err() {
                let again = (now - GRACE + AGAIN).unix_timestamp();
                engine.issued.schedule().remember(again, &name);
            }
            outcome.err()
        })
        .buffer_unordered(REMOVALS_AT_A_TIME)
        .filter_map(std::future::ready)
        .collect()
        .await;
    match failures.into_iter().next() {
        None => Ok(()),
        Some(error) => Err(error.context("error removing IAM users whose lease is over")),
    }
}

/// Removes the user, unless its record says by now that it has time, or enough others were removed.
async fn end(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    hold: Option<Hold>,
    name: &str,
    removals: &AtomicUsize,
) -> Result<(), Error> {
    let Some((user, record)) = IssuedUser::named(storage, name).await? else {
        return Ok(());
    };
    let now = engine.clock.now();
    let over = Hold::over(hold, &record);
    let remember = |over| engine.issued.schedule().remember(over, name);
    if unix(over) > now - GRACE {
        if over < (now + ROUND).unix_timestamp() {
            remember(over);
        }
        return Ok(());
    }
    let is_enough = removals.fetch_add(1, Ordering::Relaxed) >= REMOVALS;
    if is_enough || Instant::now() >= caller.begin_by() {
        remember(over);
        return Ok(());
    }
    let since = record.issued_at();
    let clients = engine.clients.get(storage).await?;
    let iam = clients.iam.for_request(Class::Background, caller);
    match remove(&clients, &iam, &Condemned::registered(&user, &record)).await? {
        Some(removal) if !removal.is_certain(since, now) => {
            remember((now - GRACE + AGAIN).unix_timestamp());
            return Ok(());
        }
        removal => {
            tracing::warn!(
                %user,
                access_key = record.access_key_id,
                role = record.role,
                ?removal,
                "IAM user removed, for its lease is over and the host neither renewed nor revoked it"
            );
        }
    }
    IssuedUser::forget(storage, &user).await;
    Ok(())
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
