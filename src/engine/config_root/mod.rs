//! `config/root`: the credentials with which the engine administers IAM, and where AWS is.

mod fields;
mod host;
mod keyless;
mod merge;
mod overwrite;
mod places;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;

pub(crate) use super::clients::root_config::{KEY, RootConfig};

use self::host::Rotates;
use super::rotate_root::Failures;
use super::stored::date_time;
use super::{Engine, usernames};
use crate::framework::{Answer, FieldData, OperationDocs, Path, PathDocs};
use crate::logical::{Error, JsonObject, Operation, Request, Response};

/// With the pauses between them, more tries take longer than any request waits.
const MOST_RETRIES: i64 = 10;

pub(super) fn path() -> Path<Engine> {
    let write_docs = OperationDocs {
        verb: "configure",
        suffix: "root-iam-credentials",
        forward: true,
        ..OperationDocs::NONE
    };
    Path::new("config/root")
        .field(&fields::ACCESS_KEY)
        .field(&fields::SECRET_KEY)
        .field(&fields::REGION)
        .field(&fields::IAM_ENDPOINT)
        .field(&fields::STS_ENDPOINT)
        .field(&fields::STS_REGION)
        .field(&fields::STS_FALLBACK_ENDPOINTS)
        .field(&fields::STS_FALLBACK_REGIONS)
        .field(&fields::MAX_RETRIES)
        .field(&fields::USERNAME_TEMPLATE)
        .field(&fields::ROLE_ARN)
        .field(&fields::ASSUME_ROLE_ARN)
        .field(&fields::ASSUME_ROLE_SESSION_NAME)
        .field(&fields::EXTERNAL_ID)
        .field(&fields::OWNER_TAG)
        .field(&fields::IDENTITY_TOKEN_AUDIENCE)
        .field(&fields::IDENTITY_TOKEN_TTL)
        .field(&fields::IDENTITY_TOKEN_ISSUER)
        .field(&fields::IDENTITY_TOKEN_ALGORITHM)
        .field(&fields::ROTATION_SCHEDULE)
        .field(&fields::ROTATION_WINDOW)
        .field(&fields::ROTATION_PERIOD)
        .field(&fields::DISABLE_AUTOMATED_ROTATION)
        .field(&fields::ROTATION_POLICY)
        .misnomers(fields::MISNOMERS)
        .on_with(
            Operation::Read,
            OperationDocs {
                suffix: "root-iam-credentials-configuration",
                response: fields::RESPONSE,
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
                or the instance's role. With identity_token_issuer it needs no credentials at all: the \
                mount is an identity provider of its own, whose tokens AWS takes for role_arn. Without iam_endpoint and sts_endpoint, IAM is asked at \
                https://iam.amazonaws.com and STS at https://sts.<region>.amazonaws.com, or where \
                the partition of the region has them. A write changes the fields that it names and keeps the \
                others; secret_key is never shown.",
            operation_suffix: "",
        })
}

async fn exists(_engine: Arc<Engine>, request: Request, _data: FieldData) -> Result<bool, Error> {
    Ok(request.storage.get(KEY).await?.is_some())
}

async fn read(engine: Arc<Engine>, request: Request, _data: FieldData) -> Answer {
    let Some(config) = RootConfig::load(&*request.storage).await? else {
        return Ok(None);
    };
    let shown = json!({
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
    let Value::Object(mut data) = shown else {
        return Ok(None);
    };
    // Whoever has none of it sees what Vault shows.
    for (name, text) in [
        ("assume_role_arn", &config.assume_role_arn),
        ("assume_role_session_name", &config.assume_role_session_name),
        ("external_id", &config.external_id),
    ] {
        if !config.assume_role_arn.is_empty() {
            data.insert(name.to_owned(), Value::from(text.as_str()));
        }
    }
    if !config.owner_tag.is_empty() {
        let key = Value::from(config.owner_tag.as_str());
        data.insert("owner_tag".to_owned(), key);
    }
    let mut shown: JsonObject = data
        .into_iter()
        .map(|(name, used)| {
            let shown = config.as_sent.show(&name, used);
            (name, shown)
        })
        .collect();
    let (last, next) = if config.is_keyless() {
        let (told, times) = keyless::shown(&engine, &request, &config).await?;
        shown.extend(told);
        times
    } else {
        (config.rotated_at, config.next_rotation)
    };
    let key_date = key_date(&engine, &request, &config).await;
    for (name, time) in [
        ("access_key_create_date", key_date),
        ("last_vault_rotation", last),
        ("next_vault_rotation", next),
    ] {
        if let Some(time) = time {
            shown.insert(name.to_owned(), Value::from(date_time(time)));
        }
    }
    if let Some(due) = config.next_rotation {
        let failures = Failures::of(&*request.storage, due).await?;
        if !failures.last_error.is_empty() {
            let error = Value::from(failures.last_error);
            shown.insert("last_rotation_error".to_owned(), error);
        }
    }
    Ok(Some(Response::data(shown)))
}

/// When AWS made the key, if it says so in time. What is stored is shown whether AWS answers or not.
async fn key_date(
    engine: &Engine,
    request: &Request,
    config: &RootConfig,
) -> Option<OffsetDateTime> {
    if !config.has_access_key() {
        return None;
    }
    let clients = engine.clients.get(&*request.storage).await.ok()?;
    if clients.root.access_key != config.access_key {
        return None;
    }
    if config.assume_role_arn.is_empty() {
        return clients.key_date(&clients, &request.caller).await;
    }
    let of_key = clients.root.clone().without_role();
    let of_key = engine.clients.connect(of_key).ok()?;
    clients.key_date(&of_key, &request.caller).await
}

async fn write(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let change = engine.clients.begin_change().await;
    let stored = RootConfig::load(&*request.storage).await?;
    let mut config = merge::merge(stored.clone(), &data)?;
    merge::check(&config)?;
    merge::check_rotation_fields(&data, engine.clock.now())?;
    // A template that another engine stored must not keep other fields from being written.
    let mut warnings = match data.get(&fields::USERNAME_TEMPLATE) {
        Some(_) => usernames::check_template(&config.username_template, &*engine.clock)?,
        None => Vec::new(),
    };
    if config.identity_token_audience.is_empty() {
        if data
            .get(&fields::ROLE_ARN)
            .is_some_and(|arn| !arn.is_empty())
        {
            warnings.push("role_arn has no effect without identity_token_audience".to_owned());
        }
    } else if config.identity_token_issuer.is_empty() {
        host::try_identity_token(&engine, &config).await?;
    }
    if let Some(stored) = &stored {
        warnings.extend(overwrite::check(&engine, &request, stored, &config).await?);
    }
    if config.access_key.starts_with("ASIA") {
        warnings.push(
            "access_key is of a session, and there is no place here for the session token that AWS asks for with it; use the access key of an IAM user".to_owned(),
        );
    }
    warnings.extend(places::warnings(&config, &data));
    if config.max_retries > MOST_RETRIES && data.get(&fields::MAX_RETRIES).is_some() {
        warnings.push(format!(
            "max_retries of {} is more than fits into the time of a request: it ends before, with the last reason",
            config.max_retries
        ));
    }
    let rotates = host::update_rotation_job(&engine, &request, &config).await?;
    config.own_timer = rotates != Rotates::Host;
    if rotates == Rotates::Engine && !data.value(&fields::ROTATION_POLICY).is_empty() {
        warnings.push(
            "rotation_policy has no effect: it is for a server with a rotation manager (Vault Enterprise)".to_owned(),
        );
    }
    config.next_rotation = next_rotation(stored.as_ref(), &config, rotates, engine.clock.now());
    if config.next_rotation.is_none() && rotates == Rotates::Nobody {
        warnings.extend(why_nobody_rotates(&config, &data));
    }
    if config.is_keyless() {
        warnings.extend(keyless::prepare(&engine, &request, stored.as_ref(), &config).await?);
    }
    // However it ends.
    let forget = || {
        engine.root_due.forget();
        engine.signing_due.forget();
        engine.identity.forget();
    };
    forget();
    let put = change.store(&*request.storage, &config).await;
    forget();
    put?;
    tracing::info!(access_key = %config.access_key, "root configuration written");
    Ok((!warnings.is_empty()).then(|| Response::warnings(warnings)))
}

/// When this engine rotates the key next; a write that changes neither the key nor its times does not put
/// that off.
fn next_rotation(
    stored: Option<&RootConfig>,
    config: &RootConfig,
    rotates: Rotates,
    now: OffsetDateTime,
) -> Option<OffsetDateTime> {
    if rotates != Rotates::Engine {
        return None;
    }
    let times = |config: &RootConfig| {
        (
            config.access_key.clone(),
            config.rotation_schedule.clone(),
            config.rotation_period,
        )
    };
    let kept = stored
        .filter(|stored| times(stored) == times(config))
        .and_then(|stored| stored.next_rotation);
    kept.or_else(|| Some(config.plan(now)?.next(None, now)))
}

/// Times of rotation that have no effect.
fn why_nobody_rotates(config: &RootConfig, data: &FieldData) -> Option<String> {
    let (schedule, period) = (&fields::ROTATION_SCHEDULE, &fields::ROTATION_PERIOD);
    let field = match (
        data.value(schedule).is_empty(),
        data.value(period).is_zero(),
    ) {
        (true, true) => return None,
        (false, _) => schedule.name(),
        (true, false) => period.name(),
    };
    Some(if config.is_keyless() {
        format!(
            "{field} has no effect with identity_token_issuer: the signing key is rotated by itself, every 30 days"
        )
    } else if config.disable_automated_rotation {
        format!("{field} has no effect with disable_automated_rotation")
    } else {
        format!("{field} has no effect without access_key: there is no key to rotate")
    })
}
