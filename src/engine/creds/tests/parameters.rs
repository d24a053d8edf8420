//! The parameters of a request, and which type takes which.

use serde_json::json;

use crate::aws::fake::{FakeAws, FakeRole};
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::Operation;

/// A mount with a role of each type.
async fn mount() -> TestMount {
    let mount = TestMount::configured().await;
    let deploy = mount.aws().add_role("deploy", FakeRole::default());
    let device = mount.aws().add_mfa_device(FakeAws::ADMIN, "123456");
    for (credential_type, field, value) in [
        ("iam_user", "policy_arns", READ_ONLY),
        ("assumed_role", "role_arns", deploy.as_str()),
        ("federation_token", "policy_arns", READ_ONLY),
        ("session_token", "mfa_serial_number", device.as_str()),
    ] {
        let role = json!({"credential_type": credential_type, field: value});
        mount.write(&format!("roles/{credential_type}"), role).await;
    }
    mount
}

#[tokio::test]
async fn parameters_without_effect_on_the_type_are_told() {
    let mount = mount().await;
    let all = json!({
        "role_arn": mount.aws().arn("iam", "role/deploy").as_str(),
        "ttl": "20m",
        "role_session_name": "ci",
        "mfa_code": "123456",
    });
    for (credential_type, ignored) in [
        (
            "iam_user",
            "role_arn, ttl, role_session_name, mfa_code; the lease is the mount's default, because config/lease sets none",
        ),
        ("assumed_role", "mfa_code"),
        ("federation_token", "role_arn, role_session_name, mfa_code"),
        ("session_token", "role_arn, role_session_name"),
    ] {
        let path = format!("creds/{credential_type}");

        let answer = mount.send(Operation::Read, &path, all.clone()).await;

        assert_eq!(
            answer.unwrap().unwrap().warnings,
            [format!(
                "without effect on {credential_type} credentials: {ignored}"
            )]
        );
    }
}

#[tokio::test]
async fn who_wishes_for_a_ttl_of_a_user_is_told_where_its_lease_comes_from() {
    let mount = mount().await;
    mount
        .write("config/lease", json!({"lease": "5m", "lease_max": "1h"}))
        .await;

    let answer = mount
        .send(Operation::Read, "creds/iam_user", json!({"ttl": "2h"}))
        .await;

    assert_eq!(
        answer.unwrap().unwrap().warnings,
        ["without effect on iam_user credentials: ttl; the lease of 5m0s is set in config/lease"]
    );
}

#[tokio::test]
async fn what_clients_send_empty_is_not_sent() {
    let mount = mount().await;
    let empty = json!({"role_arn": "", "ttl": "", "role_session_name": null, "mfa_code": ""});
    for credential_type in ["iam_user", "assumed_role", "federation_token"] {
        let path = format!("creds/{credential_type}");

        let answer = mount.send(Operation::Read, &path, empty.clone()).await;

        assert_eq!(answer.unwrap().unwrap().warnings, [""; 0]);
    }
}

#[tokio::test]
async fn a_parameter_that_cannot_be_read_is_refused_with_its_name() {
    let mount = mount().await;
    for (field, value) in [
        ("ttl", json!("soon")),
        ("ttl", json!(-1)),
        ("role_arn", json!(["a"])),
        ("mfa_code", json!({})),
    ] {
        let text = mount
            .generate_refusal("sts/assumed_role", json!({ field: value }))
            .await;
        let start =
            format!("Field validation failed: error converting input for field {field:?}: ");
        assert!(text.starts_with(&start), "{text}");
    }
}
