//! What a write makes of the stored configuration, and what it refuses.

use std::time::Duration;

use time::OffsetDateTime;

use super::{fields, keyless};
use crate::aws::{Arn, Endpoint, ExternalId, Region, RoleSessionName};
use crate::engine::clients::root_config::{self, RootConfig};
use crate::engine::schedule::{self, Schedule};
use crate::engine::tag_rules;
use crate::engine::usernames;
use crate::framework::FieldData;
use crate::logical::Error;
use crate::secret::{ExposeSecret, SecretString};

/// As in Vault.
const SHORTEST_PERIOD: Duration = Duration::from_secs(10);

/// The stored record with the fields that were sent put over it.
pub(super) fn merge(stored: Option<RootConfig>, data: &FieldData) -> Result<RootConfig, Error> {
    let mut config = stored.unwrap_or_else(|| RootConfig {
        sts_fallback_endpoints: Some(Vec::new()),
        sts_fallback_regions: Some(Vec::new()),
        ..RootConfig::unconfigured()
    });
    for (field, target) in [
        (&fields::REGION, &mut config.region),
        (&fields::IAM_ENDPOINT, &mut config.iam_endpoint),
        (&fields::STS_ENDPOINT, &mut config.sts_endpoint),
        (&fields::STS_REGION, &mut config.sts_region),
        (&fields::ROLE_ARN, &mut config.role_arn),
        (&fields::ASSUME_ROLE_ARN, &mut config.assume_role_arn),
        (
            &fields::ASSUME_ROLE_SESSION_NAME,
            &mut config.assume_role_session_name,
        ),
        (&fields::EXTERNAL_ID, &mut config.external_id),
        (&fields::OWNER_TAG, &mut config.owner_tag),
        (
            &fields::IDENTITY_TOKEN_AUDIENCE,
            &mut config.identity_token_audience,
        ),
        (
            &fields::IDENTITY_TOKEN_ISSUER,
            &mut config.identity_token_issuer,
        ),
        (
            &fields::IDENTITY_TOKEN_ALGORITHM,
            &mut config.identity_token_algorithm,
        ),
        (&fields::ROTATION_SCHEDULE, &mut config.rotation_schedule),
        (&fields::ROTATION_POLICY, &mut config.rotation_policy),
        (&fields::USERNAME_TEMPLATE, &mut config.username_template),
    ] {
        if let Some(text) = data.get(field) {
            text.trim().clone_into(target);
        }
        config.as_sent.note(data, field);
    }
    for (field, target) in [
        (&fields::IDENTITY_TOKEN_TTL, &mut config.identity_token_ttl),
        (&fields::ROTATION_WINDOW, &mut config.rotation_window),
        (&fields::ROTATION_PERIOD, &mut config.rotation_period),
    ] {
        if let Some(duration) = data.get(field) {
            *target = duration;
        }
    }
    for (field, target) in [
        (
            &fields::STS_FALLBACK_ENDPOINTS,
            &mut config.sts_fallback_endpoints,
        ),
        (
            &fields::STS_FALLBACK_REGIONS,
            &mut config.sts_fallback_regions,
        ),
    ] {
        if let Some(list) = data.get(field) {
            *target = Some(list);
        }
        config.as_sent.note(data, field);
    }
    if let Some(retries) = data.get(&fields::MAX_RETRIES) {
        config.max_retries = retries;
    }
    if let Some(disabled) = data.get(&fields::DISABLE_AUTOMATED_ROTATION) {
        config.disable_automated_rotation = disabled;
    }
    // Mutually exclusive, so the one that is sent takes the place of the other.
    if data
        .get(&fields::ROTATION_SCHEDULE)
        .is_some_and(|text| !text.is_empty())
    {
        config.rotation_period = Duration::ZERO;
    } else if data
        .get(&fields::ROTATION_PERIOD)
        .is_some_and(|period| !period.is_zero())
    {
        config.rotation_schedule.clear();
        config.rotation_window = Duration::ZERO;
    }
    if config.username_template.is_empty() {
        usernames::DEFAULT_TEMPLATE.clone_into(&mut config.username_template);
    }
    keyless::clear_what_is_left(&mut config, data);
    merge_access_key(&mut config, data)?;
    Ok(config)
}

/// An access key is one thing of two halves: a new id without its secret is refused, the same id
/// sent again without the secret keeps it. Nobody can read the secret to send it again, so a `null`
/// there is no wish to clear it; one for the id is, and takes the secret along.
fn merge_access_key(config: &mut RootConfig, data: &FieldData) -> Result<(), Error> {
    let secret = data
        .get(&fields::SECRET_KEY)
        .filter(|_| !data.is_null(&fields::SECRET_KEY));
    if let Some(sent) = data.get(&fields::ACCESS_KEY) {
        let id = sent.trim();
        if id.is_empty() && secret.is_none() {
            config.secret_key = SecretString::default();
        } else if id != config.access_key && secret.is_none() {
            return Err(Error::invalid(
                "secret_key is missing: access_key is another one than before, so its secret_key must come with it",
            ));
        }
        if id != config.access_key {
            config.rotated_at = None;
        }
        id.clone_into(&mut config.access_key);
        config.as_sent.note(data, &fields::ACCESS_KEY);
    }
    if let Some(secret) = secret {
        config.secret_key = secret.expose_secret().trim().into();
    }
    Ok(())
}

/// Refuses what no client could be made of, naming the field.
pub(super) fn check(config: &RootConfig) -> Result<(), Error> {
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
        .map(|text| (fields::STS_FALLBACK_REGIONS.name(), text));
    let fallback_endpoints = fallback_endpoints
        .iter()
        .map(|text| (fields::STS_FALLBACK_ENDPOINTS.name(), text));
    for (field, text) in regions.into_iter().chain(fallback_regions) {
        if config.elsewhere() {
            root_config::parse(field, text, |text| Region::of_any_service(text))?;
        } else {
            root_config::parse(field, text, |text| Region::new(text))?;
        }
    }
    for (field, text) in endpoints.into_iter().chain(fallback_endpoints) {
        root_config::parse(field, text, |text| Endpoint::new(text))?;
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
    root_config::parse("role_arn", &config.role_arn, |text| Arn::new(text))?;
    keyless::check(config)?;
    check_assumed_role(config)?;
    if !config.owner_tag.is_empty()
        && let Some(problem) = tag_rules::problem_of_key(&config.owner_tag)
    {
        return Err(Error::invalid(format!("owner_tag: {problem}")));
    }
    config.credentials()?;
    Ok(())
}

/// The role that is assumed with whatever credentials there are.
fn check_assumed_role(config: &RootConfig) -> Result<(), Error> {
    let (name, id) = (&config.assume_role_session_name, &config.external_id);
    let role = root_config::parse("assume_role_arn", &config.assume_role_arn, |text| {
        Arn::new(text)
    })?;
    if role.is_none() {
        for (field, text) in [("assume_role_session_name", name), ("external_id", id)] {
            if !text.is_empty() {
                return Err(Error::invalid(format!(
                    "{field} is of the session of assume_role_arn, which is missing"
                )));
            }
        }
    }
    root_config::parse("assume_role_session_name", name, |text| {
        RoleSessionName::new(text)
    })?;
    root_config::parse("external_id", id, |text| ExternalId::new(text))?;
    Ok(())
}

/// The rules of one request; a stored schedule and a new period do not meet here.
pub(super) fn check_rotation_fields(data: &FieldData, now: OffsetDateTime) -> Result<(), Error> {
    let schedule = data.value(&fields::ROTATION_SCHEDULE);
    let schedule = schedule.trim();
    schedule::check_fields(
        schedule,
        data.value(&fields::ROTATION_WINDOW),
        data.value(&fields::ROTATION_PERIOD),
        SHORTEST_PERIOD,
    )?;
    if !schedule.is_empty() {
        Schedule::new(fields::ROTATION_SCHEDULE.name(), schedule, now)?;
    }
    Ok(())
}
