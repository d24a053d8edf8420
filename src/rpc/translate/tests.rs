use serde_json::json;
use time::macros::datetime;

use super::*;
use crate::logical::READ_ONLY_STORAGE;
use crate::logical::testing::InMemoryStorage;

fn storage() -> Arc<dyn Storage> {
    Arc::new(InMemoryStorage::default())
}

fn request_with(data: &str) -> Result<Request, Error> {
    let wire = wire::Request {
        operation: "update".to_owned(),
        data: data.to_owned(),
        ..wire::Request::default()
    };
    request(wire, None, storage())
}

fn object_of(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

fn failure(error: Error) -> (Option<String>, Option<(u32, String, i64)>) {
    let reply = handle_request_reply(Err(error));
    (
        reply.response.map(|response| response.data),
        reply
            .err
            .map(|error| (error.err_type, error.err_msg, error.err_code)),
    )
}

#[test]
fn a_request_without_data_has_an_empty_object() {
    for text in ["null", "", "{}", " null\n"] {
        assert_eq!(
            request_with(text).unwrap().data,
            JsonObject::new(),
            "{text:?}"
        );
    }
}

#[test]
fn request_data_keeps_its_json_types() {
    let request = request_with(r#"{"n":9007199254740993,"s":"1h","l":["a"],"b":true}"#).unwrap();

    assert_eq!(
        Value::Object(request.data),
        json!({"n": 9_007_199_254_740_993_u64, "s": "1h", "l": ["a"], "b": true})
    );
}

#[test]
fn a_number_that_json_values_cannot_hold_as_it_was_written_arrives_as_a_text() {
    let sent = r#"{"version":1.10,"large":1e400,"tags":{"v":2.0e1,"n":7},"list":[1.50,"1.50"]}"#;
    let request = request_with(sent).unwrap();

    assert_eq!(
        Value::Object(request.data),
        json!({
            "version": "1.10",
            "large": "1e400",
            "tags": {"v": "2.0e1", "n": 7},
            "list": ["1.50", "1.50"],
        })
    );
}

#[test]
fn request_data_that_is_no_object_is_refused_without_repeating_it() {
    for text in [r#"["hunter2"]"#, r#"{"secret":"hunter2""#, "\"hunter2\""] {
        let error = request_with(text).expect_err(text);
        assert!(matches!(error, Error::Invalid(_)));
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

#[test]
fn data_that_no_fields_can_need_is_refused_by_its_size_before_it_is_parsed() {
    let of_size = |size: usize| format!(r#"{{"x":"{}"}}"#, "a".repeat(size - 8));

    assert!(request_with(&of_size(1024 * 1024)).is_ok());
    for too_long in [of_size(1024 * 1024 + 1), "[".repeat(1024 * 1024 + 1)] {
        let error = request_with(&too_long).unwrap_err();

        assert!(matches!(error, Error::Invalid(_)));
        let text = error.to_string();
        assert!(text.contains("1048577 bytes"), "{text}");
        assert!(text.contains("at most 1048576"), "{text}");
    }
}

#[test]
fn what_comes_with_a_lease_has_any_size() {
    let long = format!(r#"{{"x":"{}"}}"#, "a".repeat(2 * 1024 * 1024));
    let wire = wire::Request {
        operation: "revoke".to_owned(),
        data: long.clone(),
        secret: Some(wire::Secret {
            internal_data: long,
            ..wire::Secret::default()
        }),
        ..wire::Request::default()
    };

    let request = request(wire, None, storage()).unwrap();

    assert_eq!(request.data, request.secret.unwrap().internal_data);
}

#[test]
fn every_field_that_an_engine_sees_arrives() {
    let request = request(
        wire::Request {
            id: "5b2c4c1c".to_owned(),
            operation: "read".to_owned(),
            path: "creds/deploy".to_owned(),
            data: "{}".to_owned(),
            secret: None,
            display_name: "token-ci".to_owned(),
            mount_point: "aws/".to_owned(),
            mount_type: "aws".to_owned(),
            mount_accessor: "aws_1a2b".to_owned(),
            entity_id: "e1".to_owned(),
        },
        None,
        storage(),
    )
    .unwrap();

    assert_eq!(request.id, "5b2c4c1c");
    assert_eq!(request.operation, Operation::Read);
    assert_eq!(request.path, "creds/deploy");
    assert_eq!(request.display_name, "token-ci");
    assert_eq!(request.mount_point, "aws/");
    assert_eq!(request.mount_type, "aws");
    assert_eq!(request.mount_accessor, "aws_1a2b");
    assert_eq!(request.entity_id, "e1");
    assert!(request.secret.is_none());
}

#[test]
fn an_unknown_operation_keeps_its_name() {
    let wire = wire::Request {
        operation: "resolve-path".to_owned(),
        ..wire::Request::default()
    };

    let request = request(wire, None, storage()).unwrap();

    assert_eq!(
        request.operation,
        Operation::Other("resolve-path".to_owned())
    );
}

#[test]
fn the_lease_of_a_renewal_is_read_in_nanoseconds() {
    let wire = wire::Request {
        operation: "renew".to_owned(),
        secret: Some(wire::Secret {
            lease_options: Some(wire::LeaseOptions {
                ttl: 3_600_000_000_000,
                renewable: true,
                increment: 1_500_000_000,
                issue_time: Some(Timestamp {
                    seconds: 1_767_323_045,
                    nanos: 500_000_000,
                }),
                max_ttl: -1,
            }),
            internal_data: r#"{"secret_type":"access_keys"}"#.to_owned(),
            lease_id: "aws/creds/deploy/x".to_owned(),
        }),
        ..wire::Request::default()
    };

    let secret = request(wire, None, storage()).unwrap().secret.unwrap();

    assert_eq!(
        secret.lease,
        LeaseOptions {
            ttl: Duration::from_hours(1),
            max_ttl: Duration::ZERO,
            renewable: true,
            increment: Duration::from_millis(1500),
            issue_time: Some(datetime!(2026-01-02 03:04:05.5 UTC)),
        }
    );
    assert_eq!(secret.internal_data["secret_type"], "access_keys");
    assert_eq!(secret.lease_id, "aws/creds/deploy/x");
}

#[test]
fn gos_zero_time_is_no_issue_time() {
    let zero = Timestamp {
        seconds: GO_ZERO_TIME,
        nanos: 0,
    };

    assert_eq!(time(zero), None);
}

#[test]
fn no_answer_is_neither_response_nor_error() {
    let reply = handle_request_reply(Ok(None));

    assert!(reply.response.is_none());
    assert!(reply.err.is_none());
}

#[test]
fn a_response_without_data_says_so_and_never_by_an_empty_text() {
    let reply = handle_request_reply(Ok(Some(Response::warnings(vec!["careful".to_owned()]))));

    let response = reply.response.unwrap();
    assert_eq!(response.data, "null");
    assert_eq!(response.warnings, ["careful"]);
    assert!(response.secret.is_none());
}

#[test]
fn a_leased_response_always_has_an_issue_time_and_internal_data() {
    let response = Response {
        secret: Some(Secret {
            lease: LeaseOptions {
                ttl: Duration::from_hours(1),
                max_ttl: Duration::MAX,
                renewable: true,
                ..LeaseOptions::default()
            },
            ..Secret::default()
        }),
        ..Response::data(object_of(json!({"access_key": "AKIA"})))
    };

    let response = handle_request_reply(Ok(Some(response))).response.unwrap();

    assert_eq!(response.data, r#"{"access_key":"AKIA"}"#);
    let secret = response.secret.unwrap();
    assert_eq!(secret.internal_data, "{}");
    let lease = secret.lease_options.unwrap();
    assert_eq!(lease.ttl, 3_600_000_000_000);
    assert_eq!(lease.max_ttl, i64::MAX);
    assert!(lease.renewable);
    assert_eq!(lease.issue_time.unwrap().seconds, GO_ZERO_TIME);
}

#[test]
fn a_lease_that_is_renewed_keeps_its_issue_time() {
    let lease = LeaseOptions {
        issue_time: Some(datetime!(2026-01-02 03:04:05.5 UTC)),
        ..LeaseOptions::default()
    };

    let wire = lease_options_to_wire(lease);

    assert_eq!(
        wire.issue_time,
        Some(Timestamp {
            seconds: 1_767_323_045,
            nanos: 500_000_000,
        })
    );
}

#[test]
fn the_callers_mistake_is_a_response_with_the_one_key_error() {
    assert_eq!(
        failure(Error::invalid("ttl: \"x\" is no duration")),
        (
            Some(r#"{"error":"ttl: \"x\" is no duration"}"#.to_owned()),
            None
        )
    );
}

#[test]
fn being_slowed_down_has_its_text_in_the_response_and_its_status_in_the_error() {
    assert_eq!(
        failure(Error::UpstreamRateLimited(
            "iam throttles CreateUser".to_owned()
        )),
        (
            Some(r#"{"error":"iam throttles CreateUser"}"#.to_owned()),
            Some((0, "upstream rate limited".to_owned(), 0))
        )
    );
}

#[test]
fn other_errors_have_the_number_that_hosts_know() {
    let alone = |error_type, text: &str, code| (None, Some((error_type, text.to_owned(), code)));

    assert_eq!(
        failure(Error::UnsupportedOperation),
        alone(5, "unsupported operation", 0)
    );
    assert_eq!(
        failure(Error::UnsupportedPath),
        alone(6, "unsupported path", 0)
    );
    assert_eq!(
        failure(Error::PermissionDenied),
        alone(8, "permission denied", 0)
    );
    assert_eq!(failure(Error::internal("no luck")), alone(0, "no luck", 0));
    assert_eq!(
        failure(Error::Coded {
            status: 412,
            message: "not yet".to_owned(),
        }),
        alone(3, "not yet", 412)
    );
}

#[test]
fn the_read_only_text_is_passed_on_unchanged() {
    assert_eq!(
        failure(Error::ReadOnly(READ_ONLY_STORAGE.to_owned())),
        (None, Some((0, READ_ONLY_STORAGE.to_owned(), 0)))
    );
}

#[test]
fn no_answer_has_the_text_that_restarts_the_plugin() {
    let text = || RESTARTS_PLUGIN.to_owned();
    for error in [
        Error::Invalid(text()),
        Error::Internal(text()),
        Error::ReadOnly(text()),
        Error::UpstreamRateLimited(text()),
        Error::Coded {
            status: 500,
            message: text(),
        },
    ] {
        let (response, wire_error) = failure(error);
        assert_ne!(
            response,
            Some(json!({ "error": RESTARTS_PLUGIN }).to_string())
        );
        assert_ne!(wire_error.map(|(_, text, _)| text), Some(text()));
    }
    assert_ne!(setup_reply(Err(text())).err, RESTARTS_PLUGIN);
}

#[test]
fn an_existence_check_says_whether_there_is_one_and_what_it_found() {
    for (outcome, expected) in [
        (Ok(None), (false, false)),
        (Ok(Some(false)), (true, false)),
        (Ok(Some(true)), (true, true)),
    ] {
        let reply = existence_check_reply(outcome);
        assert_eq!((reply.check_found, reply.exists), expected);
        assert!(reply.err.is_none());
    }
}

#[test]
fn in_an_existence_check_the_callers_mistake_is_a_user_error() {
    let error_type = |error| existence_check_reply(Err(error)).err.unwrap().err_type;

    assert_eq!(error_type(Error::invalid("bad name")), 1);
    assert_eq!(error_type(Error::UnsupportedPath), 6);
    assert_eq!(error_type(Error::internal("no storage")), 0);
}

#[test]
fn an_initialization_that_fails_says_why() {
    assert!(initialize_reply(Ok(())).err.is_none());
    assert_eq!(
        initialize_reply(Err(Error::internal("no queue")))
            .err
            .unwrap()
            .err_msg,
        "no queue"
    );
}

#[test]
fn a_rotation_job_counts_in_seconds() {
    let wire = rotation_job_to_wire(RotationJob {
        name: "root".to_owned(),
        mount_point: "aws/".to_owned(),
        path: "config/root".to_owned(),
        schedule: "0 0 * * 6".to_owned(),
        window: Duration::from_hours(2),
        period: Duration::ZERO,
        policy: "weekly".to_owned(),
    });

    assert_eq!(wire.rotation_window, 7200);
    assert_eq!(wire.rotation_period, 0);
    assert_eq!(wire.rotation_schedule, "0 0 * * 6");
    assert_eq!(wire.rotation_policy, "weekly");
    assert_eq!(wire.mount_point, "aws/");
    assert_eq!(wire.path, "config/root");
    assert_eq!(wire.name, "root");
}
