//! The WAL entry of a rotation, and how a rotation is brought to its end that was cut off: what is
//! stored decides which keys may live.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::accounts::{Account, CrossAccount};
use super::keys::UserKeys;
use super::record::{StaticCredentials, StaticRole};
use super::rotation::needed_by_others;
use crate::aws::limit::Class;
use crate::aws::{AccessKeyId, ErrorKind, InvalidName, UserName};
use crate::caller::Caller;
use crate::engine::error::failed;
use crate::engine::rollback::CLOCK_TOLERANCE;
use crate::engine::{Engine, access_keys};
use crate::logical::{Error, Storage};

/// A rotation that is under way. Holds all that is needed where the role is not stored yet.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StaticRotation {
    pub(super) role: String,
    user_name: String,
    user_id: String,
    #[serde(flatten)]
    account: CrossAccount,
    /// The keys that the user has before.
    access_keys: Vec<String>,
    /// Known once AWS has answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) new_access_key: Option<String>,
    /// The keys that go as soon as the new one is stored.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) retired: Vec<String>,
}

impl StaticRotation {
    /// A rotation that begins, with the keys that stay beside the new one.
    pub(super) fn of(role: &StaticRole, keys: &UserKeys) -> Self {
        let retired = keys
            .ids()
            .filter(|id| role.single_key && !keys.protected.contains(*id));
        Self {
            role: role.name.clone(),
            user_name: role.username.clone(),
            user_id: role.id.clone(),
            account: role.account.clone(),
            access_keys: keys.ids().map(str::to_owned).collect(),
            new_access_key: None,
            retired: retired.map(str::to_owned).collect(),
        }
    }

    /// Ends a rotation that was cut off at any moment.
    pub(crate) async fn roll_back(
        &self,
        engine: &Engine,
        storage: &dyn Storage,
        caller: &Caller,
        created_at: OffsetDateTime,
    ) -> Result<(), Error> {
        let _role = engine.static_roles.locks.lock(&self.role).await;
        let _user = engine.static_roles.user_locks.lock(&self.user_id).await;
        self.settle(engine, storage, caller, created_at).await
    }

    /// Deletes every key of this rotation that has no right to live. The caller holds the locks of
    /// the role and of the user.
    pub(super) async fn settle(
        &self,
        engine: &Engine,
        storage: &dyn Storage,
        caller: &Caller,
        created_at: OffsetDateTime,
    ) -> Result<(), Error> {
        let role = StaticRole::load(storage, &self.role).await?;
        let role = role.filter(|role| role.id == self.user_id);
        let stored = StaticCredentials::load(storage, &self.role).await?;
        // Credentials without a role are what a creation left that was cut off.
        let kept: BTreeSet<&str> = match (&role, &stored) {
            (Some(_), Some(stored)) => stored.ids().collect(),
            _ => BTreeSet::new(),
        };
        // The user may have been renamed since.
        let (user_name, account) = match &role {
            Some(role) => (&role.username, &role.account),
            None => (&self.user_name, &self.account),
        };
        let user_name = UserName::new(user_name).map_err(invalid)?;
        let accounts = &engine.static_roles.accounts;
        let account = accounts
            .connect(&engine.clients, storage, account, Class::Background, caller)
            .await?;

        let dead = match &self.new_access_key {
            Some(new) if !kept.contains(new.as_str()) => vec![new.clone()],
            Some(new)
                if stored
                    .as_ref()
                    .is_some_and(|stored| stored.access_key == *new) =>
            {
                self.retired.clone()
            }
            Some(_) => Vec::new(),
            None => {
                let mut lost = self
                    .lost_keys(storage, &account, &user_name, created_at)
                    .await?;
                lost.retain(|id| !kept.contains(id.as_str()));
                lost
            }
        };
        for id in &dead {
            let id = AccessKeyId::new(id).map_err(invalid)?;
            access_keys::delete(account.iam(), &user_name, &id)
                .await
                .map_err(|error| failed(&format!("error deleting access key {id}"), &error))?;
            tracing::info!(static_role = %self.role, access_key = %id, "access key of a static role's rotation deleted");
        }
        if role.is_none() && stored.is_some_and(|stored| dead.contains(&stored.access_key)) {
            StaticCredentials::delete(storage, &self.role).await?;
        }
        Ok(())
    }

    /// The answer to `CreateAccessKey` was lost: keys that were not there before, made at that time,
    /// and that nobody needs.
    async fn lost_keys(
        &self,
        storage: &dyn Storage,
        account: &Account,
        user_name: &UserName,
        created_at: OffsetDateTime,
    ) -> Result<Vec<String>, Error> {
        let listed = match account.iam().list_access_keys(user_name).await {
            Ok(listed) => listed,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                let context = format!("error listing access keys of IAM user {user_name}");
                return Err(failed(&context, &error));
            }
        };
        let of_that_time = |created: OffsetDateTime| {
            created >= created_at - CLOCK_TOLERANCE && created <= created_at + CLOCK_TOLERANCE
        };
        let needed = needed_by_others(storage, account, &self.role, &self.user_id).await?;
        Ok(listed
            .into_iter()
            .filter(|key| of_that_time(key.create_date))
            .map(|key| key.access_key_id.to_string())
            .filter(|id| !self.access_keys.contains(id) && !needed.contains(id))
            .collect())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn invalid(error: InvalidName) -> Error {
    Error::internal(error.to_string())
}
