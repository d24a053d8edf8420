//! How many users of each role are out and who has them, kept in memory.
//!
//! The register in storage is the truth. It is read once in a life of the mount, by the sweep or by
//! the first request that must know, and kept up by whoever changes a record; each hourly list of all
//! names takes out whom it does not name any more.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::excerpt::excerpt;

/// A refusal names so many holders.
const NAMED: usize = 10;

/// Users by a hash of their name, for 100,000 names take up much room: that two of them have one
/// hash is less likely than that the machine miscounts.
#[derive(Default)]
pub(super) struct Census {
    hasher: RandomState,
    // A std mutex: nothing awaits under it.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    users: HashMap<u64, Counted>,
    groups: BTreeMap<Arc<Group>, usize>,
    roles: BTreeMap<Box<str>, usize>,
    /// Removed since the last list, lest a record that was read before is taken for alive.
    gone: HashSet<u64>,
    /// Counts the lists.
    round: u32,
}

struct Counted {
    group: Arc<Group>,
    /// The last list that named it, or that came before it.
    round: u32,
}

/// The users of one role that tokens of one display name have.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    role: Box<str>,
    holder: Box<str>,
}

/// Why one more user of a role is not made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full {
    role: String,
    most: usize,
    out: usize,
    /// Who has most comes first.
    holders: Vec<(String, usize)>,
    /// Beside these.
    others: usize,
}

impl Census {
    /// The user's record is stored, or will be.
    pub(super) fn enter(&self, user: &str, role: &str, holder: &str) {
        let id = self.hasher.hash_one(user);
        let mut state = self.state();
        state.gone.remove(&id);
        state.enter(id, role, holder);
    }

    /// The same for a new user, unless so many of its role are out already. Of two that come at once
    /// one is first.
    pub(super) fn admit(
        &self,
        user: &str,
        role: &str,
        holder: &str,
        most: usize,
    ) -> Result<(), Full> {
        let id = self.hasher.hash_one(user);
        let mut state = self.state();
        let out = state.roles.get(role).copied().unwrap_or_default();
        if out >= most {
            return Err(state.full(role, most, out));
        }
        state.gone.remove(&id);
        state.enter(id, role, holder);
        Ok(())
    }

    /// A record was read from storage some moments ago.
    pub(super) fn read(&self, user: &str, role: &str, holder: &str) {
        let id = self.hasher.hash_one(user);
        let mut state = self.state();
        if !state.gone.contains(&id) && !state.users.contains_key(&id) {
            state.enter(id, role, holder);
        }
    }

    /// The user's record is gone.
    pub(super) fn leave(&self, user: &str) {
        let id = self.hasher.hash_one(user);
        let mut state = self.state();
        state.gone.insert(id);
        if let Some(counted) = state.users.remove(&id) {
            state.take_out(&counted.group);
        }
    }

    /// Before all names are listed.
    pub(super) fn begin_list(&self) {
        let mut state = self.state();
        state.round += 1;
        state.gone.clear();
    }

    /// All names that are stored. Who was entered shortly before may be missing in one list.
    pub(super) fn listed(&self, names: &[Box<str>]) {
        let mut state = self.state();
        let State {
            users,
            round,
            groups: _,
            roles: _,
            gone: _,
        } = &mut *state;
        for name in names {
            if let Some(counted) = users.get_mut(&self.hasher.hash_one(&**name)) {
                counted.round = *round;
            }
        }
        let is_stale = |counted: &Counted| counted.round + 1 < *round;
        let stale: Vec<_> = users
            .extract_if(|_, counted| is_stale(counted))
            .map(|(_, counted)| counted.group)
            .collect();
        for group in stale {
            state.take_out(&group);
        }
    }

    /// How many users of each role are out.
    pub(super) fn roles(&self) -> BTreeMap<Box<str>, usize> {
        self.state().roles.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, id: u64, role: &str, holder: &str) {
        let group = Group {
            role: role.into(),
            holder: excerpt(holder).into(),
        };
        let group = match self.groups.get_key_value(&group) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::new(group),
        };
        let counted = Counted {
            group: Arc::clone(&group),
            round: self.round,
        };
        if let Some(before) = self.users.insert(id, counted) {
            self.take_out(&before.group);
        }
        *self.roles.entry(group.role.clone()).or_default() += 1;
        *self.groups.entry(group).or_default() += 1;
    }

    fn take_out(&mut self, group: &Arc<Group>) {
        if let Some(count) = self.groups.get_mut(group) {
            *count -= 1;
            if *count == 0 {
                self.groups.remove(group);
            }
        }
        if let Some(count) = self.roles.get_mut(&group.role) {
            *count -= 1;
            if *count == 0 {
                self.roles.remove(&group.role);
            }
        }
    }

    fn full(&self, role: &str, most: usize, out: usize) -> Full {
        let first = Group {
            role: role.into(),
            holder: "".into(),
        };
        let mut holders: Vec<_> = self
            .groups
            .range(Arc::new(first)..)
            .take_while(|(group, _)| *group.role == *role)
            .map(|(group, count)| (*count, &group.holder))
            .collect();
        let others = holders.len().saturating_sub(NAMED);
        if others > 0 {
            holders.select_nth_unstable_by(NAMED, |one, other| other.cmp(one));
            holders.truncate(NAMED);
        }
        holders.sort_unstable_by(|one, other| other.cmp(one));
        Full {
            role: role.to_owned(),
            most,
            out,
            holders: holders
                .into_iter()
                .map(|(count, holder)| (holder.to_string(), count))
                .collect(),
            others,
        }
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            role,
            most,
            out,
            holders,
            others,
        } = self;
        write!(
            f,
            "role {role:?} has max_active of {most}, and {out} of its IAM users are out:"
        )?;
        for (at, (holder, count)) in holders.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma} {holder:?} has {count}")?;
        }
        if *others > 0 {
            write!(f, ", and {others} others have the rest")?;
        }
        write!(
            f,
            "; list issued/ for each, revoke leases that are not needed, or raise max_active on roles/{role}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(census: &Census) -> Vec<(String, usize)> {
        let roles = census.roles().into_iter();
        roles
            .map(|(role, count)| (role.to_string(), count))
            .collect()
    }

    #[test]
    fn a_user_counts_once_however_often_it_is_seen() {
        let census = Census::default();
        census.enter("u", "x", "alice");
        census.enter("u", "x", "alice");
        census.read("u", "x", "alice");
        assert_eq!(counts(&census), [("x".to_owned(), 1)]);

        census.leave("u");
        census.leave("u");
        // Read before it was removed.
        census.read("u", "x", "alice");
        assert_eq!(counts(&census), []);
    }

    #[test]
    fn a_refusal_names_who_has_most_and_not_everybody() {
        let census = Census::default();
        for number in 0..30 {
            let holder = if number < 15 {
                "alice".to_owned()
            } else {
                format!("token-{number}")
            };
            census.enter(&format!("u{number}"), "x", &holder);
        }
        census.enter("other", "y", "bob");

        let full = census.admit("one more", "x", "bob", 30).unwrap_err();

        let text = full.to_string();
        assert!(text.contains("max_active of 30, and 30 of"), "{text}");
        assert!(text.contains(": \"alice\" has 15, \"token-"), "{text}");
        assert!(text.contains("and 6 others have the rest"), "{text}");
        assert!(!text.contains("bob"), "{text}");
        census.leave("u7");
        assert_eq!(census.admit("one more", "x", "bob", 30), Ok(()));
    }

    #[test]
    fn who_is_in_no_list_any_more_does_not_count_for_ever() {
        let census = Census::default();
        census.enter("kept", "x", "alice");
        census.enter("lost", "x", "alice");
        for expected in [2, 1] {
            census.begin_list();
            census.listed(&["kept".into()]);
            assert_eq!(counts(&census), [("x".to_owned(), expected)]);
        }
    }

    #[test]
    fn a_user_that_was_entered_while_the_names_were_listed_counts() {
        let census = Census::default();
        for _ in 0..3 {
            census.begin_list();
            census.enter("new", "x", "alice");
            census.listed(&[]);
            assert_eq!(counts(&census), [("x".to_owned(), 1)]);
        }
    }
}
