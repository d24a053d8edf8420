//! The write-ahead log of the engine: what each entry means and how it is undone.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Engine;
use super::error::failed;
use super::iam_user_removal::{Removal, remove_all};
use super::rotate_root::{self, RootRotation};
use super::static_roles::StaticRotation;
use crate::aws::limit::Purpose;
use crate::aws::{ErrorKind, Iam, UserName};
use crate::framework::wal::{self, WalEntry, WalId};
use crate::logical::{Error, Storage, StorageError};

/// The kind that the Go engines know: an IAM user that is being made.
const USER: &str = "user";
const ROOT_ROTATION: &str = "root_rotation";
const STATIC_ROTATION: &str = "static_rotation";

/// How far AWS's clock and ours may be apart; AWS refuses requests that are further off.
pub(super) const CLOCK_TOLERANCE: Duration = Duration::from_mins(5);

/// Work that is about to begin at AWS.
#[derive(Debug)]
pub(super) enum Work<'a> {
    /// An IAM user will be made.
    User(&'a UserName),
    /// The root access key will be replaced.
    RootRotation(&'a RootRotation),
    /// The access key of a static role will be replaced.
    StaticRotation(&'a StaticRotation),
}

/// The data of a [`USER`] entry; keys as in the Go engines, which read them in any case.
#[derive(Deserialize)]
struct UserRecord {
    #[serde(rename = "UserName", alias = "username", alias = "user_name")]
    user_name: String,
}

impl Engine {
    /// Stores what is about to begin, so that a crash leaves nothing behind for ever.
    pub(super) async fn write_ahead(
        &self,
        storage: &dyn Storage,
        work: &Work<'_>,
    ) -> Result<WalId, StorageError> {
        let now = self.clock.now();
        match work {
            Work::User(name) => {
                wal::put(storage, USER, &json!({ "UserName": name.as_str() }), now).await
            }
            Work::RootRotation(rotation) => wal::put(storage, ROOT_ROTATION, rotation, now).await,
            Work::StaticRotation(rotation) => {
                wal::put(storage, STATIC_ROTATION, rotation, now).await
            }
        }
    }

    /// Undoes what an entry speaks of.
    pub(super) async fn undo(&self, storage: &dyn Storage, entry: WalEntry) -> Result<(), Error> {
        let created_at = entry.began();
        match entry.kind.as_str() {
            USER => {
                let user: UserRecord = read(entry.data)?;
                let Ok(name) = UserName::new(&user.user_name) else {
                    tracing::warn!(user = %user.user_name, "WAL entry names a user that AWS cannot have");
                    return Ok(());
                };
                let iam = &self.clients.get(storage).await?.iam;
                let iam = iam.for_purpose(Purpose::Background);
                let undone = remove_half_made_user(&iam, &name, created_at).await?;
                tracing::info!(user = %name, ?undone, "half-made IAM user rolled back");
                Ok(())
            }
            ROOT_ROTATION => {
                rotate_root::roll_back(self, storage, &read(entry.data)?, created_at).await
            }
            STATIC_ROTATION => {
                let rotation: StaticRotation = read(entry.data)?;
                rotation.roll_back(self, storage, created_at).await
            }
            _ => Err(Error::internal("unknown type to rollback")),
        }
    }
}

fn read<T: DeserializeOwned>(data: Value) -> Result<T, Error> {
    serde_json::from_value(data)
        .map_err(|_| Error::internal("the entry's data is not of its kind's form"))
}

/// What became of a user that is half made, or that may not have been made at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HalfMade {
    /// It is gone now.
    Removed,
    /// AWS does not know it.
    Unknown,
    /// The user of that name is older than our work: the name was taken.
    NotOurs,
}

/// Removes the user unless it is older than the work, which began at `begun`.
pub(super) async fn remove_half_made_user(
    iam: &dyn Iam,
    name: &UserName,
    begun: OffsetDateTime,
) -> Result<HalfMade, Error> {
    let context = || format!("error removing half-made IAM user {name}");
    match iam.get_user(Some(name)).await {
        Ok(user) if user.create_date < begun - CLOCK_TOLERANCE => return Ok(HalfMade::NotOurs),
        Ok(_) => {}
        // Without the permission to look, our word that we made it has to do.
        Err(error) if error.kind() == ErrorKind::Denied => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(HalfMade::Unknown),
        Err(error) => return Err(failed(&context(), &error)),
    }
    match remove_all(iam, name).await {
        Ok(Removal::Removed) => Ok(HalfMade::Removed),
        Ok(Removal::Unknown) => Ok(HalfMade::Unknown),
        Err(error) => Err(Error::internal(format!("{}: {error}", context()))),
    }
}
