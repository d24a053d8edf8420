//! How long sessions live, and what the lease says of it.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::join;

use crate::aws::fake::{FakeRole, Fault, FaultRule};
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::testing::StaticSystemView;
use crate::logical::{Error, HostError, Operation, Response};

/// A mount with a maximum lease TTL, and a role of each type of session with these lifetimes.
async fn mount_with(limit: Duration, default_sts_ttl: &str, max_sts_ttl: &str) -> TestMount {
    let mount = TestMount::on(StaticSystemView {
        max_lease_ttl: limit,
        ..StaticSystemView::default()
    })
    .await;
    mount.configure(json!({})).await;
    let long = FakeRole {
        max_session_duration: Duration::from_hours(12),
        ..FakeRole::default()
    };
    let role_arn = mount.aws().add_role("deploy", long);
    for (credential_type, field, value) in [
        ("assumed_role", "role_arns", role_arn.as_str()),
        ("federation_token", "policy_arns", READ_ONLY),
        ("session_token", "policy_arns", ""),
    ] {
        let role = json!({
            "credential_type": credential_type,
            field: value,
            "default_sts_ttl": default_sts_ttl,
            "max_sts_ttl": max_sts_ttl,
        });
        mount.write(&format!("roles/{credential_type}"), role).await;
    }
    mount
}

async fn answer(mount: &TestMount, credential_type: &str, ttl: &Value) -> Response {
    let path = format!("sts/{credential_type}");
    let answer = mount
        .send(Operation::Read, &path, json!({"ttl": ttl}))
        .await;
    answer.unwrap().unwrap()
}

#[tokio::test]
async fn the_request_counts_then_the_role_then_an_hour_within_the_roles_or_the_mounts_limit() {
    const DAY: Duration = Duration::from_hours(24);
    const HOUR: Duration = Duration::from_hours(1);
    for (mount, default, max, asked, lifetime) in [
        (DAY, "", "", json!(null), 3600),
        (DAY, "", "", json!(900), 900),
        (DAY, "", "", json!("2h"), 7200),
        (DAY, "30m", "", json!(null), 1800),
        (DAY, "30m", "", json!("45m"), 2700),
        (DAY, "30m", "1h", json!(null), 1800),
        (DAY, "30m", "1h", json!("2h"), 3600),
        (DAY, "", "30m", json!(null), 1800),
        (HOUR, "", "", json!("2h"), 3600),
        (HOUR, "2h", "", json!(null), 3600),
        // The role's own limit may be above the mount's.
        (HOUR, "", "3h", json!("2h"), 7200),
        // A session of no length cannot be meant.
        (DAY, "30m", "", json!(0), 1800),
        (DAY, "", "", json!("0s"), 3600),
        (DAY, "30m", "", json!(""), 1800),
    ] {
        let mount = mount_with(mount, default, max).await;
        for credential_type in ["assumed_role", "federation_token", "session_token"] {
            let case = format!("{credential_type} {default:?} {max:?} {asked}");

            let answer = answer(&mount, credential_type, &asked).await;

            assert_eq!(answer.data["ttl"], json!(lifetime), "{case}");
            let lease = answer.secret.unwrap().lease;
            assert_eq!(lease.ttl, Duration::from_secs(lifetime), "{case}");
            assert_eq!(lease.max_ttl, Duration::ZERO, "{case}");
            assert!(!lease.renewable, "{case}");
        }
    }
}

#[tokio::test]
async fn a_wish_that_is_cut_is_told() {
    let mount = mount_with(Duration::from_hours(4), "", "").await;
    let warnings = answer(&mount, "assumed_role", &json!("5h")).await.warnings;
    assert_eq!(
        warnings,
        ["ttl of 5h0m0s is cut to 4h0m0s, the mount's maximum lease TTL"]
    );

    let mount = mount_with(Duration::from_hours(4), "", "1h").await;
    let warnings = answer(&mount, "federation_token", &json!("2h"))
        .await
        .warnings;
    assert_eq!(
        warnings,
        ["ttl of 2h0m0s is cut to 1h0m0s, max_sts_ttl of the role"]
    );
}

#[tokio::test]
async fn an_answer_to_who_wished_nothing_has_no_warnings() {
    let mount = mount_with(Duration::from_hours(1), "2h", "").await;
    for asked in [json!(null), json!("1h")] {
        let warnings = answer(&mount, "session_token", &asked).await.warnings;
        assert_eq!(warnings, [""; 0]);
    }
}

#[tokio::test]
async fn a_lifetime_that_aws_does_not_give_is_refused_with_its_origin() {
    let mount = mount_with(Duration::from_hours(768), "2m", "").await;
    let text = mount
        .generate_refusal("creds/assumed_role", json!({}))
        .await;
    assert!(
        text.starts_with("Error assuming role: ValidationError: 1 validation error detected: Value '120' at 'durationSeconds'"),
        "{text}"
    );
    assert!(
        text.ends_with("(2m0s was asked for, default_sts_ttl of the role)"),
        "{text}"
    );

    let text = mount
        .generate_refusal("creds/federation_token", json!({"ttl": "37h"}))
        .await;
    assert!(
        text.ends_with("(37h0m0s was asked for, ttl of the request)"),
        "{text}"
    );
}

#[tokio::test]
async fn a_lifetime_above_that_of_the_aws_role_is_refused_with_what_to_change() {
    let mount = mount_with(Duration::from_hours(768), "2h", "").await;
    mount.aws().add_role("deploy", FakeRole::default());

    let text = mount
        .generate_refusal("creds/assumed_role", json!({}))
        .await;

    assert!(text.contains("2h0m0s was asked for, default_sts_ttl of the role: lower it, or raise the maximum session duration of the AWS role"), "{text}");
}

#[tokio::test]
async fn a_host_that_does_not_tell_its_limit_is_asked_only_where_the_role_has_none() {
    let mount = TestMount::on(StaticSystemView {
        fault: Some(HostError::Failed("connection lost".to_owned())),
        ..StaticSystemView::default()
    })
    .await;
    mount.storage().set_text("config/root", "{}");
    mount
        .aws()
        .set_default_credentials(&mount.aws().admin_key());
    let stored =
        |max: u64| format!(r#"{{"credential_types":["session_token"],"max_sts_ttl":{max}}}"#);

    mount.storage().set_text("role/x", &stored(0));
    match mount.read_error("creds/x").await {
        Error::Internal(text) => assert_eq!(
            text,
            "error reading the mount's maximum lease TTL: connection lost"
        ),
        other => panic!("{other:?}"),
    }

    mount
        .storage()
        .set_text("role/x", &stored(3_600_000_000_000));
    mount.generate("creds/x").await;
}

#[tokio::test]
async fn the_lease_ends_with_the_session_to_the_fraction_of_a_second() {
    let mount = mount_with(Duration::from_hours(768), "", "").await;
    mount
        .aws()
        .inject(FaultRule::on("sts:AssumeRole", Fault::HeldAfter));

    let (answer, ()) = join!(
        mount.send(Operation::Read, "creds/assumed_role", json!({})),
        async {
            while mount.aws().sessions().is_empty() {
                tokio::task::yield_now().await;
            }
            mount.clock().advance(Duration::from_millis(1500));
            mount.aws().heal();
        }
    );

    let answer = answer.unwrap().unwrap();
    assert_eq!(answer.data["ttl"], json!(3598));
    let lease = answer.secret.unwrap().lease;
    assert_eq!(lease.ttl, Duration::from_millis(3_598_500));
}
