//! Who is to blame when AWS says no, and what the reader can do about it.

use crate::aws::{self, ErrorKind};
use crate::logical::Error;

/// An answer of AWS as the error of a request: `<context>: <AWS's words>`, then the next step.
///
/// Throttling becomes 502, everything else 400: the caller or the operator can act, and a server
/// error would make clients send the same request again.
pub(crate) fn refused(context: &str, error: &aws::Error) -> Error {
    let text = format!("{context}: {}", explain(error));
    match error.kind() {
        ErrorKind::Throttled => Error::UpstreamRateLimited(text),
        _ => Error::Invalid(text),
    }
}

/// The same for work that the host repeats by itself, such as a revocation.
pub(crate) fn failed(context: &str, error: &aws::Error) -> Error {
    Error::Internal(format!("{context}: {}", explain(error)))
}

/// AWS's words and the next step.
pub(crate) fn explain(error: &aws::Error) -> String {
    let operation = error.operation();
    let hint = match error.kind() {
        ErrorKind::Denied => {
            format!("grant {operation} to the AWS credentials that this engine uses")
        }
        ErrorKind::InvalidCredentials => format!(
            "AWS does not accept the credentials that this engine uses for {operation}; check access_key and secret_key in config/root, or, if they are new, try again in some seconds"
        ),
        ErrorKind::NoCredentials => {
            "write access_key and secret_key to config/root, or give the server's environment AWS credentials".to_owned()
        }
        ErrorKind::Unreachable => format!(
            "no answer to {operation}; check region and endpoints in config/root, and the server's network and proxy"
        ),
        ErrorKind::Throttled => format!("AWS slows down {operation} for this account; try again later"),
        _ => return error.to_string(),
    };
    format!("{error} ({hint})")
}
