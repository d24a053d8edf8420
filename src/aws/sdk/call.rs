//! One call: its span, and its failure in our words.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::Write as _;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::operation::RequestId;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::ConnectorError;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::http::Unanswered;
use super::trust::Untrusting;
use crate::aws::error::Refusal;
use crate::aws::{Error, ErrorKind};

/// Awaits the SDK's answer to a call. Boxed, because the SDK's futures are large.
pub(super) fn call<'a, T, E>(
    operation: &'static str,
    sent: impl Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send + 'a,
) -> BoxFuture<'a, Result<T, Error>>
where
    T: Send + 'a,
    E: ProvideErrorMetadata + StdError + Send + 'static,
{
    async move {
        let began = Instant::now();
        let result = sent.await.map_err(|error| explain(operation, &error));
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

fn explain<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    // Credentials that are fetched with a call of ours fail in our words already.
    if let Some(error) = find::<Error>(error) {
        return error.clone();
    }
    if let Some(error) = find::<Untrusting>(error) {
        return Error::unasked(operation, ErrorKind::Invalid, error.to_string());
    }
    if let Some(error) = find::<CredentialsError>(error) {
        return no_credentials(operation, error);
    }
    match error {
        SdkError::ServiceError(answer) => refused(operation, answer.err(), answer.raw()),
        SdkError::ResponseError(answer) => garbled(operation, error, answer.raw()),
        SdkError::TimeoutError(_) => {
            let message = format!("no answer from AWS in time: {}", chain(error.source()));
            Error::unreachable(operation, message, true)
        }
        SdkError::DispatchFailure(_) => match find::<Unanswered>(error) {
            Some(unanswered) => unreachable(operation, unanswered),
            None => Error::unreachable(operation, chain(error.source()), true),
        },
        _ => {
            let message = format!("request could not be made: {}", chain(error.source()));
            Error::unasked(operation, ErrorKind::Invalid, message)
        }
    }
}

/// What AWS said, for an error of any operation.
pub(super) fn refused<E: ProvideErrorMetadata + StdError + 'static>(
    operation: &'static str,
    error: &E,
    response: &HttpResponse,
) -> Error {
    if response.status().is_success() {
        return garbled(operation, error, response);
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
    operation: &'static str,
    error: &(dyn StdError + 'static),
    response: &HttpResponse,
) -> Error {
    let message = format!(
        "answer with HTTP status {} that is not AWS's: {}",
        response.status().as_u16(),
        chain(Some(error))
    );
    Error::incomplete(operation, message)
}

fn unreachable(operation: &'static str, unanswered: &Unanswered) -> Error {
    let (host, cause) = (&unanswered.host, chain(unanswered.source()));
    let mut message = if unanswered.was_connected {
        format!("no answer from {host}: {cause}")
    } else {
        format!("no connection to {host}: {cause}")
    };
    if cause.contains("UnknownIssuer") {
        message.push_str("; check the machine's root certificates, or name some in AWS_CA_BUNDLE");
    }
    Error::unreachable(operation, message, unanswered.was_connected)
}

fn no_credentials(operation: &'static str, error: &CredentialsError) -> Error {
    let mut message = "no AWS credentials in the process's environment variables, shared files, \
                       web identity token file, container or instance metadata"
        .to_owned();
    if !matches!(error, CredentialsError::CredentialsNotLoaded(_)) {
        let _ = write!(message, ": {}", chain(error.source()));
    }
    Error::unasked(operation, ErrorKind::NoCredentials, message)
}

/// The first error of a type on the way to the root cause.
fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    causes(Some(error)).find_map(|error| error.downcast_ref())
}

/// The error and its causes in one line, without repetitions and without the layers of the HTTP
/// client, which say no more than that it failed.
fn chain(error: Option<&(dyn StdError + 'static)>) -> String {
    let says_little = |error: &(dyn StdError + 'static)| {
        error.is::<ConnectorError>() || error.is::<hyper_util::client::legacy::Error>()
    };
    let mut text = String::new();
    for error in causes(error).filter(|&error| error.source().is_none() || !says_little(error)) {
        let part = error.to_string();
        if text.is_empty() {
            text = part;
        } else if !text.contains(&part) {
            let _ = write!(text, ": {part}");
        }
    }
    text
}

fn causes<'a>(
    error: Option<&'a (dyn StdError + 'static)>,
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(error, |&error| error.source())
}
