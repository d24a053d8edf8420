//! Which access key of a user goes when a new one needs its place: AWS allows two.

use std::collections::BTreeSet;

use crate::aws::{AccessKeyMetadata, AccessKeyStatus};
use crate::engine::key_rotation::QUOTA;

/// A user's access keys, and what is known of them.
#[derive(Debug, Default)]
pub(super) struct UserKeys {
    /// All of them, as AWS lists them.
    pub(super) listed: Vec<AccessKeyMetadata>,
    /// The key that is stored.
    pub(super) current: Option<String>,
    /// The key that was stored before it.
    pub(super) previous: Option<String>,
    /// Keys that other parts of this mount live on.
    pub(super) protected: BTreeSet<String>,
}

/// Who else needs the keys that a user has, so that there is no place for another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AllNeeded;

impl UserKeys {
    /// The ids of the keys that are listed and were not made for the role.
    pub(super) fn foreign(&self) -> impl Iterator<Item = &str> {
        self.ids().filter(|id| !self.is_ours(id))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.listed.iter().map(|key| key.access_key_id.as_str())
    }

    pub(super) fn is_ours(&self, id: &str) -> bool {
        self.is_current(id) || self.previous.as_deref() == Some(id)
    }

    pub(super) fn is_current(&self, id: &str) -> bool {
        self.current.as_deref() == Some(id)
    }

    /// Takes the key off the list that must go before AWS makes another, if one must.
    ///
    /// The stored key stays as long as there is any other. After it, the role's own previous key
    /// goes first, then one that AWS does not accept anyway, then the oldest, whoever made it.
    pub(super) fn take_out_of_the_way(&mut self) -> Result<Option<AccessKeyMetadata>, AllNeeded> {
        if self.listed.len() < QUOTA {
            return Ok(None);
        }
        let least_needed = (0..self.listed.len()).min_by_key(|index| {
            let key = &self.listed[*index];
            let id = key.access_key_id.as_str();
            (
                self.protected.contains(id),
                self.is_current(id),
                self.previous.as_deref() != Some(id),
                key.status == AccessKeyStatus::Active,
                key.create_date,
            )
        });
        match least_needed {
            Some(index)
                if self
                    .protected
                    .contains(self.listed[index].access_key_id.as_str()) =>
            {
                Err(AllNeeded)
            }
            Some(index) => Ok(Some(self.listed.remove(index))),
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::aws::AccessKeyId;

    /// Keys from the oldest to the youngest; `-` before the id of one that is inactive.
    fn keys(ids: &[&str]) -> UserKeys {
        let mut made = datetime!(2026-01-01 00:00 UTC);
        let listed = ids.iter().map(|id| {
            made += time::Duration::days(1);
            AccessKeyMetadata {
                access_key_id: AccessKeyId::new(id.trim_start_matches('-')).unwrap(),
                status: match id.strip_prefix('-') {
                    Some(_) => AccessKeyStatus::Inactive,
                    None => AccessKeyStatus::Active,
                },
                create_date: made,
            }
        });
        UserKeys {
            listed: listed.collect(),
            ..UserKeys::default()
        }
    }

    /// The id of the key that goes; empty when none must.
    fn goes(mut keys: UserKeys) -> Result<String, AllNeeded> {
        let gone = keys.take_out_of_the_way()?;
        Ok(gone.map_or_else(String::new, |key| key.access_key_id.to_string()))
    }

    #[test]
    fn with_one_key_or_none_there_is_place() {
        assert_eq!(goes(keys(&[])), Ok(String::new()));
        assert_eq!(goes(keys(&["A"])), Ok(String::new()));
    }

    #[test]
    fn of_two_unknown_keys_the_oldest_goes() {
        assert_eq!(goes(keys(&["OLD", "NEW"])), Ok("OLD".to_owned()));
        let mut shuffled = keys(&["OLD", "NEW"]);
        shuffled.listed.reverse();
        assert_eq!(goes(shuffled), Ok("OLD".to_owned()));
    }

    #[test]
    fn of_two_unknown_keys_an_inactive_one_goes_first() {
        assert_eq!(goes(keys(&["OLD", "-NEW"])), Ok("NEW".to_owned()));
    }

    #[test]
    fn the_stored_key_stays_even_if_it_is_the_oldest() {
        for other in ["OTHER", "-OTHER"] {
            let mut keys = keys(&["STORED", other]);
            keys.current = Some("STORED".to_owned());
            assert_eq!(goes(keys), Ok("OTHER".to_owned()));
        }
    }

    #[test]
    fn the_roles_own_previous_key_goes_before_a_foreign_one() {
        let mut keys = keys(&["FOREIGN", "PREVIOUS"]);
        keys.current = Some("GONE".to_owned());
        keys.previous = Some("PREVIOUS".to_owned());
        assert_eq!(goes(keys), Ok("PREVIOUS".to_owned()));
    }

    #[test]
    fn a_key_that_others_need_stays_even_if_the_stored_one_must_go() {
        let mut both = keys(&["STORED", "NEEDED"]);
        both.current = Some("STORED".to_owned());
        both.protected = BTreeSet::from(["NEEDED".to_owned()]);
        assert_eq!(goes(both), Ok("STORED".to_owned()));

        let mut needed = keys(&["A", "B"]);
        needed.protected = BTreeSet::from(["A".to_owned(), "B".to_owned()]);
        assert_eq!(goes(needed), Err(AllNeeded));
    }
}
