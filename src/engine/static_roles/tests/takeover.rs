use std::time::Duration;

use serde_json::{Value, json};

use super::{HOUR, ROLE, assert_invalid, of_jane, with_app, with_jane};
use crate::aws::fake::{Fault, FaultRule};
use crate::engine::testing::TestMount;
use crate::logical::testing::StorageFault;
use crate::logical::{Error, Operation};

#[tokio::test(start_paused = true)]
async fn a_write_makes_an_access_key_and_answers_with_the_role() {
    let mount = with_jane(0).await;

    let answer = mount.send(Operation::Update, ROLE, of_jane()).await;

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
    assert_eq!(Value::from(mount.read(ROLE).await), expected);
    assert_eq!(mount.keys_of("jane"), [mount.working_key("app").await]);
    assert_eq!(mount.wal(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_user_that_aws_does_not_know_by_this_name_is_refused() {
    let mount = with_jane(0).await;

    let unknown = json!({"username": "john", "rotation_period": "1d"});
    let error = mount.write_error(ROLE, unknown).await;
    assert_invalid(&error, &["username \"john\"", "NoSuchEntity"]);

    let other_spelling = json!({"username": "Jane", "rotation_period": "1d"});
    let error = mount.write_error(ROLE, other_spelling).await;
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

        let error = mount.write_error(ROLE, of_jane()).await;

        assert_invalid(&error, &["AccessDenied", &format!("grant {operation}")]);
        assert_eq!(mount.stored_keys(), Vec::<String>::new(), "{operation}");
        assert_eq!(mount.keys_of("jane"), before, "{operation}");
        assert_eq!(mount.wal(), Vec::<String>::new(), "{operation}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_is_throttled_all_the_time_says_so() {
    let mount = with_jane(0).await;
    let throttled = Fault::Code("Throttling");
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateAccessKey", throttled));

    let error = mount.write_error(ROLE, of_jane()).await;

    assert!(matches!(error, Error::UpstreamRateLimited(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_is_throttled_for_a_moment_waits() {
    let mount = with_jane(0).await;
    mount
        .aws()
        .fail_next("iam:CreateAccessKey", 2, "Throttling");

    mount.write(ROLE, of_jane()).await;

    assert_eq!(mount.keys_of("jane").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_storage_refuses_leaves_no_role_and_no_key() {
    for prefix in ["static-creds/", "static-roles/", "wal/"] {
        let mount = with_jane(1).await;
        let before = mount.keys_of("jane");
        mount.storage().fail(StorageFault::Put, prefix);

        let error = mount.write_error(ROLE, of_jane()).await.to_string();

        mount.storage().heal();
        if prefix != "wal/" {
            // The host may have done it, or do it later.
            let words = format!(
                "error saving {prefix}app, so the access key that is not stored is deleted in some minutes"
            );
            assert!(error.starts_with(&words), "{error}");
            for _ in 0..5 {
                mount.tick().await;
            }
        }
        assert_eq!(mount.stored_keys(), Vec::<String>::new(), "{prefix}");
        assert_eq!(mount.keys_of("jane"), before, "{prefix}");
        assert_eq!(mount.wal(), Vec::<String>::new(), "{prefix}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_creation_was_not_answered_is_deleted_later() {
    let mount = with_jane(0).await;
    mount.aws().add_access_key("jane");
    let before = mount.keys_of("jane");
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateAccessKey", Fault::AnswerLost));

    mount.write_error(ROLE, of_jane()).await;

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
    mount.write_error(ROLE, of_jane()).await;
    assert_eq!(mount.wal(), Vec::<String>::new(), "AWS was not reached");

    mount.aws().heal();
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateAccessKey", Fault::AnswerLost));
    mount.write_error(ROLE, of_jane()).await;
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

        assert_eq!(mount.write(ROLE, of_jane()).await, Vec::<String>::new());

        assert_eq!(mount.keys_of("jane").len(), access_keys + 1);
        assert!(mount.aws().calls_of("iam:DeleteAccessKey").is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_other_keys_the_oldest_is_deleted_with_a_warning() {
    let mount = with_jane(2).await;
    let [old, young] = mount.keys_of("jane").try_into().unwrap();

    let warnings = mount.write(ROLE, of_jane()).await;

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

    let error = mount.write_error(ROLE, data).await;

    assert_invalid(&error, &["username", "config/root"]);
    assert_eq!(mount.keys_of("administrator").len(), 1);
    assert_eq!(mount.wal(), Vec::<String>::new());
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

    mount.write(ROLE, json!({"rotation_period": "2h"})).await;

    assert_eq!(mount.keys_of("jane"), [mount.working_key("app").await]);
    assert_eq!(mount.read(ROLE).await["rotation_period"], json!(7200));
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_one_creation_does_no_harm_to_the_next_under_another_name() {
    let mount = with_jane(0).await;
    lose_the_answer(&mount).await;
    let lost = mount.keys_of("jane");
    mount.clock().advance(Duration::from_mins(5));

    let other = mount.send(Operation::Update, "static-roles/other", of_jane());
    let (other, tick) = futures_util::join!(other, mount.roll_back());

    other.unwrap();
    tick.unwrap();
    assert_eq!(lost.len(), 1);
    assert_eq!(mount.keys_of("jane"), [mount.working_key("other").await]);
    assert_eq!(mount.wal(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_one_creation_does_not_take_the_key_of_a_role_that_came_after() {
    let mount = with_jane(0).await;
    lose_the_answer(&mount).await;
    mount.write("static-roles/other", of_jane()).await;

    for _ in 0..6 {
        mount.tick().await;
    }

    assert_eq!(mount.keys_of("jane"), [mount.working_key("other").await]);
}

/// Of a creation that failed, the key lives and its id is not known.
async fn lose_the_answer(mount: &TestMount) {
    let lost = FaultRule::on("iam:CreateAccessKey", Fault::AnswerLost);
    mount.aws().inject(lost);
    mount.write_error(ROLE, of_jane()).await;
    mount.aws().heal();
}
