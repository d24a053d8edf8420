use std::time::Duration;

use serde_json::json;

use super::{DAY, HOUR, text, with_app, with_app_and};
use crate::aws::AccessKeyStatus;
use crate::aws::fake::{Fault, FaultRule};
use crate::engine::testing::TestMount;
use crate::logical::testing::StorageFault;
use crate::logical::{Error, Operation};
use crate::secret::ExposeSecret;

const ROTATE: &str = "static-roles/app/rotate";

async fn rotate_error(mount: &TestMount) -> Error {
    mount.write_error(ROTATE, json!({})).await
}

#[tokio::test(start_paused = true)]
async fn a_rotation_replaces_the_key_and_keeps_the_one_before_until_the_next() {
    let mount = with_app().await;
    let first = mount.working_key("app").await;

    mount.clock().advance(DAY);
    mount.tick().await;
    let second = mount.working_key("app").await;
    assert_eq!(mount.keys_of("jane"), [first.as_str(), second.as_str()]);

    mount.clock().advance(DAY);
    mount.tick().await;
    let third = mount.working_key("app").await;
    assert_eq!(mount.keys_of("jane"), [second, third]);
    assert_eq!(mount.wal(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_role_is_rotated_on_demand_and_its_period_begins_anew() {
    let mount = with_app().await;
    let first = mount.working_key("app").await;
    mount.clock().advance(HOUR);

    let answer = mount.send(Operation::Update, ROTATE, json!({})).await;

    let answer = answer.unwrap().unwrap();
    let second = mount.working_key("app").await;
    assert_ne!(first, second);
    assert_eq!(answer.data["access_key"], json!(second));
    assert_eq!(answer.data["expiration"], json!("2026-01-03T04:04:05Z"));
    assert_eq!(answer.data.len(), 2, "no secret in the answer");
    let creds = mount.read("static-creds/app").await;
    assert_eq!(creds["expiration"], answer.data["expiration"]);
    mount.clock().advance(23 * HOUR);
    mount.tick().await;
    assert_eq!(mount.working_key("app").await, second);
}

#[tokio::test(start_paused = true)]
async fn a_role_that_is_not_there_cannot_be_rotated() {
    let mount = TestMount::configured().await;
    let error = rotate_error(&mount).await;
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    assert!(error.to_string().contains("\"app\" not found"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn with_a_single_key_the_one_before_goes_at_once_and_so_does_a_foreign_one() {
    let mount = TestMount::configured().await;
    mount.aws().add_user("jane");
    mount.aws().add_access_key("jane");
    let data = json!({"username": "jane", "rotation_period": "24h", "single_key": true});

    mount.write("static-roles/app", data).await;
    assert_eq!(mount.keys_of("jane"), [mount.working_key("app").await]);

    mount.clock().advance(DAY);
    mount.tick().await;
    assert_eq!(mount.keys_of("jane"), [mount.working_key("app").await]);
    assert_eq!(mount.wal(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_single_key_that_is_asked_for_later_counts_from_the_next_rotation() {
    let mount = with_app().await;
    mount.write(ROTATE, json!({})).await;

    mount
        .write("static-roles/app", json!({"single_key": true}))
        .await;
    assert_eq!(mount.keys_of("jane").len(), 2);

    mount.write(ROTATE, json!({})).await;
    assert_eq!(mount.keys_of("jane"), [mount.working_key("app").await]);
}

#[tokio::test(start_paused = true)]
async fn an_old_key_that_aws_refuses_to_delete_is_told_and_deleted_later() {
    let mount = with_app_and(json!({"single_key": true})).await;
    let first = mount.working_key("app").await;
    mount.aws().deny("iam:DeleteAccessKey");

    let warnings = mount.write(ROTATE, json!({})).await;

    let second = mount.working_key("app").await;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains(&first), "{warnings:?}");
    assert_eq!(mount.keys_of("jane"), [first, second.clone()]);

    mount.aws().heal();
    for _ in 0..5 {
        mount.tick().await;
    }
    assert_eq!(mount.keys_of("jane"), [second]);
    assert_eq!(mount.wal(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn nobody_reads_a_new_key_before_aws_accepts_it_again_and_again() {
    let mount = with_app().await;
    let first = mount.working_key("app").await;
    mount.aws().new_keys_unknown_for(7);

    mount.write(ROTATE, json!({})).await;

    assert_ne!(mount.working_key("app").await, first);
    assert_eq!(mount.aws().calls_of("sts:GetCallerIdentity").len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_aws_never_accepts_is_not_stored_and_goes_again() {
    let mount = with_app().await;
    let before = mount.read("static-creds/app").await;
    mount.aws().new_keys_unknown_for(usize::MAX);
    let start = tokio::time::Instant::now();

    let error = rotate_error(&mount).await;

    assert!(
        start.elapsed() < Duration::from_secs(80),
        "{:?}",
        start.elapsed()
    );
    assert!(
        error.to_string().contains("the one before stays"),
        "{error}"
    );
    assert_eq!(mount.read("static-creds/app").await, before);
    assert_eq!(mount.keys_of("jane"), [text(&before, "access_key")]);
    assert_eq!(mount.wal(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn where_sts_cannot_be_reached_or_knows_nothing_iam_vouches_for_the_key() {
    for fault in [Fault::Unreachable, Fault::Code("InvalidClientTokenId")] {
        let mount = with_app().await;
        let first = mount.working_key("app").await;
        mount.aws().inject(FaultRule::on("sts:*", fault));

        mount.write(ROTATE, json!({})).await;

        assert_ne!(mount.working_key("app").await, first);
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_that_may_do_nothing_at_all_is_known_all_the_same() {
    let mount = with_app().await;
    mount.aws().deny("sts:GetCallerIdentity");
    mount.write(ROTATE, json!({})).await;
    assert_eq!(mount.aws().calls_of("sts:GetCallerIdentity").len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_is_refused_leaves_the_stored_key_working() {
    for operation in ["iam:GetUser", "iam:ListAccessKeys", "iam:CreateAccessKey"] {
        let mount = with_app().await;
        let before = mount.read("static-creds/app").await;
        mount.aws().deny(operation);

        let error = rotate_error(&mount).await;

        assert!(
            error.to_string().contains(&format!("grant {operation}")),
            "{error}"
        );
        assert_eq!(mount.read("static-creds/app").await, before);
        assert_eq!(mount.keys_of("jane"), [mount.working_key("app").await]);
        assert_eq!(mount.wal(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_storage_refuses_leaves_the_stored_key_working_and_no_other() {
    for (fault, prefix) in [
        (StorageFault::ReadOnly, "static-creds/"),
        (StorageFault::Put, "wal/"),
    ] {
        let mount = with_app().await;
        let before = mount.read("static-creds/app").await;
        mount.storage().fail(fault, prefix);

        rotate_error(&mount).await;

        mount.storage().heal();
        assert_eq!(mount.read("static-creds/app").await, before);
        assert_eq!(mount.keys_of("jane"), [mount.working_key("app").await]);
        assert_eq!(mount.wal(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_aws_still_counts_right_after_it_was_deleted_is_waited_for() {
    let mount = with_app().await;
    let first = mount.working_key("app").await;
    let code = "LimitExceeded";
    mount.aws().fail_next("iam:CreateAccessKey", 2, code);

    mount.write(ROTATE, json!({})).await;

    assert_ne!(mount.working_key("app").await, first);
}

/// The engine acts as the user of a static role, as only the Go engines let it be written.
async fn engine_acts_as_jane() -> TestMount {
    let mount = with_app().await;
    let key = mount.aws().add_access_key("jane");
    let data = json!({
        "access_key": key.access_key_id.as_str(),
        "secret_key": key.secret_access_key.expose_secret(),
    });
    mount.write("config/root", data).await;
    mount
}

#[tokio::test(start_paused = true)]
async fn the_key_that_the_engine_itself_uses_is_never_deleted() {
    let mount = engine_acts_as_jane().await;
    for _ in 0..3 {
        mount.write(ROTATE, json!({})).await;
        mount.working_key("app").await;
        assert_eq!(mount.keys_of("jane").len(), 2);
    }
    // AWS fails in a way that leaves open whether it made a key.
    mount
        .aws()
        .fail_next("iam:CreateAccessKey", 1, "ServiceFailure");
    rotate_error(&mount).await;
    mount.write("config/rotate-root", json!({})).await;

    for _ in 0..6 {
        mount.tick().await;
    }

    mount.working_key("app").await;
    mount.write(ROTATE, json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_a_rotation_that_stays_in_the_log_does_no_harm() {
    let mount = with_app().await;
    let rotation = mount.send(Operation::Update, ROTATE, json!({}));
    mount.storage().fail(StorageFault::Delete, "wal/");
    drop(rotation.await);
    assert!(!mount.wal().is_empty());

    mount.storage().heal();
    mount.write(ROTATE, json!({})).await;
    let keys = mount.keys_of("jane");
    for _ in 0..6 {
        mount.tick().await;
    }

    assert_eq!(mount.keys_of("jane"), keys);
    mount.working_key("app").await;
    assert_eq!(mount.wal(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_user_that_was_replaced_by_another_of_the_same_name_is_not_touched() {
    let mount = with_app().await;
    mount.aws().remove_user("jane");
    mount.aws().add_user("jane");

    let error = rotate_error(&mount).await;

    assert!(error.to_string().contains("ID did not match"), "{error}");
    assert!(mount.keys_of("jane").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_foreign_second_key_makes_room_rather_than_the_stored_one() {
    let mount = with_app().await;
    let first = mount.working_key("app").await;
    mount.clock().advance(HOUR);
    let foreign = mount.aws().add_access_key("jane").access_key_id.to_string();

    let warnings = mount.write(ROTATE, json!({})).await;

    assert!(warnings[0].contains(&foreign), "{warnings:?}");
    assert_eq!(
        mount.keys_of("jane"),
        [first, mount.working_key("app").await]
    );
}

#[tokio::test(start_paused = true)]
async fn a_stored_key_that_somebody_deleted_is_replaced() {
    let mount = with_app().await;
    mount
        .aws()
        .change_user("jane", |user| user.access_keys.clear());

    mount.write(ROTATE, json!({})).await;
    assert_eq!(mount.keys_of("jane"), [mount.working_key("app").await]);

    mount.aws().change_user("jane", |user| {
        for key in &mut user.access_keys {
            key.status = AccessKeyStatus::Inactive;
        }
    });
    mount.write(ROTATE, json!({})).await;
    mount.working_key("app").await;
}

/// Two roles on one user, as only the Go engines let be written.
async fn two_roles_on_jane() -> TestMount {
    let mount = with_app().await;
    mount.clock().advance(HOUR);
    mount.aws().add_user("john");
    let of_john = json!({"username": "john", "rotation_period": "24h"});
    mount.write("static-roles/other", of_john).await;
    let mut role = mount.stored("static-roles/app");
    role["name"] = json!("other");
    mount
        .storage()
        .set_text("static-roles/other", &role.to_string());
    let johns = mount.aws().user("john").unwrap().access_keys;
    mount
        .aws()
        .change_user("jane", |jane| jane.access_keys.extend(johns));
    mount.aws().remove_user("john");
    mount.aws().forget_calls();
    mount
}

#[tokio::test(start_paused = true)]
async fn two_roles_that_an_old_engine_let_share_a_user_leave_each_other_their_key() {
    let mount = two_roles_on_jane().await;
    for _ in 0..3 {
        mount.clock().advance(DAY);
        mount.tick().await;
        let (app, other) = (
            mount.working_key("app").await,
            mount.working_key("other").await,
        );
        let mut keys = mount.keys_of("jane");
        keys.sort_unstable();
        let mut shown = [app, other];
        shown.sort_unstable();
        assert_eq!(keys, shown);
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_user_has_no_working_key_for_as_long_as_aws_makes_none_and_then_has() {
    for restart in [false, true] {
        let mut mount = two_roles_on_jane().await;
        mount.tick().await;
        mount.aws().deny("iam:CreateAccessKey");
        rotate_error(&mount).await;
        assert_eq!(mount.keys_of("jane"), [mount.working_key("other").await]);

        mount.aws().heal();
        if restart {
            mount.restart().await;
        }
        mount.tick().await;

        mount.working_key("app").await;
        mount.working_key("other").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_single_key_cannot_be_had_on_a_shared_user() {
    let mount = two_roles_on_jane().await;
    let data = json!({"single_key": true});
    let error = mount.write_error("static-roles/app", data).await;
    assert!(error.to_string().contains("\"other\""), "{error}");
}
