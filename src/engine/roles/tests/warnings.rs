//! What a role may be, and is perhaps not meant to be.

use std::time::Duration;

use serde_json::{Value, json};

use super::{DOCUMENT, ROLE_ARN};
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::HostError;
use crate::logical::testing::StaticSystemView;

async fn mount_limited_to(limit: Duration) -> TestMount {
    TestMount::on(StaticSystemView {
        max_lease_ttl: limit,
        ..StaticSystemView::default()
    })
    .await
}

async fn assert_warned(mount: &TestMount, role: Value, warning: &str) {
    let warnings = mount.write("roles/x", role.clone()).await;

    assert_eq!(warnings.len(), 1, "{role}: {warnings:?}");
    assert!(warnings[0].contains(warning), "{role}: {warnings:?}");
    mount.delete("roles/x").await;
}

#[tokio::test]
async fn a_user_without_any_permission_is_warned_of() {
    let mount = TestMount::new().await;
    assert_warned(
        &mount,
        json!({"credential_type": "iam_user"}),
        "without any permission",
    )
    .await;
}

#[tokio::test]
async fn an_assumed_role_without_role_arns_is_stored_with_a_warning_and_gives_nothing() {
    let mount = TestMount::configured().await;

    let warnings = mount
        .write("roles/x", json!({"credential_type": "assumed_role"}))
        .await;

    assert_eq!(
        warnings,
        [
            "role gives no credentials: it has no role_arns, and an assumed_role needs a role to assume"
        ]
    );
    assert_eq!(
        mount.read("roles/x").await["credential_type"],
        "assumed_role"
    );
    let text = mount.generate_refusal("creds/x", json!({})).await;
    assert_eq!(
        text,
        "did not supply a role_arn parameter and unable to determine one: the role has no role_arns"
    );
    let asked = json!({"role_arn": ROLE_ARN});
    let text = mount.generate_refusal("creds/x", asked).await;
    assert!(text.contains("not in allowed role arns"), "{text}");
    assert!(mount.aws().calls().is_empty());
}

#[tokio::test]
async fn fields_without_effect_are_warned_of() {
    let mount = TestMount::new().await;
    let assumed = json!({"credential_type": "assumed_role", "role_arns": ROLE_ARN});
    for (mut role, field, value) in [
        (assumed.clone(), "iam_tags", json!({"a": "b"})),
        (assumed, "mfa_serial_number", json!("GAHT12345678")),
        (
            json!({"credential_type": "session_token"}),
            "iam_groups",
            json!("developers"),
        ),
    ] {
        role[field] = value;
        let warning = format!("{field} has no effect");
        assert_warned(&mount, role, &warning).await;
    }
}

#[tokio::test]
async fn what_an_account_may_not_allow_is_warned_of() {
    let mount = TestMount::new().await;
    let arns: Vec<_> = (0..11)
        .map(|n| format!("arn:aws:iam::aws:policy/p{n}"))
        .collect();
    let role = json!({"credential_type": "iam_user", "policy_arns": arns});
    let warning =
        "policy_arns has 11 policies, and IAM attaches at most 10 to a user unless the account's";
    assert_warned(&mount, role, warning).await;

    let groups: Vec<_> = (0..11).map(|n| format!("group{n}")).collect();
    let role = json!({"credential_type": "federation_token", "iam_groups": groups});
    assert_warned(&mount, role, "iam_groups has 11 groups").await;
}

#[tokio::test]
async fn a_character_that_aws_has_no_place_for_is_warned_of_with_its_escape() {
    let mount = TestMount::new().await;
    let mut role = json!({"credential_type": "iam_user", "policy_document": r#"{"Id":"30 €"}"#});
    assert_warned(
        &mount,
        role.clone(),
        r"has the character '€', and AWS takes none beyond U+00FF: write it as \u20ac",
    )
    .await;

    role["policy_document"] = json!(r#"{"Id":"30 \u20ac für ÿ"}"#);
    assert_eq!(mount.write("roles/x", role).await, [""; 0]);
}

#[tokio::test]
async fn lifetimes_that_aws_does_not_give_are_warned_of() {
    let mount = TestMount::new().await;
    for (credential_type, field, ttl, warning) in [
        (
            "assumed_role",
            "default_sts_ttl",
            "14m",
            "default_sts_ttl of 14m0s is too short: AWS gives sessions of 15m0s at least",
        ),
        (
            "session_token",
            "max_sts_ttl",
            "60",
            "max_sts_ttl of 1m0s is too short",
        ),
        (
            "assumed_role",
            "max_sts_ttl",
            "13h",
            "max_sts_ttl of 13h0m0s is too long: AWS gives sessions of 12h0m0s at most",
        ),
        (
            "federation_token",
            "max_sts_ttl",
            "37h",
            "of 36h0m0s at most",
        ),
    ] {
        let mut role = json!({"credential_type": credential_type});
        role[field] = json!(ttl);
        match credential_type {
            "assumed_role" => role["role_arns"] = json!(ROLE_ARN),
            "federation_token" => role["policy_arns"] = json!(READ_ONLY),
            _ => {}
        }
        assert_warned(&mount, role, warning).await;
    }
}

#[tokio::test]
async fn a_session_that_outlives_its_lease_is_warned_of() {
    let mount = mount_limited_to(Duration::from_hours(1)).await;
    let role = json!({
        "credential_type": "assumed_role",
        "role_arns": ROLE_ARN,
        "max_sts_ttl": "2h",
    });
    assert_warned(
        &mount,
        role,
        "max_sts_ttl of 2h0m0s is longer than the mount's maximum lease TTL of 1h0m0s",
    )
    .await;
}

#[tokio::test]
async fn a_default_that_the_mount_cuts_is_warned_of() {
    let mount = mount_limited_to(Duration::from_hours(1)).await;
    let role = json!({
        "credential_type": "federation_token",
        "policy_document": DOCUMENT,
        "default_sts_ttl": "2h",
    });
    assert_warned(
        &mount,
        role,
        "is cut to the mount's maximum lease TTL of 1h0m0s",
    )
    .await;
}

#[tokio::test]
async fn an_engine_without_an_access_key_may_be_a_session_which_is_warned_of() {
    let mount = TestMount::new().await;
    mount
        .write("config/root", json!({"region": "us-east-1"}))
        .await;
    assert_warned(
        &mount,
        json!({"credential_type": "federation_token", "policy_arns": READ_ONLY}),
        "gives it no federation_token; assumed_role works",
    )
    .await;
    assert_warned(
        &mount,
        json!({"credential_type": "session_token"}),
        "gives it no session_token; assumed_role works",
    )
    .await;
    assert_warned(
        &mount,
        json!({"credential_type": "assumed_role", "role_arns": ROLE_ARN, "default_sts_ttl": "2h"}),
        "sessions of 1h0m0s at most, and default_sts_ttl is 2h0m0s",
    )
    .await;
    assert_warned(
        &mount,
        json!({"credential_type": "assumed_role", "role_arns": ROLE_ARN, "max_sts_ttl": "2h"}),
        "sessions of 1h0m0s at most, and max_sts_ttl of 2h0m0s lets requests ask for more",
    )
    .await;
}

#[tokio::test]
async fn an_ordinary_role_is_taken_without_a_warning() {
    let mount = TestMount::configured().await;
    for role in [
        json!({"credential_type": "iam_user", "policy_arns": READ_ONLY}),
        json!({"credential_type": "assumed_role", "role_arns": ROLE_ARN, "default_sts_ttl": "12h"}),
        json!({"credential_type": "federation_token", "policy_document": DOCUMENT}),
        json!({"credential_type": "session_token"}),
    ] {
        assert_eq!(
            mount.write("roles/x", role.clone()).await,
            [""; 0],
            "{role}"
        );
        mount.delete("roles/x").await;
    }
}

#[tokio::test]
async fn a_host_that_does_not_tell_its_limits_is_no_reason_to_refuse_a_role() {
    let mount = TestMount::on(StaticSystemView {
        fault: Some(HostError::Failed("connection lost".to_owned())),
        ..StaticSystemView::default()
    })
    .await;
    let role = json!({"credential_type": "session_token", "max_sts_ttl": "2h"});
    assert_eq!(mount.write("roles/x", role).await, [""; 0]);
}
