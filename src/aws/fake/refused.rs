//! What AWS says no with.

use super::world::Caller;

/// AWS's no.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Refused {
    pub(super) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(super) fn denied(caller: &Caller, operation: &str, resource: &str) -> Self {
        Self::new(
            "AccessDenied",
            format!(
                "User: {} is not authorized to perform: {operation} on resource: {resource} \
                 because no identity-based policy allows the {operation} action",
                caller.arn
            ),
        )
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new("NoSuchEntity", message)
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new("ValidationError", message)
    }

    pub(super) fn limit(message: impl Into<String>) -> Self {
        Self::new("LimitExceeded", message)
    }

    /// What a test told AWS to answer.
    pub(super) fn told(code: &'static str) -> Self {
        let message = match code {
            "Throttling" => "Rate exceeded",
            "ServiceFailure" | "InternalFailure" => "The request processing has failed",
            "ServiceUnavailable" => "Service is temporarily unavailable",
            "InvalidClientTokenId" => "The security token included in the request is invalid.",
            _ => "The simulated AWS was told to answer so.",
        };
        Self::new(code, message)
    }

    pub(super) fn status(&self) -> u16 {
        Self::status_of(self.code)
    }

    /// The HTTP status that goes with an error code.
    pub(super) fn status_of(code: &str) -> u16 {
        match code {
            "AccessDenied" | "InvalidClientTokenId" | "SignatureDoesNotMatch" | "ExpiredToken" => {
                403
            }
            "NoSuchEntity" => 404,
            "EntityAlreadyExists"
            | "DeleteConflict"
            | "LimitExceeded"
            | "EntityTemporarilyUnmodifiable"
            | "ConcurrentModification" => 409,
            "ServiceFailure" | "InternalFailure" => 500,
            "ServiceUnavailable" => 503,
            _ => 400,
        }
    }
}
