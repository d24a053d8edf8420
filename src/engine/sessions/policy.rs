//! The inline policy of the mount: its document, and what of the denials has room in it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Holder;
use super::denials::{CutOff, Denials, Denied, GRACE};
use crate::engine::stored::{date_time, unix};

/// What the statements are called.
const ENDED: &str = "EndedSessions";
const BEFORE: &str = "SessionsIssuedBefore";

/// What the policy says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) user_ids: BTreeSet<String>,
    /// Unix seconds.
    pub(super) before: Option<i64>,
}

impl Policy {
    pub(super) fn is_empty(&self) -> bool {
        self.user_ids.is_empty() && self.before.is_none()
    }

    /// The document, without white space.
    pub(super) fn document(&self, holder: &Holder) -> String {
        let mut statements = Vec::new();
        if !self.user_ids.is_empty() {
            let condition = json!({"StringEquals": {"aws:userid": self.user_ids}});
            statements.push(statement(ENDED, &condition));
        }
        if let Some(before) = self.before {
            statements.push(statement(BEFORE, &issued_before(before, holder)));
        }
        json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    }

    /// What a document says; `None` of one that is not of this form, and so somebody else's.
    pub(super) fn read(document: &str, holder: &Holder) -> Option<Self> {
        let document: Value = serde_json::from_str(document).ok()?;
        let mut policy = Self::default();
        for found in document["Statement"].as_array()? {
            match found["Sid"].as_str()? {
                ENDED => {
                    let ids = &found["Condition"]["StringEquals"]["aws:userid"];
                    policy.user_ids = serde_json::from_value(ids.clone()).ok()?;
                }
                BEFORE => {
                    let time = found["Condition"]["DateLessThan"]["aws:TokenIssueTime"].as_str()?;
                    let time = OffsetDateTime::parse(time, &Rfc3339).ok()?;
                    policy.before = Some(time.unix_timestamp());
                }
                _ => return None,
            }
        }
        let ours: Value = serde_json::from_str(&policy.document(holder)).ok()?;
        (ours == document && !policy.is_empty()).then_some(policy)
    }
}

fn statement(sid: &str, condition: &Value) -> Value {
    json!({
        "Sid": sid,
        "Effect": "Deny",
        "Action": "*",
        "Resource": "*",
        "Condition": condition,
    })
}

fn issued_before(before: i64, holder: &Holder) -> Value {
    let time = date_time(unix(before));
    let mut condition = json!({"DateLessThan": {"aws:TokenIssueTime": time}});
    if let Some(ids) = holder.ids_of_sessions() {
        condition["StringLike"] = json!({"aws:userid": ids});
    }
    condition
}

/// What AWS's policy is to be.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) policy: Policy,
    /// The time that stands in it for the sessions that it covers.
    pub(super) cut_off: Option<CutOff>,
    /// Sessions for which there is no room.
    pub(super) left_out: BTreeSet<String>,
    /// Whether there was room for all, each by its name.
    pub(super) has_room: bool,
}

impl Plan {
    /// What of `denials` has ended leaves; what AWS has in its policy already comes before what is new.
    /// Nothing is cut off by time of the role that the engine itself acts as.
    pub(super) fn of(
        denials: &Denials,
        present: &Policy,
        holder: &Holder,
        room: usize,
        own_role: bool,
        now: i64,
    ) -> Self {
        let cut_off = denials
            .cut_off
            .filter(|known| known.expires_at + GRACE > now);
        let alive = |session: &&Denied| {
            !session.has_ended(now) && !cut_off.is_some_and(|cut_off| cut_off.covers(session))
        };
        let sessions: Vec<&Denied> = denials.sessions.iter().filter(alive).collect();
        let whole = Self {
            policy: policy(&sessions, cut_off),
            cut_off,
            left_out: BTreeSet::new(),
            has_room: true,
        };
        if whole.policy.is_empty() || whole.policy.document(holder).len() <= room {
            return whole;
        }
        let may_cut_off = !own_role && sessions.iter().any(|session| session.may_cut_off);
        let cut = may_cut_off.then(|| Self::cut(&sessions, cut_off, holder, room));
        cut.flatten()
            .unwrap_or_else(|| Self::without(&sessions, cut_off, present, holder, room))
    }

    /// The oldest are cut off by time, as many as must be.
    fn cut(
        sessions: &[&Denied],
        cut_off: Option<CutOff>,
        holder: &Holder,
        room: usize,
    ) -> Option<Self> {
        let mut by_age: Vec<Denied> = sessions.iter().map(|session| (*session).clone()).collect();
        by_age.sort_by_key(|session| session.issued_at);
        let fits = |oldest: usize| {
            let cut_off = CutOff::over(cut_off, &by_age[..oldest]);
            let stay = |session: &&Denied| !cut_off.is_some_and(|cut_off| cut_off.covers(session));
            let sessions: Vec<&Denied> = by_age.iter().filter(stay).collect();
            let policy = policy(&sessions, cut_off);
            (policy.document(holder).len() <= room).then_some(Self {
                policy,
                cut_off,
                left_out: BTreeSet::new(),
                has_room: false,
            })
        };
        // The fewest that make it fit; the more are cut off, the shorter the document.
        let (mut too_few, mut enough) = (0, by_age.len());
        let mut best = fits(enough)?;
        while enough - too_few > 1 {
            let middle = too_few.midpoint(enough);
            match fits(middle) {
                Some(fitting) => (enough, best) = (middle, fitting),
                None => too_few = middle,
            }
        }
        Some(best)
    }

    /// What came last is left out.
    fn without(
        sessions: &[&Denied],
        cut_off: Option<CutOff>,
        present: &Policy,
        holder: &Holder,
        room: usize,
    ) -> Self {
        let is_present = |session: &&&Denied| present.user_ids.contains(&session.user_id);
        let (old, new): (Vec<_>, Vec<_>) =
            sessions.iter().copied().partition(|one| is_present(&one));
        let mut ordered = old;
        ordered.extend(new);
        let (mut fitting, mut too_many) = (0, ordered.len());
        while too_many - fitting > 1 {
            let middle = fitting.midpoint(too_many);
            let document = policy(&ordered[..middle], cut_off).document(holder);
            if document.len() <= room {
                fitting = middle;
            } else {
                too_many = middle;
            }
        }
        let left_out = ordered[fitting..].iter();
        Self {
            policy: policy(&ordered[..fitting], cut_off),
            cut_off,
            left_out: left_out.map(|session| session.user_id.clone()).collect(),
            has_room: false,
        }
    }
}

fn policy(sessions: &[&Denied], cut_off: Option<CutOff>) -> Policy {
    Policy {
        user_ids: sessions
            .iter()
            .map(|session| session.user_id.clone())
            .collect(),
        before: cut_off.map(|cut_off| cut_off.before),
    }
}
