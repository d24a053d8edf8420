//! How a change of access keys is brought to its end that was cut off at any moment, or whose
//! outcome was in doubt: what is stored decides which keys may live.

use std::collections::BTreeSet;
use std::time::Duration;

use time::OffsetDateTime;

use super::{Deletion, KeyChange, delete};
use crate::aws::limit::LimitedIam;
use crate::aws::{AccessKeyId, AccessKeyMetadata, ErrorKind, Iam, UserName};
use crate::engine::error::failed;
use crate::framework::Undone;
use crate::logical::{Error, StorageError};

/// How far AWS's clock and ours may be apart when an entry of an older version, which does not say
/// what was there before, is to tell a key of its own from others. STS takes requests that are 15
/// minutes off, and the SDK corrects its own clock after a refusal, so a call may well have gone out
/// from a clock that far off.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(20);

/// How young a key may be for some of AWS not to know it.
const IAM_MEMORY: Duration = Duration::from_mins(5);

/// A key that was not there before and is further off than any clock is somebody's.
const LONGEST: Duration = Duration::from_hours(24);

/// What may live.
#[derive(Debug, Default)]
pub(in crate::engine) struct Kept<'a> {
    /// The key that is stored.
    pub(in crate::engine) current: Option<&'a str>,
    /// The key that was stored before it, where that one stays.
    pub(in crate::engine) previous: Option<&'a str>,
    /// The keys of others. Asked for only while the id of the new key is not known.
    pub(in crate::engine) needed: BTreeSet<String>,
}

/// What became of a change.
#[derive(Debug)]
pub(in crate::engine) struct Settled {
    /// The ids of the keys that had no right to live.
    pub(in crate::engine) dead: Vec<String>,
    pub(in crate::engine) undone: Undone,
}

impl Kept<'_> {
    fn contains(&self, id: &str) -> bool {
        self.current == Some(id) || self.previous == Some(id) || self.needed.contains(id)
    }
}

impl KeyChange {
    /// Deletes every key of a change that began at `begun` and has no right to live. `account` is what `iam` reaches, as far as that is known.
    ///
    /// `store_again` stores what is stored: hosts put in order, so what failed to be stored before
    /// cannot come after it and name a key that is deleted now.
    pub(in crate::engine) async fn settle(
        &self,
        iam: &LimitedIam,
        account: Option<&str>,
        (begun, now): (OffsetDateTime, OffsetDateTime),
        kept: &Kept<'_>,
        store_again: impl Future<Output = Result<(), StorageError>>,
    ) -> Result<Settled, Error> {
        let user_name =
            UserName::new(&self.user_name).map_err(|error| Error::internal(error.to_string()))?;
        let new = self.new_access_key.as_deref();
        let is_stored = new.is_some() && kept.current == new;
        let is_kept = new.is_some_and(|new| kept.contains(new));
        if is_stored && self.retired.is_empty() || is_kept && !is_stored {
            return Ok(Settled {
                dead: Vec::new(),
                undone: Undone::Certainly,
            });
        }
        self.check_account(account)?;
        let dead = match new {
            Some(_) if is_stored => self.retired.clone(),
            Some(new) => {
                store_again.await?;
                vec![new.to_owned()]
            }
            None => self.lost_keys(iam, &user_name, begun, kept).await?,
        };
        let mut unknown = dead.is_empty();
        for id in &dead {
            let context = || {
                format!(
                    "error deleting access key {id} of IAM user {user_name}, which an unfinished rotation left"
                )
            };
            let id = AccessKeyId::new(id).map_err(|error| Error::internal(error.to_string()))?;
            let deletion = delete(iam, &user_name, &id)
                .await
                .map_err(|error| failed(&context(), &error))?;
            unknown |= deletion == Deletion::Unknown;
            tracing::info!(user = %user_name, access_key = %id, ?deletion, "access key of an unfinished rotation deleted");
        }
        let undone = if unknown && now - begun < IAM_MEMORY {
            Undone::LookAgain
        } else {
            Undone::Certainly
        };
        Ok(Settled { dead, undone })
    }

    /// The answer to `CreateAccessKey` was lost: the key that was not there before, and that nobody
    /// needs. There is one at most.
    async fn lost_keys(
        &self,
        iam: &LimitedIam,
        user_name: &UserName,
        begun: OffsetDateTime,
        kept: &Kept<'_>,
    ) -> Result<Vec<String>, Error> {
        let mut listed = match iam.list_access_keys(user_name).await {
            Ok(listed) => listed,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                let context = format!(
                    "error listing the access keys of IAM user {user_name}, of which an unfinished rotation may have left one"
                );
                return Err(failed(&context, &error));
            }
        };
        listed.retain(|key| !kept.contains(key.access_key_id.as_str()));
        let apart = |key: &AccessKeyMetadata| (key.create_date - begun).unsigned_abs();
        let within = match &self.access_keys {
            Some(before) => {
                listed.retain(|key| !before.iter().any(|id| id == key.access_key_id.as_str()));
                LONGEST
            }
            None => CLOCK_TOLERANCE,
        };
        let lost = listed.into_iter().min_by_key(apart);
        let lost = lost.filter(|key| apart(key) <= within);
        Ok(Vec::from_iter(
            lost.map(|key| key.access_key_id.to_string()),
        ))
    }
}
