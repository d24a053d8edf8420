//! `creds/` and `sts/`: credentials for a client.

mod assumed_role;
mod federation_token;
mod group_policies;
mod iam_user;
mod lease;
mod refusal;
mod session;
mod session_token;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub(super) use lease::access_keys;

use super::Engine;
use super::counters::Failed;
use super::roles::{self, CredentialType, RoleName, RoleRecord};
use crate::aws::InvalidName;
use crate::engine::config_lease::LeaseConfig;
use crate::framework::{
    Answer, Field, FieldData, FieldType, OperationDocs, Path, PathDocs, ResponseField,
};
use crate::go_duration::GoDuration;
use crate::logical::{Error, Operation, Request, Storage};

/// Lifetime of a session when neither request nor role name one.
const DEFAULT_TTL: Duration = Duration::from_hours(1);

const ROLE_ARN: Field<String> = Field::new(
    "role_arn",
    "ARN of the AWS role to assume, when the role names more than one. assumed_role only.",
)
.query();
const TTL: Field<Duration> = Field::new(
    "ttl",
    "Lifetime of a session, within the role's and the mount's limits; 0 takes the role's own. Not for iam_user, whose lease follows config/lease.",
)
.default(|| DEFAULT_TTL)
.query();
const ROLE_SESSION_NAME: Field<String> = Field::new(
    "role_session_name",
    "Name of the session in AWS's logs, at most 64 letters, digits and _+=,.@-; what AWS would not take is replaced by _ or cut off. assumed_role only.",
)
.query();
const MFA_CODE: Field<String> = Field::new(
    "mfa_code",
    "Code that the role's multi-factor device shows. session_token only.",
)
.query();

const RESPONSE: &[ResponseField] = &[
    ResponseField::new("access_key", FieldType::String, "Access key id"),
    ResponseField::new("secret_key", FieldType::String, "Secret access key"),
    ResponseField::new(
        "session_token",
        FieldType::String,
        "Session token; null for an IAM user",
    ),
    ResponseField::new(
        "security_token",
        FieldType::String,
        "The same as session_token, under its older name",
    ),
    ResponseField::new(
        "arn",
        FieldType::String,
        "ARN of the IAM user or of the session",
    ),
    ResponseField::new(
        "username",
        FieldType::String,
        "Name of the IAM user or of the session",
    ),
    ResponseField::new(
        "ttl",
        FieldType::DurationSecond,
        "How long AWS accepts the session",
    ),
    ResponseField::new(
        "expiration",
        FieldType::Time,
        "Until when AWS accepts the session",
    ),
];

pub(super) fn path() -> Path<Engine> {
    let docs = |suffix| OperationDocs {
        verb: "generate",
        suffix,
        leased: true,
        response: RESPONSE,
        ..OperationDocs::NONE
    };
    Path::new("(creds|sts)/{name@}")
        .field(&roles::NAME)
        .field(&ROLE_ARN)
        .field(&TTL)
        .field(&ROLE_SESSION_NAME)
        .field(&MFA_CODE)
        .on_with(
            Operation::Read,
            docs("credentials|sts-credentials"),
            generate,
        )
        .on_with(
            Operation::Update,
            docs("credentials-with-parameters|sts-credentials-with-parameters"),
            generate,
        )
        .docs(PathDocs {
            synopsis: "Get AWS credentials for a role.",
            description: "Every read gives new credentials with a lease of their own. An IAM user's \
                lease has the times of config/lease, which win over those that the mount is tuned \
                to, and the mount's where there are none. Revoking the lease removes an IAM user at once, with its key and all that is attached to it; \
                sessions of STS end by themselves, and with their lease if the role has \
                revocable_sessions=true. AWS needs some \
                seconds until a new IAM user's key works everywhere. Both prefixes do the same, \
                but for roles from before credential_type.",
            operation_suffix: "",
        })
}

/// What a client asks for.
struct Asked {
    role_name: RoleName,
    role: Arc<RoleRecord>,
    display_name: String,
    role_arn: String,
    role_session_name: String,
    mfa_code: String,
    /// `None` leaves it to the role.
    ttl: Option<Duration>,
}

impl Asked {
    /// A warning of parameters that these credentials do not take.
    fn without_effect(&self, credential_type: CredentialType) -> Option<String> {
        use CredentialType::{AssumedRole, IamUser, SessionToken};
        let ignored: Vec<_> = [
            (
                ROLE_ARN.name(),
                !self.role_arn.is_empty() && credential_type != AssumedRole,
            ),
            (TTL.name(), self.ttl.is_some() && credential_type == IamUser),
            (
                ROLE_SESSION_NAME.name(),
                !self.role_session_name.is_empty() && credential_type != AssumedRole,
            ),
            (
                MFA_CODE.name(),
                !self.mfa_code.is_empty() && credential_type != SessionToken,
            ),
        ]
        .into_iter()
        .filter_map(|(name, ignored)| ignored.then_some(name))
        .collect();
        (!ignored.is_empty()).then(|| {
            format!(
                "without effect on {} credentials: {}",
                credential_type.as_str(),
                ignored.join(", ")
            )
        })
    }

    /// A stored value that AWS would not take; a role that was written here has none.
    fn invalid(&self, field: &str, error: &InvalidName) -> Error {
        Error::invalid(format!(
            "role {:?}: {field}: {error}",
            self.role_name.as_str()
        ))
    }
}

async fn generate(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let answer = generate_uncounted(&engine, request, data).await;
    if let Err(error) = &answer {
        engine.counters.failed(Failed::Issue, error);
    }
    answer
}

async fn generate_uncounted(engine: &Engine, request: Request, data: FieldData) -> Answer {
    let role_name = data.value(&roles::NAME);
    let role = roles::load(engine, &*request.storage, &role_name)
        .await
        .map_err(|error| Error::from(error).context("error retrieving role"))?
        .ok_or_else(|| Error::invalid(format!("Role {:?} not found", role_name.as_str())))?;
    if role.disabled {
        return Err(disabled(&role_name));
    }
    let credential_type = choose_type(&role, request.path.starts_with("sts/"))?;
    // A role that an older version or another engine stored.
    let beyond = role.beyond_aws(credential_type);
    if !beyond.is_empty() {
        return Err(Error::invalid(format!(
            "role {:?} can give no credentials: {}",
            role_name.as_str(),
            beyond.join("; ")
        )));
    }
    let asked = Asked {
        role_name,
        role,
        display_name: request.display_name.clone(),
        role_arn: data.value(&ROLE_ARN),
        role_session_name: data.value(&ROLE_SESSION_NAME),
        mfa_code: data.value(&MFA_CODE),
        // AWS knows no session without a length, so zero means what it means in a role.
        ttl: data.get(&TTL).filter(|ttl| !ttl.is_zero()),
    };
    let mut response = match credential_type {
        CredentialType::IamUser => iam_user::generate(engine, &request, &asked).await,
        CredentialType::AssumedRole => assumed_role::generate(engine, &request, &asked).await,
        CredentialType::FederationToken => {
            federation_token::generate(engine, &request, &asked).await
        }
        CredentialType::SessionToken => session_token::generate(engine, &request, &asked).await,
    }?;
    if credential_type != CredentialType::IamUser {
        must_be_enabled(engine, &*request.storage, &asked.role_name).await?;
    }
    let kind = credential_type.as_str();
    engine.counters.issued(asked.role_name.as_str(), kind);
    if let Some(mut warning) = asked.without_effect(credential_type) {
        if credential_type == CredentialType::IamUser && asked.ttl.is_some() {
            warning.push_str(&lease_origin(engine, &request).await);
        }
        response.warnings.push(warning);
    }
    Ok(Some(response))
}

/// Refuses to hand out what was made while the role was disabled or deleted: whoever contains it then
/// ends all that was handed out before.
async fn must_be_enabled(
    engine: &Engine,
    storage: &dyn Storage,
    name: &RoleName,
) -> Result<(), Error> {
    match roles::load(engine, storage, name).await? {
        Some(role) if role.disabled => Err(disabled(name)),
        Some(_) => Ok(()),
        None => Err(Error::invalid(format!(
            "role {:?} was deleted while its credentials were being made, so they are not handed out",
            name.as_str()
        ))),
    }
}

fn disabled(name: &RoleName) -> Error {
    Error::invalid(format!(
        "role {name:?} is disabled and gives no credentials until an operator enables it again (disabled=false on roles/{name}); what it gave before is not ended by that",
        name = name.as_str()
    ))
}

/// Where an IAM user's lease has its time from, for a client that wished for another one.
async fn lease_origin(engine: &Engine, request: &Request) -> String {
    match LeaseConfig::load(engine, &*request.storage).await {
        Ok(config) if !config.options().ttl.is_zero() => format!(
            "; the lease of {} is set in config/lease",
            GoDuration(config.options().ttl)
        ),
        _ => "; the lease is the mount's default, because config/lease sets none".to_owned(),
    }
}

/// The role's type. A role of before `credential_type` may have two, and then the prefix chooses;
/// such roles also keep each type to its own prefix.
fn choose_type(role: &RoleRecord, sts: bool) -> Result<CredentialType, Error> {
    let unknown = |name: &str| Error::invalid(format!("unknown credential_type: {name:?}"));
    let chosen = match role.credential_types.as_slice() {
        [] => return Err(unknown("")),
        [only] => CredentialType::parse(only).ok_or_else(|| unknown(only))?,
        several => {
            let wanted = if sts {
                CredentialType::FederationToken
            } else {
                CredentialType::IamUser
            };
            if !role.types().contains(&wanted) {
                return Err(Error::invalid(format!(
                    "requested credential type {:?} not in allowed credential types {several:?}",
                    wanted.as_str()
                )));
            }
            wanted
        }
    };
    let iam_user = chosen == CredentialType::IamUser;
    if role.prohibit_flexible_cred_path && iam_user == sts {
        return Err(Error::invalid(format!(
            "attempted to retrieve {} credentials through the {} path; this is not allowed for legacy roles",
            chosen.as_str(),
            if sts { "sts" } else { "creds" },
        )));
    }
    Ok(chosen)
}
