//! One call: its span, and its failure in our words.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::Write as _;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::closed::{Unanswered, told};
use super::date::date;
use super::machine::{Origin, SourceFailed};
use super::trust::Untrusting;
use crate::aws::error::Refusal;
use crate::aws::{Closed, Error, ErrorKind, Obstacle, Road};

/// What all calls of a client have in common.
#[derive(Debug)]
pub(super) struct Calls {
    pub(super) road: Road,
    pub(super) origin: Origin,
}

/// Awaits the SDK's answer to a call. Boxed, because the SDK's futures are large.
pub(super) fn call<'a, T, E>(
    calls: &'a Calls,
    operation: &'static str,
    sent: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'a,
) -> BoxFuture<'a, Result<T, Error>>
where
    T: Send + 'a,
    E: ProvideErrorMetadata + StdError + Send + 'static,
{
    async move {
        let began = Instant::now();
        let result = sent.await.map_err(|error| {
            explain(&calls.road, operation, &error)
                .signed_by(calls.origin.get())
                .answered_at(error.raw_response().and_then(date))
        });
        let elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        match &result {
            Ok(_) => tracing::debug!(elapsed_ms, "AWS answered"),
            Err(error) => tracing::debug!(
                elapsed_ms,
                kind = ?error.kind(),
                code = error.code(),
                request_id = error.request_id(),
                "AWS call failed"
            ),
        }
        result
    }
    .instrument(tracing::debug_span!("aws_call", operation))
    .boxed()
}

/// AWS answered, but left out what the call is for.
pub(super) fn incomplete(operation: &'static str, what: &str) -> Error {
    Error::incomplete(operation, format!("AWS's answer has no {what}"))
}

fn explain<E>(road: &Road, operation: &'static str, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    // Credentials that are fetched with a call of ours fail in our words already.
    if let Some(error) = find::<Error>(error) {
        return error.clone();
    }
    if let Some(error @ Untrusting::Named { .. }) = find(error) {
        return Error::unasked(operation, ErrorKind::Invalid, error.to_string());
    }
    if let Some(error) = find::<CredentialsError>(error) {
        return no_credentials(operation, error);
    }
    match error {
        SdkError::ServiceError(answer) => of_answer(road, operation, answer.err(), answer.raw()),
        SdkError::ResponseError(answer) => garbled(road, operation, error, answer.raw()),
        SdkError::TimeoutError(_) => Error::unreachable(
            operation,
            format!("no whole answer from {road} in time"),
            true,
        )
        .on_a_closed_road(closed(road, Obstacle::NoAnswerInTime)),
        SdkError::DispatchFailure(_) => {
            if let Some(unanswered) = find::<Unanswered>(error) {
                return unreachable(operation, unanswered);
            }
            let message = format!("no answer from {road}: {}", told(error.source()));
            Error::unreachable(operation, message, true)
        }
        _ => {
            let message = format!("request could not be made: {}", told(error.source()));
            Error::unasked(operation, ErrorKind::Invalid, message)
        }
    }
}

/// What answered, be it AWS or something on the way to it.
fn of_answer<E: ProvideErrorMetadata + StdError + 'static>(
    road: &Road,
    operation: &'static str,
    error: &E,
    response: &HttpResponse,
) -> Error {
    let status = response.status().as_u16();
    if response.status().is_success() {
        return garbled(road, operation, error, response);
    }
    let refusal = refused(operation, error, response);
    if refusal.is_of_clocks() {
        return refusal.on_a_closed_road(closed(road, Obstacle::Clock));
    }
    if refusal.code().is_some() {
        return refusal;
    }
    let is_plain_http = road.is_plain() && status == 400;
    let wants_tls = || {
        let body = response.body().bytes().unwrap_or_default();
        String::from_utf8_lossy(body).contains("HTTPS")
    };
    let (obstacle, message) = match (&road.proxy, status) {
        (Some(proxy), 407) => (
            Obstacle::ProxyWantsPassword,
            if proxy.has_password {
                format!(
                    "the proxy {} does not take the password that it is given, and does not ask {}",
                    proxy.address, road.address
                )
            } else {
                format!(
                    "the proxy {} wants a password before it asks {}",
                    proxy.address, road.address
                )
            },
        ),
        (Some(proxy), 403 | 502..=504) if road.is_plain() => (
            Obstacle::ProxyRefuses,
            format!(
                "the proxy {} does not bring an answer of {} (HTTP status {status})",
                proxy.address, road.address
            ),
        ),
        _ if is_plain_http && wants_tls() => (
            Obstacle::WantsTls,
            format!("no answer from {road}: what answers there wants TLS"),
        ),
        _ => return refusal,
    };
    Error::unreachable(operation, message, status == 502 || status == 504)
        .on_a_closed_road(closed(road, obstacle))
}

fn closed(road: &Road, obstacle: Obstacle) -> Closed {
    Closed {
        road: road.clone(),
        before_proxy: false,
        obstacle,
    }
}

/// What AWS said, for an error of any operation.
pub(super) fn refused<E: ProvideErrorMetadata + StdError + 'static>(
    operation: &'static str,
    error: &E,
    response: &HttpResponse,
) -> Error {
    if response.status().is_success() {
        return Error::incomplete(operation, "the answer is not AWS's");
    }
    let meta = error.meta();
    // The SDK knows one place for code and message; gateways and emulators have others.
    let body = response.body().bytes().map(String::from_utf8_lossy);
    let element = |name| xml_text(body.as_deref()?, name);
    let (code, message) = match meta.code() {
        Some(code) => (Some(code.into()), meta.message().map(Into::into)),
        None => (element("Code"), element("Message")),
    };
    Error::refused(
        operation,
        &Refusal {
            status: response.status().as_u16(),
            code: code.as_deref(),
            message: message.as_deref(),
            request_id: meta.request_id().or_else(|| response.request_id()),
        },
    )
}

/// The text of the first element of this name, if it has nothing but text.
fn xml_text<'a>(xml: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once('<')?;
    if !text.contains('&') {
        return Some(text.into());
    }
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    let text = entities
        .into_iter()
        .fold(text.to_owned(), |text, (entity, character)| {
            text.replace(entity, character)
        });
    Some(text.into())
}

/// Something that cannot be read, most likely from a proxy.
fn garbled(
    road: &Road,
    operation: &'static str,
    error: &(dyn StdError + 'static),
    response: &HttpResponse,
) -> Error {
    let message = format!(
        "answer of {road} with HTTP status {} that is not AWS's: {}",
        response.status().as_u16(),
        told(Some(error))
    );
    Error::incomplete(operation, message)
}

fn unreachable(operation: &'static str, unanswered: &Unanswered) -> Error {
    Error::unreachable(operation, unanswered.message(), unanswered.was_connected)
        .on_a_closed_road((*unanswered.closed).clone())
}

fn no_credentials(operation: &'static str, error: &CredentialsError) -> Error {
    let message = if let Some(failed) = find::<SourceFailed>(error) {
        format!(
            "no AWS credentials from {}: {}",
            failed.place,
            told(failed.reason())
        )
    } else {
        let mut message = "no AWS credentials in the process's environment variables, shared \
                           files, web identity token file, container or instance metadata"
            .to_owned();
        if !matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
            let _ = write!(message, ": {}", told(error.source()));
        }
        message
    };
    Error::unasked(operation, ErrorKind::NoCredentials, message)
}

/// The first error of a type on the way to the root cause.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    causes(Some(error)).find_map(|error| error.downcast_ref())
}

fn causes<'a>(
    error: Option<&'a (dyn StdError + 'static)>,
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(error, |&error| error.source())
}
