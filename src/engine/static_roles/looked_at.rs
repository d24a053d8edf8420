//! Static roles for whoever looks whether AWS lets the engine do what they take.

use super::accounts::Account;
use super::record::{ROLES, StaticRole};
use crate::aws::limit::{Class, LimitedIam};
use crate::aws::{self, Arn, Iam as _, User};
use crate::caller::Caller;
use crate::engine::Engine;
use crate::logical::{Error, Storage, StorageError};

/// The names of all static roles, in alphabetical order.
pub(in crate::engine) async fn names(storage: &dyn Storage) -> Result<Vec<String>, StorageError> {
    let mut names = storage.list(ROLES).await?;
    names.sort_unstable();
    Ok(names)
}

/// A static role.
pub(in crate::engine) struct LookedAt(StaticRole);

/// The way to the user of a static role, and what AWS says of it.
pub(in crate::engine) struct Found {
    account: Account,
    pub(in crate::engine) user: Result<User, aws::Error>,
}

impl LookedAt {
    pub(in crate::engine) async fn load(
        storage: &dyn Storage,
        name: &str,
    ) -> Result<Option<Self>, StorageError> {
        let role = StaticRole::load(storage, name).await?;
        Ok(role.map(Self))
    }

    pub(in crate::engine) fn name(&self) -> &str {
        &self.0.name
    }

    pub(in crate::engine) fn user_name(&self) -> &str {
        &self.0.username
    }

    /// The role by which another account is entered.
    pub(in crate::engine) fn assume_role_arn(&self) -> Option<Arn> {
        Arn::new(&self.0.account.assume_role_arn).ok()
    }

    /// Asks AWS for the user.
    pub(in crate::engine) async fn find(
        &self,
        engine: &Engine,
        storage: &dyn Storage,
        caller: &Caller,
    ) -> Result<Found, Error> {
        let (accounts, way) = (&engine.static_roles.accounts, &self.0.account);
        let account = accounts.connect(&engine.clients, storage, way, Class::Background, caller);
        let account = account.await?;
        let name = self.0.user_name()?;
        let user = account.iam().get_user(Some(&name)).await;
        if user.is_ok() {
            accounts.keep(&account);
        }
        Ok(Found { account, user })
    }
}

impl Found {
    /// IAM of the user's account.
    pub(in crate::engine) fn iam(&self) -> &LimitedIam {
        self.account.iam()
    }
}
