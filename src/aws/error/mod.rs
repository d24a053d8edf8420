//! Why AWS did not do what was asked, told apart by what to do about it.

#[cfg(test)]
mod tests;

use std::fmt;

use time::OffsetDateTime;

use super::Closed;

/// A failed call to AWS.
///
/// Displays as `<code>: <message>` in AWS's words, or as a sentence of ours where AWS sent none.
#[derive(Clone, Debug)]
pub struct Error {
    operation: &'static str,
    kind: ErrorKind,
    code: Option<String>,
    message: String,
    request_id: Option<String>,
    may_have_happened: bool,
    credentials_from: Option<&'static str>,
    beside: Option<Box<Beside>>,
}

/// What few failures have.
#[derive(Clone, Debug, Default)]
struct Beside {
    closed: Option<Closed>,
    aws_time: Option<OffsetDateTime>,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// AWS knows us and does not let us: a permission is missing.
    Denied,
    /// What the call names does not exist, or not yet: IAM may not know a user it just created.
    NotFound,
    /// Something of that name exists.
    AlreadyExists,
    /// Too many calls; later it may work.
    Throttled,
    /// Something is still attached to what was to be deleted.
    DeleteConflict,
    /// Another change is under way, or AWS is out of order; a little later it will work.
    Busy,
    /// A quota is used up, such as two access keys per user.
    LimitExceeded,
    /// AWS does not accept our credentials: unknown, not known yet, inactive, expired, or the
    /// signature is wrong.
    InvalidCredentials,
    /// The request itself is wrong: a name, a policy document, a duration.
    Invalid,
    /// No credentials were found, or their source failed, so AWS was not asked.
    NoCredentials,
    /// AWS did not answer: name resolution, connection, TLS, proxy, time limit.
    Unreachable,
    /// Whoever asked has hung up, so AWS was not asked.
    CallerGone,
    /// AWS failed in its own way.
    Other,
}

/// An answer of AWS that is an error.
pub(in crate::aws) struct Refusal<'a> {
    pub(in crate::aws) status: u16,
    pub(in crate::aws) code: Option<&'a str>,
    pub(in crate::aws) message: Option<&'a str>,
    pub(in crate::aws) request_id: Option<&'a str>,
}

impl Error {
    /// AWS answered, and the answer is an error.
    pub(in crate::aws) fn refused(operation: &'static str, refusal: &Refusal<'_>) -> Self {
        let code = refusal.code.map(str::trim).filter(|code| is_code(code));
        let message = refusal
            .message
            .map(one_line)
            .filter(|message| !message.is_empty());
        let kind = ErrorKind::of_answer(code, refusal.status);
        Self {
            operation,
            kind,
            code: code.map(ToOwned::to_owned),
            message: message.unwrap_or_else(|| {
                format!(
                    "AWS refused {operation} without a reason (HTTP status {})",
                    refusal.status
                )
            }),
            request_id: refusal.request_id.map(ToOwned::to_owned),
            // 503 is AWS's way of saying that it did not begin.
            may_have_happened: kind == ErrorKind::Other
                && refusal.status >= 500
                && refusal.status != 503,
            credentials_from: None,
            beside: None,
        }
    }

    /// AWS did not answer. `may_have_happened`: the request may have reached it.
    pub(in crate::aws) fn unreachable(
        operation: &'static str,
        message: impl Into<String>,
        may_have_happened: bool,
    ) -> Self {
        Self {
            may_have_happened,
            ..Self::unasked(operation, ErrorKind::Unreachable, message)
        }
    }

    /// Something answered, but not as AWS answers such a call.
    pub(in crate::aws) fn incomplete(operation: &'static str, message: impl Into<String>) -> Self {
        Self {
            may_have_happened: true,
            ..Self::unasked(operation, ErrorKind::Other, message)
        }
    }

    /// AWS was not asked.
    pub(in crate::aws) fn unasked(
        operation: &'static str,
        kind: ErrorKind,
        message: impl Into<String>,
    ) -> Self {
        Self {
            operation,
            kind,
            code: None,
            message: one_line(&message.into()),
            request_id: None,
            may_have_happened: false,
            credentials_from: None,
            beside: None,
        }
    }

    /// Says what closes the road.
    #[must_use]
    pub(in crate::aws) fn on_a_closed_road(self, closed: Closed) -> Self {
        let mut beside = self.beside.unwrap_or_default();
        beside.closed = Some(closed);
        Self {
            beside: Some(beside),
            ..self
        }
    }

    /// Says where the credentials of the call were found, if they were looked for, unless it is the
    /// failure of a call for credentials and says so itself.
    #[must_use]
    pub(in crate::aws) fn signed_by(self, place: Option<&'static str>) -> Self {
        Self {
            credentials_from: self.credentials_from.or(place),
            ..self
        }
    }

    /// Says what AWS's clock showed, unless it is known from another call.
    #[must_use]
    pub(in crate::aws) fn answered_at(self, time: Option<OffsetDateTime>) -> Self {
        if time.is_none() || self.aws_time().is_some() {
            return self;
        }
        let mut beside = self.beside.unwrap_or_default();
        beside.aws_time = time;
        Self {
            beside: Some(beside),
            ..self
        }
    }

    /// Whether AWS refuses because its clock shows another time than ours.
    pub(in crate::aws) fn is_of_clocks(&self) -> bool {
        let message = self.message();
        matches!(self.code(), Some("RequestTimeTooSkewed" | "RequestExpired"))
            || message.contains("Signature expired")
            || message.contains("Signature not yet current")
    }

    /// The call, named as the permission for it: `iam:CreateUser`.
    ///
    /// When credentials had to be fetched first and that failed, this names the call that failed,
    /// such as `sts:AssumeRole`; when no client could be made, `iam:*` or `sts:*`.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// AWS's error code, when AWS sent one.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// AWS's message, or a sentence of ours; never empty.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The road that is closed, where it is known what closes it.
    pub fn closed(&self) -> Option<&Closed> {
        self.beside.as_ref()?.closed.as_ref()
    }

    /// Where the process found the credentials of the call, if they are not of a configuration.
    pub fn credentials_from(&self) -> Option<&'static str> {
        self.credentials_from
    }

    /// What AWS's clock showed when it answered, where there was an answer that says so.
    pub fn aws_time(&self) -> Option<OffsetDateTime> {
        self.beside.as_ref()?.aws_time
    }

    /// By which AWS's support finds the call.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Whether AWS may have done what was asked although the call failed: it was asked and the
    /// answer got lost.
    ///
    /// False means that AWS did not do it. `create_user` and `create_access_key` are never tried
    /// again after such a failure, so for them this is certain; a call that does the same when it is
    /// done twice is tried again, and only its last try counts here.
    pub fn may_have_happened(&self) -> bool {
        self.may_have_happened
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{code}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}

impl ErrorKind {
    fn of_answer(code: Option<&str>, status: u16) -> Self {
        // Codes of the query protocol have no suffix; newer front ends of AWS, and emulators, add
        // one. With this code it matters: IAM's `LimitExceeded` is a quota.
        if code == Some("LimitExceededException") {
            return Self::Throttled;
        }
        let code = code.map(|code| {
            code.strip_suffix("Exception")
                .or_else(|| code.strip_suffix("Error"))
                .unwrap_or(code)
        });
        match code {
            Some("LimitExceeded") => Self::LimitExceeded,
            Some(
                "AccessDenied"
                | "UnauthorizedOperation"
                | "UnmodifiableEntity"
                | "Forbidden"
                | "NotAuthorized",
            ) => Self::Denied,
            Some("NoSuchEntity") => Self::NotFound,
            Some("EntityAlreadyExists") => Self::AlreadyExists,
            Some("DeleteConflict") => Self::DeleteConflict,
            Some(
                "ConcurrentModification" | "EntityTemporarilyUnmodifiable" | "ServiceUnavailable",
            ) => Self::Busy,
            Some(
                "Throttling"
                | "Throttled"
                | "ThrottledRequest"
                | "RequestThrottled"
                | "RequestLimitExceeded"
                | "BandwidthLimitExceeded"
                | "TooManyRequests"
                | "ProvisionedThroughputExceeded"
                | "SlowDown"
                | "PriorRequestNotComplete"
                | "TransactionInProgress"
                | "EC2Throttled",
            ) => Self::Throttled,
            Some(
                "InvalidClientTokenId"
                | "SignatureDoesNotMatch"
                | "ExpiredToken"
                | "InvalidToken"
                | "UnrecognizedClient"
                | "AuthFailure"
                | "InvalidAccessKeyId"
                | "IncompleteSignature"
                | "MissingAuthenticationToken"
                | "InvalidIdentityToken"
                | "IDPRejectedClaim"
                | "RequestExpired"
                | "RequestTimeTooSkewed"
                | "TokenRefreshRequired"
                | "OptInRequired"
                | "NotSignedUp",
            ) => Self::InvalidCredentials,
            Some(
                "Validation"
                | "InvalidInput"
                | "MalformedPolicyDocument"
                | "PackedPolicyTooLarge"
                | "InvalidParameterValue"
                | "InvalidParameter"
                | "InvalidParameterCombination"
                | "MissingParameter"
                | "MalformedInput"
                | "MalformedQueryString"
                | "PolicyNotAttachable"
                | "RegionDisabled"
                | "InvalidAction"
                | "InvalidQueryParameter"
                | "InvalidUserType"
                | "InvalidAuthenticationCode",
            ) => Self::Invalid,
            None if status == 429 => Self::Throttled,
            Some(_) | None => Self::Other,
        }
    }
}

/// A code is one short word; where something else stands in its place, not AWS has put it there.
fn is_code(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// AWS breaks some messages into lines; one line is what fits a log and a terminal.
fn one_line(message: &str) -> String {
    let words = message.split(|c: char| c.is_whitespace() || c.is_control());
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ")
}
