//! The keys of a mount in the order of their turns.

use time::OffsetDateTime;

use super::{Algorithm, LEAD, LINGERS, PERIOD, SigningKey, later};

/// A key with its times.
#[derive(Debug)]
pub(in crate::engine) struct TimedKey {
    pub(in crate::engine) key: SigningKey,
    pub(in crate::engine) published_from: OffsetDateTime,
    pub(in crate::engine) signs_from: OffsetDateTime,
}

impl TimedKey {
    /// Until when copies of the documents may be without it.
    pub(in crate::engine) fn known_from(&self) -> OffsetDateTime {
        later(self.published_from, LEAD)
    }
}

/// All keys that are stored, which are those that are published.
#[derive(Debug, Default)]
pub(in crate::engine) struct KeySet(Vec<TimedKey>);

/// What has to change.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    /// Keys to make, each with the time from which on it signs.
    pub(super) make: Vec<OffsetDateTime>,
    /// Ids of the keys whose time is over, or that are not to sign any more.
    pub(super) end: Vec<String>,
}

impl KeySet {
    pub(super) fn new(mut keys: Vec<TimedKey>) -> Self {
        keys.sort_by(|one, other| {
            let order = one.signs_from.cmp(&other.signs_from);
            order.then_with(|| one.key.id().cmp(other.key.id()))
        });
        Self(keys)
    }

    /// In the order of their turns.
    pub(super) fn all(&self) -> impl Iterator<Item = &TimedKey> {
        self.0.iter()
    }

    /// The key whose turn it is. Where a clock says that it is nobody's, that is the first one: any key
    /// that is published is better than none.
    pub(in crate::engine) fn current(&self, now: OffsetDateTime) -> Option<&TimedKey> {
        let begun = self.0.iter().rfind(|key| key.signs_from <= now);
        begun.or_else(|| self.0.first())
    }

    /// The keys whose turn comes.
    fn coming(&self, now: OffsetDateTime) -> impl Iterator<Item = &TimedKey> {
        self.0.iter().filter(move |key| key.signs_from > now)
    }

    /// The key whose turn is next.
    pub(in crate::engine) fn next(&self, now: OffsetDateTime) -> Option<&TimedKey> {
        self.coming(now).next()
    }

    /// What there is to do now for tokens to be signed so in future.
    pub(super) fn changes(&self, algorithm: Algorithm, now: OffsetDateTime) -> Changes {
        let mut changes = Changes::default();
        let Some(current) = self.current(now) else {
            // Nobody has copies yet of what was never published.
            changes.make = vec![now, later(now, PERIOD)];
            return changes;
        };
        let fits = |key: &&TimedKey| key.key.algorithm() == algorithm;
        if self.coming(now).find(fits).is_none() {
            let mut turn = later(now, LEAD);
            if fits(&current) {
                turn = turn.max(later(current.signs_from, PERIOD));
            }
            changes.make.push(turn);
        }
        let is_over = |key: &&TimedKey| {
            key.signs_from < current.signs_from && now >= later(current.signs_from, LINGERS)
        };
        let over = self.0.iter().filter(is_over);
        let unwanted = self.coming(now).filter(|key| !fits(key));
        changes.end = over
            .chain(unwanted)
            .filter(|key| key.key.id() != current.key.id())
            .map(|key| key.key.id().to_owned())
            .collect();
        changes
    }
}
