//! The new key: what is stored, what is asked of AWS, and how long it is waited for.

use std::time::Duration;

use serde_json::{Value, json};

use super::{assert_sound, configured, keys, rotate, stored_key};
use crate::aws::fake::{Fault, FaultRule};
use crate::logical::testing::StorageFault;
use crate::logical::{Error, Operation};

#[tokio::test(start_paused = true)]
async fn a_rotation_replaces_the_key_and_answers_the_new_id() {
    let mount = configured().await;
    let before = mount.read("config/root").await;

    let response = rotate(&mount).await.unwrap();

    let after = mount.read("config/root").await;
    assert_eq!(response.data["access_key"], after["access_key"]);
    assert_ne!(after["access_key"], before["access_key"]);
    assert_eq!(response.data.len(), 1);
    assert_eq!(response.warnings, [""; 0]);
    for (name, value) in &before {
        if name != "access_key" {
            assert_eq!(&after[name], value, "{name}");
        }
    }
    assert_sound(&mount, "after a rotation").await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_keeps_what_other_engines_stored_beside() {
    let mount = configured().await;
    let text = mount.storage().text("config/root").unwrap();
    let mut record: Value = serde_json::from_str(&text).unwrap();
    record["of_tomorrow"] = json!({"a": 1});
    mount.storage().set_text("config/root", &record.to_string());

    rotate(&mount).await.unwrap();

    let text = mount.storage().text("config/root").unwrap();
    let record: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(record["of_tomorrow"], json!({"a": 1}));
}

#[tokio::test(start_paused = true)]
async fn the_calls_of_a_rotation_are_few_and_in_this_order() {
    let mount = configured().await;
    mount.aws().forget_calls();

    rotate(&mount).await.unwrap();

    assert_eq!(
        mount.aws().operations(),
        [
            "iam:GetUser",
            "sts:GetCallerIdentity",
            "iam:ListAccessKeys",
            "iam:CreateAccessKey",
            "iam:GetUser",
            "sts:GetCallerIdentity",
            "iam:GetUser",
            "sts:GetCallerIdentity",
            "iam:GetUser",
            "sts:GetCallerIdentity",
            "iam:DeleteAccessKey",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn the_first_request_of_a_process_may_be_a_rotation_and_rotations_may_follow_each_other() {
    let mut mount = configured().await;
    mount.restart().await;

    for _ in 0..3 {
        rotate(&mount).await.unwrap();
        assert_sound(&mount, "after one of several rotations").await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_new_key_is_waited_for() {
    let mount = configured().await;
    mount.aws().new_keys_unknown_for(9);

    rotate(&mount).await.unwrap();

    mount.aws().new_keys_unknown_for(0);
    assert_sound(&mount, "after a slow key").await;
}

#[tokio::test(start_paused = true)]
async fn a_new_key_that_only_sts_does_not_know_yet_is_waited_for() {
    let mount = configured().await;
    mount.aws().inject(
        FaultRule::on("sts:GetCallerIdentity", Fault::Code("InvalidClientTokenId"))
            .skipping(1)
            .times(5),
    );
    mount.aws().forget_calls();

    rotate(&mount).await.unwrap();

    let asked = mount.aws().calls_of("sts:GetCallerIdentity").len();
    assert_eq!(asked, 1 + 5 + 3);
}

#[tokio::test(start_paused = true)]
async fn an_sts_that_is_out_of_reach_or_refuses_both_keys_does_not_count() {
    for fault in [
        Fault::Unreachable,
        Fault::HeldBefore,
        Fault::Code("InvalidClientTokenId"),
    ] {
        let mount = configured().await;
        mount.aws().inject(FaultRule::on("sts:*", fault));

        rotate(&mount).await.unwrap();

        assert_sound(&mount, "without STS").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_key_that_aws_never_accepts_is_deleted_and_the_old_one_stays() {
    for operation in ["iam:GetUser", "sts:GetCallerIdentity"] {
        let mount = configured().await;
        let before = keys(&mount);
        mount
            .aws()
            .inject(FaultRule::on(operation, Fault::Code("InvalidClientTokenId")).skipping(1));
        let start = tokio::time::Instant::now();

        let error = rotate(&mount).await.unwrap_err();

        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        assert!(
            error.to_string().starts_with(
                "the new access key could not be shown to work, so the old one stays: "
            ),
            "{error}"
        );
        assert!(start.elapsed() < Duration::from_mins(1));
        mount.aws().heal();
        assert_eq!(keys(&mount), before);
        assert_sound(&mount, operation).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_hosts_rotation_manager_rotates_the_same_way() {
    let mount = configured().await;
    let old = stored_key(&mount).await;
    let request = mount.request(Operation::Rotate, "config/root", json!({}));

    mount.backend().handle_request(request).await.unwrap();

    assert_ne!(stored_key(&mount).await, old);
    assert_sound(&mount, "after the rotation manager's call").await;
}

#[tokio::test(start_paused = true)]
async fn the_hosts_rotation_manager_is_told_of_every_failure_as_one_that_it_repeats() {
    for fault in [
        Fault::Denied,
        Fault::Unreachable,
        Fault::Code("ServiceFailure"),
        Fault::Code("Throttling"),
    ] {
        let mount = configured().await;
        mount
            .aws()
            .inject(FaultRule::on("iam:CreateAccessKey", fault));
        let request = mount.request(Operation::Rotate, "config/root", json!({}));

        let error = mount.backend().handle_request(request).await.unwrap_err();

        assert!(matches!(error, Error::Internal(_)), "{error:?}");
        let text = error.to_string();
        assert!(
            text.starts_with(
                "scheduled rotation of the root access key failed: error calling CreateAccessKey"
            ),
            "{text}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_rotation_manager_of_a_node_that_may_not_write_hears_so_in_the_hosts_words() {
    let mount = configured().await;
    mount.storage().fail(StorageFault::ReadOnly, "");
    let request = mount.request(Operation::Rotate, "config/root", json!({}));

    let error = mount.backend().handle_request(request).await.unwrap_err();

    assert!(matches!(error, Error::ReadOnly(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn who_may_not_list_its_keys_rotates_all_the_same() {
    let mount = configured().await;
    mount.aws().deny("iam:ListAccessKeys");

    rotate(&mount).await.unwrap();

    mount.aws().heal();
    assert_sound(&mount, "without iam:ListAccessKeys").await;
}

#[tokio::test(start_paused = true)]
async fn requests_soon_after_a_rotation_meet_front_ends_that_do_not_know_the_key_and_succeed() {
    let mount = configured().await;
    rotate(&mount).await.unwrap();
    for operation in ["iam:CreateUser", "iam:CreateAccessKey", "iam:DeleteUser"] {
        mount.aws().fail_next(operation, 4, "InvalidClientTokenId");
    }

    assert_sound(&mount, "right after a rotation").await;

    tokio::time::sleep(Duration::from_secs(16)).await;
    mount
        .aws()
        .fail_next("iam:CreateUser", 1, "InvalidClientTokenId");
    let error = mount.read_error("creds/bare").await.to_string();
    assert!(error.contains("InvalidClientTokenId"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_busy_user_is_waited_for() {
    let mount = configured().await;
    for operation in ["iam:CreateAccessKey", "iam:DeleteAccessKey"] {
        mount
            .aws()
            .fail_next(operation, 3, "ConcurrentModification");
    }

    let response = rotate(&mount).await.unwrap();

    assert_eq!(response.warnings, [""; 0]);
    assert_sound(&mount, "after a busy user").await;
}

#[tokio::test(start_paused = true)]
async fn a_front_end_that_does_not_know_the_new_key_yet_is_asked_again() {
    let mount = configured().await;
    mount
        .aws()
        .fail_next("iam:DeleteAccessKey", 2, "InvalidClientTokenId");

    let response = rotate(&mount).await.unwrap();

    assert_eq!(response.warnings, [""; 0]);
    assert_sound(&mount, "after a slow front end").await;
}

#[tokio::test(start_paused = true)]
async fn what_keeps_the_proof_from_being_made_is_said_at_once() {
    let mount = configured().await;
    let before = keys(&mount);
    mount
        .aws()
        .inject(FaultRule::on("iam:GetUser", Fault::Unreachable).skipping(1));
    let start = tokio::time::Instant::now();

    let error = rotate(&mount).await.unwrap_err();

    assert_eq!(
        error.to_string(),
        "the new access key could not be shown to work, so the old one stays: no connection to the simulated AWS (check region and endpoints in config/root, and the server's network and proxy)"
    );
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(keys(&mount), before);
}
