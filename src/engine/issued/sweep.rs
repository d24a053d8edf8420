//! Users whose lease is over without the host having said so: a little at each tick of its timer.
//!
//! All names are listed once an hour and read a bounded number a tick. Who is over within the hour
//! is kept in memory until then; so is who is issued or renewed meanwhile and over within the hour.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use time::OffsetDateTime;
use tokio::time::Instant;

use super::census::Census;
use super::record::{IssuedUser, PREFIX};
use super::removal::{Condemned, remove};
use super::watch::{Hold, Watch};
use crate::aws::limit::Class;
use crate::caller::Caller;
use crate::clock::Clock;
use crate::engine::Engine;
use crate::engine::counters::{Failed, RevokedBy};
use crate::engine::locks::NameLocks;
use crate::engine::stored::unix;
use crate::logical::{Error, Storage, StorageError};

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
    pub(super) census: Census,
    watch: Watch,
    /// For names that templates give again and again.
    pub(super) names: NameLocks,
    /// For whoever reads all records because it cannot wait for the sweep.
    pub(super) counting: tokio::sync::Mutex<()>,
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
    /// How many were taken out of these and are being read.
    reading: usize,
    /// Whether all were read once, so that the census is whole.
    counted: bool,
    /// When who is over, in Unix seconds.
    soon: BTreeSet<(i64, Box<str>)>,
}

impl Register {
    /// A life that begins now.
    pub(in crate::engine) fn begin(clock: &dyn Clock) -> Self {
        Self {
            census: Census::default(),
            watch: Watch::begin(clock),
            names: NameLocks::default(),
            counting: tokio::sync::Mutex::default(),
            schedule: Mutex::default(),
        }
    }

    /// The record was stored, or will be.
    pub(super) fn expect(&self, user: &str, record: &IssuedUser) {
        self.census.enter(user, &record.role, &record.display_name);
        let soon = record.stored_at.saturating_add(seconds(ROUND));
        let mut schedule = self.schedule();
        schedule.used = true;
        if record.expires_at < soon {
            schedule.remember(record.expires_at, user);
        }
    }

    /// How many users of each role are out; `None` until all were counted.
    pub(in crate::engine) fn active(&self) -> Option<BTreeMap<Box<str>, usize>> {
        self.is_counted().then(|| self.census.roles())
    }

    pub(super) fn is_counted(&self) -> bool {
        self.schedule().counted
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
    pub(super) async fn list(&self, engine: &Engine, storage: &dyn Storage) -> Result<bool, Error> {
        let uptime = engine.clock.uptime();
        {
            let schedule = self.schedule();
            if schedule.list_at.is_some_and(|time| uptime < time) || !schedule.unread.is_empty() {
                return Ok(schedule.used);
            }
        }
        self.census.begin_list();
        let names = storage
            .list(PREFIX)
            .await
            .map_err(|error| Error::from(error).context("error listing issued users"))?;
        let names: Vec<_> = names.into_iter().map(String::into_boxed_str).collect();
        self.census.listed(&names);
        let mut schedule = self.schedule();
        schedule.list_at = Some(uptime + ROUND);
        schedule.used |= !names.is_empty();
        schedule.unread = names;
        schedule.counted |= schedule.unread.is_empty();
        Ok(schedule.used)
    }

    /// The next names to read.
    fn take_unread(&self, most: usize) -> Taken<'_> {
        let mut schedule = self.schedule();
        let rest = schedule.unread.len().saturating_sub(most);
        let names = schedule.unread.split_off(rest);
        if rest == 0 {
            schedule.unread = Vec::new();
        }
        schedule.reading += names.len();
        Taken {
            register: self,
            count: names.len(),
            names,
        }
    }

    /// Reads the next names; answers how many of them. Who is over within the hour is remembered.
    pub(super) async fn read(
        &self,
        storage: &dyn Storage,
        (now, hold): (OffsetDateTime, Option<Hold>),
        (most, at_a_time): (usize, usize),
    ) -> usize {
        let mut taken = self.take_unread(most);
        let names = &taken.names;
        let unreadable: Vec<_> = stream::iter(0..names.len())
            .map(|at| async move {
                let name = &names[at];
                let (over, unreadable) = match IssuedUser::named(storage, name).await {
                    Ok(Some((_, record))) => {
                        self.census.read(name, &record.role, &record.display_name);
                        (Hold::over(hold, &record), None)
                    }
                    Ok(None) => return None,
                    // It is read again then, and what is wrong with it is said.
                    Err(error) => (now.unix_timestamp(), Some(error)),
                };
                if over < (now + ROUND).unix_timestamp() {
                    self.schedule().remember(over, name);
                }
                // What is no record will never be one, and counts for no role.
                let may_be_one = !matches!(unreadable?, StorageError::Decode { .. });
                may_be_one.then(|| name.clone())
            })
            .buffer_unordered(at_a_time)
            .filter_map(std::future::ready)
            .collect()
            .await;
        let read = taken.count - unreadable.len();
        taken.names = unreadable;
        read
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

/// Names that are being read. However that ends, those that are left in it are read again while the
/// census is not whole.
struct Taken<'a> {
    register: &'a Register,
    names: Vec<Box<str>>,
    count: usize,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let mut schedule = self.register.schedule();
        schedule.reading -= self.count;
        if !schedule.counted {
            schedule.unread.append(&mut self.names);
            schedule.counted = schedule.unread.is_empty() && schedule.reading == 0;
        }
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
    register
        .read(storage, (now, hold), (READS, READS_AT_A_TIME))
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
    let removed = remove(&clients, &iam, &Condemned::registered(&user, &record)).await;
    match removed.inspect_err(|error| engine.counters.failed(Failed::Revoke, error))? {
        Some(removal) if !removal.is_certain(since, now) => {
            remember((now - GRACE + AGAIN).unix_timestamp());
            return Ok(());
        }
        removal => {
            engine.counters.revoked(RevokedBy::Time);
            tracing::warn!(
                %user,
                access_key = record.access_key_id,
                role = record.role,
                ?removal,
                "IAM user removed, for its lease is over and the host neither renewed nor revoked it"
            );
        }
    }
    IssuedUser::forget(engine, storage, &user).await;
    Ok(())
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
