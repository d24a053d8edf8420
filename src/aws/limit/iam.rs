//! IAM behind the limiter of its account.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::limiter::{Limiter, Whose};
use super::queue::Class;
use super::rate::Answer;
use crate::aws::{
    AccessKey, AccessKeyId, AccessKeyMetadata, AccessKeyStatus, Arn, CertificateId, CreateUser,
    Error, ErrorKind, GroupName, Iam, MfaSerialNumber, PolicyName, ServiceSpecificCredentialId,
    SshPublicKeyId, User, UserName,
};
use crate::caller::Caller;

/// How many refusals of one call say that calls go out too fast. What AWS refuses again and again
/// it may refuse for the operation's sake.
const TELLING_REFUSALS: u32 = 2;

/// The pause after so many refusals, so that an operation which AWS limits by itself does not take
/// the turns of all others; doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// IAM of an account as one mount uses it.
#[derive(Clone, Debug)]
pub struct AccountIam {
    pub(super) iam: Arc<dyn Iam>,
    pub(super) limiter: Arc<Limiter>,
    pub(super) mount: u64,
}

impl AccountIam {
    /// IAM for a request of `caller`.
    pub fn for_request(&self, class: Class, caller: &Caller) -> LimitedIam {
        LimitedIam {
            iam: Arc::clone(&self.iam),
            limiter: Arc::clone(&self.limiter),
            mount: self.mount,
            class,
            request: self.limiter.next_request(),
            caller: caller.clone(),
            turn_by: caller.answer_by(),
            answered_by: caller.answer_by(),
        }
    }
}

/// IAM for one request. Each call waits for its turn, and what AWS throttles is put back into the
/// queue, until the caller's time is over or it hangs up.
#[derive(Clone, Debug)]
pub struct LimitedIam {
    iam: Arc<dyn Iam>,
    limiter: Arc<Limiter>,
    mount: u64,
    class: Class,
    request: u64,
    caller: Caller,
    /// Until when a call waits for its turn.
    turn_by: Instant,
    /// Until when its answer is waited for.
    answered_by: Instant,
}

impl LimitedIam {
    /// For the first thing that changes AWS: it begins early enough to be finished in time.
    #[must_use]
    pub fn beginning(&self) -> Self {
        Self {
            turn_by: self.caller.begin_by(),
            answered_by: self.caller.finish_by(),
            ..self.clone()
        }
    }

    /// For what follows, early enough to be undone in time.
    #[must_use]
    pub fn finishing(&self) -> Self {
        Self {
            turn_by: self.caller.finish_by(),
            answered_by: self.caller.finish_by(),
            ..self.clone()
        }
    }

    /// For removing what the request has made, in the request's place, whoever hangs up.
    #[must_use]
    pub fn undoing(&self) -> Self {
        let caller = self.caller.committed();
        Self {
            turn_by: caller.answer_by(),
            answered_by: caller.answer_by(),
            caller,
            ..self.clone()
        }
    }

    /// Whose request it is.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(super) async fn call<'a, T>(
        &'a self,
        operation: &'static str,
        send: impl Fn() -> BoxFuture<'a, Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let whose = Whose {
            mount: self.mount,
            request: self.request,
            class: class(self.class, operation),
        };
        let mut refusal = None;
        let mut refusals = 0;
        let mut pause = FIRST_PAUSE;
        loop {
            let permit = tokio::select! {
                biased;
                permit = self.limiter.acquire(whose, self.turn_by) => permit,
                () = self.caller.gone() => return Err(nobody_waits(operation)),
            };
            let Some(permit) = permit else {
                return Err(refusal.unwrap_or_else(|| too_late(operation)));
            };
            let result = timeout_at(self.answered_by, send())
                .await
                .unwrap_or_else(|_| Err(unanswered(operation)));
            let answer = told(&result);
            permit.answered(answer);
            let now = Instant::now();
            match result {
                Err(error) if answer == Answer::Throttled && now < self.turn_by => {
                    refusal = Some(error);
                }
                other => return other,
            }
            refusals += 1;
            if refusals >= TELLING_REFUSALS {
                sleep_until(self.turn_by.min(now + pause)).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }
}

fn class(class: Class, operation: &str) -> Class {
    match operation {
        // An unknown key must be found first.
        "iam:DeleteAccessKey" | "iam:UpdateAccessKey" | "iam:ListAccessKeys" => Class::KeyKilling,
        _ => class,
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

fn too_late(operation: &'static str) -> Error {
    let message = "AWS throttles the account, and others were served until the time for this \
                   request was over";
    Error::unasked(operation, ErrorKind::Throttled, message)
}

fn nobody_waits(operation: &'static str) -> Error {
    let message = "whoever asked does not wait any more";
    Error::unasked(operation, ErrorKind::Throttled, message)
}

fn unanswered(operation: &'static str) -> Error {
    let message = "AWS did not answer until the time for this request was over";
    Error::unreachable(operation, message, true)
}

/// Every call but those whose request is not borrowed.
macro_rules! limited {
    ($($name:ident, $operation:literal, ($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        #[async_trait]
        impl Iam for LimitedIam {
            async fn create_user(&self, request: CreateUser) -> Result<User, Error> {
                self.call("iam:CreateUser", || self.iam.create_user(request.clone())).await
            }

            $(async fn $name(&self $(, $argument: $type)*) -> Result<$answer, Error> {
                self.call($operation, || self.iam.$name($($argument),*)).await
            })+
        }
    };
}

limited! {
    get_user, "iam:GetUser", (user_name: Option<&UserName>) -> User;
    delete_user, "iam:DeleteUser", (user_name: &UserName) -> ();
    create_access_key, "iam:CreateAccessKey", (user_name: &UserName) -> AccessKey;
    delete_access_key, "iam:DeleteAccessKey", (user_name: &UserName, id: &AccessKeyId) -> ();
    update_access_key, "iam:UpdateAccessKey",
        (user_name: &UserName, id: &AccessKeyId, status: AccessKeyStatus) -> ();
    list_access_keys, "iam:ListAccessKeys", (user_name: &UserName) -> Vec<AccessKeyMetadata>;
    attach_user_policy, "iam:AttachUserPolicy", (user_name: &UserName, policy: &Arn) -> ();
    detach_user_policy, "iam:DetachUserPolicy", (user_name: &UserName, policy: &Arn) -> ();
    list_attached_user_policies, "iam:ListAttachedUserPolicies", (user_name: &UserName) -> Vec<Arn>;
    put_user_policy, "iam:PutUserPolicy",
        (user_name: &UserName, policy: &PolicyName, document: &str) -> ();
    delete_user_policy, "iam:DeleteUserPolicy", (user_name: &UserName, policy: &PolicyName) -> ();
    list_user_policies, "iam:ListUserPolicies", (user_name: &UserName) -> Vec<PolicyName>;
    add_user_to_group, "iam:AddUserToGroup", (group: &GroupName, user_name: &UserName) -> ();
    remove_user_from_group, "iam:RemoveUserFromGroup",
        (group: &GroupName, user_name: &UserName) -> ();
    list_groups_for_user, "iam:ListGroupsForUser", (user_name: &UserName) -> Vec<GroupName>;
    list_attached_group_policies, "iam:ListAttachedGroupPolicies", (group: &GroupName) -> Vec<Arn>;
    list_group_policies, "iam:ListGroupPolicies", (group: &GroupName) -> Vec<PolicyName>;
    get_group_policy, "iam:GetGroupPolicy", (group: &GroupName, policy: &PolicyName) -> String;
    delete_login_profile, "iam:DeleteLoginProfile", (user_name: &UserName) -> ();
    list_mfa_devices, "iam:ListMFADevices", (user_name: &UserName) -> Vec<MfaSerialNumber>;
    deactivate_mfa_device, "iam:DeactivateMFADevice",
        (user_name: &UserName, serial: &MfaSerialNumber) -> ();
    delete_virtual_mfa_device, "iam:DeleteVirtualMFADevice", (serial: &MfaSerialNumber) -> ();
    list_ssh_public_keys, "iam:ListSSHPublicKeys", (user_name: &UserName) -> Vec<SshPublicKeyId>;
    delete_ssh_public_key, "iam:DeleteSSHPublicKey",
        (user_name: &UserName, id: &SshPublicKeyId) -> ();
    list_signing_certificates, "iam:ListSigningCertificates",
        (user_name: &UserName) -> Vec<CertificateId>;
    delete_signing_certificate, "iam:DeleteSigningCertificate",
        (user_name: &UserName, id: &CertificateId) -> ();
    list_service_specific_credentials, "iam:ListServiceSpecificCredentials",
        (user_name: &UserName) -> Vec<ServiceSpecificCredentialId>;
    delete_service_specific_credential, "iam:DeleteServiceSpecificCredential",
        (user_name: &UserName, id: &ServiceSpecificCredentialId) -> ();
}
