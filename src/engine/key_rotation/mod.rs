//! The one way to replace the access key of an IAM user, for the root key and for static roles.
//!
//! The order keeps the stored key working at every moment, and a crash at any of them leaves no key
//! behind for ever: WAL entry with the keys that are there, room for the new key, the new key, its
//! id into the WAL, proof that AWS accepts it, storage, the end of the keys that retire, WAL entry
//! gone.
//!
//! Every doubt has one answer. Whether AWS made a key whose answer was lost, and whether the host
//! stored what it says it could not store, is for rollback to see (`unfinished`). All that is
//! certain is tidied up at once.

mod entry;
mod proof;
#[cfg(test)]
mod tests;
mod unfinished;

use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use tokio::time::Instant;

pub(super) use entry::KeyChange;
pub(super) use proof::{NotAccepted, until_accepted};
pub(super) use unfinished::Kept;

use super::clients::Connected;
use super::error::{explain, refused};
use super::{Engine, busy};
use crate::aws::limit::LimitedIam;
use crate::aws::{self, AccessKey, AccessKeyId, ErrorKind, Iam, UserName};
use crate::caller::Caller;
use crate::framework::wal::{self, WalId};
use crate::logical::{Error, Storage, StorageError};

/// AWS's quota of access keys of one user, which cannot be raised.
pub(super) const QUOTA: usize = 2;

/// Whose key it is: where it is kept, and how AWS is reached to change it.
#[async_trait]
pub(super) trait Owner: Send + Sync {
    /// The kind of its WAL entries.
    const KIND: &'static str;
    /// The data of its WAL entries.
    type Entry: Serialize + Send + Sync;

    /// What is written ahead of the change.
    fn entry(&self, change: &KeyChange) -> Self::Entry;

    /// IAM of the user's account with the credentials of now.
    async fn reach(&self, caller: &Caller) -> Result<Reach, Error>;

    /// Why there is no new key, as far as AWS's words do not say it.
    fn no_new_key(&self, user_name: &UserName, error: &aws::Error) -> String;

    /// Called before a key is deleted to make room, which may be the stored one.
    async fn will_make_room(&mut self, id: &AccessKeyId) -> Result<(), StorageError>;

    /// Waits until AWS accepts the new key, at most until `caller`'s work must be finished.
    async fn prove(&mut self, key: &AccessKey, caller: &Caller) -> Result<(), Error>;

    /// Stores the new key; from then on everybody uses it.
    async fn store(&mut self, key: &AccessKey) -> Result<(), NotStored>;

    /// IAM to delete the keys that retire with, once nobody needs them any more.
    async fn release(&mut self, caller: &Caller) -> Result<Reach, Error>;
}

/// IAM with the credentials of now. Not to be held for longer than the calls at hand: a rotation of
/// the root key waits until nobody holds the clients of the old one.
pub(super) struct Reach {
    pub(super) iam: LimitedIam,
    pub(super) _held: Option<Arc<Connected>>,
}

/// The new key could not be stored.
#[derive(Debug)]
pub(super) struct NotStored {
    /// The key in storage.
    pub(super) what: String,
    pub(super) error: StorageError,
    /// The host did not do it. Otherwise it may have done it, or do it later.
    pub(super) certainly: bool,
}

impl NotStored {
    /// The first put of a store failed.
    pub(super) fn first(what: impl Into<String>, error: StorageError) -> Self {
        Self {
            what: what.into(),
            certainly: matches!(error, StorageError::ReadOnly(_)),
            error,
        }
    }
}

/// Gives the user a new access key; warnings if not all went well. `caller` is whoever waits for it:
/// nothing begins when nobody does, and what has begun is brought to its end.
pub(super) async fn replace<O: Owner>(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    owner: &mut O,
    user_name: &UserName,
    mut change: KeyChange,
) -> Result<Vec<String>, Error> {
    in_time(caller)?;
    let log = Log { engine, storage };
    let mut entry = log.write::<O>(owner, &change).await?;
    let caller_of_creation = match make_room(caller, owner, user_name, &change).await {
        Ok(caller) => caller,
        Err(error) => {
            log.forget(&entry).await;
            return Err(error);
        }
    };
    let key = create_key(&log, &caller_of_creation, owner, user_name, &change, &entry).await?;
    let caller = &caller.committed();
    change.new_access_key = Some(key.access_key_id.to_string());
    let written = log.write::<O>(owner, &change).await;
    let prepared = match written {
        Ok(with_id) => {
            log.forget(&std::mem::replace(&mut entry, with_id)).await;
            owner.prove(&key, caller).await
        }
        Err(error) => Err(error.into()),
    };
    let stored = match prepared {
        Ok(()) => owner.store(&key).await,
        Err(error) => {
            discard(&log, caller, owner, user_name, &key.access_key_id, &entry).await;
            return Err(error);
        }
    };
    match stored {
        Ok(()) => Ok(Vec::from_iter(
            retire(&log, caller, owner, user_name, &change, &entry).await,
        )),
        Err(NotStored {
            error,
            certainly: true,
            ..
        }) => {
            discard(&log, caller, owner, user_name, &key.access_key_id, &entry).await;
            Err(error.into())
        }
        Err(NotStored { what, error, .. }) => Err(Error::from(error).context(&format!(
            "error saving {what}, so the access key that is not stored is deleted in some minutes"
        ))),
    }
}

/// Stores an entry of the write-ahead log.
pub(super) async fn write_ahead(
    engine: &Engine,
    storage: &dyn Storage,
    kind: &str,
    entry: &(impl Serialize + Sync),
) -> Result<WalId, StorageError> {
    wal::put(storage, kind, entry, engine.clock.now(), &engine.life).await
}

/// Refuses what could not be finished in time, or what nobody waits for.
pub(super) fn in_time(caller: &Caller) -> Result<(), Error> {
    if !caller.waits() {
        return Err(Error::internal(
            "whoever asked does not wait any more, so nothing was begun",
        ));
    }
    if Instant::now() < caller.begin_by() {
        return Ok(());
    }
    Err(too_late())
}

/// Others were at it until there was no time left.
pub(super) fn too_late() -> Error {
    Error::UpstreamRateLimited(
        "other changes of the same access keys were not finished in time, so nothing was begun: try again".to_owned(),
    )
}

/// What came of deleting a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deletion {
    Deleted,
    /// AWS does not know the key: it is gone, or so young that not all of AWS knows it. Until it is
    /// older than that, a WAL entry has to stay.
    Unknown,
}

/// Deletes a key.
pub(super) async fn delete(
    iam: &LimitedIam,
    user_name: &UserName,
    id: &AccessKeyId,
) -> Result<Deletion, aws::Error> {
    let passing =
        |error: &aws::Error| error.kind() == ErrorKind::Busy && is_time(iam.caller().finish_by());
    match busy::retry_when(passing, || iam.delete_access_key(user_name, id)).await {
        Ok(()) => Ok(Deletion::Deleted),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Deletion::Unknown),
        Err(error) => Err(error),
    }
}

fn is_time(until: Instant) -> bool {
    Instant::now() < until
}

/// Deletes the key that goes, if one must; answers for whom the new one is made then.
async fn make_room<O: Owner>(
    caller: &Caller,
    owner: &mut O,
    user_name: &UserName,
    change: &KeyChange,
) -> Result<Caller, Error> {
    let Some(id) = &change.making_room else {
        return Ok(caller.clone());
    };
    let id = AccessKeyId::new(id).map_err(|error| Error::internal(error.to_string()))?;
    owner.will_make_room(&id).await?;
    let reach = owner.reach(caller).await?;
    delete(&reach.iam.beginning(), user_name, &id)
        .await
        .map_err(|error| {
            let context = format!("unable to delete oldest access keys for user \"{user_name}\"");
            refused(&context, &error)
        })?;
    Ok(caller.committed())
}

/// Makes the key; the WAL entry goes again if it is certain that there is none.
async fn create_key<O: Owner>(
    log: &Log<'_>,
    caller: &Caller,
    owner: &O,
    user_name: &UserName,
    change: &KeyChange,
    entry: &WalId,
) -> Result<AccessKey, Error> {
    let reach = match owner.reach(caller).await {
        Ok(reach) => reach,
        Err(error) => {
            log.forget(entry).await;
            return Err(error);
        }
    };
    let iam = reach.iam.beginning();
    // Right after a key was deleted, AWS may still count it.
    let has_room = change.leaves_room();
    let passing = |error: &aws::Error| {
        let passes = match error.kind() {
            ErrorKind::Busy => true,
            ErrorKind::LimitExceeded => has_room,
            _ => false,
        };
        passes && is_time(caller.begin_by())
    };
    let error = match busy::retry_when(passing, || iam.create_access_key(user_name)).await {
        Ok(key) => return Ok(key),
        Err(error) => error,
    };
    let mut context = owner.no_new_key(user_name, &error);
    if error.may_have_happened() {
        context.push_str(", and if AWS made a key all the same, it is deleted in some minutes");
    } else {
        log.forget(entry).await;
    }
    Err(refused(&context, &error))
}

/// Deletes a new key that is certainly not stored.
async fn discard<O: Owner>(
    log: &Log<'_>,
    caller: &Caller,
    owner: &O,
    user_name: &UserName,
    id: &AccessKeyId,
    entry: &WalId,
) {
    let discarded = match owner.reach(caller).await {
        Ok(reach) => delete(&reach.iam.undoing(), user_name, id)
            .await
            .map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match discarded {
        Ok(Deletion::Deleted) => log.forget(entry).await,
        Ok(Deletion::Unknown) => {}
        Err(error) => {
            tracing::warn!(user = %user_name, access_key = %id, error, "unused new access key could not be deleted now, rollback tries again");
        }
    }
}

/// Ends the keys whose time is over; a warning if one still lives.
async fn retire<O: Owner>(
    log: &Log<'_>,
    caller: &Caller,
    owner: &mut O,
    user_name: &UserName,
    change: &KeyChange,
    entry: &WalId,
) -> Option<String> {
    let mut failure = None;
    let mut unknown = false;
    if !change.retired.is_empty() {
        match owner.release(caller).await {
            Ok(reach) => {
                let iam = reach.iam.undoing();
                for id in change.retired() {
                    match delete(&iam, user_name, &id).await {
                        Ok(deletion) => unknown |= deletion == Deletion::Unknown,
                        Err(error) => failure = Some((id.to_string(), explain(&error))),
                    }
                }
            }
            Err(error) => failure = Some((change.retired.join(", "), error.to_string())),
        }
    }
    let Some((id, reason)) = failure else {
        if !unknown {
            log.forget(entry).await;
        }
        return None;
    };
    tracing::warn!(user = %user_name, access_key = %id, error = %reason, "old access key still works, rollback deletes it");
    Some(format!(
        "the new access key is stored and in use, but the old one, {id}, could not be deleted and still works: {reason}; this is tried again in some minutes"
    ))
}

/// The write-ahead log of a change.
struct Log<'a> {
    engine: &'a Engine,
    storage: &'a dyn Storage,
}

impl Log<'_> {
    async fn write<O: Owner>(&self, owner: &O, change: &KeyChange) -> Result<WalId, StorageError> {
        let entry = owner.entry(change);
        write_ahead(self.engine, self.storage, O::KIND, &entry).await
    }

    /// Deletes an entry that has nothing to undo any more; rollback would find that out as well.
    async fn forget(&self, entry: &WalId) {
        if let Err(error) = wal::delete(self.storage, entry).await {
            tracing::warn!(%error, "WAL entry of a rotation stays, rollback deletes it");
        }
    }
}
