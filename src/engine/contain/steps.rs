//! How a containment is done: page by page through the register, each page stored when it is done.

use futures_util::{StreamExt, stream};
use time::Duration;
use tokio::time::Instant;

use super::sessions::Sessions;
use super::work::{Step, Work};
use super::{PAGE, READS_AT_A_TIME, readable_role};
use crate::aws::UserName;
use crate::aws::limit::{Class, LimitedIam};
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::clients::Connected;
use crate::engine::counters::{Failed, RevokedBy};
use crate::engine::issued::{self, IssuedUser};
use crate::engine::roles;
use crate::engine::stored::unix;
use crate::logical::{Error, Storage};

/// One call for each key; the limiter knows what AWS takes.
const KEYS_AT_A_TIME: usize = 32;
/// A removal takes several calls.
const REMOVALS_AT_A_TIME: usize = 8;

/// How far the clocks of two nodes may be apart.
const CLOCK_TOLERANCE: Duration = Duration::MINUTE;

/// So much is said of sessions.
const SENTENCES: usize = 50;

/// Why a user is not counted as gone yet.
const NOT_KNOWN: &str = "AWS does not know this user, who is so young that AWS may only not have heard of it everywhere: asked again each minute until that is certain";

/// What came of one user.
enum Outcome {
    Done,
    /// AWS does not know the user, which may be too young for that to count.
    NotYet,
    Failed(Error),
    /// There was no time to begin.
    NotBegun,
}

/// Goes on with the work until it has ended, or until then.
pub(super) async fn go_on(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    id: &str,
    work: &mut Work,
    until: Instant,
) -> Result<(), Error> {
    let clients = engine.clients.get(storage).await?;
    // Its calls run to their end, whoever asked for them.
    let iam = clients.iam.for_request(Class::Removal, &caller.committed());
    let run = Run {
        engine,
        storage,
        clients: &clients,
        iam,
        id,
        until,
    };
    let mut has_ended_sessions = false;
    while run.is_in_time() {
        match work.step {
            Step::Keys => {
                if !run.pages(work).await? {
                    break;
                }
                work.go_to(Step::Sessions);
                work.store(storage, id).await?;
            }
            Step::Sessions => {
                run.end_sessions(caller, work).await?;
                has_ended_sessions = true;
                work.go_to(Step::Users);
                work.store(storage, id).await?;
            }
            Step::Users => {
                // A try that begins anew tells of its own failures only.
                if work.only_left || work.after.is_empty() {
                    work.failures.clear();
                }
                let whole = if work.only_left {
                    run.again(work).await?
                } else {
                    run.pages(work).await?
                };
                if !whole {
                    break;
                }
                if !work.left.is_empty() {
                    // The others have some time until the next tick.
                    run.leave(work).await?;
                    break;
                }
                if work.has_sessions_left(engine.clock.now()) && !has_ended_sessions {
                    run.end_sessions(caller, work).await?;
                    has_ended_sessions = true;
                }
                if work.has_sessions_left(engine.clock.now()) {
                    run.leave(work).await?;
                    break;
                }
                run.finish(work).await?;
            }
            Step::Ended => break,
        }
    }
    Ok(())
}

/// One stretch of a work.
struct Run<'a> {
    engine: &'a Engine,
    storage: &'a dyn Storage,
    clients: &'a Connected,
    iam: LimitedIam,
    id: &'a str,
    until: Instant,
}

impl Run<'_> {
    fn is_in_time(&self) -> bool {
        Instant::now() < self.until
    }

    /// Takes the step for every user whose name comes after [`Work::after`]; answers whether all of
    /// them were dealt with.
    async fn pages(&self, work: &mut Work) -> Result<bool, Error> {
        let mut names = self
            .storage
            .list(issued::PREFIX)
            .await
            .map_err(|error| Error::from(error).context("error listing issued users"))?;
        names.retain(|name| *name > work.after);
        names.sort_unstable();
        for page in names.chunks(PAGE) {
            if !self.is_in_time() {
                return Ok(false);
            }
            let found = self.read(work, page).await?;
            let any = !found.is_empty();
            let dealt_with = self.take(work, &found).await;
            let last = if dealt_with < found.len() {
                // The names before the first that was not begun.
                let first = found[dealt_with].0.as_str();
                page.iter().rev().find(|name| name.as_str() < first)
            } else {
                page.last()
            };
            if let Some(last) = last {
                work.after.clone_from(last);
            }
            if any {
                work.store(self.storage, self.id).await?;
            }
            if dealt_with < found.len() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes the step for the users that were left.
    async fn again(&self, work: &mut Work) -> Result<bool, Error> {
        let mut names = std::mem::take(&mut work.left);
        names.sort_unstable();
        names.dedup();
        let found = self.read(work, &names).await?;
        let dealt_with = self.take(work, &found).await;
        for (user, _) in found.iter().skip(dealt_with) {
            work.try_again(user.as_str());
        }
        work.store(self.storage, self.id).await?;
        Ok(dealt_with == found.len())
    }

    /// The users of these names that the work is about, in the order of names.
    async fn read(
        &self,
        work: &mut Work,
        names: &[String],
    ) -> Result<Vec<(UserName, IssuedUser)>, Error> {
        let storage = self.storage;
        let records: Vec<_> = stream::iter(0..names.len())
            .map(|at| async move { IssuedUser::named(storage, &names[at]).await })
            .buffered(READS_AT_A_TIME)
            .collect()
            .await;
        let mut found = Vec::new();
        for (name, record) in names.iter().zip(records) {
            match record {
                Ok(Some(record)) if is_about(work, &record.1) => found.push(record),
                Ok(_) => {}
                Err(error) => {
                    work.failed(name, &error.to_string());
                    if work.step == Step::Users {
                        work.try_again(name);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Takes the step for these users, in their order; answers how many of them were dealt with.
    async fn take(&self, work: &mut Work, found: &[(UserName, IssuedUser)]) -> usize {
        let keys_only = work.step == Step::Keys;
        let at_a_time = if keys_only {
            KEYS_AT_A_TIME
        } else {
            REMOVALS_AT_A_TIME
        };
        let outcomes: Vec<_> = stream::iter(0..found.len())
            .map(|at| self.end(keys_only, &found[at]))
            .buffered(at_a_time)
            .collect()
            .await;
        let mut dealt_with = 0;
        for ((user, record), outcome) in found.iter().zip(outcomes) {
            // Those behind it were not begun either, or are gone and not found again.
            if matches!(outcome, Outcome::NotBegun) {
                break;
            }
            dealt_with += 1;
            if keys_only {
                work.users = work.users.saturating_add(1);
            }
            match outcome {
                Outcome::Done if keys_only => {
                    work.keys_ended = work.keys_ended.saturating_add(1);
                }
                Outcome::Done => {
                    work.users_removed = work.users_removed.saturating_add(1);
                    let key = &record.access_key_id;
                    tracing::info!(%user, access_key = key, role = record.role, "IAM user of a contained role removed");
                }
                Outcome::Failed(error) => {
                    tracing::warn!(%user, %error, "contained IAM user not ended yet, tried again");
                    work.failed(user.as_str(), &error.to_string());
                    if !keys_only {
                        work.try_again(user.as_str());
                    }
                }
                Outcome::NotYet => {
                    work.failed(user.as_str(), NOT_KNOWN);
                    work.try_again(user.as_str());
                }
                Outcome::NotBegun => {}
            }
        }
        dealt_with
    }

    async fn end(&self, keys_only: bool, (user, record): &(UserName, IssuedUser)) -> Outcome {
        if !self.is_in_time() {
            return Outcome::NotBegun;
        }
        let counters = &self.engine.counters;
        let ended = if keys_only {
            let ended = issued::end_key(self.clients, &self.iam, user, record).await;
            ended.map(|()| true)
        } else {
            let (engine, storage) = (self.engine, self.storage);
            issued::end(engine, storage, self.clients, &self.iam, (user, record)).await
        };
        match ended {
            Ok(true) => {
                if !keys_only {
                    counters.revoked(RevokedBy::Contain);
                }
                Outcome::Done
            }
            Ok(false) => Outcome::NotYet,
            Err(error) => {
                counters.failed(Failed::Revoke, &error);
                Outcome::Failed(error)
            }
        }
    }

    /// Some users are to be tried again: those alone, or all names where they are too many.
    async fn leave(&self, work: &mut Work) -> Result<(), Error> {
        work.only_left = !work.more_left;
        if work.more_left {
            work.left.clear();
            work.more_left = false;
        }
        work.after.clear();
        work.store(self.storage, self.id).await
    }

    /// Ends the sessions that the work is about. What AWS refuses does not hold up the rest.
    async fn end_sessions(&self, caller: &Caller, work: &mut Work) -> Result<(), Error> {
        let (engine, storage) = (self.engine, self.storage);
        work.sessions.clear();
        work.sessions_left = false;
        let mut sessions = Sessions::until(engine, storage, caller, unix(work.began_at));
        for name in roles::names(storage).await? {
            if !work.is_about(name.as_str()) {
                continue;
            }
            if let Some(role) = readable_role(engine, storage, &name).await? {
                sessions.end_those_of(self.clients, &name, &role).await?;
            }
        }
        let of_role = |role: &str| work.is_about(role);
        sessions
            .end_registered(self.clients, of_role, self.until)
            .await?;
        work.sessions_left = sessions.failed;
        for sentence in sessions.sentences {
            if work.sessions.len() < SENTENCES && !work.sessions.contains(&sentence) {
                work.sessions.push(sentence);
            }
        }
        Ok(())
    }

    async fn finish(&self, work: &mut Work) -> Result<(), Error> {
        work.go_to(Step::Ended);
        // Whoever was found is gone by now, also who was ended by a lease or by name meanwhile.
        work.users = work.users.max(work.users_removed);
        (work.keys_ended, work.users_removed) = (work.users, work.users);
        work.finished_at = Some(self.engine.clock.now().unix_timestamp());
        work.store(self.storage, self.id).await?;
        self.engine.contain.ended(self.id);
        tracing::info!(
            role = work.role,
            users = work.users,
            removed = work.users_removed,
            "containment finished"
        );
        Ok(())
    }
}

/// Whether the user was given out before the work began, and by its role.
pub(super) fn is_about(work: &Work, record: &IssuedUser) -> bool {
    let began = unix(work.began_at) + CLOCK_TOLERANCE;
    work.is_about(&record.role) && record.issued_at() <= began
}
