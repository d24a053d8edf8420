//! An AWS that takes connections and never answers.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::full_role;
use crate::aws::fake::{FakeRole, Fault, FaultRule};
use crate::engine::testing::{READ_ONLY, TestMount};

/// Roles of all types, one of them with groups, which are read first.
const ROLES: [&str; 5] = ["full", "assumed", "grouped", "federated", "session"];

async fn mount() -> TestMount {
    let mount = TestMount::configured().await;
    full_role(&mount).await;
    let arn = mount.aws().add_role("deploy", FakeRole::default());
    for (name, role) in [
        (
            "assumed",
            json!({"credential_type": "assumed_role", "role_arns": arn.as_str()}),
        ),
        (
            "grouped",
            json!({"credential_type": "assumed_role", "role_arns": arn.as_str(), "iam_groups": "developers", "policy_arns": READ_ONLY}),
        ),
        (
            "federated",
            json!({"credential_type": "federation_token", "policy_arns": READ_ONLY}),
        ),
        ("session", json!({"credential_type": "session_token"})),
    ] {
        mount.write(&format!("roles/{name}"), role).await;
    }
    mount
}

#[tokio::test(start_paused = true)]
async fn clients_are_answered_before_they_give_up() {
    for operation in ["*", "sts:*"] {
        let mount = mount().await;
        mount
            .aws()
            .inject(FaultRule::on(operation, Fault::HeldBefore));
        for role in ROLES {
            if operation == "sts:*" && role == "full" {
                continue;
            }
            let start = Instant::now();

            let error = mount.read_error(&format!("creds/{role}")).await;

            let elapsed = start.elapsed();
            assert!(elapsed < Duration::from_secs(55), "{role}: {elapsed:?}");
            assert!(
                error.to_string().contains("AWS did not answer"),
                "{role}: {error}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_we_are_is_not_waited_for_until_the_session_is_lost() {
    let mount = mount().await;
    let mute = FaultRule::on("sts:GetCallerIdentity", Fault::HeldBefore);
    mount.aws().inject(mute);
    let start = Instant::now();

    let lease = mount.generate("creds/session").await;

    assert!(start.elapsed() < Duration::from_secs(40));
    assert_eq!(lease.data["arn"], json!(null));
}

#[tokio::test(start_paused = true)]
async fn several_addresses_that_are_mute_take_no_longer_than_one() {
    let mount = TestMount::new().await;
    let addresses: Vec<_> = (2..9).map(|n| format!("https://sts{n}")).collect();
    let regions: Vec<_> = (2..9).map(|n| format!("us-east-{n}")).collect();
    mount
        .configure(json!({
            "sts_region": "us-east-1",
            "sts_endpoint": "https://sts1",
            "sts_fallback_endpoints": addresses,
            "sts_fallback_regions": regions,
        }))
        .await;
    let session = json!({"credential_type": "session_token"});
    mount.write("roles/session", session).await;
    mount.aws().inject(FaultRule::on("*", Fault::HeldBefore));
    let start = Instant::now();

    let requests = (0..20).map(|_| mount.read_error("creds/session"));
    let errors = futures_util::future::join_all(requests).await;

    assert!(
        start.elapsed() < Duration::from_secs(55),
        "{:?}",
        start.elapsed()
    );
    for error in errors {
        let text = error.to_string();
        assert!(
            text.contains("https://sts8: AWS did not answer at https://sts8 until"),
            "{text}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_host_is_answered_before_it_gives_up() {
    let mount = mount().await;
    let lease = mount.generate("creds/full").await;
    // Something to undo.
    mount
        .aws()
        .inject(FaultRule::on("iam:*", Fault::HeldBefore));
    mount.read_error("creds/full").await;
    mount.clock().advance(Duration::from_mins(6));

    let start = Instant::now();
    mount.revoke(&lease).await.unwrap_err();
    let revoked = start.elapsed();
    mount.roll_back().await.unwrap_err();
    let rolled_back = start.elapsed().saturating_sub(revoked);

    for elapsed in [revoked, rolled_back] {
        assert!(elapsed < Duration::from_secs(90), "{elapsed:?}");
    }
    mount.aws().heal();
    mount.revoke(&lease).await.unwrap();
    mount.roll_back().await.unwrap();
    mount.assert_nothing_left();
}
