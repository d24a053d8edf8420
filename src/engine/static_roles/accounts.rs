//! The AWS account that a static role's user is in: the engine's own, or another one in which the
//! engine assumes a role.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use serde::{Deserialize, Serialize};

use crate::aws::limit::{Class, LimitedIam};
use crate::aws::{AccountIam, Arn, ErrorKind, Iam, RoleSessionName, UserName};
use crate::caller::Caller;
use crate::engine::clients::{ClientCache, Connected};
use crate::engine::error::refused;
use crate::engine::stored::null_as_default;
use crate::logical::{Error, Storage};

/// AWS's limit, in characters.
const LONGEST_SESSION_NAME: usize = 64;

/// How another account is entered; all empty for the engine's own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct CrossAccount {
    #[serde(deserialize_with = "null_as_default")]
    pub(super) assume_role_arn: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(super) assume_role_session_name: String,
    #[serde(deserialize_with = "null_as_default")]
    pub(super) external_id: String,
}

impl CrossAccount {
    /// Fills in the session's name, and refuses what could never work.
    pub(super) fn complete(mut self, role: &str) -> Result<Self, Error> {
        if self.assume_role_arn.is_empty() {
            for (field, text) in [
                ("assume_role_session_name", &self.assume_role_session_name),
                ("external_id", &self.external_id),
            ] {
                if !text.is_empty() {
                    return Err(Error::invalid(format!(
                        "{field} is for a user of another account: it needs assume_role_arn"
                    )));
                }
            }
            return Ok(self);
        }
        if self.assume_role_session_name.is_empty() {
            let name = format!("vault-static-{role}");
            self.assume_role_session_name = name.chars().take(LONGEST_SESSION_NAME).collect();
        }
        self.names()?;
        Ok(self)
    }

    /// The role and the session, checked.
    fn names(&self) -> Result<(Arn, RoleSessionName), Error> {
        let arn = Arn::new(&self.assume_role_arn)
            .map_err(|error| Error::invalid(format!("assume_role_arn: {error}")))?;
        if arn.service() != "iam" || !arn.resource().starts_with("role/") {
            return Err(Error::invalid(format!(
                "assume_role_arn: {arn} is not the ARN of a role, such as arn:aws:iam::123456789012:role/name"
            )));
        }
        let session = RoleSessionName::new(&self.assume_role_session_name)
            .map_err(|error| Error::invalid(format!("assume_role_session_name: {error}")))?;
        Ok((arn, session))
    }
}

/// Clients of the accounts that are entered by a role, so that a session serves many rotations.
#[derive(Default)]
pub(super) struct Accounts {
    // A std mutex: nothing awaits under it.
    assumed: Mutex<HashMap<CrossAccount, Assumed>>,
}

/// A client that is good for as long as the root configuration that it was made of.
struct Assumed {
    // Weak, because a rotation of the root key waits until nobody holds these clients.
    root: Weak<Connected>,
    iam: AccountIam,
}

/// IAM of a role's account. Not to be held for longer than the calls at hand: a rotation of the
/// root key waits for it.
pub(super) struct Account {
    root: Arc<Connected>,
    iam: LimitedIam,
}

impl Accounts {
    /// IAM of an account, for one request.
    pub(super) async fn connect(
        &self,
        clients: &ClientCache,
        storage: &dyn Storage,
        account: &CrossAccount,
        class: Class,
        caller: &Caller,
    ) -> Result<Account, Error> {
        let root = clients.get(storage).await?;
        let iam = if account.assume_role_arn.is_empty() {
            root.iam.clone()
        } else {
            self.assume(clients, &root, account)?
        };
        let iam = iam.for_request(class, caller);
        Ok(Account { root, iam })
    }

    fn assume(
        &self,
        clients: &ClientCache,
        root: &Arc<Connected>,
        account: &CrossAccount,
    ) -> Result<AccountIam, Error> {
        let mut assumed = self.assumed.lock().unwrap_or_else(PoisonError::into_inner);
        assumed.retain(|_, one| std::ptr::eq(one.root.as_ptr(), Arc::as_ptr(root)));
        if let Some(known) = assumed.get(account) {
            return Ok(known.iam.clone());
        }
        let (role_arn, session_name) = account.names()?;
        let external_id = (!account.external_id.is_empty()).then(|| account.external_id.clone());
        let credentials = clients.assume(&root.root, role_arn, session_name, external_id)?;
        let iam = clients.connect_as(&root.root, credentials)?.iam;
        assumed.insert(
            account.clone(),
            Assumed {
                root: Arc::downgrade(root),
                iam: iam.clone(),
            },
        );
        Ok(iam)
    }
}

impl Account {
    /// Whose request it is.
    pub(super) fn caller(&self) -> &Caller {
        self.iam.caller()
    }

    pub(super) fn iam(&self) -> &dyn Iam {
        &self.iam
    }

    /// The access key that the engine itself uses; empty when it has none of its own.
    pub(super) fn root_access_key(&self) -> &str {
        &self.root.root.access_key
    }

    /// Makes sure that AWS knows the user, and as the one of this id unless that is empty; answers
    /// with the id.
    pub(super) async fn check_user(&self, name: &UserName, id: &str) -> Result<String, Error> {
        let user = self.iam.get_user(Some(name)).await.map_err(|error| {
            let hint = match error.kind() {
                ErrorKind::NotFound => "; a static role adopts a user that exists",
                _ => "",
            };
            refused(
                &format!("unable to validate username {:?}{hint}", name.as_str()),
                &error,
            )
        })?;
        let found = user.user_name.as_ref().map_or("", UserName::as_str);
        if found != name.as_str() {
            return Err(Error::invalid(format!(
                "AWS GetUser returned a username, but it didn't match: {:?} was requested, but {found:?} was returned; write username as AWS spells it",
                name.as_str()
            )));
        }
        if !id.is_empty() && user.user_id != id {
            return Err(Error::invalid(format!(
                "AWS GetUser returned a user, but the ID did not match: {id:?} was requested, but {:?} was returned; username {:?} is another user than the one that the role adopted: write a static role of another name for it, or delete this one first",
                user.user_id,
                name.as_str()
            )));
        }
        Ok(user.user_id)
    }
}
