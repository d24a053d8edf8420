//! `max_active`: how many users of a role may be out at once.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::HOUR;
use crate::aws::fake::Fault;
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::testing::StorageFault;
use crate::logical::{Error, Operation};

/// A mount with a role `x` of which two users may be out, and a role `y` without a limit.
async fn limited() -> TestMount {
    let mount = TestMount::configured().await;
    let role = json!({"credential_type": "iam_user", "policy_arns": READ_ONLY});
    mount.write("roles/y", role).await;
    let role = json!({"credential_type": "iam_user", "policy_arns": READ_ONLY, "max_active": 2});
    mount.write("roles/x", role).await;
    mount
}

#[tokio::test]
async fn a_request_beyond_the_limit_is_told_who_has_how_many() {
    let mount = limited().await;
    let first = mount.generate("creds/x").await;
    mount.generate("creds/x").await;
    mount.generate("creds/y").await;
    mount.storage().take_calls();
    mount.aws().forget_calls();

    let refusal = mount.generate_refusal("creds/x", json!({})).await;

    assert_eq!(
        refusal,
        "role \"x\" has max_active of 2, and 2 of its IAM users are out: \"token-alice\" has 2; list issued/ for each, revoke leases that are not needed, or raise max_active on roles/x"
    );
    assert_eq!(mount.aws().operations(), [""; 0], "AWS is not asked");
    assert_eq!(mount.storage().take_calls(), [""; 0], "nothing is stored");
    mount.generate("creds/y").await;

    mount.clock().advance(HOUR);
    mount.revoke(&first).await.unwrap();
    mount.generate("creds/x").await;
    mount.generate_refusal("creds/x", json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn of_requests_at_the_limit_that_come_at_once_only_as_many_win_as_there_are_places() {
    let mount = limited().await;
    mount.generate("creds/x").await;
    mount.aws().set_delay(Duration::from_millis(100));

    let requests = (0..8).map(|_| mount.send(Operation::Read, "creds/x", json!({})));
    let answers = join_all(requests).await;

    let won = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(won, 1);
    assert_eq!(mount.aws().iam_users().len(), 2);
}

#[tokio::test]
async fn a_new_life_counts_what_is_stored_and_reads_it_once() {
    let mut mount = limited().await;
    mount.generate("creds/x").await;
    mount.generate("creds/x").await;
    mount.generate("creds/y").await;
    mount.restart().await;

    mount.generate_refusal("creds/x", json!({})).await;
    mount.storage().take_calls();

    mount.generate_refusal("creds/x", json!({})).await;
    assert_eq!(mount.storage().take_calls(), [""; 0]);
    mount.write("roles/x", json!({"max_active": 3})).await;
    mount.generate("creds/x").await;
    mount.storage().take_calls();
    mount.generate_refusal("creds/x", json!({})).await;
    assert_eq!(mount.storage().take_calls(), [""; 0]);
}

#[tokio::test]
async fn a_role_without_a_limit_reads_no_register() {
    let mut mount = limited().await;
    mount.generate("creds/x").await;
    mount.restart().await;
    mount.storage().take_calls();

    mount.generate("creds/y").await;

    let calls = mount.storage().take_calls();
    assert!(
        !calls.iter().any(|call| call == "list issued/"),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_user_that_could_not_be_made_leaves_its_place() {
    let mount = limited().await;
    mount.generate("creds/x").await;
    for operation in ["iam:CreateUser", "iam:CreateAccessKey"] {
        mount.aws().deny(operation);
        mount.generate_refusal("creds/x", json!({})).await;
        mount.aws().heal();
    }
    mount.storage().fail(StorageFault::Put, "wal/");
    mount.read_error("creds/x").await;
    mount.storage().heal();

    mount.generate("creds/x").await;
}

#[tokio::test(start_paused = true)]
async fn a_user_that_dies_with_its_process_leaves_its_place_when_it_is_undone() {
    for answered in 0..4 {
        let mut mount = limited().await;
        mount.generate("creds/x").await;
        mount.aws().die_after(answered, Fault::HeldAfter);
        let issued = mount.send(Operation::Read, "creds/x", json!({}));
        if mount.unless_dead(issued).await.is_some() {
            assert_eq!(answered, 3, "all three calls were answered");
            continue;
        }

        mount.aws().heal();
        mount.restart().await;
        // While it may be alive, it counts.
        mount.generate_refusal("creds/x", json!({})).await;
        mount.recover().await;

        mount.generate("creds/x").await;
        mount.generate_refusal("creds/x", json!({})).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_that_time_removes_leaves_its_place() {
    let mount = limited().await;
    mount
        .write("config/lease", json!({"lease": "1h", "lease_max": "1h"}))
        .await;
    mount.generate("creds/x").await;
    mount.generate("creds/x").await;

    mount.pass(65).await;

    mount.generate("creds/x").await;
}

#[tokio::test(start_paused = true)]
async fn while_the_register_cannot_be_read_nobody_is_let_in_by_guess() {
    let mut mount = limited().await;
    mount.generate("creds/x").await;
    mount.restart().await;
    mount.storage().fail(StorageFault::Get, "issued/");

    let error = mount.read_error("creds/x").await;

    assert!(
        matches!(&error, Error::Coded { status: 503, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("try again"), "{error}");
    mount.storage().heal();
    mount.generate("creds/x").await;
    mount.generate_refusal("creds/x", json!({})).await;
}

#[tokio::test]
async fn a_large_register_is_counted_by_one_request_that_has_the_time() {
    let mut mount = limited().await;
    for number in 0..5000 {
        let record = json!({"role": "other", "display_name": "b", "expires_at": 4_000_000_000_i64});
        let key = format!("issued/vault-b-other-{number}");
        mount.storage().set_text(&key, &record.to_string());
    }
    mount.generate("creds/x").await;
    mount.restart().await;
    mount.storage().take_calls();

    mount.generate("creds/x").await;

    let calls = mount.storage().take_calls();
    let reads = calls.iter().filter(|call| call.starts_with("get issued/"));
    assert_eq!(reads.count(), 5001);
    mount.generate_refusal("creds/x", json!({})).await;
}
