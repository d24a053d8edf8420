//! The rules of STS.

use std::time::Duration;

use time::OffsetDateTime;

use super::judgement::{Holder, SessionTerms};
use super::policies::check_document;
use super::scene::{FakeRole, FakeSession};
use super::users::check_tags;
use super::world::{Caller, Principal, Refused, Session, World};
use crate::aws::{
    AccessKeyId, Arn, AssumeRole, AssumedRole, CallerIdentity, FederatedUser, GetFederationToken,
    GetSessionToken, RoleSessionName, SessionCredentials, Tag, UserName,
};

const HOUR: Duration = Duration::from_hours(1);
const SHORTEST: Duration = Duration::from_mins(15);
const LONGEST_ROLE_SESSION: Duration = Duration::from_hours(12);
const LONGEST_USER_SESSION: Duration = Duration::from_hours(36);

impl World {
    pub(super) fn get_caller_identity(&self, caller: &Caller) -> CallerIdentity {
        CallerIdentity {
            account: caller.account.clone(),
            arn: Arn::from_aws(&caller.arn),
            user_id: caller.user_id.clone(),
            aws_time: Some(self.aws_time()),
            credentials_from: None,
        }
    }

    pub(super) fn assume_role(
        &mut self,
        caller: &Caller,
        request: AssumeRole,
    ) -> Result<AssumedRole, Refused> {
        let asked = request.duration.unwrap_or(HOUR);
        check_duration(asked, LONGEST_ROLE_SESSION)?;
        check_session(
            request.policy.as_deref(),
            &request.policy_arns,
            &request.tags,
        )?;
        check_source_identity(request.source_identity.as_deref())?;
        if let Some(key) = request
            .transitive_tag_keys
            .iter()
            .find(|key| !request.tags.iter().any(|tag| tag.key == **key))
        {
            return Err(Refused::invalid(format!(
                "The specified transitive tag key must be included in the requested tags: {key}"
            )));
        }
        match caller.principal {
            Principal::AccountRoot => {
                return Err(Refused::new(
                    "AccessDenied",
                    "Roles may not be assumed by root accounts.",
                ));
            }
            Principal::UserSession { .. } | Principal::User { .. } => {}
            Principal::AssumedRole if asked <= HOUR => {}
            Principal::AssumedRole => {
                return Err(Refused::invalid(
                    "The requested DurationSeconds exceeds the 1 hour session limit for roles \
                     assumed by role chaining.",
                ));
            }
            Principal::FederatedUser | Principal::Anonymous => {
                return Err(not_trusted(caller, "sts:AssumeRole", &request.role_arn));
            }
        }
        let role = self
            .role(&request.role_arn)
            .filter(|role| role.external_id.is_none() || role.external_id == request.external_id)
            .ok_or_else(|| not_trusted(caller, "sts:AssumeRole", &request.role_arn))?;
        if asked > role.max_session_duration {
            return Err(Refused::invalid(
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            ));
        }
        let session_caller =
            Self::role_session(&request.role_arn, &role, &request.role_session_name);
        let arn = Arn::from_aws(&session_caller.arn);
        let assumed_role_id = session_caller.user_id.clone();
        let credentials = self.open_session(
            session_caller,
            asked,
            Asked {
                policy: request.policy,
                policy_arns: request.policy_arns,
                tags: request.tags,
                transitive_tag_keys: request.transitive_tag_keys,
                source_identity: request.source_identity,
            },
        );
        Ok(AssumedRole {
            credentials,
            arn,
            assumed_role_id,
        })
    }

    pub(super) fn assume_role_with_web_identity(
        &mut self,
        caller: &Caller,
        role_arn: &Arn,
        name: &RoleSessionName,
        token: &str,
    ) -> Result<SessionCredentials, Refused> {
        const OPERATION: &str = "sts:AssumeRoleWithWebIdentity";
        let role = self
            .role(role_arn)
            .ok_or_else(|| not_trusted(caller, OPERATION, role_arn))?;
        let trust = role
            .trusted_identity
            .as_ref()
            .ok_or_else(|| not_trusted(caller, OPERATION, role_arn))?;
        self.check_identity_token(role_arn.account(), trust, token)?;
        let session_caller = Self::role_session(role_arn, &role, name);
        Ok(self.open_session(session_caller, HOUR, Asked::default()))
    }

    pub(super) fn get_federation_token(
        &mut self,
        caller: &Caller,
        request: GetFederationToken,
    ) -> Result<FederatedUser, Refused> {
        let asked = check_user_session(caller, "GetFederationToken", request.duration)?;
        check_session(
            request.policy.as_deref(),
            &request.policy_arns,
            &request.tags,
        )?;
        let arn = Arn::from_aws(format!(
            "arn:aws:sts::{}:federated-user/{}",
            caller.account, request.name
        ));
        let session_caller = Caller {
            account: caller.account.clone(),
            arn: arn.to_string(),
            user_id: format!("{}:{}", caller.account, request.name),
            principal: Principal::FederatedUser,
            holder: caller.holder.clone(),
            session: None,
        };
        let federated_user_id = session_caller.user_id.clone();
        let credentials = self.open_session(
            session_caller,
            asked,
            Asked {
                policy: request.policy,
                policy_arns: request.policy_arns,
                tags: request.tags,
                ..Asked::default()
            },
        );
        Ok(FederatedUser {
            credentials,
            arn,
            federated_user_id,
        })
    }

    pub(super) fn get_session_token(
        &mut self,
        caller: &Caller,
        request: &GetSessionToken,
    ) -> Result<SessionCredentials, Refused> {
        let asked = check_user_session(caller, "GetSessionToken", request.duration)?;
        let failed = |why: &str| {
            Refused::new(
                "AccessDenied",
                format!("MultiFactorAuthentication failed, {why}"),
            )
        };
        let name = match &caller.principal {
            Principal::User { name } => name.clone(),
            _ => String::new(),
        };
        let with_mfa = match (&request.serial_number, &request.token_code) {
            (None, None) => false,
            (Some(serial), Some(code)) => {
                let user = self.user(&caller.account, &UserName::from_aws(&name));
                let shown = user
                    .ok()
                    .and_then(|user| user.mfa_devices.get_mut(serial))
                    .ok_or_else(|| {
                        failed(
                            "unable to validate MFA code. Please verify your MFA serial number is \
                             valid and associated with this user.",
                        )
                    })?;
                if shown.as_deref() != Some(code) {
                    return Err(failed("with invalid MFA one time pass code."));
                }
                *shown = None;
                true
            }
            _ => {
                return Err(failed(
                    "must provide both MFA serial number and one time pass code.",
                ));
            }
        };
        let session_caller = Caller {
            principal: Principal::UserSession { name, with_mfa },
            ..caller.clone()
        };
        Ok(self.open_session(session_caller, asked, Asked::default()))
    }

    fn role(&mut self, arn: &Arn) -> Option<FakeRole> {
        let name = arn.resource().strip_prefix("role/")?;
        let account = self.accounts.get(arn.account())?;
        account.roles.get(name).cloned()
    }

    fn role_session(role_arn: &Arn, role: &FakeRole, name: &RoleSessionName) -> Caller {
        let account = role_arn.account();
        // The ARN of a session leaves out the role's path.
        let path = role_arn.resource().trim_start_matches("role/");
        let last = path.rsplit('/').next().unwrap_or_default();
        Caller {
            account: account.to_owned(),
            arn: format!("arn:aws:sts::{account}:assumed-role/{last}/{name}"),
            user_id: format!("{}:{name}", role.role_id),
            principal: Principal::AssumedRole,
            holder: Some(Holder::Role(path.to_owned())),
            session: None,
        }
    }

    fn open_session(
        &mut self,
        mut caller: Caller,
        duration: Duration,
        asked: Asked,
    ) -> SessionCredentials {
        caller.session = Some(SessionTerms {
            issued_at: self.aws_time(),
            policy: asked.policy.clone(),
        });
        let access_key_id = AccessKeyId::from_aws(self.next_id("ASIA", 16));
        let secret_access_key = self.next_secret(40);
        let session_token = self.next_secret(120);
        let expiration: OffsetDateTime = self.aws_time() + duration;
        let credentials = SessionCredentials {
            access_key_id: access_key_id.clone(),
            secret_access_key: secret_access_key.clone().into(),
            session_token: session_token.clone().into(),
            expiration,
        };
        let session = Session {
            secret_access_key,
            token: session_token,
            shown: FakeSession {
                access_key_id: access_key_id.clone(),
                arn: Arn::from_aws(&caller.arn),
                expiration,
                policy: asked.policy,
                policy_arns: asked.policy_arns,
                tags: asked.tags,
                transitive_tag_keys: asked.transitive_tag_keys,
                source_identity: asked.source_identity,
            },
            caller,
        };
        self.sessions.insert(access_key_id.to_string(), session);
        credentials
    }
}

/// What a session was asked for beside its length.
#[derive(Default)]
struct Asked {
    policy: Option<String>,
    policy_arns: Vec<Arn>,
    tags: Vec<Tag>,
    transitive_tag_keys: Vec<String>,
    source_identity: Option<String>,
}

/// The rules that federation tokens and session tokens share.
fn check_user_session(
    caller: &Caller,
    operation: &str,
    duration: Option<Duration>,
) -> Result<Duration, Refused> {
    let asked = match (&caller.principal, duration) {
        (Principal::User { .. }, None) => Duration::from_hours(12),
        // The account's root user gets no more than an hour, whatever it asks for.
        (Principal::AccountRoot, asked) => asked.unwrap_or(HOUR).min(HOUR),
        (Principal::User { .. }, Some(asked)) => asked,
        _ => {
            return Err(Refused::new(
                "AccessDenied",
                format!("Cannot call {operation} with session credentials"),
            ));
        }
    };
    check_duration(asked, LONGEST_USER_SESSION)?;
    Ok(asked)
}

fn check_duration(asked: Duration, longest: Duration) -> Result<(), Refused> {
    let (relation, limit) = if asked < SHORTEST {
        ("greater", SHORTEST)
    } else if asked > longest {
        ("less", longest)
    } else {
        return Ok(());
    };
    Err(Refused::invalid(format!(
        "1 validation error detected: Value '{}' at 'durationSeconds' failed to satisfy \
         constraint: Member must have value {relation} than or equal to {}",
        asked.as_secs(),
        limit.as_secs()
    )))
}

fn check_session(policy: Option<&str>, arns: &[Arn], tags: &[Tag]) -> Result<(), Refused> {
    const LONGEST_POLICY: usize = 2048;
    if let Some(policy) = policy {
        if policy.chars().count() > LONGEST_POLICY {
            return Err(Refused::invalid(format!(
                "1 validation error detected: Value at 'policy' failed to satisfy constraint: \
                 Member must have length less than or equal to {LONGEST_POLICY}"
            )));
        }
        check_document(policy)?;
    }
    if arns.len() > 10 {
        return Err(Refused::invalid(
            "1 validation error detected: Value at 'policyArns' failed to satisfy constraint: \
             Member must have length less than or equal to 10",
        ));
    }
    check_tags(tags)
}

fn check_source_identity(text: Option<&str>) -> Result<(), Refused> {
    match text {
        // The two kinds of name have one rule.
        Some(text) if RoleSessionName::new(text).is_err() || text.starts_with("aws:") => {
            Err(Refused::invalid(format!(
                "1 validation error detected: Value '{text}' at 'sourceIdentity' failed to \
                 satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]*"
            )))
        }
        _ => Ok(()),
    }
}

/// AWS does not tell an unknown role from one that does not trust the caller.
fn not_trusted(caller: &Caller, operation: &str, role_arn: &Arn) -> Refused {
    Refused::new(
        "AccessDenied",
        format!(
            "User: {} is not authorized to perform: {operation} on resource: {role_arn}",
            caller.arn
        ),
    )
}
