//! What is wrong with a stored root configuration.

use std::fmt;

use crate::aws::InvalidName;
use crate::logical::Error;

/// A root configuration that no client can be made of.
#[derive(Debug, thiserror::Error)]
pub(in crate::engine) enum Misconfigured {
    #[error(
        "static AWS client credentials haven't been properly configured (the access key or secret key were provided but not both)"
    )]
    HalfAnAccessKey,
    #[error("{field} in config/root: {reason}")]
    Field { field: &'static str, reason: String },
}

impl Misconfigured {
    pub(in crate::engine) fn field(field: &'static str, reason: impl fmt::Display) -> Self {
        Self::Field {
            field,
            reason: reason.to_string(),
        }
    }
}

impl From<Misconfigured> for Error {
    fn from(error: Misconfigured) -> Self {
        Self::Invalid(error.to_string())
    }
}

/// Reads a text that may be empty, which means "not set".
pub(in crate::engine) fn parse<T>(
    field: &'static str,
    text: &str,
    read: impl Fn(&str) -> Result<T, InvalidName>,
) -> Result<Option<T>, Misconfigured> {
    // Another engine stored it as it was sent.
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    read(text)
        .map(Some)
        .map_err(|error| Misconfigured::field(field, error))
}
