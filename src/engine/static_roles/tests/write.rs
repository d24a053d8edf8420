use std::time::Duration;

use serde_json::json;

use super::{DAY, HOUR, ROLE, assert_invalid, of_jane, with_app, with_jane};
use crate::engine::testing::TestMount;
use crate::logical::testing::{StaticSystemView, StorageFault};
use crate::logical::{Error, Operation, ReplicationState};

#[tokio::test(start_paused = true)]
async fn roles_are_listed_by_name() {
    let mount = TestMount::configured().await;
    assert_eq!(mount.list("static-roles/").await, Vec::<String>::new());
    for name in ["b", "a"] {
        mount.aws().add_user(name);
        let data = json!({"username": name, "rotation_period": 60});
        mount.write(&format!("static-roles/{name}"), data).await;
    }

    assert_eq!(mount.list("static-roles/").await, ["a", "b"]);
    assert_eq!(
        mount
            .send(Operation::Read, "static-roles/c", json!({}))
            .await
            .unwrap(),
        None
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_or_can_never_work_is_refused_naming_the_field() {
    let mount = with_jane(0).await;
    for (data, words) in [
        (
            json!({"rotation_period": 60}),
            vec!["missing \"username\" parameter"],
        ),
        (
            json!({"username": "jane"}),
            vec!["missing \"rotation_period\" parameter"],
        ),
        (
            json!({"username": "jane", "rotation_period": "45s"}),
            vec!["rotation_period", "60 seconds", "45"],
        ),
        (
            json!({"username": "ja ne", "rotation_period": 60}),
            vec!["username", "ja ne"],
        ),
        (
            json!({"username": "", "rotation_period": 60}),
            vec!["username"],
        ),
        (
            json!({"username": "jane", "rotation_period": 60, "external_id": "x"}),
            vec!["external_id", "assume_role_arn"],
        ),
        (
            json!({"username": "jane", "rotation_period": 60, "assume_role_session_name": "xyz"}),
            vec!["assume_role_session_name", "assume_role_arn"],
        ),
        (
            json!({"username": "jane", "rotation_period": 60, "assume_role_arn": "deploy"}),
            vec!["assume_role_arn", "deploy"],
        ),
        (
            json!({"username": "jane", "rotation_period": 60, "assume_role_arn": "arn:aws:iam::111122223333:user/deploy"}),
            vec!["assume_role_arn", "role"],
        ),
        (
            json!({"username": "jane", "rotation_period": 60, "assume_role_arn": "arn:aws:iam::111122223333:role/deploy", "external_id": "a b"}),
            vec!["external_id", "letters, digits and _+=,.@:/-"],
        ),
        (
            json!({"username": "jane", "rotation_period": 60, "assume_role_arn": "arn:aws:iam::111122223333:role/deploy", "external_id": "x".repeat(1225)}),
            vec!["external_id", "2 to 1224 characters"],
        ),
    ] {
        assert_invalid(&mount.write_error(ROLE, data).await, &words);
    }
    assert_eq!(mount.stored_keys(), Vec::<String>::new());
    assert_eq!(mount.aws().operations(), Vec::<&str>::new());

    mount
        .write(ROLE, json!({"username": "jane", "rotation_period": 60}))
        .await;
}

#[tokio::test(start_paused = true)]
async fn an_update_changes_what_it_names_and_asks_aws_nothing() {
    let mount = with_app().await;
    let key = mount.working_key("app").await;

    mount.write(ROLE, json!({"rotation_period": "19m"})).await;

    let role = mount.read(ROLE).await;
    assert_eq!(role["username"], json!("jane"));
    assert_eq!(role["rotation_period"], json!(1140));
    mount.write(ROLE, json!({"username": "jane"})).await;
    assert_eq!(mount.read(ROLE).await, role);
    assert_eq!(mount.working_key("app").await, key);
    assert_eq!(mount.aws().operations(), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn a_user_that_was_renamed_is_followed() {
    let mount = with_app().await;
    let id = mount.aws().user("jane").unwrap().user_id;
    rename(&mount, "jane", "jane.doe");

    mount.write(ROLE, json!({"username": "jane.doe"})).await;

    let role = mount.read(ROLE).await;
    assert_eq!(role["username"], json!("jane.doe"));
    assert_eq!(role["id"], json!(id));
    mount.clock().advance(DAY);
    mount.tick().await;
    assert_eq!(mount.keys_of("jane.doe").len(), 2);
}

/// AWS keeps a renamed user's id and keys.
fn rename(mount: &TestMount, from: &str, to: &str) {
    let user = mount.aws().user(from).unwrap();
    mount.aws().remove_user(from);
    let name = mount.aws().add_user(to);
    mount.aws().change_user(to, |renamed| {
        *renamed = user;
        renamed.user_name = name;
    });
}

#[tokio::test(start_paused = true)]
async fn another_user_is_refused() {
    let mount = with_app().await;
    mount.aws().add_user("john");

    let error = mount.write_error(ROLE, json!({"username": "john"})).await;

    assert_invalid(&error, &["ID did not match", "\"john\" is another user"]);
    assert_eq!(mount.read(ROLE).await["username"], json!("jane"));
    assert!(mount.keys_of("john").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_period_counts_from_now_on_and_survives_a_restart() {
    for (period, hours) in [("12h", 12), ("48h", 48)] {
        for restart in [false, true] {
            let mut mount = with_app().await;
            let first = mount.working_key("app").await;
            mount.tick().await;
            mount.clock().advance(6 * HOUR);

            mount.write(ROLE, json!({"rotation_period": period})).await;
            if restart {
                mount.restart().await;
            }

            mount.clock().advance(Duration::from_mins(hours * 60 - 2));
            mount.tick().await;
            assert_eq!(mount.working_key("app").await, first, "{period}");
            mount.tick().await;
            assert_ne!(mount.working_key("app").await, first, "{period}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_shorter_period_whose_write_failed_halfway_counts_when_the_write_is_repeated() {
    for prefix in ["static-roles/", "static-creds/"] {
        let mount = with_app().await;
        let first = mount.working_key("app").await;
        mount.storage().fail(StorageFault::Put, prefix);
        let shorter = json!({"rotation_period": "1h"});
        mount.write_error(ROLE, shorter.clone()).await;
        mount.storage().heal();
        mount.clock().advance(Duration::from_mins(1));

        mount.write(ROLE, shorter).await;

        let creds = mount.read("static-creds/app").await;
        assert_eq!(creds["rotation_period"], json!(3600), "{prefix}");
        assert_eq!(creds["ttl"], json!(3600), "{prefix}");
        mount.clock().advance(HOUR);
        mount.tick().await;
        assert_ne!(mount.working_key("app").await, first, "{prefix}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_changes_nothing_does_not_put_the_rotation_off() {
    let mount = with_app().await;
    let first = mount.working_key("app").await;
    for _ in 0..24 {
        mount.clock().advance(HOUR);
        mount.write(ROLE, of_jane()).await;
    }

    mount.tick().await;

    assert_ne!(mount.working_key("app").await, first);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_may_not_write_leaves_changes_to_the_active_node() {
    let mut mount = with_app().await;
    mount
        .restart_on(StaticSystemView {
            replication_state: ReplicationState(1 << 14),
            ..StaticSystemView::default()
        })
        .await;

    for (operation, path) in [
        (Operation::Update, ROLE),
        (Operation::Update, "static-roles/app/rotate"),
        (Operation::Delete, ROLE),
    ] {
        let error = mount.send(operation, path, json!({})).await.unwrap_err();
        assert!(matches!(error, Error::ReadOnly(_)), "{path}: {error:?}");
    }
    mount.working_key("app").await;
    assert_eq!(mount.aws().operations(), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn a_null_clears_what_can_be_empty_and_an_unknown_field_is_named() {
    let mount = with_app().await;
    mount.write(ROLE, json!({"single_key": true})).await;

    mount
        .write(ROLE, json!({"single_key": null, "external_id": null}))
        .await;
    assert_eq!(mount.read(ROLE).await["single_key"], json!(false));

    // As in the Go engines, a duration of `null` is not sent.
    mount.write(ROLE, json!({"rotation_period": null})).await;
    assert_eq!(mount.read(ROLE).await["rotation_period"], json!(86400));

    let error = mount.write_error(ROLE, json!({"username": null})).await;
    assert_invalid(&error, &["username"]);

    let warnings = mount.write(ROLE, json!({"user_name": "jim"})).await;
    assert_eq!(
        warnings,
        [
            "Endpoint ignored these unrecognized parameters: [user_name]",
            "user_name has no effect: username was probably meant",
        ]
    );
    assert_eq!(mount.read(ROLE).await["username"], json!("jane"));
}

#[tokio::test(start_paused = true)]
async fn white_space_around_a_value_is_read_back_and_not_used() {
    let mount = with_jane(0).await;
    let data = json!({"username": "jane\n", "rotation_period": "1d"});

    let answer = mount.send(Operation::Update, ROLE, data).await;

    assert_eq!(answer.unwrap().unwrap().data["username"], json!("jane\n"));
    assert_eq!(mount.read(ROLE).await["username"], json!("jane\n"));
    mount.working_key("app").await;
}
