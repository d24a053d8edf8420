use serde_json::json;

use super::{DAY, with_app, with_app_and};
use crate::aws::fake::{Fault, FaultRule};
use crate::engine::testing::TestMount;
use crate::logical::testing::StorageFault;
use crate::logical::{Error, Operation};

const PATH: &str = "static-roles/app";

async fn delete_error(mount: &TestMount) -> Error {
    let answer = mount.send(Operation::Delete, PATH, json!({})).await;
    answer.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_delete_takes_the_keys_of_the_role_and_leaves_the_user() {
    let mount = with_app().await;
    mount.clock().advance(DAY);
    mount.tick().await;
    assert_eq!(mount.keys_of("jane").len(), 2);

    mount.delete(PATH).await;

    assert!(mount.keys_of("jane").is_empty());
    assert!(mount.aws().user("jane").is_some());
    assert_eq!(mount.stored_keys(), Vec::<String>::new());
    mount.clock().advance(DAY);
    mount.tick().await;
    assert!(mount.keys_of("jane").is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_old_key_that_should_be_gone_already_goes_with_the_role() {
    let mount = with_app_and(json!({"single_key": true})).await;
    mount.aws().deny("iam:DeleteAccessKey");
    mount.write("static-roles/app/rotate", json!({})).await;
    mount.aws().heal();
    assert_eq!(mount.keys_of("jane").len(), 2);

    mount.delete(PATH).await;

    assert!(mount.keys_of("jane").is_empty());
    for _ in 0..6 {
        mount.tick().await;
    }
    assert_eq!(mount.wal(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_the_role_did_not_make_stays() {
    let mount = TestMount::configured().await;
    mount.aws().add_user("jane");
    let foreign = mount.aws().add_access_key("jane").access_key_id.to_string();
    let data = json!({"username": "jane", "rotation_period": "24h"});
    mount.write(PATH, data).await;

    mount.delete(PATH).await;

    assert_eq!(mount.keys_of("jane"), [foreign]);
}

#[tokio::test(start_paused = true)]
async fn deleting_what_is_not_there_changes_nothing() {
    let mount = with_app().await;
    let before = mount.stored_keys();

    mount.delete("static-roles/other").await;

    assert_eq!(mount.stored_keys(), before);
    assert_eq!(mount.aws().operations(), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn a_role_without_credentials_is_deleted_without_asking_aws() {
    let mount = TestMount::configured().await;
    mount.storage().set_text(
        PATH,
        r#"{"name":"app","id":"AIDA1","username":"jane","rotation_period":60000000000}"#,
    );

    mount.delete(PATH).await;

    assert_eq!(mount.stored_keys(), Vec::<String>::new());
    assert_eq!(mount.aws().operations(), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn keys_and_users_that_are_gone_already_are_no_obstacle() {
    let mount = with_app().await;
    mount
        .aws()
        .change_user("jane", |user| user.access_keys.clear());
    mount.delete(PATH).await;
    assert_eq!(mount.stored_keys(), Vec::<String>::new());

    let mount = with_app().await;
    mount.aws().remove_user("jane");
    mount.delete(PATH).await;
    assert_eq!(mount.stored_keys(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_aws_refuses_loses_nothing_and_can_be_repeated() {
    let mount = with_app().await;
    let key = mount.working_key("app").await;
    mount.aws().deny("iam:DeleteAccessKey");

    let error = delete_error(&mount).await;

    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    for word in ["\"app\" stays", &key, "grant iam:DeleteAccessKey"] {
        assert!(error.to_string().contains(word), "{word:?} in: {error}");
    }
    assert_eq!(mount.working_key("app").await, key);

    mount.aws().heal();
    mount.delete(PATH).await;
    assert!(mount.keys_of("jane").is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_key_that_is_shown_works_until_it_goes() {
    let mount = with_app().await;
    mount.clock().advance(DAY);
    mount.tick().await;
    let key = mount.working_key("app").await;
    mount
        .aws()
        .inject(FaultRule::on("iam:DeleteAccessKey", Fault::Denied).skipping(1));

    delete_error(&mount).await;

    assert_eq!(mount.working_key("app").await, key);
    assert_eq!(mount.keys_of("jane"), [key]);
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_storage_refuses_can_be_repeated() {
    let mount = with_app().await;
    for prefix in ["static-creds/", "static-roles/"] {
        mount.storage().fail(StorageFault::Delete, prefix);
        delete_error(&mount).await;
        assert!(mount.stored_keys().contains(&PATH.to_owned()));
    }

    mount.storage().heal();
    mount.delete(PATH).await;

    assert_eq!(mount.stored_keys(), Vec::<String>::new());
    assert!(mount.keys_of("jane").is_empty());
}

#[tokio::test(start_paused = true)]
async fn by_force_a_role_is_forgotten_whatever_aws_says() {
    let mount = with_app_and(json!({"single_key": true})).await;
    mount.aws().deny("*");

    let answer = mount
        .send(Operation::Delete, PATH, json!({"force": "true"}))
        .await;

    assert_eq!(answer.unwrap(), None);
    assert_eq!(mount.stored_keys(), Vec::<String>::new());
    assert_eq!(mount.keys_of("jane").len(), 1);
}
