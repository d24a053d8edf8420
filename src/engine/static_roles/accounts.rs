//! The AWS account that a static role's user is in: the engine's own, or another one in which the
//! engine assumes a role.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde::{Deserialize, Serialize};

use crate::aws::limit::{Class, LimitedIam};
use crate::aws::{AccountIam, Arn, ErrorKind, ExternalId, Iam, RoleSessionName, UserName};
use crate::caller::Caller;
use crate::engine::clients::{ClientCache, Connected};
use crate::engine::error::refused;
use crate::engine::key_rotation::Reach;
use crate::engine::stored::null_as_default;
use crate::logical::{Error, Storage};

/// AWS's limit, in characters.
const LONGEST_SESSION_NAME: usize = 64;

/// The most sessions that are kept open; who needs another opens it for one request.
const KEPT_SESSIONS: usize = 64;

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

    /// The role, the session and the external id, checked.
    fn names(&self) -> Result<(Arn, RoleSessionName, Option<ExternalId>), Error> {
        let arn = Arn::new(&self.assume_role_arn)
            .map_err(|error| Error::invalid(format!("assume_role_arn: {error}")))?;
        if arn.service() != "iam" || !arn.resource().starts_with("role/") {
            return Err(Error::invalid(format!(
                "assume_role_arn: {arn} is not the ARN of a role, such as arn:aws:iam::123456789012:role/name"
            )));
        }
        let session = RoleSessionName::new(&self.assume_role_session_name)
            .map_err(|error| Error::invalid(format!("assume_role_session_name: {error}")))?;
        let external_id =
            (!self.external_id.is_empty()).then(|| ExternalId::new(&self.external_id));
        let external_id = external_id
            .transpose()
            .map_err(|error| Error::invalid(format!("external_id: {error}")))?;
        Ok((arn, session, external_id))
    }
}

/// Clients of the accounts that are entered by a role, so that a session serves many rotations. Only
/// what AWS has let in is kept.
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
    way: CrossAccount,
    opened: AccountIam,
    iam: LimitedIam,
}

impl Accounts {
    /// IAM of an account, for one request.
    pub(super) async fn connect(
        &self,
        clients: &ClientCache,
        storage: &dyn Storage,
        way: &CrossAccount,
        class: Class,
        caller: &Caller,
    ) -> Result<Account, Error> {
        let root = clients.get(storage).await?;
        let opened = if way.assume_role_arn.is_empty() {
            root.iam.clone()
        } else {
            self.assume(clients, &root, way)?
        };
        Ok(Account {
            iam: opened.for_request(class, caller),
            root,
            way: way.clone(),
            opened,
        })
    }

    fn assume(
        &self,
        clients: &ClientCache,
        root: &Arc<Connected>,
        way: &CrossAccount,
    ) -> Result<AccountIam, Error> {
        {
            let mut assumed = self.assumed();
            assumed.retain(|_, one| std::ptr::eq(one.root.as_ptr(), Arc::as_ptr(root)));
            if let Some(known) = assumed.get(way) {
                return Ok(known.iam.clone());
            }
        }
        let (role_arn, session_name, external_id) = way.names()?;
        let external_id = external_id.map(|id| id.to_string());
        clients.assume(root, role_arn, session_name, external_id)
    }

    /// Keeps the session of an account that AWS has let in.
    pub(super) fn keep(&self, account: &Account) {
        if account.way.assume_role_arn.is_empty() {
            return;
        }
        let mut assumed = self.assumed();
        if assumed.len() >= KEPT_SESSIONS && !assumed.contains_key(&account.way) {
            // Any one: it costs whoever needs it a call.
            let one = assumed.keys().next().cloned();
            one.and_then(|one| assumed.remove(&one));
        }
        assumed
            .entry(account.way.clone())
            .or_insert_with(|| Assumed {
                root: Arc::downgrade(&account.root),
                iam: account.opened.clone(),
            });
    }

    fn assumed(&self) -> MutexGuard<'_, HashMap<CrossAccount, Assumed>> {
        self.assumed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Account {
    pub(super) fn iam(&self) -> &LimitedIam {
        &self.iam
    }

    /// For the calls of a rotation.
    pub(super) fn into_reach(self) -> Reach {
        Reach {
            iam: self.iam,
            _held: Some(self.root),
        }
    }

    /// The 12 digits of the AWS account, where the role, the access key's id or AWS tells.
    pub(super) async fn id(&self) -> Option<String> {
        match Arn::new(&self.way.assume_role_arn) {
            Ok(role) => Some(role.account().to_owned()),
            Err(_) => self.root.account(self.iam.caller()).await,
        }
    }

    /// The access key that the engine itself uses; empty when it has none of its own.
    pub(super) fn root_access_key(&self) -> &str {
        &self.root.root.access_key
    }

    /// Makes sure that AWS knows the user, and as the one of this id unless that is empty; answers
    /// with the id.
    pub(super) async fn check_user(&self, name: &UserName, id: &str) -> Result<String, Error> {
        let user = self.iam.beginning().get_user(Some(name)).await;
        let user = user.map_err(|error| {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::fake::FakeAws;
    use crate::aws::limit::Limits;
    use crate::clock::ManualClock;
    use crate::engine::clients::RootKeys;
    use crate::engine::identity::Identity;
    use crate::logical::testing::{InMemoryStorage, StaticSystemView};

    #[tokio::test]
    async fn only_what_aws_has_let_in_is_kept_and_not_without_end() {
        let clock = Arc::new(ManualClock::default());
        let aws = FakeAws::new(Arc::clone(&clock) as Arc<_>);
        let limits = Arc::<Limits>::default().mount();
        let storage = Arc::new(InMemoryStorage::default());
        let identity = Identity::new(
            Arc::clone(&storage) as Arc<_>,
            Arc::clone(&clock) as Arc<_>,
            "",
        );
        let clients = ClientCache::new(
            Arc::new(aws.clone()),
            limits,
            Arc::<RootKeys>::default(),
            Arc::new(identity),
            Arc::new(StaticSystemView::default()),
            clock,
        );
        let accounts = Accounts::default();
        for let_in in [false, true] {
            for n in 0..300 {
                let way = CrossAccount {
                    assume_role_arn: "arn:aws:iam::444455556666:role/keeper".to_owned(),
                    assume_role_session_name: format!("session-{n}"),
                    external_id: String::new(),
                };
                let caller = Caller::client(None);
                let account = accounts.connect(&clients, &*storage, &way, Class::Issue, &caller);
                let account = account.await.unwrap();
                if let_in {
                    accounts.keep(&account);
                }
            }
            let kept = accounts.assumed().len();
            assert_eq!(kept, if let_in { KEPT_SESSIONS } else { 0 });
        }
    }
}
