//! A root that assumes a role: all is done as that role, and the key itself is rotated as itself.

use serde_json::json;

use super::{keys, stored_key};
use crate::aws::fake::FakeRole;
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::Error;

const OTHER: &str = "444455556666";

/// A mount with the key of one account that administers another.
async fn administering() -> TestMount {
    let mount = TestMount::configured().await;
    let trust = FakeRole {
        external_id: Some("wedged".to_owned()),
        ..FakeRole::default()
    };
    let role = mount.aws().in_account(OTHER).add_role("admin", trust);
    mount
        .write(
            "config/root",
            json!({
                "assume_role_arn": role.as_str(),
                "assume_role_session_name": "vault-of-the-team",
                "external_id": "wedged",
            }),
        )
        .await;
    mount
        .write("roles/bare", json!({"credential_type": "iam_user"}))
        .await;
    mount.aws().forget_calls();
    mount
}

#[tokio::test(start_paused = true)]
async fn users_are_made_and_ended_in_the_account_of_the_role() {
    let mount = administering().await;

    let lease = mount.generate("creds/bare").await;

    let owner = mount
        .aws()
        .identify(lease.text("access_key"), lease.text("secret_key"), None);
    assert_eq!(owner.unwrap().account(), OTHER);
    let assumed = mount.aws().calls_of("sts:AssumeRole");
    assert_eq!(assumed.len(), 1, "one session for many calls");
    assert_eq!(
        assumed[0].access_key_id.as_ref().map(ToString::to_string),
        Some(stored_key(&mount).await)
    );
    mount.revoke(&lease).await.unwrap();
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn the_key_itself_is_rotated_in_its_own_account_and_the_mount_works_on() {
    let mount = administering().await;
    let before = stored_key(&mount).await;
    mount.generate("creds/bare").await;

    mount.write("config/rotate-root", json!({})).await;

    let after = stored_key(&mount).await;
    assert_ne!(after, before);
    assert_eq!(keys(&mount), [after]);
    let lease = mount.generate("creds/bare").await;
    mount.revoke(&lease).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_the_role_is_told_as_one_of_assuming_it() {
    let mount = administering().await;
    mount
        .write("config/root", json!({"external_id": "other"}))
        .await;

    let error = mount.read_error("creds/bare").await;

    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    assert!(error.to_string().contains("sts:AssumeRole"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_role_that_a_session_cannot_serve_is_warned_of_when_it_is_written() {
    let mount = administering().await;
    for role in [
        json!({"credential_type": "federation_token", "policy_arns": READ_ONLY}),
        json!({"credential_type": "session_token"}),
    ] {
        let name = role["credential_type"].as_str().unwrap();
        let warnings = mount.write(&format!("roles/{name}"), role.clone()).await;
        assert!(
            format!("{warnings:?}").contains("assume_role_arn"),
            "{role}: {warnings:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn without_the_role_the_engine_acts_as_itself_again() {
    let mount = administering().await;
    mount
        .write(
            "config/root",
            json!({"assume_role_arn": "", "assume_role_session_name": "", "external_id": ""}),
        )
        .await;

    let lease = mount.generate("creds/bare").await;

    let owner = mount
        .aws()
        .identify(lease.text("access_key"), lease.text("secret_key"), None);
    assert_ne!(owner.unwrap().account(), OTHER);
}
