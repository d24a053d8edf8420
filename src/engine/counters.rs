//! What a mount has done since it began in this process, for its metrics. Nothing of it is stored.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use time::OffsetDateTime;

use crate::framework::wal::Look;
use crate::logical::Error;

/// So many roles are told apart; a mount with more of them has its reasons, and is one number more.
pub(super) const MOST_ROLES: usize = 1000;

/// What stands for all roles beyond that. No role can have this name.
pub(super) const OTHER_ROLES: &str = "(others)";

/// Kinds of error.
const KINDS: &[&str] = &["internal", "refused", "throttled", "unavailable"];
const KINDS_OF_ROTATIONS: &[&str] = &["internal", "missed", "refused", "throttled", "unavailable"];

/// Why a user was removed whose credentials had been handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RevokedBy {
    /// The host revoked its lease.
    Lease,
    /// `issued/<…>/revoke`.
    Name,
    /// Its lease was over, and the host said nothing.
    Time,
    /// `contain/`.
    Contain,
    /// `tidy`.
    Tidy,
}

/// What was tried and failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Failed {
    Issue,
    Revoke,
    /// A rotation by the host's timer.
    Rotate,
}

impl RevokedBy {
    const ALL: [Self; 5] = [
        Self::Lease,
        Self::Name,
        Self::Time,
        Self::Contain,
        Self::Tidy,
    ];

    const OF_SESSIONS: [Self; 3] = [Self::Lease, Self::Name, Self::Time];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::Name => "name",
            Self::Time => "time",
            Self::Contain => "contain",
            Self::Tidy => "tidy",
        }
    }
}

impl Failed {
    /// With the kinds of error that each can have.
    const ALL: [(Self, &'static [&'static str]); 3] = [
        (Self::Issue, KINDS),
        (Self::Revoke, KINDS),
        (Self::Rotate, KINDS_OF_ROTATIONS),
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Revoke => "revoke",
            Self::Rotate => "rotate",
        }
    }
}

/// The counters of one mount.
#[derive(Debug, Default)]
pub(super) struct Counters {
    // A std mutex: nothing awaits under it.
    counted: Mutex<Counted>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted {
    /// By role and credential type.
    pub(super) issued: BTreeMap<(Box<str>, &'static str), u64>,
    pub(super) revoked: BTreeMap<RevokedBy, u64>,
    /// Sessions that were ended one by one.
    pub(super) sessions_revoked: BTreeMap<RevokedBy, u64>,
    /// By what was tried and the kind of error.
    pub(super) failed: BTreeMap<(Failed, &'static str), u64>,
    /// By the kind of key.
    pub(super) rotated: BTreeMap<&'static str, u64>,
    /// What the host's timer saw last of the write-ahead log.
    pub(super) wal: Option<Look>,
}

impl Counters {
    pub(super) fn counted(&self) -> Counted {
        let mut counted = self.state().clone();
        // What has never happened is zero, so that its rate is known from the first time on.
        for by in RevokedBy::ALL {
            counted.revoked.entry(by).or_default();
        }
        for by in RevokedBy::OF_SESSIONS {
            counted.sessions_revoked.entry(by).or_default();
        }
        for (what, kinds) in Failed::ALL {
            for kind in kinds {
                counted.failed.entry((what, kind)).or_default();
            }
        }
        counted
    }

    pub(super) fn issued(&self, role: &str, credential_type: &'static str) {
        let mut counted = self.state();
        let issued = &mut counted.issued;
        let is_new = !issued.contains_key(&(role.into(), credential_type));
        let role = if is_new && issued.len() >= MOST_ROLES {
            OTHER_ROLES
        } else {
            role
        };
        *issued.entry((role.into(), credential_type)).or_default() += 1;
    }

    pub(super) fn revoked(&self, by: RevokedBy) {
        *self.state().revoked.entry(by).or_default() += 1;
    }

    pub(super) fn session_revoked(&self, by: RevokedBy) {
        *self.state().sessions_revoked.entry(by).or_default() += 1;
    }

    /// What the host hands to another node has not failed.
    pub(super) fn failed(&self, what: Failed, error: &Error) {
        let kind = match error {
            Error::ReadOnly(_) => return,
            Error::UpstreamRateLimited(_) => "throttled",
            Error::Internal(_) => "internal",
            Error::Coded { .. } => "unavailable",
            _ => "refused",
        };
        self.failed_by(what, kind);
    }

    pub(super) fn failed_by(&self, what: Failed, kind: &'static str) {
        *self.state().failed.entry((what, kind)).or_default() += 1;
    }

    pub(super) fn rotated(&self, kind: &'static str) {
        *self.state().rotated.entry(kind).or_default() += 1;
    }

    /// The host's timer has looked at the write-ahead log. What it had no time to read may be the
    /// oldest of all.
    pub(super) fn looked_at_wal(&self, look: Look) {
        let mut counted = self.state();
        let before: Option<OffsetDateTime> = counted.wal.and_then(|before| before.oldest);
        let oldest = match (look.oldest, before.filter(|_| !look.whole)) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        counted.wal = Some(Look { oldest, ..look });
    }

    fn state(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn roles_are_told_apart_up_to_a_bound() {
        let counters = Counters::default();
        for number in 0..MOST_ROLES + 10 {
            counters.issued(&format!("role-{number}"), "iam_user");
        }
        counters.issued("role-0", "iam_user");

        let issued = counters.counted().issued;

        assert_eq!(issued.len(), MOST_ROLES + 1);
        assert_eq!(issued[&(OTHER_ROLES.into(), "iam_user")], 10);
        assert_eq!(issued[&("role-0".into(), "iam_user")], 2);
    }

    #[test]
    fn the_oldest_entry_stays_so_until_all_were_read_again() {
        let counters = Counters::default();
        let (old, young) = (
            datetime!(2026-01-01 00:00 UTC),
            datetime!(2026-01-02 00:00 UTC),
        );
        let look = |oldest, whole| {
            let look = Look {
                entries: 1,
                oldest,
                whole,
            };
            counters.looked_at_wal(look);
            counters.counted().wal.and_then(|look| look.oldest)
        };

        assert_eq!(look(Some(old), true), Some(old));
        assert_eq!(look(Some(young), false), Some(old));
        assert_eq!(look(None, false), Some(old));
        assert_eq!(look(Some(young), true), Some(young));
        assert_eq!(look(None, true), None);
    }
}
