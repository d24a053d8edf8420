use std::time::Duration;

use serde_json::{Value, json};

use super::{DAY, HOUR, with_app};
use crate::aws::fake::{Fault, FaultRule};
use crate::engine::testing::TestMount;
use crate::logical::testing::{StaticSystemView, StorageFault};
use crate::logical::{Error, Operation, ReplicationState};

const WRITE: &str = "static-roles/app";

fn of_jane() -> Value {
    json!({"username": "jane", "rotation_period": "1d"})
}

/// A mount with the IAM user `jane`, who has this many access keys.
async fn with_jane(access_keys: usize) -> TestMount {
    let mount = TestMount::configured().await;
    mount.aws().add_user("jane");
    for _ in 0..access_keys {
        mount.aws().add_access_key("jane");
        mount.clock().advance(HOUR);
    }
    mount
}

#[track_caller]
fn assert_invalid(error: &Error, words: &[&str]) {
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} in: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_makes_an_access_key_and_answers_with_the_role() {
    let mount = with_jane(0).await;

    let answer = mount.send(Operation::Update, WRITE, of_jane()).await;

    let user = mount.aws().user("jane").unwrap();
    let expected = json!({
        "name": "app",
        "id": user.user_id,
        "username": "jane",
        "rotation_period": 86400,
        "assume_role_arn": "",
        "assume_role_session_name": "",
        "external_id": "",
        "single_key": false,
    });
    let answer = answer.unwrap().unwrap();
    assert_eq!(Value::from(answer.data), expected);
    assert_eq!(answer.warnings, Vec::<String>::new());
    assert_eq!(Value::from(mount.read(WRITE).await), expected);
    assert_eq!(mount.keys_of("jane"), [mount.working_key("app").await]);
    assert_eq!(mount.wal(), Vec::<String>::new());
}

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
    ] {
        assert_invalid(&mount.write_error(WRITE, data).await, &words);
    }
    assert_eq!(mount.stored_keys(), Vec::<String>::new());
    assert_eq!(mount.aws().operations(), Vec::<&str>::new());

    mount
        .write(WRITE, json!({"username": "jane", "rotation_period": 60}))
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_user_that_aws_does_not_know_by_this_name_is_refused() {
    let mount = with_jane(0).await;

    let unknown = json!({"username": "john", "rotation_period": "1d"});
    let error = mount.write_error(WRITE, unknown).await;
    assert_invalid(&error, &["username \"john\"", "NoSuchEntity"]);

    let other_spelling = json!({"username": "Jane", "rotation_period": "1d"});
    let error = mount.write_error(WRITE, other_spelling).await;
    assert_invalid(&error, &["\"Jane\" was requested", "\"jane\" was returned"]);

    assert_eq!(mount.stored_keys(), Vec::<String>::new());
    assert!(mount.keys_of("jane").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_aws_refuses_leaves_no_role_and_no_key() {
    for operation in ["iam:GetUser", "iam:ListAccessKeys", "iam:CreateAccessKey"] {
        let mount = with_jane(1).await;
        let before = mount.keys_of("jane");
        mount.aws().deny(operation);

        let error = mount.write_error(WRITE, of_jane()).await;

        assert_invalid(&error, &["AccessDenied", &format!("grant {operation}")]);
        assert_eq!(mount.stored_keys(), Vec::<String>::new(), "{operation}");
        assert_eq!(mount.keys_of("jane"), before, "{operation}");
        assert_eq!(mount.wal(), Vec::<String>::new(), "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_is_throttled_says_so() {
    let mount = with_jane(0).await;
    mount
        .aws()
        .fail_next("iam:CreateAccessKey", 1, "Throttling");

    let error = mount.write_error(WRITE, of_jane()).await;

    assert!(matches!(error, Error::UpstreamRateLimited(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_storage_refuses_leaves_no_role_and_no_key() {
    for prefix in ["static-creds/", "static-roles/", "wal/"] {
        let mount = with_jane(1).await;
        let before = mount.keys_of("jane");
        mount.storage().fail(StorageFault::Put, prefix);

        mount.write_error(WRITE, of_jane()).await;

        assert_eq!(mount.stored_keys(), Vec::<String>::new(), "{prefix}");
        assert_eq!(mount.keys_of("jane"), before, "{prefix}");
        assert_eq!(mount.wal(), Vec::<String>::new(), "{prefix}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_creation_was_not_answered_is_deleted_later() {
    let mount = with_jane(1).await;
    let before = mount.keys_of("jane");
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateAccessKey", Fault::AnswerLost));

    mount.write_error(WRITE, of_jane()).await;

    assert_eq!(mount.keys_of("jane").len(), 2);
    for _ in 0..5 {
        mount.tick().await;
    }
    assert_eq!(mount.keys_of("jane"), before);
    assert_eq!(mount.wal(), Vec::<String>::new());
    assert_eq!(mount.stored_keys(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_may_have_been_made_is_told_from_what_somebody_else_made_long_before() {
    let mount = with_jane(0).await;
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateAccessKey", Fault::Unreachable));
    mount.write_error(WRITE, of_jane()).await;
    assert_eq!(mount.wal(), Vec::<String>::new(), "AWS was not reached");

    mount.aws().heal();
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateAccessKey", Fault::AnswerLost));
    mount.write_error(WRITE, of_jane()).await;
    mount.aws().heal();
    let lost = mount.keys_of("jane");
    mount.clock().advance(HOUR);
    let of_somebody = mount.aws().add_access_key("jane").access_key_id.to_string();

    mount.tick().await;

    assert_eq!(lost.len(), 1);
    assert_eq!(mount.keys_of("jane"), [of_somebody]);
}

#[tokio::test(start_paused = true)]
async fn with_no_other_key_or_one_none_is_deleted() {
    for access_keys in [0, 1] {
        let mount = with_jane(access_keys).await;

        assert_eq!(mount.write(WRITE, of_jane()).await, Vec::<String>::new());

        assert_eq!(mount.keys_of("jane").len(), access_keys + 1);
        assert!(mount.aws().calls_of("iam:DeleteAccessKey").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_other_keys_the_oldest_is_deleted_with_a_warning() {
    let mount = with_jane(2).await;
    let [old, young] = mount.keys_of("jane").try_into().unwrap();

    let warnings = mount.write(WRITE, of_jane()).await;

    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains(&old), "{warnings:?}");
    assert_eq!(
        mount.keys_of("jane"),
        [young, mount.working_key("app").await]
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_role_on_one_user_is_refused_naming_the_first() {
    let mount = with_app().await;
    let key = mount.working_key("app").await;

    let error = mount.write_error("static-roles/other", of_jane()).await;

    assert_invalid(&error, &["username", "\"jane\"", "\"app\""]);
    assert_eq!(mount.list("static-roles/").await, ["app"]);
    assert_eq!(mount.keys_of("jane"), [key]);
}

#[tokio::test(start_paused = true)]
async fn of_two_roles_that_want_one_user_at_once_one_gets_it() {
    let mount = with_jane(0).await;
    let write = |path| mount.send(Operation::Update, path, of_jane());

    let answers = futures_util::join!(write("static-roles/a"), write("static-roles/b"));

    let done = [answers.0, answers.1]
        .iter()
        .filter(|it| it.is_ok())
        .count();
    assert_eq!(done, 1);
    assert_eq!(mount.list("static-roles/").await.len(), 1);
    assert_eq!(mount.keys_of("jane").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_user_that_the_engine_itself_acts_as_is_refused() {
    let mount = TestMount::configured().await;
    let data = json!({"username": "administrator", "rotation_period": "1d"});

    let error = mount.write_error(WRITE, data).await;

    assert_invalid(&error, &["username", "config/root"]);
    assert_eq!(mount.keys_of("administrator").len(), 1);
    assert_eq!(mount.wal(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_update_changes_what_it_names_and_asks_aws_nothing() {
    let mount = with_app().await;
    let key = mount.working_key("app").await;

    mount.write(WRITE, json!({"rotation_period": "19m"})).await;

    let role = mount.read(WRITE).await;
    assert_eq!(role["username"], json!("jane"));
    assert_eq!(role["rotation_period"], json!(1140));
    mount.write(WRITE, json!({"username": "jane"})).await;
    assert_eq!(mount.read(WRITE).await, role);
    assert_eq!(mount.working_key("app").await, key);
    assert_eq!(mount.aws().operations(), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn a_user_that_was_renamed_is_followed() {
    let mount = with_app().await;
    let id = mount.aws().user("jane").unwrap().user_id;
    rename(&mount, "jane", "jane.doe");

    mount.write(WRITE, json!({"username": "jane.doe"})).await;

    let role = mount.read(WRITE).await;
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

    let error = mount.write_error(WRITE, json!({"username": "john"})).await;

    assert_invalid(&error, &["ID did not match", "\"john\" is another user"]);
    assert_eq!(mount.read(WRITE).await["username"], json!("jane"));
    assert!(mount.keys_of("john").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_period_counts_from_now_on_and_survives_a_restart() {
    for (period, hours) in [("12h", 12), ("48h", 48)] {
        let mut mount = with_app().await;
        let first = mount.working_key("app").await;
        mount.clock().advance(6 * HOUR);

        mount.write(WRITE, json!({"rotation_period": period})).await;
        mount.restart().await;

        mount.clock().advance(Duration::from_mins(hours * 60 - 2));
        mount.tick().await;
        assert_eq!(mount.working_key("app").await, first, "{period}");
        mount.tick().await;
        assert_ne!(mount.working_key("app").await, first, "{period}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_changes_nothing_does_not_put_the_rotation_off() {
    let mount = with_app().await;
    let first = mount.working_key("app").await;
    for _ in 0..24 {
        mount.clock().advance(HOUR);
        mount.write(WRITE, of_jane()).await;
    }

    mount.tick().await;

    assert_ne!(mount.working_key("app").await, first);
}

#[tokio::test(start_paused = true)]
async fn a_role_without_credentials_is_healed_by_the_next_write() {
    let mount = with_jane(0).await;
    let id = mount.aws().user("jane").unwrap().user_id;
    let role = json!({"name": "app", "id": id, "username": "jane", "rotation_period": 86_400_000_000_000_u64});
    mount
        .storage()
        .set_text("static-roles/app", &role.to_string());
    mount.tick().await;
    assert!(
        mount.keys_of("jane").is_empty(),
        "only a write makes the first key"
    );

    mount.write(WRITE, json!({"rotation_period": "2h"})).await;

    assert_eq!(mount.keys_of("jane"), [mount.working_key("app").await]);
    assert_eq!(mount.read(WRITE).await["rotation_period"], json!(7200));
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
        (Operation::Update, WRITE),
        (Operation::Update, "static-roles/app/rotate"),
        (Operation::Delete, WRITE),
    ] {
        let error = mount.send(operation, path, json!({})).await.unwrap_err();
        assert!(matches!(error, Error::ReadOnly(_)), "{path}: {error:?}");
    }
    mount.working_key("app").await;
    assert_eq!(mount.aws().operations(), Vec::<&str>::new());
}
