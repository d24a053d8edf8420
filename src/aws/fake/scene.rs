//! Setting the scene.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;

use super::identity_providers::IdentityProvider;
use super::world::Group;
use super::{FakeAws, FakeTrust, InlinePolicies, Proof};
use crate::aws::{
    AccessKey, AccessKeyId, AccessKeyStatus, Arn, CertificateId, GroupName, MfaSerialNumber,
    PolicyName, ServiceSpecificCredentialId, SshPublicKeyId, Tag, UserName,
};

/// A user and everything that is attached to it.
#[derive(Clone, Debug)]
pub struct FakeUser {
    /// As it was spelt when it was created.
    pub user_name: UserName,
    /// AWS's own id.
    pub user_id: String,
    /// Its ARN.
    pub arn: Arn,
    /// `/` or `/a/b/`.
    pub path: String,
    /// When it was created.
    pub create_date: OffsetDateTime,
    /// Its permissions boundary.
    pub permissions_boundary: Option<Arn>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Attached managed policies.
    pub managed_policies: Vec<Arn>,
    /// Inline policies.
    pub inline_policies: InlinePolicies,
    /// Groups that it is a member of.
    pub groups: BTreeSet<GroupName>,
    /// At most two.
    pub access_keys: Vec<FakeAccessKey>,
    /// Whether it has a console password.
    pub has_login_profile: bool,
    /// Each device with the code that it shows, until that is used.
    pub mfa_devices: BTreeMap<MfaSerialNumber, Option<String>>,
    /// SSH public keys.
    pub ssh_public_keys: BTreeSet<SshPublicKeyId>,
    /// X.509 signing certificates.
    pub signing_certificates: BTreeSet<CertificateId>,
    /// Credentials for single services.
    pub service_specific_credentials: BTreeSet<ServiceSpecificCredentialId>,
}

/// An access key as AWS keeps it.
#[derive(Clone)]
pub struct FakeAccessKey {
    /// The public half.
    pub access_key_id: AccessKeyId,
    /// Whether AWS accepts it.
    pub status: AccessKeyStatus,
    /// When it was created.
    pub create_date: OffsetDateTime,
    pub(super) secret_access_key: String,
    pub(super) unknown_for: usize,
}

impl FakeAccessKey {
    pub(super) fn is_active(&self) -> bool {
        self.status == AccessKeyStatus::Active
    }
}

impl fmt::Debug for FakeAccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeAccessKey")
            .field("access_key_id", &self.access_key_id)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// A role that can be assumed.
#[derive(Clone, Debug)]
pub struct FakeRole {
    /// The longest session; AWS allows 1 to 12 hours.
    pub max_session_duration: Duration,
    /// What its trust policy asks for.
    pub external_id: Option<String>,
    /// The identity tokens that its trust policy accepts; `None` trusts AWS principals only.
    pub trusted_identity: Option<FakeTrust>,
    /// AWS's own id of it; given when it is added, if it is empty.
    pub role_id: String,
    /// Inline policies.
    pub inline_policies: InlinePolicies,
}

impl Default for FakeRole {
    fn default() -> Self {
        Self {
            max_session_duration: Duration::from_hours(1),
            external_id: None,
            trusted_identity: None,
            role_id: String::new(),
            inline_policies: InlinePolicies::new(),
        }
    }
}

/// A session that STS opened, with what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FakeSession {
    /// The public half of its credentials.
    pub access_key_id: AccessKeyId,
    /// Whose it is.
    pub arn: Arn,
    /// When it ends.
    pub expiration: OffsetDateTime,
    /// The policy document that narrows it.
    pub policy: Option<String>,
    /// The managed policies that narrow it.
    pub policy_arns: Vec<Arn>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Keys of the tags that pass on.
    pub transitive_tag_keys: Vec<String>,
    /// Its source identity.
    pub source_identity: Option<String>,
}

/// The scene.
///
/// # Panics
/// These methods panic on names that AWS would refuse, and where what they build on is missing: a
/// test's mistake.
#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a scene that cannot be set is a mistake of the test, said once above"
)]
impl FakeAws {
    /// An access key of a user who may do everything in this account, for a root config. The user
    /// is not among [`FakeAws::iam_users`].
    pub fn admin_key(&self) -> AccessKey {
        let name = UserName::from_aws(Self::ADMIN);
        let mut state = self.state();
        if state.world.user(&self.account, &name).is_err() {
            state.world.add_user(&self.account, &name, "/");
        }
        state
            .world
            .add_access_key(&self.account, &name)
            .expect("the administrator has at most two access keys")
    }

    /// An access key of this account's root user, which has no user name; it replaces the one made
    /// before.
    pub fn account_root_key(&self) -> AccessKey {
        let mut state = self.state();
        let (key, shown) = state.world.make_access_key(&self.account);
        state.world.account(&self.account).root_key = Some(key);
        shown
    }

    /// The name of the user behind [`FakeAws::admin_key`].
    pub const ADMIN: &'static str = "administrator";

    /// The ARN of something in this account: `arn("iam", "role/deploy")`.
    pub fn arn(&self, service: &str, resource: &str) -> Arn {
        Arn::from_aws(format!("arn:aws:{service}::{}:{resource}", self.account))
    }

    /// A user that was there before.
    pub fn add_user(&self, name: &str) -> UserName {
        let name = UserName::new(name).expect("user name");
        let mut state = self.state();
        assert!(
            state.world.user(&self.account, &name).is_err(),
            "user {name} exists"
        );
        state.world.add_user(&self.account, &name, "/");
        name
    }

    /// Changes a user behind everybody's back: a login profile, an SSH key, another path.
    pub fn change_user(&self, name: &str, change: impl FnOnce(&mut FakeUser)) {
        let mut state = self.state();
        let user = state
            .world
            .user(&self.account, &UserName::from_aws(name))
            .expect("the user exists");
        change(user);
    }

    /// Gives a user an inline policy. Only the policy simulator looks at it: whoever has a key may do
    /// everything here.
    pub fn put_policy(&self, user: &str, name: &str, document: &str) {
        self.change_user(user, |user| {
            let name = PolicyName::new(name).expect("policy name");
            user.inline_policies.insert(name, document.to_owned());
        });
    }

    /// Removes a user with everything attached, as an administrator in a hurry would.
    pub fn remove_user(&self, name: &str) {
        let removed = self
            .state()
            .world
            .account(&self.account)
            .users
            .remove(&name.to_lowercase());
        assert!(removed.is_some(), "no user {name}");
    }

    /// One more access key of a user.
    pub fn add_access_key(&self, user: &str) -> AccessKey {
        self.state()
            .world
            .add_access_key(&self.account, &UserName::from_aws(user))
            .expect("the user takes another access key")
    }

    /// A virtual multi-factor device of a user, which shows `code` until it is used.
    pub fn add_mfa_device(&self, user: &str, code: &str) -> MfaSerialNumber {
        let serial = MfaSerialNumber::from_aws(self.arn("iam", &format!("mfa/{user}")).as_str());
        self.change_user(user, |user| {
            user.mfa_devices
                .insert(serial.clone(), Some(code.to_owned()));
        });
        serial
    }

    /// A group without policies.
    pub fn add_group(&self, name: &str) -> GroupName {
        let group_name = GroupName::new(name).expect("group name");
        self.state()
            .world
            .account(&self.account)
            .groups
            .insert(name.to_lowercase(), Group::default());
        group_name
    }

    /// Gives a group a managed policy.
    pub fn attach_group_policy(&self, group: &str, policy_arn: &Arn) {
        let mut state = self.state();
        state
            .world
            .group(&self.account, &GroupName::from_aws(group))
            .expect("the group exists")
            .managed_policies
            .push(policy_arn.clone());
    }

    /// Gives a group an inline policy.
    pub fn put_group_policy(&self, group: &str, name: &str, document: &str) {
        let mut state = self.state();
        state
            .world
            .group(&self.account, &GroupName::from_aws(group))
            .expect("the group exists")
            .inline_policies
            .insert(
                PolicyName::new(name).expect("policy name"),
                document.to_owned(),
            );
    }

    /// A managed policy of the customer's own.
    pub fn add_policy(&self, name: &str) -> Arn {
        let arn = self.arn("iam", &format!("policy/{name}"));
        self.state()
            .world
            .account(&self.account)
            .policies
            .insert(arn.clone());
        arn
    }

    /// A role that every principal may assume.
    pub fn add_role(&self, name: &str, mut role: FakeRole) -> Arn {
        let mut state = self.state();
        if role.role_id.is_empty() {
            role.role_id = state.world.next_id("AROA", 17);
        }
        let roles = &mut state.world.account(&self.account).roles;
        roles.insert(name.to_owned(), role);
        self.arn("iam", &format!("role/{name}"))
    }

    /// An identity provider that this account trusts, with the document of its keys as AWS has read it
    /// last; `None` where it cannot be read. AWS reads again when this is called again.
    pub fn set_identity_provider(&self, issuer: &str, audience: &str, keys: Option<&str>) {
        let mut state = self.state();
        state
            .world
            .account(&self.account)
            .identity_providers
            .insert(
                issuer.to_owned(),
                IdentityProvider {
                    audience: audience.to_owned(),
                    keys: keys.map(ToOwned::to_owned),
                },
            );
    }

    /// Changes a role behind everybody's back.
    pub fn change_role(&self, name: &str, change: impl FnOnce(&mut FakeRole)) {
        let mut state = self.state();
        let roles = &mut state.world.account(&self.account).roles;
        change(roles.get_mut(name).expect("the role exists"));
    }

    /// Removes a role with everything in it.
    pub fn remove_role(&self, name: &str) {
        let removed = self.state().world.account(&self.account).roles.remove(name);
        assert!(removed.is_some(), "no role {name}");
    }

    /// What a client finds that is told to look around itself; nothing at first.
    pub fn set_default_credentials(&self, key: &AccessKey) {
        self.state().default_credentials = Some(Proof {
            access_key_id: key.access_key_id.clone(),
            secret_access_key: key.secret_access_key.clone(),
            session_token: None,
        });
    }

    /// AWS's clock is that much before ours, or behind it. Signed requests are refused beyond five
    /// minutes.
    pub fn set_clock_ahead(&self, by: time::Duration) {
        self.state().world.ahead = by;
    }

    /// From now on, AWS says of each new access key for its first so many uses that it does not
    /// know it, as IAM does until a new key has spread.
    pub fn new_keys_unknown_for(&self, uses: usize) {
        self.state().world.new_keys_unknown_for = uses;
    }
}
