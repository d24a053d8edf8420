//! A user that is being made: its WAL entry, and how a half-made user is undone.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::OwnedMutexGuard;

use super::record::{IssuedUser, lifetime};
use super::removal::{Condemned, remove};
use crate::aws::limit::{Class, LimitedIam};
use crate::aws::{AccessKeyId, User, UserName};
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::clients::Connected;
use crate::engine::config_lease::LeaseConfig;
use crate::engine::iam_user_removal::Removal;
use crate::framework::Undone;
use crate::framework::wal::{self, WalEntry, WalId};
use crate::logical::{Error, Storage};

/// The kind of the WAL entry, which the Go engines know: an IAM user that is being made, or that
/// must go.
pub(in crate::engine) const KIND: &str = "user";

/// How long it may take at most until the lease of a user begins that is being made.
const AN_ISSUE: Duration = Duration::from_mins(1);

/// The data of the entry. The Go engines read the name, in any case of letters, and ignore the rest.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Entry {
    #[serde(rename = "UserName", alias = "username", alias = "user_name")]
    user_name: String,
    /// [`IssuedUser::making`]; empty in entries of the Go engines.
    making: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    account: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    user_id: String,
    /// Nobody is making it any more: it must go.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    condemned: bool,
}

/// What is known of a user before AWS is asked to make it.
pub(in crate::engine) struct Planned {
    pub(in crate::engine) role: String,
    pub(in crate::engine) display_name: String,
    pub(in crate::engine) entity_id: String,
    /// How many users of the role may be out at once.
    pub(in crate::engine) max_active: Option<usize>,
}

/// A user that is being made.
pub(in crate::engine) struct Making {
    pub(in crate::engine) name: UserName,
    entry: WalId,
    record: IssuedUser,
    /// How long its lease will live; not known until it is registered.
    lifetime: Duration,
    // Where templates give the same name again, one request at a time makes a user of that name.
    _name: Option<OwnedMutexGuard<()>>,
}

impl Making {
    /// Stores the WAL entry; `None` when a living user of ours has the name, an error when too many of
    /// the role are out. To be called before AWS hears of the user.
    pub(in crate::engine) async fn begin(
        engine: &Engine,
        storage: &dyn Storage,
        clients: &Connected,
        name: UserName,
        planned: &Planned,
    ) -> Result<Option<Self>, Error> {
        let lock = if clients.names.are_new() {
            None
        } else {
            let lock = engine.issued.names.lock(name.as_str()).await;
            if IssuedUser::load(storage, &name).await?.is_some() {
                return Ok(None);
            }
            Some(lock)
        };
        let now = engine.clock.now();
        let record = IssuedUser {
            making: wal::name().map_err(|error| Error::internal(error.to_string()))?,
            account: clients.key_account().unwrap_or_default(),
            role: planned.role.clone(),
            display_name: planned.display_name.clone(),
            entity_id: planned.entity_id.clone(),
            issued_at: now.unix_timestamp(),
            ..IssuedUser::default()
        };
        let entry = Entry {
            user_name: name.to_string(),
            making: record.making.clone(),
            account: record.account.clone(),
            ..Entry::default()
        };
        let seat = engine
            .issued
            .admit(name.as_str(), &record, planned.max_active)?;
        let entry = wal::put(storage, KIND, &entry, now, &engine.life)
            .await
            .map_err(|error| Error::from(error).context("error writing WAL entry"))?;
        seat.taken();
        Ok(Some(Self {
            name,
            entry,
            record,
            lifetime: Duration::ZERO,
            _name: lock,
        }))
    }

    /// Enters the user into the register, with the time that a lease of `config` has. The WAL entry is
    /// there, so this may happen while AWS works. From then on the register may be all that knows of
    /// the user: of the two steps of [`Self::commit`] only one may be done when the process dies.
    pub(in crate::engine) async fn register(
        &mut self,
        engine: &Engine,
        storage: &dyn Storage,
        config: &LeaseConfig,
    ) -> Result<(), Error> {
        self.lifetime = lifetime(engine, config).await?;
        self.record
            .live_from(engine.clock.now(), self.lifetime + AN_ISSUE);
        self.store(engine, storage).await
    }

    async fn store(&self, engine: &Engine, storage: &dyn Storage) -> Result<(), Error> {
        engine.issued.expect(self.name.as_str(), &self.record);
        self.record
            .store(storage, &self.name)
            .await
            .map_err(|error| Error::from(error).context("error writing the register of users"))
    }

    /// The user is complete, and its lease is about to be handed out: from now on the register alone
    /// knows of it. After a failure the user must go, and the entry is there again if it can be.
    pub(in crate::engine) async fn commit(
        &mut self,
        engine: &Engine,
        storage: &dyn Storage,
        user: &User,
        access_key_id: &AccessKeyId,
    ) -> Result<(), Error> {
        let now = engine.clock.now();
        self.record.user_id.clone_from(&user.user_id);
        self.record.access_key_id = access_key_id.to_string();
        user.arn.account().clone_into(&mut self.record.account);
        self.record.live_from(now, self.lifetime);
        let (registered, committed) = futures_util::join!(
            self.store(engine, storage),
            wal::delete(storage, &self.entry)
        );
        committed.map_err(|error| Error::from(error).context("failed to commit WAL entry"))?;
        if let Err(error) = registered {
            self.entry = condemn(engine, storage, &self.name, &self.record).await?;
            return Err(error);
        }
        Ok(())
    }

    /// AWS has not made the user: entry and record speak of nobody.
    pub(in crate::engine) async fn cancel(
        &self,
        engine: &Engine,
        storage: &dyn Storage,
    ) -> Result<(), Error> {
        IssuedUser::forget(engine, storage, &self.name).await;
        Ok(wal::delete(storage, &self.entry).await?)
    }

    /// The user was removed again. As long as that is not certain, the entry stays.
    pub(in crate::engine) async fn removed(
        &self,
        engine: &Engine,
        storage: &dyn Storage,
        removal: Removal,
    ) {
        if !removal.is_certain(self.since(), engine.clock.now()) {
            return;
        }
        IssuedUser::forget(engine, storage, &self.name).await;
        if let Err(error) = wal::delete(storage, &self.entry).await {
            tracing::warn!(user = %self.name, %error, "WAL entry of an undone IAM user stays, rollback deletes it");
        }
    }

    /// The removal of a user of which it is not known whether AWS has made it.
    pub(in crate::engine) async fn remove(
        &self,
        engine: &Engine,
        storage: &dyn Storage,
        clients: &Connected,
        iam: &LimitedIam,
    ) {
        let condemned = Condemned::registered(&self.name, &self.record);
        let removed = remove(clients, iam, &condemned).await;
        match removed {
            Ok(Some(removal)) => self.removed(engine, storage, removal).await,
            // The name was somebody else's.
            Ok(None) => {
                if let Err(error) = self.cancel(engine, storage).await {
                    tracing::warn!(user = %self.name, %error, "WAL entry of an IAM user that was not made stays, rollback deletes it");
                }
            }
            Err(error) => left_to_rollback(&self.name, &error),
        }
    }

    fn since(&self) -> OffsetDateTime {
        self.record.issued_at()
    }
}

pub(in crate::engine) fn left_to_rollback(name: &UserName, error: &dyn std::fmt::Display) {
    tracing::warn!(user = %name, %error, "half-made IAM user could not be removed now, rollback tries again");
}

/// Stores that a user must go: the next tick of the host's timer removes it, in this life or the
/// next.
pub(in crate::engine) async fn condemn(
    engine: &Engine,
    storage: &dyn Storage,
    name: &UserName,
    record: &IssuedUser,
) -> Result<WalId, Error> {
    let entry = Entry {
        user_name: name.to_string(),
        making: record.making.clone(),
        account: record.account.clone(),
        user_id: record.user_id.clone(),
        condemned: true,
    };
    let stored = wal::put(storage, KIND, &entry, engine.clock.now(), &engine.life).await;
    stored.map_err(|error| Error::from(error).context("error writing WAL entry"))
}

/// Whether nobody makes the user any more that the entry speaks of.
pub(in crate::engine) fn is_condemned(entry: &WalEntry) -> bool {
    entry.kind == KIND && Entry::deserialize(&entry.data).is_ok_and(|entry: Entry| entry.condemned)
}

/// Removes the user that an entry speaks of.
pub(in crate::engine) async fn roll_back(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    entry: WalEntry,
) -> Result<Undone, Error> {
    let created_at = entry.began();
    let entry: Entry = serde_json::from_value(entry.data)
        .ok()
        .filter(|entry: &Entry| !entry.user_name.is_empty())
        .ok_or_else(|| Error::internal("the entry's data is not of its kind's form"))?;
    let Ok(name) = UserName::new(&entry.user_name) else {
        tracing::warn!(user = %entry.user_name, "WAL entry names a user that AWS cannot have");
        return Ok(Undone::Certainly);
    };
    let record = IssuedUser::load(storage, &name).await?;
    if let Some(record) = &record
        && record.making != entry.making
    {
        tracing::info!(user = %name, "a WAL entry's IAM user was not made, for another lease has the name");
        return Ok(Undone::Certainly);
    }
    let user_id = record
        .as_ref()
        .map_or(&entry.user_id, |record| &record.user_id);
    let condemned = Condemned {
        name: &name,
        user_id,
        access_key_id: record
            .as_ref()
            .map_or("", |record| record.access_key_id.as_str()),
        account: &entry.account,
        begun: created_at,
    };
    let clients = engine.clients.get(storage).await?;
    let iam = clients.iam.for_request(Class::Background, caller);
    let removal = remove(&clients, &iam, &condemned).await?;
    if entry.condemned {
        tracing::info!(user = %name, ?removal, "IAM user removed whose end was asked for before");
    } else {
        tracing::info!(user = %name, ?removal, "half-made IAM user rolled back");
    }
    if removal.is_some_and(|removal| !removal.is_certain(created_at, engine.clock.now())) {
        return Ok(Undone::LookAgain);
    }
    match record {
        Some(_) => IssuedUser::forget(engine, storage, &name).await,
        None => engine.issued.forgotten(name.as_str()),
    }
    Ok(Undone::Certainly)
}
