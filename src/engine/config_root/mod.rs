//! `config/root`: the credentials with which the engine administers IAM, and where AWS is.

mod record;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use record::{KEY, Misconfigured, RootConfig};

use super::{Engine, usernames};
use crate::aws::{Arn, Endpoint, Region};
use crate::framework::{
    Answer, Field, FieldData, FieldType, OperationDocs, Path, PathDocs, ResponseField,
};
use crate::logical::{Error, HostError, Operation, Request, Response, RotationJob};
use crate::secret::{ExposeSecret, SecretString};

const ACCESS_KEY: Field<String> = Field::new(
    "access_key",
    "Access key id of the IAM user that the engine acts as. Without it the engine uses the AWS credentials of the server's environment.",
)
.label("Access key");
const SECRET_KEY: Field<SecretString> = Field::new(
    "secret_key",
    "Secret access key that belongs to access_key. It is never shown again.",
)
.sensitive()
.label("Secret key");
const REGION: Field<String> = Field::new(
    "region",
    "AWS region. Without it AWS_REGION, AWS_DEFAULT_REGION or us-east-1 is used.",
)
.label("Region");
const IAM_ENDPOINT: Field<String> = Field::new(
    "iam_endpoint",
    "Address of IAM, if it is not AWS's own for the region.",
)
.label("IAM endpoint");
const STS_ENDPOINT: Field<String> = Field::new(
    "sts_endpoint",
    "Address of STS, if it is not AWS's own for the region.",
)
.label("STS endpoint");
const STS_REGION: Field<String> = Field::new(
    "sts_region",
    "Region of STS, if it is another one than region.",
)
.label("STS region");
const STS_FALLBACK_ENDPOINTS: Field<Vec<String>> = Field::new(
    "sts_fallback_endpoints",
    "Addresses of STS to use, in this order, when the first one does not answer.",
)
.label("STS fallback endpoints");
const STS_FALLBACK_REGIONS: Field<Vec<String>> = Field::new(
    "sts_fallback_regions",
    "Regions of sts_fallback_endpoints, one for each.",
)
.label("STS fallback regions");
const MAX_RETRIES: Field<i64> = Field::new(
    "max_retries",
    "How often a request that AWS did not answer well is sent again. -1 leaves it to the AWS SDK, which takes 2.",
)
.default(|| -1)
.label("Maximum retries");
const USERNAME_TEMPLATE: Field<String> = Field::new(
    "username_template",
    "Template for the names of IAM users and sessions.",
)
.default(|| usernames::DEFAULT_TEMPLATE.to_owned())
.label("Username template");
const ROLE_ARN: Field<String> = Field::new(
    "role_arn",
    "Role to assume with an identity token of the server. Needs identity_token_audience.",
)
.label("Role ARN");
const IDENTITY_TOKEN_AUDIENCE: Field<String> = Field::new(
    "identity_token_audience",
    "Audience of the identity token that the server vouches for this mount with. Needs a server that mints identity tokens (Vault Enterprise).",
)
.label("Identity token audience");
const IDENTITY_TOKEN_TTL: Field<Duration> = Field::new(
    "identity_token_ttl",
    "Lifetime of the identity token. 0 leaves it to the server.",
)
.label("Identity token TTL");
const ROTATION_SCHEDULE: Field<String> = Field::new(
    "rotation_schedule",
    "Cron expression for the rotation of the access key by the server's rotation manager (Vault Enterprise). Excludes rotation_period.",
)
.label("Rotation schedule");
const ROTATION_WINDOW: Field<Duration> = Field::new(
    "rotation_window",
    "How long after a time of rotation_schedule a rotation may still start. 0 is without limit.",
)
.label("Rotation window");
const ROTATION_PERIOD: Field<Duration> = Field::new(
    "rotation_period",
    "Time from one rotation of the access key to the next, by the server's rotation manager (Vault Enterprise). Excludes rotation_schedule.",
)
.label("Rotation period");
const DISABLE_AUTOMATED_ROTATION: Field<bool> = Field::new(
    "disable_automated_rotation",
    "Takes the access key off the server's rotation manager.",
)
.label("Disable automated rotation");
const ROTATION_POLICY: Field<String> = Field::new(
    "rotation_policy",
    "Rotation policy of the server's rotation manager (Vault Enterprise).",
)
.label("Rotation policy");

const fn shown(
    name: &'static str,
    field_type: FieldType,
    description: &'static str,
) -> ResponseField {
    ResponseField {
        name,
        field_type,
        description,
    }
}

const RESPONSE: &[ResponseField] = &[
    shown("access_key", FieldType::String, "Access key id in use"),
    shown("region", FieldType::String, "AWS region"),
    shown("iam_endpoint", FieldType::String, "Address of IAM"),
    shown("sts_endpoint", FieldType::String, "Address of STS"),
    shown("sts_region", FieldType::String, "Region of STS"),
    shown(
        "sts_fallback_endpoints",
        FieldType::CommaStringSlice,
        "Further addresses of STS",
    ),
    shown(
        "sts_fallback_regions",
        FieldType::CommaStringSlice,
        "Regions of these",
    ),
    shown(
        "max_retries",
        FieldType::Int,
        "Number of retries, -1 for the SDK's own",
    ),
    shown(
        "username_template",
        FieldType::String,
        "Template for user names",
    ),
    shown(
        "role_arn",
        FieldType::String,
        "Role assumed with an identity token",
    ),
    shown(
        "identity_token_audience",
        FieldType::String,
        "Audience of the identity token",
    ),
    shown(
        "identity_token_ttl",
        FieldType::DurationSecond,
        "Lifetime of the identity token",
    ),
    shown(
        "rotation_schedule",
        FieldType::String,
        "Cron expression of the rotation",
    ),
    shown(
        "rotation_window",
        FieldType::DurationSecond,
        "Window of the rotation",
    ),
    shown(
        "rotation_period",
        FieldType::DurationSecond,
        "Period of the rotation",
    ),
    shown(
        "rotation_policy",
        FieldType::String,
        "Policy of the rotation",
    ),
    shown(
        "disable_automated_rotation",
        FieldType::Bool,
        "Whether rotation is off",
    ),
];

pub(super) fn path() -> Path<Engine> {
    let write_docs = OperationDocs {
        verb: "configure",
        suffix: "root-iam-credentials",
        forward: true,
        ..OperationDocs::NONE
    };
    Path::new("config/root")
        .field(&ACCESS_KEY)
        .field(&SECRET_KEY)
        .field(&REGION)
        .field(&IAM_ENDPOINT)
        .field(&STS_ENDPOINT)
        .field(&STS_REGION)
        .field(&STS_FALLBACK_ENDPOINTS)
        .field(&STS_FALLBACK_REGIONS)
        .field(&MAX_RETRIES)
        .field(&USERNAME_TEMPLATE)
        .field(&ROLE_ARN)
        .field(&IDENTITY_TOKEN_AUDIENCE)
        .field(&IDENTITY_TOKEN_TTL)
        .field(&ROTATION_SCHEDULE)
        .field(&ROTATION_WINDOW)
        .field(&ROTATION_PERIOD)
        .field(&DISABLE_AUTOMATED_ROTATION)
        .field(&ROTATION_POLICY)
        .on_with(
            Operation::Read,
            OperationDocs {
                suffix: "root-iam-credentials-configuration",
                response: RESPONSE,
                ..OperationDocs::NONE
            },
            read,
        )
        .on_with(Operation::Create, write_docs, write)
        .on_with(Operation::Update, write_docs, write)
        .exists(exists)
        .docs(PathDocs {
            synopsis: "Set the AWS credentials that the engine itself uses.",
            description: "The engine creates and removes IAM users, or asks STS for sessions, with \
                these credentials. They belong to an IAM user that may do just that; the account's \
                root user is never needed. Rotate them after writing (config/rotate-root), so that \
                nobody else knows them. Without access_key and secret_key the engine uses what it \
                finds in the server's environment: variables, a web identity file, the container's \
                or the instance's role. A write changes the fields that it names and keeps the \
                others; secret_key is never shown.",
            operation_suffix: "",
        })
}

async fn exists(_engine: Arc<Engine>, request: Request, _data: FieldData) -> Result<bool, Error> {
    Ok(request.storage.get(KEY).await?.is_some())
}

async fn read(_engine: Arc<Engine>, request: Request, _data: FieldData) -> Answer {
    let Some(config) = RootConfig::load(&*request.storage).await? else {
        return Ok(None);
    };
    let data = json!({
        "access_key": config.access_key,
        "region": config.region,
        "iam_endpoint": config.iam_endpoint,
        "sts_endpoint": config.sts_endpoint,
        "sts_region": config.sts_region,
        "sts_fallback_endpoints": config.sts_fallback_endpoints,
        "sts_fallback_regions": config.sts_fallback_regions,
        "max_retries": config.max_retries,
        "username_template": config.username_template,
        "role_arn": config.role_arn,
        "identity_token_audience": config.identity_token_audience,
        "identity_token_ttl": config.identity_token_ttl.as_secs(),
        "rotation_schedule": config.rotation_schedule,
        "rotation_window": config.rotation_window.as_secs(),
        "rotation_period": config.rotation_period.as_secs(),
        "rotation_policy": config.rotation_policy,
        "disable_automated_rotation": config.disable_automated_rotation,
    });
    match data {
        Value::Object(data) => Ok(Some(Response::data(data))),
        _ => Ok(None),
    }
}

async fn write(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let change = engine.clients.begin_change().await;
    let stored = RootConfig::load(&*request.storage).await?;
    let config = merge(stored, &data)?;
    check(&config)?;
    check_rotation_fields(&data)?;
    let warnings = usernames::check_template(&config.username_template, &*engine.clock)?;
    if !config.identity_token_audience.is_empty() {
        try_identity_token(&engine, &config).await?;
    }
    update_rotation_job(&engine, &request, &config).await?;
    change.store(&*request.storage, &config).await?;
    tracing::info!(access_key = %config.access_key, "root configuration written");
    Ok((!warnings.is_empty()).then(|| Response::warnings(warnings)))
}

/// The stored record with the fields that were sent put over it.
fn merge(stored: Option<RootConfig>, data: &FieldData) -> Result<RootConfig, Error> {
    let mut config = stored.clone().unwrap_or_else(|| RootConfig {
        sts_fallback_endpoints: Some(Vec::new()),
        sts_fallback_regions: Some(Vec::new()),
        ..RootConfig::unconfigured()
    });
    for (field, target) in [
        (&REGION, &mut config.region),
        (&IAM_ENDPOINT, &mut config.iam_endpoint),
        (&STS_ENDPOINT, &mut config.sts_endpoint),
        (&STS_REGION, &mut config.sts_region),
        (&ROLE_ARN, &mut config.role_arn),
        (
            &IDENTITY_TOKEN_AUDIENCE,
            &mut config.identity_token_audience,
        ),
        (&ROTATION_SCHEDULE, &mut config.rotation_schedule),
        (&ROTATION_POLICY, &mut config.rotation_policy),
        (&USERNAME_TEMPLATE, &mut config.username_template),
    ] {
        if let Some(text) = data.get(field) {
            *target = text.trim().to_owned();
        }
    }
    for (field, target) in [
        (&IDENTITY_TOKEN_TTL, &mut config.identity_token_ttl),
        (&ROTATION_WINDOW, &mut config.rotation_window),
        (&ROTATION_PERIOD, &mut config.rotation_period),
    ] {
        if let Some(duration) = data.get(field) {
            *target = duration;
        }
    }
    for (field, target) in [
        (&STS_FALLBACK_ENDPOINTS, &mut config.sts_fallback_endpoints),
        (&STS_FALLBACK_REGIONS, &mut config.sts_fallback_regions),
    ] {
        if let Some(list) = data.get(field) {
            *target = Some(list);
        }
    }
    if let Some(retries) = data.get(&MAX_RETRIES) {
        config.max_retries = retries;
    }
    if let Some(disabled) = data.get(&DISABLE_AUTOMATED_ROTATION) {
        config.disable_automated_rotation = disabled;
    }
    // Mutually exclusive, so the one that is sent takes the place of the other.
    if data
        .get(&ROTATION_SCHEDULE)
        .is_some_and(|text| !text.is_empty())
    {
        config.rotation_period = Duration::ZERO;
    } else if data
        .get(&ROTATION_PERIOD)
        .is_some_and(|period| !period.is_zero())
    {
        config.rotation_schedule.clear();
        config.rotation_window = Duration::ZERO;
    }
    if config.username_template.is_empty() {
        config.username_template = usernames::DEFAULT_TEMPLATE.to_owned();
    }
    merge_access_key(&mut config, data)?;
    Ok(config)
}

/// An access key is one thing of two halves: a new id without its secret is refused, the same id
/// sent again without the secret keeps it.
fn merge_access_key(config: &mut RootConfig, data: &FieldData) -> Result<(), Error> {
    let secret = data.get(&SECRET_KEY);
    if let Some(sent) = data.get(&ACCESS_KEY) {
        let id = sent.trim();
        if id.is_empty() && secret.is_none() {
            config.secret_key = SecretString::default();
        } else if id != config.access_key && secret.is_none() {
            return Err(Error::invalid(
                "secret_key is missing: access_key is another one than before, so its secret_key must come with it",
            ));
        }
        id.clone_into(&mut config.access_key);
    }
    if let Some(secret) = secret {
        config.secret_key = secret.expose_secret().trim().into();
    }
    Ok(())
}

/// Refuses what no client could be made of, naming the field.
fn check(config: &RootConfig) -> Result<(), Error> {
    let regions = [
        ("region", &config.region),
        ("sts_region", &config.sts_region),
    ];
    let endpoints = [
        ("iam_endpoint", &config.iam_endpoint),
        ("sts_endpoint", &config.sts_endpoint),
    ];
    let fallback_regions = config.sts_fallback_regions.as_deref().unwrap_or_default();
    let fallback_endpoints = config.sts_fallback_endpoints.as_deref().unwrap_or_default();
    if fallback_regions.len() != fallback_endpoints.len() {
        return Err(Error::invalid(
            "fallback endpoints and fallback regions must be the same length",
        ));
    }
    let fallback_regions = fallback_regions
        .iter()
        .map(|text| (STS_FALLBACK_REGIONS.name(), text));
    let fallback_endpoints = fallback_endpoints
        .iter()
        .map(|text| (STS_FALLBACK_ENDPOINTS.name(), text));
    for (field, text) in regions.into_iter().chain(fallback_regions) {
        record::parse(field, text, |text| Region::new(text)).map_err(invalid)?;
    }
    for (field, text) in endpoints.into_iter().chain(fallback_endpoints) {
        record::parse(field, text, |text| Endpoint::new(text)).map_err(invalid)?;
    }
    if config.max_retries < -1 || config.max_retries > 100 {
        return Err(Error::invalid(format!(
            "max_retries must be -1 (the SDK's own number) or 0 to 100, not {}",
            config.max_retries
        )));
    }
    if !config.identity_token_audience.is_empty() {
        if !config.access_key.is_empty() {
            return Err(Error::invalid(
                "only one of 'access_key' or 'identity_token_audience' can be set",
            ));
        }
        if config.role_arn.is_empty() {
            return Err(Error::invalid(
                "missing required 'role_arn' when 'identity_token_audience' is set",
            ));
        }
    }
    record::parse("role_arn", &config.role_arn, |text| Arn::new(text)).map_err(invalid)?;
    config.credentials().map_err(invalid)?;
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn invalid(error: Misconfigured) -> Error {
    Error::invalid(error.to_string())
}

/// The rules of one request; a stored schedule and a new period do not meet here.
fn check_rotation_fields(data: &FieldData) -> Result<(), Error> {
    let schedule = data.value(&ROTATION_SCHEDULE);
    let period = data.value(&ROTATION_PERIOD);
    let window = data.value(&ROTATION_WINDOW);
    if !schedule.is_empty() && !period.is_zero() {
        return Err(Error::invalid(
            "mutually exclusive fields rotation_schedule and rotation_period were both specified; only one of them can be provided",
        ));
    }
    if !window.is_zero() && !period.is_zero() {
        return Err(Error::invalid("rotation_window does not apply to period"));
    }
    if !window.is_zero() && schedule.is_empty() {
        return Err(Error::invalid(
            "cannot use rotation_window without rotation_schedule",
        ));
    }
    Ok(())
}

/// Asks the host for a token once, so that a host that cannot mint one is found out now.
async fn try_identity_token(engine: &Engine, config: &RootConfig) -> Result<(), Error> {
    let answer = engine
        .system
        .generate_identity_token(&config.identity_token_audience, config.identity_token_ttl)
        .await;
    match answer {
        Ok(_) => Ok(()),
        Err(HostError::Failed(text)) if !is_community_edition(&text) => Err(Error::internal(
            format!("failed to generate plugin identity token: {text}"),
        )),
        Err(error) => Err(Error::invalid(format!(
            "identity_token_audience: {error}; use access_key and secret_key, or a web identity file in the server's environment"
        ))),
    }
}

/// Tells the host's rotation manager what is wished. A host without one has nothing to take a job
/// off of.
async fn update_rotation_job(
    engine: &Engine,
    request: &Request,
    config: &RootConfig,
) -> Result<(), Error> {
    let wanted = !config.disable_automated_rotation
        && (!config.rotation_schedule.is_empty() || !config.rotation_period.is_zero());
    if !wanted {
        return match engine
            .system
            .deregister_rotation_job(&request.mount_point, &request.path)
            .await
        {
            Ok(()) | Err(HostError::Unsupported(_)) => Ok(()),
            Err(error) if is_community_edition(&error.to_string()) => Ok(()),
            Err(error) => Err(Error::invalid(format!(
                "error deregistering rotation job: {error}"
            ))),
        };
    }
    let job = RotationJob {
        name: "aws-root-creds".to_owned(),
        mount_point: request.mount_point.clone(),
        path: request.path.clone(),
        schedule: config.rotation_schedule.clone(),
        window: config.rotation_window,
        period: config.rotation_period,
        policy: config.rotation_policy.clone(),
    };
    match engine.system.register_rotation_job(job).await {
        Ok(_) => Ok(()),
        Err(error) => Err(Error::invalid(format!(
            "error registering rotation job: {error}; without it, call config/rotate-root on your own schedule"
        ))),
    }
}

fn is_community_edition(text: &str) -> bool {
    text.contains("not supported in Vault community edition")
}
