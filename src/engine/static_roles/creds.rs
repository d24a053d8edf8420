//! `static-creds/<name>`: the credentials that a static role has now.
//!
//! There is no lease: they are shared, and live until their rotation. What tells a client when to
//! read again is `ttl`: Vault Agent and consul-template go by it where `rotation_period` stands
//! beside it, the Vault Secrets Operator where `last_vault_rotation` does too.

use std::sync::Arc;
use std::time::Duration;

use futures_util::try_join;
use serde_json::Value;

use super::NAME;
use super::record::{StaticCredentials, StaticRole};
use crate::engine::stored::date_time;
use crate::engine::{Engine, schedule};
use crate::framework::{
    Answer, FieldData, FieldType, OperationDocs, Path, PathDocs, ResponseField,
};
use crate::logical::{JsonObject, Operation, Request, Response};
use crate::secret::ExposeSecret;

/// What `ttl` says while a rotation is due: the host's timer ticks about once a minute, and clients
/// that are told 0 wait for minutes.
/// So too while it is not known when it will be.
const TTL_WHILE_DUE: Duration = Duration::from_secs(10);

const RESPONSE: &[ResponseField] = &[
    ResponseField::new("access_key", FieldType::String, "Access key id"),
    ResponseField::new("secret_key", FieldType::String, "Secret access key"),
    ResponseField::new(
        "expiration",
        FieldType::Time,
        "When the next rotation is due; missing until that is known",
    ),
    ResponseField::new(
        "last_vault_rotation",
        FieldType::Time,
        "When this access key was made",
    ),
    schedule::SHOWN_PERIOD,
    schedule::SHOWN_SCHEDULE,
    schedule::SHOWN_WINDOW,
    ResponseField::new(
        "ttl",
        FieldType::DurationSecond,
        "After how long to read again",
    ),
];

pub(in crate::engine) fn path() -> Path<Engine> {
    Path::new("static-creds/{name@}")
        .field(&NAME)
        .on_with(
            Operation::Read,
            OperationDocs {
                response: RESPONSE,
                ..OperationDocs::NONE
            },
            read,
        )
        .docs(PathDocs {
            synopsis: "Read the access key of a static role.",
            description: "Everybody who reads gets the same access key, without a lease. It is \
                replaced at its expiration, within a minute or two; then it stays valid for another \
                rotation period, unless the static role has single_key set. Read again after ttl \
                seconds.",
            operation_suffix: "",
        })
}

async fn read(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let storage = &*request.storage;
    let name = data.value(&NAME);
    let (stored, role) = try_join!(
        StaticCredentials::load(storage, &name),
        StaticRole::load(storage, &name),
    )?;
    // Credentials without a role are what a creation left that was cut off; their key will go.
    let (Some(stored), Some(role)) = (stored, role) else {
        return Ok(None);
    };
    let now = engine.clock.now();
    let is_scheduled = !role.rotation_schedule.is_empty();
    // Credentials of old engines get their time at the next tick; until then nobody knows it.
    let expiration = stored.expiration;
    let last_rotation = stored.last_vault_rotation.or(expiration
        .filter(|_| !is_scheduled)
        .map(|expiration| expiration - role.rotation_period));
    let left = expiration.map(|expiration| (expiration - now).whole_seconds());
    let ttl = match left.map(u64::try_from) {
        Some(Ok(left)) if left > 0 => left,
        _ => TTL_WHILE_DUE.as_secs(),
    };
    let mut answer = JsonObject::from_iter([
        ("access_key".to_owned(), Value::from(stored.access_key)),
        (
            "secret_key".to_owned(),
            Value::from(stored.secret_key.expose_secret()),
        ),
        ("ttl".to_owned(), Value::from(ttl)),
    ]);
    // Agents read again when ttl is over where a schedule stands, or where a period does.
    if is_scheduled {
        let schedule = Value::from(role.rotation_schedule);
        answer.insert("rotation_schedule".to_owned(), schedule);
        let window = Value::from(role.rotation_window.as_secs());
        answer.insert("rotation_window".to_owned(), window);
    } else {
        let period = Value::from(role.rotation_period.as_secs());
        answer.insert("rotation_period".to_owned(), period);
    }
    for (name, time) in [
        ("expiration", expiration),
        ("last_vault_rotation", last_rotation),
    ] {
        if let Some(time) = time {
            answer.insert(name.to_owned(), Value::from(date_time(time)));
        }
    }
    Ok(Some(Response::data(answer)))
}
