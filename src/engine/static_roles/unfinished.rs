//! The WAL entry of a rotation, and how a rotation is brought to its end that was cut off, or whose
//! outcome was in doubt: what is stored decides which keys may live.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;

use super::accounts::CrossAccount;
use super::record::{StaticCredentials, StaticRole};
use super::rotation::needed_by_others;
use crate::aws::limit::Class;
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::key_rotation::{Kept, KeyChange};
use crate::framework::Undone;
use crate::logical::{Error, Storage};

/// The kind of the WAL entry.
pub(in crate::engine) const KIND: &str = "static_rotation";

/// A rotation that is under way. Holds all that is needed where the role is not stored yet.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct StaticRotation {
    role: String,
    user_id: String,
    #[serde(flatten)]
    account: CrossAccount,
    #[serde(flatten)]
    change: KeyChange,
}

impl StaticRotation {
    pub(super) fn of(role: &StaticRole, change: KeyChange) -> Self {
        Self {
            role: role.name.clone(),
            user_id: role.id.clone(),
            account: role.account.clone(),
            change,
        }
    }
}

/// Ends a rotation that began at `begun`.
pub(in crate::engine) async fn roll_back(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    data: Value,
    begun: OffsetDateTime,
) -> Result<Undone, Error> {
    let rotation: StaticRotation = serde_json::from_value(data)
        .map_err(|_| Error::internal("the entry's data is not of its kind's form"))?;
    let static_roles = &engine.static_roles;
    let _role = static_roles.lock(&rotation.role, caller).await?;
    let _user = static_roles.lock_user(&rotation.user_id, caller).await?;
    rotation
        .settle(engine, storage, caller, (begun, engine.clock.now()))
        .await
}

impl StaticRotation {
    /// The caller holds the locks of the role and of the user.
    async fn settle(
        mut self,
        engine: &Engine,
        storage: &dyn Storage,
        caller: &Caller,
        times: (OffsetDateTime, OffsetDateTime),
    ) -> Result<Undone, Error> {
        let role = StaticRole::load(storage, &self.role).await?;
        let role = role.filter(|role| role.id == self.user_id);
        let stored = StaticCredentials::load(storage, &self.role).await?;
        if let Some(role) = &role {
            // The user may have been renamed since.
            self.change.user_name.clone_from(&role.username);
            self.account.clone_from(&role.account);
        }
        let account = engine
            .static_roles
            .accounts
            .connect(
                &engine.clients,
                storage,
                &self.account,
                Class::Background,
                caller,
            )
            .await?;
        // Credentials without a role are what a creation left that was cut off.
        let valid = stored.as_ref().filter(|_| role.is_some());
        let needed = match self.change.new_access_key {
            Some(_) => BTreeSet::new(),
            None => needed_by_others(engine, storage, &account, &self.role, &self.user_id).await?,
        };
        let kept = Kept {
            current: valid.map(|stored| stored.access_key.as_str()),
            previous: valid.and_then(|stored| stored.previous_access_key.as_deref()),
            needed,
        };
        let store_again = async {
            match valid {
                Some(stored) => stored.store(storage, &self.role).await,
                None => Ok(()),
            }
        };
        let id = account.id().await;
        let settled = self
            .change
            .settle(account.iam(), id.as_deref(), times, &kept, store_again)
            .await?;
        if role.is_none() && stored.is_some_and(|stored| settled.dead.contains(&stored.access_key))
        {
            StaticCredentials::delete(storage, &self.role).await?;
        }
        Ok(settled.undone)
    }
}
