//! The few ways in which a request may fail, told apart by who must act.

use super::{HostError, StorageError};
use crate::excerpt::cut;

/// The text by which a host recognises a write on a node that may not write; it then forwards the
/// request to the active node (`logical.ErrReadOnly`).
pub const READ_ONLY_STORAGE: &str = "cannot write to readonly storage";

/// The text that a host maps to HTTP 502 (`logical.ErrUpstreamRateLimited`).
pub const UPSTREAM_RATE_LIMITED: &str = "upstream rate limited";

/// How many characters of a text are told, enough for every mistake of a large role.
const LONGEST: usize = 4000;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's mistake: HTTP 400 with this text.
    #[error("{0}")]
    Invalid(String),

    /// No path matches: HTTP 404.
    #[error("unsupported path")]
    UnsupportedPath,

    /// The path does not offer this operation: HTTP 405.
    #[error("unsupported operation")]
    UnsupportedOperation,

    /// HTTP 403.
    #[error("permission denied")]
    PermissionDenied,

    /// This node may not write. The host reads the text and forwards the request, so it is passed
    /// on unchanged.
    #[error("{0}")]
    ReadOnly(String),

    /// A service behind the engine slows us down: HTTP 502 with this text.
    #[error("{0}")]
    UpstreamRateLimited(String),

    /// Any other HTTP status, with this text.
    #[error("{message}")]
    Coded {
        /// HTTP status.
        status: u16,
        /// What the caller reads.
        message: String,
    },

    /// Our fault or the host's: HTTP 500 with this text. The host tries a revocation again later.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// The caller's mistake.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }

    /// A fault that is not the caller's.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::Internal(message.into())
    }

    /// As it is told to the host and to clients, and logged: what it quotes may be of any length.
    /// [`Error::ReadOnly`] keeps its own text, because the host compares it.
    #[must_use]
    pub fn brief(self) -> Self {
        let brief = |text: String| cut(&text, LONGEST).into_owned();
        match self {
            Self::Invalid(text) => Self::Invalid(brief(text)),
            Self::UpstreamRateLimited(text) => Self::UpstreamRateLimited(brief(text)),
            Self::Coded { status, message } => Self::Coded {
                status,
                message: brief(message),
            },
            Self::Internal(text) => Self::Internal(brief(text)),
            other => other,
        }
    }

    /// Puts `context` and a colon before the text. [`Error::ReadOnly`] keeps its own text, because
    /// the host compares it.
    #[must_use]
    pub fn context(self, context: &str) -> Self {
        match self {
            Self::Invalid(text) => Self::Invalid(format!("{context}: {text}")),
            Self::UpstreamRateLimited(text) => {
                Self::UpstreamRateLimited(format!("{context}: {text}"))
            }
            Self::Coded { status, message } => Self::Coded {
                status,
                message: format!("{context}: {message}"),
            },
            Self::Internal(text) => Self::Internal(format!("{context}: {text}")),
            other => other,
        }
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::ReadOnly(text) => Self::ReadOnly(text),
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<HostError> for Error {
    fn from(error: HostError) -> Self {
        Self::Internal(error.to_string())
    }
}
