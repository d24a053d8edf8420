use std::time::Duration;

use serde_json::json;

use super::{HOUR, text, with_app};
use crate::engine::testing::TestMount;
use crate::logical::Operation;

const READ: &str = "static-creds/app";

#[tokio::test(start_paused = true)]
async fn a_read_tells_what_clients_need_to_read_again_in_time() {
    let mount = with_app().await;
    mount.clock().advance(HOUR);

    let creds = mount.read(READ).await;

    // The mount's clock began at 03:04:05.
    assert_eq!(creds["expiration"], json!("2026-01-03T03:04:05Z"));
    assert_eq!(creds["last_vault_rotation"], json!("2026-01-02T03:04:05Z"));
    assert_eq!(creds["rotation_period"], json!(86400));
    assert_eq!(creds["ttl"], json!(82800));
    let user = mount.aws().user("jane").unwrap();
    let (id, secret) = (text(&creds, "access_key"), text(&creds, "secret_key"));
    assert_eq!(mount.aws().identify(id, secret, None), Some(user.arn));
}

#[tokio::test(start_paused = true)]
async fn everybody_reads_the_same_without_lease_and_without_a_call_to_aws() {
    let mount = with_app().await;

    let answer = mount.send(Operation::Read, READ, json!({})).await;

    let answer = answer.unwrap().unwrap();
    assert_eq!(answer.secret, None);
    assert_eq!(answer.data, mount.read(READ).await);
    assert_eq!(mount.aws().operations(), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_not_found() {
    let mount = TestMount::configured().await;
    let answer = mount.send(Operation::Read, READ, json!({})).await;
    assert_eq!(answer.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn while_the_rotation_is_due_clients_are_asked_to_come_back_soon() {
    let mount = with_app().await;
    mount.clock().advance(Duration::from_millis(86_399_500));
    assert_eq!(mount.read(READ).await["ttl"], json!(10));
    mount.clock().advance(HOUR);
    assert_eq!(mount.read(READ).await["ttl"], json!(10));
}

#[tokio::test(start_paused = true)]
async fn a_new_period_changes_when_the_key_ends_but_not_when_it_was_made() {
    let mount = with_app().await;
    mount.clock().advance(HOUR);

    mount
        .write("static-roles/app", json!({"rotation_period": "2h"}))
        .await;

    let creds = mount.read(READ).await;
    assert_eq!(creds["last_vault_rotation"], json!("2026-01-02T03:04:05Z"));
    assert_eq!(creds["expiration"], json!("2026-01-02T06:04:05Z"));
    assert_eq!(creds["rotation_period"], json!(7200));
    assert_eq!(creds["ttl"], json!(7200));
}

#[tokio::test(start_paused = true)]
async fn of_credentials_that_were_stored_without_times_none_is_made_up() {
    let mut mount = with_app().await;
    let mut stored = mount.stored(READ);
    let fields = stored.as_object_mut().unwrap();
    fields.remove("expiration");
    fields.remove("last_vault_rotation");
    mount.storage().set_text(READ, &stored.to_string());
    mount.clock().advance(HOUR);

    for _ in 0..2 {
        let creds = mount.read(READ).await;
        assert_eq!(creds["ttl"], json!(10), "to be read again soon");
        assert_eq!(creds["rotation_period"], json!(86400));
        assert_eq!(creds.get("last_vault_rotation"), None);
        assert_eq!(creds.get("expiration"), None);
        mount.clock().advance(HOUR);
    }

    mount.restart().await;
    mount.roll_back().await.unwrap();

    let creds = mount.read(READ).await;
    assert_eq!(creds["expiration"], json!("2026-01-03T06:04:05Z"));
    mount.clock().advance(HOUR);
    assert_eq!(mount.read(READ).await["expiration"], creds["expiration"]);
}
