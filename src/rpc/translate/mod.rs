//! Between wire messages and [`crate::logical`]: pure functions, and the only place that knows the
//! wire's error numbers and JSON rules.

use std::sync::Arc;
use std::time::Duration;

use prost_types::Timestamp;
use serde_json::Value;
use time::OffsetDateTime;

use crate::logical::{
    Error, JsonObject, LeaseOptions, Operation, Request, Response, RotationJob, Secret,
    SpecialPaths, Storage, StorageEntry, UPSTREAM_RATE_LIMITED,
};
use crate::pb::backend as wire;

mod numbers;
#[cfg(test)]
mod tests;

/// `err_type` of `ProtoError`. Hosts take a number they do not know for no error at all.
mod err_type {
    /// Any error: its text is all there is.
    pub(super) const UNKNOWN: u32 = 0;
    /// The caller's mistake, in the existence check.
    pub(super) const USER: u32 = 1;
    /// Comes with an HTTP status.
    pub(super) const CODED: u32 = 3;
    /// HTTP 405.
    pub(super) const UNSUPPORTED_OPERATION: u32 = 5;
    /// HTTP 404.
    pub(super) const UNSUPPORTED_PATH: u32 = 6;
    /// HTTP 403.
    pub(super) const PERMISSION_DENIED: u32 = 8;
}

/// An error with exactly this text makes the host restart the plugin.
const RESTARTS_PLUGIN: &str = "connection is shut down";

/// Go's zero time, year 1.
const GO_ZERO_TIME: i64 = -62_135_596_800;

/// The longest data of a request, in bytes of JSON. A role with thousands of ARNs and with documents as
/// long as AWS takes them needs less; hosts pass 32 MiB on, from anyone with a token.
const MOST_DATA: usize = 1024 * 1024;

/// A request of the host, which waits for so long, with the storage of its mount.
pub(super) fn request(
    request: wire::Request,
    told: Option<Duration>,
    storage: Arc<dyn Storage>,
) -> Result<Request, Error> {
    check_size(&request)?;
    let operation = Operation::from(request.operation.as_str());
    let data = object(&numbers::kept(&request.data)).ok_or_else(|| {
        Error::invalid("the request data is no JSON object, or nested too deeply")
    })?;
    Ok(Request {
        id: request.id,
        caller: operation.caller(told),
        operation,
        path: request.path,
        data,
        secret: request.secret.map(secret).transpose()?,
        display_name: request.display_name,
        mount_point: request.mount_point,
        mount_type: request.mount_type,
        mount_accessor: request.mount_accessor,
        entity_id: request.entity_id,
        storage,
    })
}

/// Refuses, before it is parsed, what no fields can need.
fn check_size(request: &wire::Request) -> Result<(), Error> {
    let size = request.data.len();
    // What comes with a lease is what we answered once.
    if request.secret.is_some() || size <= MOST_DATA {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the request data has {size} bytes of JSON, and at most {MOST_DATA} are taken: no fields need more"
    )))
}

fn secret(secret: wire::Secret) -> Result<Secret, Error> {
    let internal_data = object(&secret.internal_data).ok_or_else(|| {
        Error::internal("the internal data of the lease is no JSON object, or nested too deeply")
    })?;
    Ok(Secret {
        lease: secret.lease_options.map(lease_options).unwrap_or_default(),
        internal_data,
        lease_id: secret.lease_id,
    })
}

fn lease_options(options: wire::LeaseOptions) -> LeaseOptions {
    LeaseOptions {
        ttl: nanoseconds(options.ttl),
        max_ttl: nanoseconds(options.max_ttl),
        renewable: options.renewable,
        increment: nanoseconds(options.increment),
        issue_time: options.issue_time.and_then(time),
    }
}

/// The object in a text; none in the text is an empty one.
fn object(text: &str) -> Option<JsonObject> {
    if text.is_empty() {
        return Some(JsonObject::new());
    }
    serde_json::from_str::<Option<JsonObject>>(text)
        .ok()
        .map(Option::unwrap_or_default)
}

fn time(timestamp: Timestamp) -> Option<OffsetDateTime> {
    if timestamp.seconds == GO_ZERO_TIME {
        return None;
    }
    let time = OffsetDateTime::from_unix_timestamp(timestamp.seconds).ok()?;
    time.replace_nanosecond(timestamp.nanos.try_into().ok()?)
        .ok()
}

/// The answer to a request.
pub(super) fn handle_request_reply(
    outcome: Result<Option<Response>, Error>,
) -> wire::HandleRequestReply {
    match outcome {
        Ok(answer) => wire::HandleRequestReply {
            response: answer.map(response),
            err: None,
        },
        Err(Error::Invalid(text)) => wire::HandleRequestReply {
            response: Some(error_response(text)),
            err: None,
        },
        // The host takes the status from the error and the text from the response.
        Err(Error::UpstreamRateLimited(text)) => wire::HandleRequestReply {
            response: Some(error_response(text)),
            err: Some(proto_error(Error::internal(UPSTREAM_RATE_LIMITED))),
        },
        Err(error) => wire::HandleRequestReply {
            response: None,
            err: Some(proto_error(error)),
        },
    }
}

/// The answer to an existence check.
pub(super) fn existence_check_reply(
    outcome: Result<Option<bool>, Error>,
) -> wire::HandleExistenceCheckReply {
    match outcome {
        Ok(exists) => wire::HandleExistenceCheckReply {
            check_found: exists.is_some(),
            exists: exists.unwrap_or_default(),
            err: None,
        },
        Err(error) => wire::HandleExistenceCheckReply {
            err: Some(proto_error(error)),
            ..wire::HandleExistenceCheckReply::default()
        },
    }
}

/// The answer to the initialization.
pub(super) fn initialize_reply(outcome: Result<(), Error>) -> wire::InitializeReply {
    wire::InitializeReply {
        err: outcome.err().map(proto_error),
    }
}

/// The answer to a set-up.
pub(super) fn setup_reply(outcome: Result<(), String>) -> wire::SetupReply {
    wire::SetupReply {
        err: outcome.err().map(harmless).unwrap_or_default(),
    }
}

fn response(response: Response) -> wire::Response {
    wire::Response {
        secret: response.secret.map(|secret| wire::Secret {
            lease_options: Some(lease_options_to_wire(secret.lease)),
            internal_data: text(secret.internal_data),
            lease_id: secret.lease_id,
        }),
        data: data(response.data),
        warnings: response.warnings,
    }
}

/// No data are `null`, as Go's engines send them: clients take an empty object for something to show.
fn data(data: JsonObject) -> String {
    if data.is_empty() {
        "null".to_owned()
    } else {
        text(data)
    }
}

/// What a host recognises as an error of the caller: an object with the one key `error`.
fn error_response(message: String) -> wire::Response {
    let error = ("error".to_owned(), Value::from(harmless(message)));
    wire::Response {
        data: text([error].into_iter().collect()),
        ..wire::Response::default()
    }
}

/// Never empty: hosts refuse the empty text.
fn text(object: JsonObject) -> String {
    Value::Object(object).to_string()
}

fn lease_options_to_wire(lease: LeaseOptions) -> wire::LeaseOptions {
    // Hosts refuse a lease without issue time, and then do not look at its value.
    let issue_time = lease.issue_time.map_or(
        Timestamp {
            seconds: GO_ZERO_TIME,
            nanos: 0,
        },
        |time| Timestamp {
            seconds: time.unix_timestamp(),
            nanos: time.nanosecond().cast_signed(),
        },
    );
    wire::LeaseOptions {
        ttl: nanoseconds_to_wire(lease.ttl),
        renewable: lease.renewable,
        increment: nanoseconds_to_wire(lease.increment),
        issue_time: Some(issue_time),
        max_ttl: nanoseconds_to_wire(lease.max_ttl),
    }
}

fn proto_error(error: Error) -> wire::ProtoError {
    let (err_type, err_msg, err_code) = match error {
        Error::Invalid(text) => (err_type::USER, text, 0),
        Error::UnsupportedPath => (err_type::UNSUPPORTED_PATH, error.to_string(), 0),
        Error::UnsupportedOperation => (err_type::UNSUPPORTED_OPERATION, error.to_string(), 0),
        Error::PermissionDenied => (err_type::PERMISSION_DENIED, error.to_string(), 0),
        Error::Coded { status, message } => (err_type::CODED, message, i64::from(status)),
        Error::ReadOnly(text) | Error::UpstreamRateLimited(text) | Error::Internal(text) => {
            (err_type::UNKNOWN, text, 0)
        }
    };
    wire::ProtoError {
        err_type,
        err_msg: harmless(err_msg),
        err_code,
    }
}

fn harmless(text: String) -> String {
    if text == RESTARTS_PLUGIN {
        format!("the {text}")
    } else {
        text
    }
}

/// The answer to the question for special paths.
pub(super) fn special_paths(paths: SpecialPaths) -> wire::Paths {
    wire::Paths {
        root: paths.root,
        unauthenticated: paths.unauthenticated,
        local_storage: paths.local_storage,
        seal_wrap_storage: paths.seal_wrap_storage,
    }
}

/// An entry that the host read.
pub(super) fn storage_entry(entry: wire::StorageEntry) -> StorageEntry {
    StorageEntry {
        key: entry.key,
        value: entry.value,
        seal_wrap: entry.seal_wrap,
    }
}

/// An entry for the host to write.
pub(super) fn storage_entry_to_wire(entry: StorageEntry) -> wire::StorageEntry {
    wire::StorageEntry {
        key: entry.key,
        value: entry.value,
        seal_wrap: entry.seal_wrap,
    }
}

/// A job for the host's rotation manager, which counts in seconds.
pub(super) fn rotation_job_to_wire(job: RotationJob) -> wire::RotationJobInput {
    wire::RotationJobInput {
        name: job.name,
        mount_point: job.mount_point,
        path: job.path,
        rotation_schedule: job.schedule,
        rotation_window: seconds_to_wire(job.window),
        rotation_period: seconds_to_wire(job.period),
        rotation_policy: job.policy,
    }
}

/// A lifetime in nanoseconds; a negative one is none.
pub(super) fn nanoseconds(nanoseconds: i64) -> Duration {
    Duration::from_nanos(nanoseconds.try_into().unwrap_or_default())
}

fn nanoseconds_to_wire(duration: Duration) -> i64 {
    duration.as_nanos().try_into().unwrap_or(i64::MAX)
}

/// A lifetime in seconds; a negative one is none.
pub(super) fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(seconds.try_into().unwrap_or_default())
}

/// A lifetime in whole seconds.
pub(super) fn seconds_to_wire(duration: Duration) -> i64 {
    duration.as_secs().try_into().unwrap_or(i64::MAX)
}
