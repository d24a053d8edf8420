//! What the simulated AWS knows: accounts, access keys and sessions, and who a request comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use time::OffsetDateTime;

use super::identity_providers::IdentityProviders;
use super::judgement::{Holder, SessionTerms};
pub(super) use super::refused::Refused;
use super::scene::{FakeAccessKey, FakeRole, FakeSession, FakeUser};
use super::{FakeAws, InlinePolicies, Proof};
use crate::aws::{Arn, MfaSerialNumber};
use crate::clock::Clock;
use crate::secret::ExposeSecret;

/// Everything that AWS knows.
pub(super) struct World {
    clock: Arc<dyn Clock>,
    /// Of AWS's clock, before ours.
    pub(super) ahead: time::Duration,
    serial: u64,
    pub(super) accounts: BTreeMap<String, Account>,
    /// By access key id.
    pub(super) sessions: BTreeMap<String, Session>,
    /// For how many uses a new access key is not known yet.
    pub(super) new_keys_unknown_for: usize,
    /// Every identity token that came.
    pub(super) identity_tokens: Vec<String>,
    /// Every secret ever made.
    pub(super) secrets: Vec<String>,
}

/// One account.
#[derive(Default)]
pub(super) struct Account {
    /// By their lower-case name, since names are unique without regard to case.
    pub(super) users: BTreeMap<String, FakeUser>,
    pub(super) groups: BTreeMap<String, Group>,
    /// By name.
    pub(super) roles: BTreeMap<String, FakeRole>,
    /// Managed policies of the customer's own.
    pub(super) policies: BTreeSet<Arn>,
    pub(super) identity_providers: IdentityProviders,
    /// The access key of the account's root user.
    pub(super) root_key: Option<FakeAccessKey>,
    /// Virtual devices that are assigned to nobody.
    pub(super) free_mfa_devices: BTreeSet<MfaSerialNumber>,
}

#[derive(Default)]
pub(super) struct Group {
    pub(super) managed_policies: Vec<Arn>,
    pub(super) inline_policies: InlinePolicies,
}

/// Credentials that STS made.
pub(super) struct Session {
    pub(super) secret_access_key: String,
    pub(super) token: String,
    pub(super) caller: Caller,
    pub(super) shown: FakeSession,
}

/// Who a request comes from.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) account: String,
    pub(super) arn: String,
    pub(super) user_id: String,
    pub(super) principal: Principal,
    /// Whose policies say what it may do.
    pub(super) holder: Option<Holder>,
    /// What a session was opened with, beside the policies of its holder.
    pub(super) session: Option<SessionTerms>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Principal {
    /// Unsigned requests, such as `sts:AssumeRoleWithWebIdentity`.
    Anonymous,
    AccountRoot,
    User {
        name: String,
    },
    AssumedRole,
    FederatedUser,
    /// `sts:GetSessionToken` of a user.
    UserSession {
        name: String,
        with_mfa: bool,
    },
}

/// Which service a call goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Iam,
    Sts,
}

impl Service {
    pub(super) fn of(operation: &str) -> Self {
        if operation.starts_with("iam:") {
            Self::Iam
        } else {
            Self::Sts
        }
    }
}

impl Caller {
    pub(super) fn anonymous() -> Self {
        Self {
            account: String::new(),
            arn: "anonymous".to_owned(),
            user_id: String::new(),
            principal: Principal::Anonymous,
            holder: None,
            session: None,
        }
    }

    fn root(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            arn: format!("arn:aws:iam::{account}:root"),
            user_id: account.to_owned(),
            principal: Principal::AccountRoot,
            holder: None,
            session: None,
        }
    }

    fn of_user(account: &str, user: &FakeUser) -> Self {
        Self {
            account: account.to_owned(),
            arn: user.arn.to_string(),
            user_id: user.user_id.clone(),
            principal: Principal::User {
                name: user.user_name.to_string(),
            },
            holder: Some(Holder::User(user.user_name.to_string())),
            session: None,
        }
    }
}

impl World {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let mut world = Self {
            clock,
            ahead: time::Duration::ZERO,
            serial: 0,
            accounts: BTreeMap::new(),
            sessions: BTreeMap::new(),
            new_keys_unknown_for: 0,
            identity_tokens: Vec::new(),
            secrets: Vec::new(),
        };
        world.open_account(FakeAws::HOME_ACCOUNT);
        world
    }

    pub(super) fn open_account(&mut self, account: &str) {
        self.accounts.entry(account.to_owned()).or_default();
    }

    pub(super) fn now(&self) -> OffsetDateTime {
        self.clock.now()
    }

    /// An account that a handle or a caller belongs to exists.
    pub(super) fn account(&mut self, account: &str) -> &mut Account {
        self.accounts.entry(account.to_owned()).or_default()
    }

    /// Who signed this, if AWS accepts it.
    pub(super) fn authenticate(
        &mut self,
        proof: &Proof,
        service: Service,
    ) -> Result<Caller, Refused> {
        let id = proof.access_key_id.as_str();
        let secret = proof.secret_access_key.expose_secret();
        let token = proof
            .session_token
            .as_ref()
            .map(ExposeSecret::expose_secret);
        if let Some(session) = self.sessions.get(id) {
            return session.authenticate(secret, token, self.aws_time(), service);
        }
        let (caller, key) = self
            .accounts
            .iter_mut()
            .find_map(|(account, state)| state.key(account, id))
            .ok_or_else(unknown_credentials)?;
        if key.unknown_for > 0 {
            key.unknown_for -= 1;
            return Err(unknown_credentials());
        }
        if !key.is_active() || token.is_some() {
            return Err(unknown_credentials());
        }
        if key.secret_access_key != secret {
            return Err(wrong_signature());
        }
        Ok(caller)
    }

    /// The secret that belongs to an access key id; empty when nobody has it, which no secret is.
    pub(super) fn secret_of(&mut self, id: &str) -> String {
        if let Some(session) = self.sessions.get(id) {
            return session.secret_access_key.clone();
        }
        self.accounts
            .iter_mut()
            .find_map(|(account, state)| state.key(account, id))
            .map(|(_, key)| key.secret_access_key.clone())
            .unwrap_or_default()
    }

    /// A new identifier in AWS's form: a prefix that tells the kind, and base 32.
    pub(super) fn next_id(&mut self, prefix: &str, chars: usize) -> String {
        self.serial += 1;
        format!("{prefix}{}", base_32(self.serial.into(), chars))
    }

    /// A new access key id. Of its 80 bits, the first is 1 and the next 40 are the account's id.
    pub(super) fn next_access_key_id(&mut self, account: &str) -> String {
        self.serial += 1;
        let account: u128 = account.parse().unwrap_or_default();
        let bits = 1 << 79 | account << 39 | u128::from(self.serial);
        format!("AKIA{}", base_32(bits, 16))
    }

    /// A new secret of so many characters, and a note of it.
    pub(super) fn next_secret(&mut self, chars: usize) -> String {
        self.serial += 1;
        let mut secret = format!("fake/secret+{:08}/", self.serial);
        while secret.len() < chars {
            let _ = write!(secret, "{}", self.serial % 10);
        }
        self.secrets.push(secret.clone());
        secret
    }

    pub(super) fn next_request_id(&mut self) -> String {
        self.serial += 1;
        format!("00000000-0000-4000-8000-{:012}", self.serial)
    }
}

impl Account {
    fn key(&mut self, account: &str, id: &str) -> Option<(Caller, &mut FakeAccessKey)> {
        if let Some(key) = &mut self.root_key
            && key.access_key_id.as_str() == id
        {
            return Some((Caller::root(account), key));
        }
        self.users.values_mut().find_map(|user| {
            let is_it = |key: &FakeAccessKey| key.access_key_id.as_str() == id;
            let index = user.access_keys.iter().position(is_it)?;
            let caller = Caller::of_user(account, user);
            Some((caller, &mut user.access_keys[index]))
        })
    }
}

impl Session {
    fn authenticate(
        &self,
        secret: &str,
        token: Option<&str>,
        now: OffsetDateTime,
        service: Service,
    ) -> Result<Caller, Refused> {
        if token != Some(&self.token) {
            return Err(unknown_credentials());
        }
        if self.secret_access_key != secret {
            return Err(wrong_signature());
        }
        if now >= self.shown.expiration {
            return Err(Refused::new(
                "ExpiredToken",
                "The security token included in the request is expired",
            ));
        }
        let barred_from_iam = matches!(
            self.caller.principal,
            Principal::FederatedUser
                | Principal::UserSession {
                    with_mfa: false,
                    ..
                }
        );
        if service == Service::Iam && barred_from_iam {
            return Err(unknown_credentials());
        }
        Ok(self.caller.clone())
    }
}

fn base_32(mut number: u128, chars: usize) -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = vec![b'A'; chars];
    for place in text.iter_mut().rev() {
        *place = DIGITS[usize::try_from(number % 32).unwrap_or_default()];
        number /= 32;
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn unknown_credentials() -> Refused {
    Refused::new(
        "InvalidClientTokenId",
        "The security token included in the request is invalid.",
    )
}

fn wrong_signature() -> Refused {
    Refused::new(
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check \
         your AWS Secret Access Key and signing method. Consult the service documentation for \
         details.",
    )
}
