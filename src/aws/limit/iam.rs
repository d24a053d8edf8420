//! IAM behind the limiter of its account.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::counts::Counts;
use super::limiter::Limiter;
use super::queue::{Class, Rank};
use super::rate::Answer;
use super::request::{Asks, Phase, Request};
use super::{nobody_waits, out_of_time, unanswered};
use crate::aws::{
    AccessKey, AccessKeyId, AccessKeyMetadata, AccessKeyStatus, Arn, CertificateId, CreateUser,
    Error, ErrorKind, GroupName, Iam, MfaSerialNumber, PolicyName, Road, RoleName,
    ServiceSpecificCredentialId, SimulatePrincipalPolicy, Simulated, SshPublicKeyId, User,
    UserName,
};
use crate::caller::Caller;

/// How many refusals of one call say that calls go out too fast. What AWS refuses again and again
/// it may refuse for the operation's sake.
const TELLING_REFUSALS: u32 = 2;

/// The pause after so many refusals, so that an operation which AWS limits by itself does not take
/// the turns of all others; doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Whether a call ends an access key or a session, or finds one that must end: such calls come before
/// all others.
type Kills = bool;
const KILLS: Kills = true;
const SPARES: Kills = false;

/// IAM of an account as one mount uses it.
#[derive(Clone, Debug)]
pub struct AccountIam {
    pub(super) iam: Arc<dyn Iam>,
    pub(super) limiter: Arc<Limiter>,
    pub(super) mount: u64,
    pub(super) counts: Arc<Counts>,
    pub(super) road: Arc<Road>,
}

impl AccountIam {
    /// The way to it.
    pub fn road(&self) -> &Road {
        &self.road
    }

    /// IAM for a request of `caller`.
    pub fn for_request(&self, class: Class, caller: &Caller) -> LimitedIam {
        LimitedIam {
            iam: Arc::clone(&self.iam),
            request: self.limiter.request(self.mount),
            class,
            phase: Phase::Whole,
            expected: 0,
            caller: caller.clone(),
            counts: Arc::clone(&self.counts),
            road: Arc::clone(&self.road),
        }
    }
}

/// IAM for one request; clones are for the same request. Each call waits for its turn, and what AWS
/// throttles is put back into the queue, until the caller's time is over or it hangs up
/// ([`ErrorKind::CallerGone`]).
#[derive(Clone, Debug)]
pub struct LimitedIam {
    iam: Arc<dyn Iam>,
    request: Arc<Request>,
    class: Class,
    phase: Phase,
    expected: usize,
    caller: Caller,
    counts: Arc<Counts>,
    road: Arc<Road>,
}

impl LimitedIam {
    /// Says how many calls the request takes, so that it is known how long others have to wait.
    #[must_use]
    pub fn expecting(&self, calls: usize) -> Self {
        Self {
            expected: calls,
            ..self.clone()
        }
    }

    /// For the first thing that changes AWS: it begins early enough to be finished in time. When it
    /// could not, it is refused at once ([`ErrorKind::Throttled`]).
    #[must_use]
    pub fn beginning(&self) -> Self {
        self.at(Phase::Beginning)
    }

    /// For what follows, early enough to be undone in time.
    #[must_use]
    pub fn finishing(&self) -> Self {
        self.at(Phase::Finishing)
    }

    /// For removing what the request has made, in the request's place, whoever hangs up.
    #[must_use]
    pub fn undoing(&self) -> Self {
        Self {
            caller: self.caller.committed(),
            ..self.at(Phase::Undoing)
        }
    }

    fn at(&self, phase: Phase) -> Self {
        Self {
            phase,
            ..self.clone()
        }
    }

    /// Whose request it is.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether a request that is beginning is let in. Its first call asks as well; whoever writes
    /// something down before that call asks here before.
    pub fn let_in(&self, operation: &'static str) -> Result<(), Error> {
        Request::let_in(&self.asks(SPARES), &self.request.limiter)
            .map_err(|crowd| Error::unasked(operation, ErrorKind::Throttled, crowd.to_string()))
            .inspect_err(|error| self.counts.not_sent(error))
    }

    fn asks(&self, kills: Kills) -> Asks {
        Asks {
            rank: Rank {
                class: if kills { Class::KeyKilling } else { self.class },
                begun: self.phase.has_begun(),
                mount: self.request.mount,
                request: self.request.number,
            },
            class: self.class,
            phase: self.phase,
            expected: self.expected,
            caller: self.caller.clone(),
        }
    }

    pub(super) async fn call<'a, T>(
        &'a self,
        operation: &'static str,
        kills: Kills,
        send: impl Fn() -> BoxFuture<'a, Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        self.let_in(operation)?;
        let answered_by = self.phase.answered_by(&self.caller);
        let mut refusal = None;
        let mut refusals = 0;
        let mut pause = FIRST_PAUSE;
        loop {
            let asks = self.asks(kills);
            let permit = {
                let _waits = self.counts.waits(asks.rank.class);
                tokio::select! {
                    biased;
                    () = self.caller.gone() => None,
                    permit = self.request.limiter.acquire(asks) => permit,
                }
            };
            let Some(permit) = permit else {
                let error = self.unserved(operation, refusal);
                self.counts.not_sent(&error);
                return Err(error);
            };
            let result = timeout_at(answered_by, send())
                .await
                .unwrap_or_else(|_| Err(unanswered(operation, &self.road)));
            self.counts.called(operation, &result);
            let answer = told(&result);
            // Returned before any pause: others have their turns meanwhile.
            if answer != Answer::Throttled || refusals < TELLING_REFUSALS {
                permit.answered(answer);
            } else {
                drop(permit);
            }
            match result {
                Err(error) if answer == Answer::Throttled => refusal = Some(error),
                other => return other,
            }
            refusals += 1;
            if refusals >= TELLING_REFUSALS {
                let turn_by = self.phase.turn_by(&self.caller);
                tokio::select! {
                    () = self.caller.gone() => {}
                    () = sleep_until(turn_by.min(Instant::now() + pause)) => {}
                }
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }

    /// Why a call had no turn.
    fn unserved(&self, operation: &'static str, refusal: Option<Error>) -> Error {
        if self.caller.hung_up() {
            if self.class == Class::Issue {
                self.request.hung_up(&self.caller);
            }
            return nobody_waits(operation);
        }
        refusal.unwrap_or_else(|| match self.request.crowd() {
            Some(crowd) => Error::unasked(operation, ErrorKind::Throttled, crowd.to_string()),
            None => out_of_time(operation),
        })
    }
}

/// What the result of a call tells about IAM's limit.
fn told<T>(result: &Result<T, Error>) -> Answer {
    match result {
        Err(error) => match error.kind() {
            // Credentials that come from STS have STS's limit.
            _ if !error.operation().starts_with("iam:") => Answer::Unknown,
            ErrorKind::Throttled => Answer::Throttled,
            ErrorKind::NoCredentials
            | ErrorKind::Unreachable
            | ErrorKind::Busy
            | ErrorKind::Other => Answer::Unknown,
            _ => Answer::Taken,
        },
        Ok(_) => Answer::Taken,
    }
}

/// Every call but those whose request is not borrowed.
macro_rules! limited {
    ($($name:ident, $operation:literal, $kills:ident,
        ($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        #[async_trait]
        impl Iam for LimitedIam {
            async fn create_user(&self, request: CreateUser) -> Result<User, Error> {
                self.call("iam:CreateUser", SPARES, || self.iam.create_user(request.clone())).await
            }

            $(async fn $name(&self $(, $argument: $type)*) -> Result<$answer, Error> {
                self.call($operation, $kills, || self.iam.$name($($argument),*)).await
            })+
        }
    };
}

limited! {
    get_user, "iam:GetUser", SPARES, (user_name: Option<&UserName>) -> User;
    list_users, "iam:ListUsers", SPARES, () -> Vec<User>;
    delete_user, "iam:DeleteUser", SPARES, (user_name: &UserName) -> ();
    create_access_key, "iam:CreateAccessKey", SPARES, (user_name: &UserName) -> AccessKey;
    delete_access_key, "iam:DeleteAccessKey", KILLS, (user_name: &UserName, id: &AccessKeyId) -> ();
    update_access_key, "iam:UpdateAccessKey", KILLS,
        (user_name: &UserName, id: &AccessKeyId, status: AccessKeyStatus) -> ();
    list_access_keys, "iam:ListAccessKeys", KILLS, (user_name: &UserName) -> Vec<AccessKeyMetadata>;
    attach_user_policy, "iam:AttachUserPolicy", SPARES, (user_name: &UserName, policy: &Arn) -> ();
    detach_user_policy, "iam:DetachUserPolicy", SPARES, (user_name: &UserName, policy: &Arn) -> ();
    list_attached_user_policies, "iam:ListAttachedUserPolicies", SPARES, (user_name: &UserName) -> Vec<Arn>;
    put_user_policy, "iam:PutUserPolicy", SPARES,
        (user_name: &UserName, policy: &PolicyName, document: &str) -> ();
    delete_user_policy, "iam:DeleteUserPolicy", SPARES, (user_name: &UserName, policy: &PolicyName) -> ();
    list_user_policies, "iam:ListUserPolicies", SPARES, (user_name: &UserName) -> Vec<PolicyName>;
    add_user_to_group, "iam:AddUserToGroup", SPARES, (group: &GroupName, user_name: &UserName) -> ();
    remove_user_from_group, "iam:RemoveUserFromGroup", SPARES,
        (group: &GroupName, user_name: &UserName) -> ();
    list_groups_for_user, "iam:ListGroupsForUser", SPARES, (user_name: &UserName) -> Vec<GroupName>;
    list_attached_group_policies, "iam:ListAttachedGroupPolicies", SPARES, (group: &GroupName) -> Vec<Arn>;
    list_group_policies, "iam:ListGroupPolicies", SPARES, (group: &GroupName) -> Vec<PolicyName>;
    get_group_policy, "iam:GetGroupPolicy", SPARES, (group: &GroupName, policy: &PolicyName) -> String;
    get_user_policy, "iam:GetUserPolicy", KILLS, (user_name: &UserName, policy: &PolicyName) -> String;
    put_role_policy, "iam:PutRolePolicy", KILLS,
        (role: &RoleName, policy: &PolicyName, document: &str) -> ();
    get_role_policy, "iam:GetRolePolicy", KILLS, (role: &RoleName, policy: &PolicyName) -> String;
    delete_role_policy, "iam:DeleteRolePolicy", SPARES, (role: &RoleName, policy: &PolicyName) -> ();
    list_role_policies, "iam:ListRolePolicies", KILLS, (role: &RoleName) -> Vec<PolicyName>;
    delete_login_profile, "iam:DeleteLoginProfile", SPARES, (user_name: &UserName) -> ();
    list_mfa_devices, "iam:ListMFADevices", SPARES, (user_name: &UserName) -> Vec<MfaSerialNumber>;
    deactivate_mfa_device, "iam:DeactivateMFADevice", SPARES,
        (user_name: &UserName, serial: &MfaSerialNumber) -> ();
    delete_virtual_mfa_device, "iam:DeleteVirtualMFADevice", SPARES, (serial: &MfaSerialNumber) -> ();
    list_ssh_public_keys, "iam:ListSSHPublicKeys", SPARES, (user_name: &UserName) -> Vec<SshPublicKeyId>;
    delete_ssh_public_key, "iam:DeleteSSHPublicKey", SPARES,
        (user_name: &UserName, id: &SshPublicKeyId) -> ();
    list_signing_certificates, "iam:ListSigningCertificates", SPARES,
        (user_name: &UserName) -> Vec<CertificateId>;
    delete_signing_certificate, "iam:DeleteSigningCertificate", SPARES,
        (user_name: &UserName, id: &CertificateId) -> ();
    list_service_specific_credentials, "iam:ListServiceSpecificCredentials", SPARES,
        (user_name: &UserName) -> Vec<ServiceSpecificCredentialId>;
    delete_service_specific_credential, "iam:DeleteServiceSpecificCredential", SPARES,
        (user_name: &UserName, id: &ServiceSpecificCredentialId) -> ();
    simulate_principal_policy, "iam:SimulatePrincipalPolicy", SPARES,
        (request: &SimulatePrincipalPolicy) -> Vec<Simulated>;
}
