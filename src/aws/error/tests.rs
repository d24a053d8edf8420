//! Which answers of AWS are told apart, and how they read.

use super::*;

fn refused(status: u16, code: &str, message: &str) -> Error {
    Error::refused(
        "iam:CreateUser",
        &Refusal {
            status,
            code: Some(code),
            message: Some(message),
            request_id: None,
        },
    )
}

#[test]
fn codes_are_told_apart_by_what_to_do_about_them() {
    for (kind, codes) in [
        (
            ErrorKind::Denied,
            "AccessDenied AccessDeniedException UnauthorizedOperation",
        ),
        (ErrorKind::NotFound, "NoSuchEntity NoSuchEntityException"),
        (ErrorKind::AlreadyExists, "EntityAlreadyExists"),
        (
            ErrorKind::Throttled,
            "BandwidthLimitExceeded EC2ThrottledException LimitExceededException \
             PriorRequestNotComplete ProvisionedThroughputExceededException \
             RequestLimitExceeded RequestThrottled RequestThrottledException SlowDown \
             ThrottledException Throttling ThrottlingException TooManyRequestsException \
             TransactionInProgressException",
        ),
        (ErrorKind::DeleteConflict, "DeleteConflict"),
        (
            ErrorKind::Busy,
            "ConcurrentModification EntityTemporarilyUnmodifiable ServiceUnavailable",
        ),
        (ErrorKind::LimitExceeded, "LimitExceeded"),
        (
            ErrorKind::InvalidCredentials,
            "AuthFailure ExpiredToken ExpiredTokenException IDPRejectedClaim \
             InvalidClientTokenId InvalidIdentityToken SignatureDoesNotMatch \
             UnrecognizedClientException",
        ),
        (
            ErrorKind::Invalid,
            "InvalidInput InvalidParameterValue MalformedPolicyDocument PackedPolicyTooLarge \
             RegionDisabledException ValidationError ValidationException",
        ),
        (ErrorKind::Other, "ServiceFailure InternalFailure Surprise"),
    ] {
        for code in codes.split_whitespace() {
            assert_eq!(refused(400, code, "why").kind(), kind, "{code}");
        }
    }
}

#[test]
fn only_a_failure_of_aws_itself_may_have_happened() {
    assert!(refused(500, "ServiceFailure", "").may_have_happened());
    assert!(!refused(503, "ServiceUnavailable", "").may_have_happened());
    assert!(!refused(500, "Throttling", "").may_have_happened());
    assert!(!refused(400, "Surprise", "").may_have_happened());
}

#[test]
fn a_refusal_shows_code_and_message_in_one_line() {
    let error = refused(400, "ValidationError", " 2 errors:\n\tone\n\ttwo\n");

    assert_eq!(error.to_string(), "ValidationError: 2 errors: one two");
}

#[test]
fn what_stands_in_place_of_a_code_and_is_none_is_not_told() {
    for code in ["Throttling\nreally", "a b", "\u{1b}[2J", &"x".repeat(129)] {
        let error = refused(400, code, "why\u{7} \u{1b}[2J");
        assert_eq!(error.code(), None);
        assert_eq!(error.kind(), ErrorKind::Other);
        assert_eq!(error.to_string(), "why [2J");
    }
}

#[test]
fn a_refusal_without_code_and_message_shows_the_status() {
    assert_eq!(
        refused(418, "", " ").to_string(),
        "AWS refused iam:CreateUser without a reason (HTTP status 418)"
    );
    assert_eq!(refused(429, "", "").kind(), ErrorKind::Throttled);
}
