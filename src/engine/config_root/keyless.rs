//! A root without a key: the mount is its own identity provider.

use serde_json::Value;
use time::OffsetDateTime;

use super::RootConfig;
use super::fields;
use crate::engine::Engine;
use crate::engine::clients::root_config::Misconfigured;
use crate::engine::identity::{Algorithm, Issuer, LONGEST_TTL, SHORTEST_TTL};
use crate::engine::stored::date_time;
use crate::framework::FieldData;
use crate::go_duration::GoDuration;
use crate::logical::{Error, JsonObject, Request, StorageError};

/// Refuses what no tokens could be made of, naming the field.
pub(super) fn check(config: &RootConfig) -> Result<(), Error> {
    let algorithm = fields::IDENTITY_TOKEN_ALGORITHM.name();
    if Algorithm::parse(&config.identity_token_algorithm).is_none() {
        return Err(Error::invalid(format!(
            "{algorithm} must be ES256 or RS256, not {:?}",
            config.identity_token_algorithm
        )));
    }
    let field = fields::IDENTITY_TOKEN_ISSUER.name();
    if config.identity_token_issuer.is_empty() {
        if config.identity_token_algorithm.is_empty() {
            return Ok(());
        }
        return Err(Error::invalid(format!(
            "{algorithm} is of the tokens of {field}, which is missing"
        )));
    }
    Issuer::new(&config.identity_token_issuer)
        .map_err(|error| Misconfigured::field(field, error))?;
    if config.identity_token_audience.is_empty() {
        return Err(Error::invalid(format!(
            "missing required 'identity_token_audience' when '{field}' is set: the audience of the identity provider at AWS, such as sts.amazonaws.com"
        )));
    }
    let ttl = config.identity_token_ttl;
    if !ttl.is_zero() && !(SHORTEST_TTL..=LONGEST_TTL).contains(&ttl) {
        return Err(Error::invalid(format!(
            "identity_token_ttl must be {} to {} with {field}, or 0 for the default, not {}",
            GoDuration(SHORTEST_TTL),
            GoDuration(LONGEST_TTL),
            GoDuration(ttl)
        )));
    }
    Ok(())
}

/// An algorithm goes with its issuer.
pub(super) fn clear_what_is_left(config: &mut RootConfig, data: &FieldData) {
    let field = &fields::IDENTITY_TOKEN_ALGORITHM;
    if config.identity_token_issuer.is_empty() && data.value(field).is_empty() {
        config.identity_token_algorithm.clear();
    }
}

/// Makes the keys that the configuration needs; warnings of what AWS would not take, and of what does
/// not happen at once.
pub(super) async fn prepare(
    engine: &Engine,
    request: &Request,
    stored: Option<&RootConfig>,
    config: &RootConfig,
) -> Result<Vec<String>, Error> {
    if engine.identity.subject().is_none() {
        return Err(Error::invalid(
            "identity_token_issuer: this server does not tell plugins the id of their mount, which identity tokens are to name",
        ));
    }
    let algorithm = config.algorithm();
    let keys = engine.identity.tend(&*request.storage, algorithm).await?;
    let is_new = stored.is_none_or(|stored| {
        stored.identity_token_issuer != config.identity_token_issuer
            || stored.algorithm() != algorithm
    });
    if !is_new {
        return Ok(Vec::new());
    }
    let mut warnings = Issuer::new(&config.identity_token_issuer)
        .map(|issuer| issuer.warnings())
        .unwrap_or_default();
    let now = engine.clock.now();
    let current = keys.current(now).map(|key| key.key.algorithm());
    if let Some(next) = keys.next(now)
        && current != Some(algorithm)
    {
        warnings.push(format!(
            "identity_token_algorithm counts from {} on: until then copies of the documents may be without the new key, and tokens are signed as before",
            date_time(next.signs_from)
        ));
    }
    Ok(warnings)
}

/// Since when the key of now signs, and until when.
type Times = (Option<OffsetDateTime>, Option<OffsetDateTime>);

/// What a read tells.
pub(super) async fn shown(
    engine: &Engine,
    request: &Request,
    config: &RootConfig,
) -> Result<(JsonObject, Times), StorageError> {
    let keys = engine.identity.keys(&*request.storage).await?;
    let now = engine.clock.now();
    let current = keys.current(now);
    let told = [
        (
            "identity_token_issuer",
            Some(&*config.identity_token_issuer),
        ),
        (
            "identity_token_algorithm",
            Some(config.algorithm().as_str()),
        ),
        ("identity_token_subject", engine.identity.subject()),
        ("identity_token_key_id", current.map(|key| key.key.id())),
    ];
    let told = told
        .into_iter()
        .map(|(name, text)| {
            let shown = config.as_sent.show(name, Value::from(text));
            (name.to_owned(), shown)
        })
        .collect();
    let times = (
        current.map(|key| key.signs_from),
        keys.next(now).map(|key| key.signs_from),
    );
    Ok((told, times))
}
