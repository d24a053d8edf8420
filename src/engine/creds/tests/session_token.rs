//! Sessions of the engine's own user itself.

use serde_json::{Value, json};

use crate::aws::fake::{FakeAws, Fault, FaultRule};
use crate::engine::testing::TestMount;

const ROLE: &str = "roles/x";

async fn mount() -> TestMount {
    let mount = TestMount::configured().await;
    mount
        .write(ROLE, json!({"credential_type": "session_token"}))
        .await;
    mount
}

#[tokio::test]
async fn the_answer_has_working_credentials_with_their_names_and_times() {
    let mount = mount().await;
    for path in ["creds/x", "sts/x"] {
        let lease = mount.generate(path).await;

        let works = mount.aws().identify(
            lease.text("access_key"),
            lease.text("secret_key"),
            Some(lease.text("session_token")),
        );
        assert_eq!(works.unwrap().as_str(), lease.text("arn"));
        assert_eq!(lease.data["security_token"], lease.data["session_token"]);
        assert_eq!(lease.text("username"), FakeAws::ADMIN);
        assert_eq!(lease.data["ttl"], json!(3600));
        assert_eq!(lease.text("expiration"), "2026-01-02T04:04:05Z");
        assert_eq!(lease.data.len(), 8);
    }
}

#[tokio::test]
async fn the_lease_remembers_what_the_go_engines_do() {
    let lease = mount().await.generate("creds/x").await;

    assert_eq!(
        Value::Object(lease.secret.internal_data.clone()),
        json!({"secret_type": "access_keys", "is_sts": true})
    );
    assert!(!lease.secret.lease.renewable);
}

#[tokio::test]
async fn that_aws_does_not_tell_whose_session_it_is_keeps_nobody_from_it() {
    let mount = mount().await;
    mount
        .aws()
        .inject(FaultRule::on("sts:GetCallerIdentity", Fault::Unreachable));

    let lease = mount.generate("creds/x").await;

    assert_eq!(lease.data["arn"], Value::Null);
    assert_eq!(lease.data["username"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn whose_session_it_is_takes_no_time_of_its_own() {
    let mount = mount().await;

    let (_, trips) = mount.round_trips(mount.generate("creds/x")).await;

    assert_eq!(trips, 1);
}

#[tokio::test]
async fn a_device_of_the_engines_user_needs_a_code() {
    let mount = mount().await;
    let device = mount.aws().add_mfa_device(FakeAws::ADMIN, "123456");
    mount
        .write(ROLE, json!({"mfa_serial_number": device.as_str()}))
        .await;

    let text = mount.generate_refusal("sts/x", json!({})).await;
    assert!(text.contains("shows as mfa_code"), "{text}");
    let text = mount
        .generate_refusal("sts/x", json!({"mfa_code": "654321"}))
        .await;
    assert!(text.contains("AWS takes each code once"), "{text}");

    mount
        .generate_with("sts/x", json!({"mfa_code": "123456"}))
        .await;

    let text = mount
        .generate_refusal("sts/x", json!({"mfa_code": "123456"}))
        .await;
    assert!(text.contains("AWS takes each code once"), "{text}");
}

#[tokio::test]
async fn a_code_without_a_device_is_refused_with_the_field_to_set() {
    let text = mount()
        .await
        .generate_refusal("creds/x", json!({"mfa_code": "123456"}))
        .await;

    assert!(
        text.starts_with("Error generating STS keys: AccessDenied: "),
        "{text}"
    );
    assert!(text.contains("set mfa_serial_number of the role"), "{text}");
}
