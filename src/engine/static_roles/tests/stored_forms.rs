//! Records as the Go engines write them, read and written again.

use serde_json::{Value, json};

use super::{DAY, text, with_app};
use crate::engine::testing::TestMount;
use crate::secret::ExposeSecret;

/// A mount with a role and credentials that a Go engine stored, with what newer ones add.
async fn of_go_engine(role_more: Value, credentials_more: Value) -> TestMount {
    let mount = TestMount::configured().await;
    mount.aws().add_user("jane");
    let key = mount.aws().add_access_key("jane");
    let mut role = json!({
        "name": "app",
        "id": mount.aws().user("jane").unwrap().user_id,
        "username": "jane",
        "rotation_period": 86_400_000_000_000_u64,
    });
    let mut credentials = json!({
        "access_key": key.access_key_id.as_str(),
        "secret_key": key.secret_access_key.expose_secret(),
    });
    for (record, more) in [(&mut role, role_more), (&mut credentials, credentials_more)] {
        if let (Value::Object(record), Value::Object(more)) = (record, more) {
            record.extend(more);
        }
    }
    mount
        .storage()
        .set_text("static-roles/app", &format!("{role}\n"));
    mount
        .storage()
        .set_text("static-creds/app", &format!("{credentials}\n"));
    mount
}

#[tokio::test(start_paused = true)]
async fn records_are_written_as_the_go_engines_write_them_with_our_keys_after_theirs() {
    let mount = with_app().await;
    let id = mount.aws().user("jane").unwrap().user_id;
    let creds = mount.read("static-creds/app").await;
    let (key, secret) = (text(&creds, "access_key"), text(&creds, "secret_key"));

    assert_eq!(
        mount.storage().text("static-roles/app").unwrap(),
        format!(
            "{{\"name\":\"app\",\"id\":\"{id}\",\"username\":\"jane\",\"rotation_period\":86400000000000,\
             \"assume_role_arn\":\"\",\"assume_role_session_name\":\"\",\"external_id\":\"\"}}\n"
        )
    );
    assert_eq!(
        mount.storage().text("static-creds/app").unwrap(),
        format!(
            "{{\"access_key\":\"{key}\",\"expiration\":\"2026-01-03T03:04:05Z\",\"secret_key\":\"{secret}\",\
             \"last_vault_rotation\":\"2026-01-02T03:04:05Z\"}}\n"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn what_vault_stored_is_read_and_rotated() {
    let mount = of_go_engine(
        json!({"assume_role_arn": "", "assume_role_session_name": "", "external_id": ""}),
        json!({"expiration": "2026-01-03T03:04:05.123456789+00:00"}),
    )
    .await;
    let first = mount.working_key("app").await;
    let creds = mount.read("static-creds/app").await;
    assert_eq!(creds["expiration"], json!("2026-01-03T03:04:05.123456789Z"));
    assert_eq!(
        creds["last_vault_rotation"],
        json!("2026-01-02T03:04:05.123456789Z")
    );
    mount.clock().advance(DAY);

    mount.tick().await;

    assert_eq!(
        mount.keys_of("jane"),
        [first, mount.working_key("app").await]
    );
    mount.delete("static-roles/app").await;
    assert!(mount.keys_of("jane").is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_openbao_stored_is_read_and_rotated() {
    let mount = of_go_engine(json!({}), json!({})).await;
    let first = mount.working_key("app").await;
    mount.tick().await;
    assert_eq!(mount.working_key("app").await, first);
    mount.clock().advance(DAY);

    mount.tick().await;

    assert_eq!(
        mount.keys_of("jane"),
        [first, mount.working_key("app").await]
    );
}

#[tokio::test(start_paused = true)]
async fn keys_that_we_do_not_know_are_kept() {
    let mount = of_go_engine(json!({"colour": {"a": 1}}), json!({"taste": ["sour"]})).await;

    mount
        .write(
            "static-roles/app",
            json!({"rotation_period": "2h", "single_key": true}),
        )
        .await;
    mount.write("static-roles/app/rotate", json!({})).await;

    let role = mount.stored("static-roles/app");
    assert_eq!(role["colour"], json!({"a": 1}));
    assert_eq!(role["single_key"], json!(true));
    assert_eq!(mount.stored("static-creds/app")["taste"], json!(["sour"]));
    mount
        .write("static-roles/app", json!({"single_key": false}))
        .await;
    assert_eq!(mount.stored("static-roles/app").get("single_key"), None);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cannot_be_read_is_an_error_that_shows_nothing_of_it() {
    let mount = with_app().await;
    let secret = text(&mount.read("static-creds/app").await, "secret_key").to_owned();
    let broken = format!("{{\"access_key\": 7, \"secret_key\": \"{secret}\"}}");
    mount.storage().set_text("static-creds/app", &broken);

    let error = mount.read_error("static-creds/app").await.to_string();

    assert!(error.contains("static-creds/app"), "{error}");
    assert!(!error.contains(&secret), "{error}");
}
