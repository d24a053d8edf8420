//! What is stored of the sessions of one holder that must be denied, until they have ended by
//! themselves.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Holder;
use crate::engine::stored::seconds;
use crate::logical::{JsonObject, Storage, StorageError, get_json, put_json};

/// Not replicated, as the records of sessions are not.
pub(in crate::engine) const PREFIX: &str = "session-denials/";

/// For how long after its end a session is still denied: AWS's clock and ours may differ.
pub(super) const GRACE: i64 = 5 * 60;

/// A token's issue time is whole seconds, and the end of a session, from which we know it, may be
/// rounded.
const ROUNDING: i64 = 2;

/// So many sessions may wait for room.
const WAITING: usize = 1000;

/// What must be denied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::engine) struct Denials {
    /// The holder's ARN.
    pub(super) holder: String,
    /// Those of its sessions that were ended, oldest ending first.
    pub(super) sessions: Vec<Denied>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cut_off: Option<CutOff>,
    /// How many characters the holder's other inline policies have, as far as that was looked up.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) others: usize,
    /// When this, or AWS's policy, was changed last, in Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub(super) changed_at: i64,
    /// AWS was seen to deny just this.
    pub(super) settled: bool,
    #[serde(flatten)]
    unknown: JsonObject,
}

/// A session that was ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Denied {
    pub(super) user_id: String,
    /// By AWS's clock, in Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub(super) issued_at: i64,
    /// By whichever clock is later, in Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub(super) expires_at: i64,
    /// Whether it may be cut off with older ones where there is no room for its name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) may_cut_off: bool,
}

/// All sessions that were issued before some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CutOff {
    /// Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub(super) before: i64,
    /// When those that were meant have ended by themselves, in Unix seconds.
    #[serde(deserialize_with = "seconds")]
    pub(super) expires_at: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl CutOff {
    pub(super) fn covers(&self, session: &Denied) -> bool {
        session.issued_at + ROUNDING <= self.before
    }

    /// One that covers these sessions, too.
    pub(super) fn over(cut_off: Option<Self>, sessions: &[Denied]) -> Option<Self> {
        let own = sessions.iter().map(|session| Self {
            before: session.issued_at + ROUNDING,
            expires_at: session.expires_at,
        });
        own.chain(cut_off).reduce(|one, other| Self {
            before: one.before.max(other.before),
            expires_at: one.expires_at.max(other.expires_at),
        })
    }
}

impl Denied {
    pub(super) fn has_ended(&self, now: i64) -> bool {
        self.expires_at + GRACE <= now
    }
}

impl Denials {
    pub(super) fn none_of(holder: &Holder) -> Self {
        Self {
            holder: holder.arn().to_string(),
            ..Self::default()
        }
    }

    pub(super) async fn load(
        storage: &dyn Storage,
        id: &str,
    ) -> Result<Option<Self>, StorageError> {
        get_json(storage, &key(id)).await
    }

    pub(super) async fn store(&self, storage: &dyn Storage, id: &str) -> Result<(), StorageError> {
        put_json(storage, &key(id), self).await
    }

    pub(super) async fn delete(storage: &dyn Storage, id: &str) -> Result<(), StorageError> {
        storage.delete(&key(id)).await
    }

    /// Whether the session is denied, if AWS's policy is what this says.
    pub(super) fn has(&self, user_id: &str) -> bool {
        self.sessions
            .iter()
            .any(|session| session.user_id == user_id)
    }

    /// The same of a session that may be cut off with others.
    pub(super) fn covers(&self, session: &Denied) -> bool {
        self.has(&session.user_id) || self.cut_off.is_some_and(|cut_off| cut_off.covers(session))
    }

    /// Enters a session; whether that changed anything. One that is cut off needs no place of its own.
    pub(super) fn deny(&mut self, session: Denied) -> bool {
        if let Some(cut_off) = &mut self.cut_off
            && cut_off.covers(&session)
        {
            let longer = session.expires_at > cut_off.expires_at;
            cut_off.expires_at = cut_off.expires_at.max(session.expires_at);
            return longer;
        }
        let mut known = self.sessions.iter_mut();
        if let Some(known) = known.find(|known| known.user_id == session.user_id) {
            let is_news = session.may_cut_off && !known.may_cut_off;
            known.may_cut_off |= is_news;
            return is_news;
        }
        self.sessions.push(session);
        true
    }

    /// Enters all sessions that were issued before some time.
    pub(super) fn deny_all(&mut self, cut_off: CutOff) {
        let merged = self.cut_off.map_or(cut_off, |known| CutOff {
            before: known.before.max(cut_off.before),
            expires_at: known.expires_at.max(cut_off.expires_at),
        });
        self.cut(merged);
    }

    /// Puts the time in the place of the sessions that it covers.
    pub(super) fn cut(&mut self, cut_off: CutOff) {
        self.sessions.retain(|session| !cut_off.covers(session));
        self.cut_off = Some(cut_off);
    }

    /// Leaves out of those that wait for room what came last, when they are too many; answers whether
    /// the session may wait.
    pub(super) fn may_wait(&mut self, user_id: &str) -> bool {
        if self.sessions.len() <= WAITING {
            return true;
        }
        self.sessions.retain(|session| session.user_id != user_id);
        false
    }

    /// Forgets what has ended by itself.
    pub(super) fn forget_ended(&mut self, now: i64) {
        self.sessions.retain(|session| !session.has_ended(now));
        self.cut_off = self
            .cut_off
            .filter(|cut_off| cut_off.expires_at + GRACE > now);
    }

    /// Whether all of it has ended by itself.
    pub(super) fn is_over(&self, now: i64) -> bool {
        let mut left = self.clone();
        left.forget_ended(now);
        left.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sessions.is_empty() && self.cut_off.is_none()
    }

    /// When to look at it again although nothing is asked: soon when the last has ended, a little later
    /// when some have, so that they leave together.
    pub(super) fn next_look(&self, now: i64) -> i64 {
        const TOGETHER: i64 = 10 * 60;
        const AT_LATEST: Duration = Duration::from_hours(1);
        let ends = || {
            let sessions = self.sessions.iter().map(|session| session.expires_at);
            sessions.chain(self.cut_off.map(|cut_off| cut_off.expires_at))
        };
        let (first, last) = (ends().min(), ends().max());
        let first = first.map(|first| first + GRACE + TOGETHER);
        let last = last.map(|last| last + GRACE);
        let latest = now + i64::try_from(AT_LATEST.as_secs()).unwrap_or(i64::MAX);
        first.into_iter().chain(last).fold(latest, i64::min)
    }
}

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}
