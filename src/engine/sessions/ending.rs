//! Revocations, gathered into one change of the policy for each holder.
//!
//! Whoever comes while a change is under way leaves what it asks for with the others, and waits for its
//! turn. The first to have it makes one change for all of them, within its own request.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use super::denials::{CutOff, Denials, Denied};
use super::tick::{Schedule, VERIFIED_AFTER};
use super::written::{Change, Work, write};
use super::{Holder, IssuedSession};
use crate::aws::PolicyName;
use crate::aws::limit::Class;
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::counters::RevokedBy;
use crate::engine::locks::NameLocks;
use crate::engine::roles::{self, RoleName};
use crate::logical::{Error, Storage};

/// What one mount has to end.
#[derive(Default)]
pub(in crate::engine) struct Endings {
    /// What waits for its turn, by holder. A std mutex: nothing awaits under it.
    gathered: Mutex<HashMap<String, Vec<Asked>>>,
    /// For whoever changes the policy of a holder.
    pub(super) turns: NameLocks,
    /// Once it is known.
    pub(super) policy_name: tokio::sync::Mutex<Option<PolicyName>>,
    schedule: Mutex<Schedule>,
}

/// What somebody asks for, and where the answer goes.
struct Asked {
    what: What,
    caller: Caller,
    answer: oneshot::Sender<Outcome>,
}

#[derive(Clone, Debug)]
enum What {
    Session { denied: Denied },
    IssuedBefore(CutOff),
}

type Outcome = Result<(), Failure>;

/// An [`Error`] for many.
#[derive(Clone, Debug)]
enum Failure {
    ReadOnly(String),
    Other(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::ReadOnly(text) => Self::ReadOnly(text),
            error => Self::Other(error.to_string()),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::ReadOnly(text) => Self::ReadOnly(text),
            Failure::Other(text) => Self::Internal(text),
        }
    }
}

/// Ends the session: AWS denies everything to it, or it has ended by itself.
pub(in crate::engine) async fn end(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    session: &IssuedSession,
    by: RevokedBy,
) -> Result<(), Error> {
    if !session.has_ended(engine.clock.now()) {
        let holder = Holder::of(&session.holder)?;
        // One that cannot be read must not keep the session alive.
        let role = roles::load(engine, storage, &RoleName::named(&session.role)).await;
        let role = role.ok().flatten();
        let what = What::Session {
            denied: session
                .denied(role.map_or(session.revoke_older, |role| role.revoke_older_sessions)),
        };
        ask(engine, storage, caller, &holder, what).await?;
        tracing::info!(
            session = session.user_id,
            access_key = session.access_key_id,
            role = session.role,
            "session ended"
        );
        engine.counters.session_revoked(by);
    }
    session.forget(storage).await;
    Ok(())
}

/// Ends all sessions of an AWS role, or federation tokens of a user, that were issued until then by AWS's
/// clock, whoever opened them: for an incident.
pub(in crate::engine) async fn end_all_issued_before(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    holder: &str,
    until: OffsetDateTime,
) -> Result<(), Error> {
    let holder = Holder::of(holder)?;
    let clients = engine.clients.get(storage).await?;
    if holder.is_ours(&clients, caller).await {
        return Err(Error::invalid(format!(
            "this engine acts as a session of {} itself, and would be denied everything with the others: end those that are in issued/ one by one (issued/<access key>/revoke), or let the engine act as another role or user (config/root)",
            holder.arn()
        )));
    }
    let latest = until.max(engine.clock.now());
    let what = What::IssuedBefore(CutOff {
        // Issue times are whole seconds, and this one belongs to what was before.
        before: until.unix_timestamp() + 1,
        expires_at: (latest + holder.longest_session()).unix_timestamp(),
    });
    ask(engine, storage, caller, &holder, what).await
}

/// Whether it is stored that the session must be denied, so that the host's timer sees to it.
pub(in crate::engine) async fn is_being_ended(
    storage: &dyn Storage,
    session: &IssuedSession,
) -> bool {
    let Ok(holder) = Holder::of(&session.holder) else {
        return false;
    };
    let denials = Denials::load(storage, &holder.id()).await;
    let denied = session.denied(false);
    denials.is_ok_and(|denials| denials.is_some_and(|denials| denials.covers(&denied)))
}

async fn ask(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    holder: &Holder,
    what: What,
) -> Result<(), Error> {
    let endings = &engine.sessions;
    let id = holder.id();
    let mut answered = endings.leave(&id, what.clone(), caller);
    let Ok(_turn) = timeout_at(caller.answer_by(), endings.turns.lock(&id)).await else {
        return Err(Error::internal(format!(
            "sessions of {} are being ended, and it was not the turn of this one in time",
            holder.arn()
        )));
    };
    match answered.try_recv() {
        Ok(outcome) => return outcome.map_err(Error::from),
        Err(oneshot::error::TryRecvError::Empty) => {}
        // Whoever took it was given up in the middle.
        Err(oneshot::error::TryRecvError::Closed) => answered = endings.leave(&id, what, caller),
    }
    let all = endings.take(&id);
    // Whoever has waited long must not fail those who came just now.
    let callers = all.iter().map(|asked| &asked.caller);
    let patient = callers.max_by_key(|caller| caller.answer_by()).cloned();
    let caller = &patient.unwrap_or_else(|| caller.clone());
    let work = Work {
        engine,
        storage,
        caller,
        class: Class::Removal,
        holder,
        id: &id,
    };
    let ended = end_together(&work, &all).await.map_err(Failure::from);
    for asked in all {
        let outcome = match (&ended, &asked.what) {
            (Err(failure), _) => Err(failure.clone()),
            (Ok(refused), What::Session { denied }) => match refused.of(&denied.user_id) {
                Some(refusal) => Err(Failure::Other(refusal)),
                None => Ok(()),
            },
            (Ok(_), What::IssuedBefore(_)) => Ok(()),
        };
        // Nobody may wait any more.
        let _ = asked.answer.send(outcome);
    }
    let outcome = answered
        .await
        .map_err(|error| Error::internal(error.to_string()))?;
    outcome.map_err(Error::from)
}

/// For whom there is no room.
#[derive(Debug, Default)]
struct Refused {
    holder: String,
    room: usize,
    waiting: BTreeSet<String>,
    forgotten: BTreeSet<String>,
    is_blind: bool,
}

impl Refused {
    fn of(&self, user_id: &str) -> Option<String> {
        let next = if self.waiting.contains(user_id) {
            "it is ended as soon as there is room"
        } else if self.forgotten.contains(user_id) {
            "too many others wait for room already"
        } else {
            return None;
        };
        let blind = if self.is_blind {
            " (the AWS credentials of this engine may not see how much others have put there: grant iam:ListRolePolicies)"
        } else {
            ""
        };
        Some(format!(
            "no room to end session {user_id} by name: AWS takes {} characters in all inline policies of {} together; {next}: set revoke_older_sessions=true on the role to end its older sessions by their time instead, or make room there{blind}",
            self.room, self.holder
        ))
    }
}

/// Stores what is to be denied, and then makes AWS deny it.
async fn end_together(work: &Work<'_>, all: &[Asked]) -> Result<Refused, Error> {
    let Work {
        engine,
        storage,
        holder,
        id,
        ..
    } = *work;
    let now = engine.clock.now().unix_timestamp();
    let known = Denials::load(storage, id).await?;
    let mut denials = known.unwrap_or_else(|| Denials::none_of(holder));
    let mut is_new = false;
    for asked in all {
        match &asked.what {
            What::Session { denied } => is_new |= denials.deny(denied.clone()),
            What::IssuedBefore(cut_off) => {
                denials.deny_all(*cut_off);
                is_new = true;
            }
        }
    }
    if !is_new && denials.settled {
        return Ok(Refused::default());
    }
    if is_new {
        denials.changed_at = now;
        denials.settled = false;
        denials.store(storage, id).await.map_err(|error| {
            Error::from(error).context("error writing down which sessions are ended")
        })?;
    }
    engine.sessions.schedule().look_at(id, now + VERIFIED_AFTER);
    let written = write(work, &mut denials).await?;
    if written.change == Change::NobodyThere {
        tracing::warn!(holder = %holder.arn(), "AWS does not know whose sessions are ended, so nothing can be denied to them, nor do they have permissions");
    }
    let mut refused = Refused {
        holder: holder.arn().to_string(),
        room: holder.room(),
        is_blind: written.is_blind,
        ..Refused::default()
    };
    for user_id in written.left_out {
        if denials.may_wait(&user_id) {
            refused.waiting.insert(user_id);
        } else {
            refused.forgotten.insert(user_id);
        }
    }
    if !refused.forgotten.is_empty() {
        denials.store(storage, id).await?;
    }
    Ok(refused)
}

impl Endings {
    /// Leaves what is asked for with the others.
    fn leave(&self, id: &str, what: What, caller: &Caller) -> oneshot::Receiver<Outcome> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked {
            what,
            caller: caller.clone(),
            answer,
        };
        self.gathered()
            .entry(id.to_owned())
            .or_default()
            .push(asked);
        answered
    }

    /// Takes all that was left.
    fn take(&self, id: &str) -> Vec<Asked> {
        self.gathered().remove(id).unwrap_or_default()
    }

    fn gathered(&self) -> MutexGuard<'_, HashMap<String, Vec<Asked>>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
