//! What operators see of sessions that can be ended, and how they end one.

use serde_json::{Value, json};

use super::{HOUR, mount, works};
use crate::engine::testing::READ_ONLY;
use crate::logical::Operation;
use crate::logical::testing::StorageFault;

#[tokio::test]
async fn a_session_is_listed_and_found_by_its_access_key() {
    let mount = mount().await;
    mount
        .write(
            "roles/user",
            json!({"credential_type": "iam_user", "policy_arns": READ_ONLY}),
        )
        .await;
    let user = mount.generate("creds/user").await;
    let lease = mount.generate("creds/x").await;
    let key = lease.text("access_key");

    assert_eq!(mount.list("issued/").await, [key, user.text("username")]);
    let page = mount
        .send(Operation::List, "issued/", json!({"limit": 1}))
        .await;
    let page = page.unwrap().unwrap().data;
    assert_eq!(page["key_info"][key]["role"], "x");
    let found = mount.read(&format!("issued/{key}")).await;
    assert_eq!(
        Value::Object(found),
        json!({
            "username": lease.text("username"),
            "access_key": key,
            "role": "x",
            "display_name": "token-alice",
            "entity_id": "",
            "account": "111122223333",
            "arn": lease.text("arn"),
            "issued_at": "2026-01-02T03:04:05Z",
            "expires_at": "2026-01-02T04:04:05Z",
        })
    );
}

#[tokio::test]
async fn a_leaked_session_ends_by_one_command_and_its_leases_revocation_then_succeeds() {
    let mount = mount().await;
    let (leaked, other) = (
        mount.generate("creds/x").await,
        mount.generate("creds/x").await,
    );
    mount.clock().advance(HOUR / 2);

    let path = format!("issued/{}/revoke", leaked.text("access_key"));
    let response = mount
        .send(Operation::Update, &path, json!({}))
        .await
        .unwrap()
        .unwrap();

    assert_eq!(response.data["username"], leaked.text("username"));
    assert!(
        response.warnings[0].starts_with("AWS acts on it within seconds"),
        "{response:?}"
    );
    assert!(!works(&mount, &leaked));
    assert!(works(&mount, &other));
    assert_eq!(mount.list("issued/").await, [other.text("access_key")]);
    mount.revoke(&leaked).await.unwrap();
    assert_eq!(mount.aws().calls_of("iam:PutRolePolicy").len(), 1);
}

#[tokio::test]
async fn what_aws_does_not_take_now_is_ended_at_a_later_tick() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount
        .aws()
        .fail_next("iam:PutRolePolicy", 1, "ServiceFailure");

    let path = format!("issued/{}/revoke", lease.text("access_key"));
    let error = mount.write_error(&path, json!({})).await.to_string();

    assert!(
        error.starts_with("not ended yet, and tried again each minute: "),
        "{error}"
    );
    mount.wait(3 * super::MINUTE).await;
    assert!(!works(&mount, &lease));
}

#[tokio::test]
async fn what_is_not_written_down_is_not_said_to_be_tried_again() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    let path = format!("issued/{}/revoke", lease.text("access_key"));
    mount.storage().fail(StorageFault::Put, "session-denials/");

    let error = mount.write_error(&path, json!({})).await.to_string();

    assert!(
        error.starts_with("not ended, and not written down either: ask again: "),
        "{error}"
    );
    mount.storage().heal();
    mount.write(&path, json!({})).await;
    assert!(!works(&mount, &lease));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_hides_no_other_from_a_page() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    let key = lease.text("access_key");
    mount.storage().set_text("sessions/ASIABROKEN", "no JSON");
    mount.storage().set_text("issued/broken", "no JSON");

    let page = mount
        .send(Operation::List, "issued/", json!({"limit": 10}))
        .await;

    let page = page.unwrap().unwrap().data;
    assert_eq!(page["keys"].as_array().unwrap().len(), 3);
    assert_eq!(page["key_info"][key]["role"], "x");
}

#[tokio::test]
async fn records_that_come_last_are_read_too_where_the_timer_is_slow() {
    let mount = mount().await;
    mount.generate("creds/x").await;
    let keys = mount.storage().keys();
    let record = keys.iter().find(|key| key.starts_with("sessions/"));
    let over = mount.storage().text(record.unwrap()).unwrap();
    let key = record.unwrap().trim_start_matches("sessions/");
    mount
        .storage()
        .set_text("sessions/A", &over.replace(key, "A"));
    let alive = over.replace("\"expires_at\":1", "\"expires_at\":9");
    assert_ne!(alive, over);
    for number in 0..2000 {
        let key = format!("sessions/B{number}");
        mount.storage().set_text(&key, &alive);
    }

    for _ in 0..3 {
        mount.clock().advance(HOUR + super::MINUTE);
        mount.roll_back().await.unwrap();
    }

    assert_eq!(mount.storage().text("sessions/A"), None);
}

#[tokio::test]
async fn a_role_of_ours_that_cannot_be_read_keeps_no_session_alive() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount.store_elsewhere("role/x", "no JSON").await;

    mount.revoke(&lease).await.unwrap();

    assert!(!works(&mount, &lease));
}

#[tokio::test]
async fn where_nobody_tells_which_account_is_asked_a_missing_aws_role_ends_nothing() {
    let mut mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount
        .aws()
        .set_default_credentials(&mount.aws().admin_key());
    let config = json!({"access_key": "", "secret_key": ""});
    mount.write("config/root", config).await;
    mount.restart().await;
    mount.aws().remove_role("deploy");
    mount.aws().deny("sts:GetCallerIdentity");

    let error = mount.revoke(&lease).await.unwrap_err().to_string();

    assert!(error.contains("which account"), "{error}");
    mount.aws().heal();
    mount.restart().await;
    mount.revoke(&lease).await.unwrap();
}
