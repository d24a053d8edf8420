//! What the host's timer finds to do: policies that are not seen to be right yet, or that name sessions
//! which have ended by themselves; and records of sessions whose lease the host has lost.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::denials::{Denials, PREFIX as DENIALS};
use super::ending::end;
use super::record::PREFIX as RECORDS;
use super::written::{Change, Work, write};
use super::{Holder, IssuedSession};
use crate::aws::limit::Class;
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::counters::{Failed, RevokedBy};
use crate::logical::{Error, Storage};

/// How long after a change AWS's policy is looked at again, in seconds: no request of a node that was
/// deposed is under way for so long.
pub(super) const VERIFIED_AFTER: i64 = 100;

/// When it is tried again, in seconds.
const AGAIN: i64 = 60;

/// When it is tried again where only what has ended is left, in seconds.
const HOURLY: i64 = 60 * 60;

/// For how long AWS may say that it does not know a role, although it will, in seconds.
const IAM_LAGS: i64 = 5 * 60;

/// How often all names are listed.
const ROUND: Duration = Duration::from_hours(1);

/// How long after its lease must be over a session that is still in the register is ended, in seconds.
const GIVEN_UP_AFTER: i64 = 2 * 60;

/// How many records are read in a tick, so that 100,000 take a round.
const READS: usize = 2000;
const AT_A_TIME: usize = 8;
/// They are gathered into one change of each policy.
const ENDED_AT_A_TIME: usize = 64;

/// What is to be looked at when.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// By the engine's uptime; at once if not set.
    list_at: Option<Duration>,
    /// Holders, with the time in Unix seconds.
    looks: BTreeMap<String, i64>,
    /// Records that were listed, and not read yet.
    unread: Vec<String>,
    /// Access keys of sessions that may outlive their leases, with the time in Unix seconds when none
    /// can have one any more.
    without_lease: BTreeMap<String, i64>,
}

impl Schedule {
    /// The holder's policy is to be looked at, then or before.
    pub(super) fn look_at(&mut self, id: &str, time: i64) {
        let look = self.looks.entry(id.to_owned()).or_insert(time);
        *look = time.min(*look);
    }

    /// The session is ended some time after its lease, if that does not end it.
    pub(super) fn remember(&mut self, session: &IssuedSession) {
        if let Some(limit) = session.lease_limit_at {
            let key = session.access_key_id.clone();
            let time = limit.saturating_add(GIVEN_UP_AFTER);
            self.without_lease.insert(key, time);
        }
    }

    fn looked_at(&mut self, id: &str, next: Option<i64>) {
        match next {
            Some(time) => self.looks.insert(id.to_owned(), time),
            None => self.looks.remove(id),
        };
    }
}

/// One tick, on the node that issues; the host's timer does nothing on the others.
pub(in crate::engine) async fn tick(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
) -> Result<(), Error> {
    list(engine, storage).await?;
    sweep(engine, storage, caller).await;
    end_without_lease(engine, storage, caller).await;
    let now = engine.clock.now().unix_timestamp();
    let due: Vec<String> = {
        let schedule = engine.sessions.schedule();
        let due = schedule.looks.iter().filter(|(_, time)| **time <= now);
        due.map(|(id, _)| id.clone()).collect()
    };
    let mut failures: Vec<Error> = stream::iter(due)
        .map(|id| async move { settle(engine, storage, caller, &id).await.err() })
        .buffer_unordered(AT_A_TIME)
        .filter_map(std::future::ready)
        .collect()
        .await;
    failures.pop().map_or(Ok(()), Err)
}

/// Lists all names when it is time.
async fn list(engine: &Engine, storage: &dyn Storage) -> Result<(), Error> {
    let uptime = engine.clock.uptime();
    {
        let schedule = engine.sessions.schedule();
        // Else the names that come last to be read would never be.
        if schedule.list_at.is_some_and(|time| uptime < time) || !schedule.unread.is_empty() {
            return Ok(());
        }
    }
    let denials = storage.list(DENIALS).await?;
    let records = storage.list(RECORDS).await?;
    let mut schedule = engine.sessions.schedule();
    schedule.list_at = Some(uptime + ROUND);
    for id in denials {
        // Whoever wrote it may have died before AWS heard of it.
        schedule.looks.entry(id).or_insert(i64::MIN);
    }
    schedule.unread = records;
    Ok(())
}

/// Forgets records of sessions that have ended by themselves.
async fn sweep(engine: &Engine, storage: &dyn Storage, caller: &Caller) {
    let taken = {
        let unread = &mut engine.sessions.schedule().unread;
        let rest = unread.len().saturating_sub(READS);
        unread.split_off(rest)
    };
    let now = engine.clock.now();
    stream::iter(taken)
        .for_each_concurrent(AT_A_TIME, |name| async move {
            if Instant::now() >= caller.begin_by() {
                return;
            }
            // What cannot be read now is read an hour later.
            match IssuedSession::named(storage, &name).await {
                Ok(Some(session)) if session.is_over(now) => session.forget(storage).await,
                Ok(Some(session)) => engine.sessions.schedule().remember(&session),
                _ => {}
            }
        })
        .await;
}

/// Ends sessions that have outlived their leases: the host has lost those, or given up to revoke them.
async fn end_without_lease(engine: &Engine, storage: &dyn Storage, caller: &Caller) {
    let now = engine.clock.now().unix_timestamp();
    let due: Vec<String> = {
        let schedule = engine.sessions.schedule();
        let due = schedule.without_lease.iter();
        let due = due.filter(|(_, time)| **time <= now);
        due.map(|(key, _)| key.clone()).collect()
    };
    stream::iter(due)
        .for_each_concurrent(ENDED_AT_A_TIME, |key| async move {
            if Instant::now() >= caller.begin_by() {
                return;
            }
            let ended = match IssuedSession::named(storage, &key).await {
                Ok(Some(session)) => {
                    end(engine, storage, caller, &session, RevokedBy::Time).await
                }
                Ok(None) => Ok(()),
                Err(error) => Err(error.into()),
            };
            match ended {
                Ok(()) => {
                    engine.sessions.schedule().without_lease.remove(&key);
                }
                Err(error) => {
                    engine.counters.failed(Failed::Revoke, &error);
                    tracing::warn!(access_key = key, %error, "session has outlived its lease and is not ended yet, tried again");
                }
            }
        })
        .await;
}

/// Takes its turn to compare what is stored with AWS's policy, and says when to do so again.
async fn settle(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    id: &str,
) -> Result<(), Error> {
    if Instant::now() >= caller.begin_by() {
        return Ok(());
    }
    let turn = timeout_at(caller.begin_by(), engine.sessions.turns.lock(id)).await;
    let Ok(_turn) = turn else {
        return Ok(());
    };
    let now = engine.clock.now().unix_timestamp();
    let (next, failure) = match compare(engine, storage, caller, id).await {
        Ok(next) => (next, Ok(())),
        Err(failure) => {
            if failure.again == AGAIN {
                engine.counters.failed(Failed::Revoke, &failure.error);
            }
            (Some(now + failure.again), Err(failure.error))
        }
    };
    engine.sessions.schedule().looked_at(id, next);
    failure
}

/// Why a policy could not be looked at, and in how many seconds it is tried again.
struct Failure {
    error: Error,
    again: i64,
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            again: AGAIN,
        }
    }
}

/// Changes AWS's policy where it is not what is stored; answers when to look again.
async fn compare(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    id: &str,
) -> Result<Option<i64>, Failure> {
    let now = engine.clock.now().unix_timestamp();
    let Some(mut denials) = Denials::load(storage, id).await? else {
        return Ok(None);
    };
    let stored = denials.clone();
    let holder = Holder::of(&denials.holder)?;
    let work = Work {
        engine,
        storage,
        caller,
        class: Class::Background,
        holder: &holder,
        id,
    };
    let written = write(&work, &mut denials).await;
    let written = written.map_err(|error| Failure {
        error,
        // Where nothing that lives is waited for, an account that is left need not be told of each
        // minute.
        again: if denials.is_over(now) { HOURLY } else { AGAIN },
    })?;
    let is_old = |age: i64| now - denials.changed_at >= age;
    let next = match written.change {
        Change::Made => {
            denials.changed_at = now;
            denials.settled = false;
            now + VERIFIED_AFTER
        }
        Change::NobodyThere if is_old(IAM_LAGS) => {
            tracing::info!(holder = %holder.arn(), "AWS role or user whose sessions were ended is gone, and they with it");
            Denials::delete(storage, id).await?;
            return Ok(None);
        }
        Change::NobodyThere => now + AGAIN,
        Change::None if !is_old(VERIFIED_AFTER) => denials.changed_at + VERIFIED_AFTER,
        Change::None => {
            denials.forget_ended(now);
            if denials.is_empty() {
                Denials::delete(storage, id).await?;
                return Ok(None);
            }
            denials.settled = written.left_out.is_empty();
            if denials.settled {
                denials.next_look(now)
            } else {
                tracing::warn!(
                    holder = %holder.arn(),
                    sessions = written.left_out.len(),
                    "sessions that were to be ended wait for room in the inline policies"
                );
                now + AGAIN
            }
        }
    };
    if denials != stored {
        denials.store(storage, id).await?;
    }
    Ok(Some(next))
}
