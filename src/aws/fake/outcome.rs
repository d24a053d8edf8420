//! Looking at the outcome.

use super::scene::{FakeRole, FakeSession, FakeUser};
use super::world::{Caller, Service};
use super::{FakeAws, Proof};
use crate::aws::{AccessKeyId, Arn, UserName};
use crate::secret::SecretString;

impl FakeAws {
    /// Every user of this account but the administrator, by name.
    pub fn iam_users(&self) -> Vec<FakeUser> {
        let mut state = self.state();
        let users = state.world.account(&self.account).users.values();
        users
            .filter(|user| user.user_name.as_str() != Self::ADMIN)
            .cloned()
            .collect()
    }

    /// One user.
    pub fn user(&self, name: &str) -> Option<FakeUser> {
        let mut state = self.state();
        state
            .world
            .user(&self.account, &UserName::from_aws(name))
            .ok()
            .cloned()
    }

    /// The ids of a user's access keys, oldest first; none when there is no such user.
    pub fn access_key_ids(&self, user: &str) -> Vec<AccessKeyId> {
        self.user(user)
            .map(|user| user.access_keys)
            .unwrap_or_default()
            .into_iter()
            .map(|key| key.access_key_id)
            .collect()
    }

    /// Whose these credentials are, if AWS accepts them now.
    pub fn identify(&self, access_key_id: &str, secret: &str, token: Option<&str>) -> Option<Arn> {
        let proof = Proof {
            access_key_id: AccessKeyId::from_aws(access_key_id),
            secret_access_key: secret.into(),
            session_token: token.map(SecretString::from),
        };
        let caller: Option<Caller> = self.state().world.authenticate(&proof, Service::Sts).ok();
        caller.map(|caller| Arn::from_aws(caller.arn))
    }

    /// A role.
    pub fn role(&self, name: &str) -> Option<FakeRole> {
        let mut state = self.state();
        let roles = &state.world.account(&self.account).roles;
        roles.get(name).cloned()
    }

    /// Whether whoever has these credentials may do this now, such as `s3:GetObject`: whether AWS
    /// accepts them, and no policy denies it.
    pub fn lets(
        &self,
        action: &str,
        access_key_id: &str,
        secret: &str,
        token: Option<&str>,
    ) -> bool {
        let proof = Proof {
            access_key_id: AccessKeyId::from_aws(access_key_id),
            secret_access_key: secret.into(),
            session_token: token.map(SecretString::from),
        };
        let mut state = self.state();
        let world = &mut state.world;
        world
            .authenticate(&proof, Service::Sts)
            .is_ok_and(|caller| world.judge(&caller, action).is_ok())
    }

    /// Every session that STS opened, by access key id, which is the order of time.
    pub fn sessions(&self) -> Vec<FakeSession> {
        let state = self.state();
        let sessions = state.world.sessions.values();
        sessions.map(|session| session.shown.clone()).collect()
    }

    /// Every identity token that STS was sent, in order.
    pub fn identity_tokens(&self) -> Vec<String> {
        self.state().world.identity_tokens.clone()
    }

    /// Every secret that this AWS ever made, or was sent as an identity token, to look for where none may be.
    pub fn secrets(&self) -> Vec<String> {
        self.state().world.secrets.clone()
    }
}
