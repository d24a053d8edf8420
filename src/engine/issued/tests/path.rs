//! What operators see of issued users, and how they end one.

use serde_json::{Value, json};

use super::{HOUR, MINUTE, mount, works};
use crate::aws::fake::{Fault, FaultRule};
use crate::engine::testing::TestMount;
use crate::logical::{Error, Operation, Response};

async fn list(mount: &TestMount, body: Value) -> Value {
    let response = mount.send(Operation::List, "issued/", body).await.unwrap();
    json!(response.unwrap().data)
}

async fn read(mount: &TestMount, name: &str) -> Option<Value> {
    let path = format!("issued/{name}");
    let response = mount.send(Operation::Read, &path, json!({})).await.unwrap();
    response.map(|response| json!(response.data))
}

async fn revoked(mount: &TestMount, name: &str) -> Response {
    let path = revoke(name);
    let answer = mount.send(Operation::Update, &path, json!({})).await;
    answer.unwrap().unwrap()
}

fn revoke(name: &str) -> String {
    format!("issued/{name}/revoke")
}

#[tokio::test]
async fn a_user_is_found_by_its_name_and_by_its_access_key() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount.generate("creds/x").await;
    let (user, key) = (lease.text("username"), lease.text("access_key"));

    for name in [user, key] {
        let found = read(&mount, name).await.unwrap();

        assert_eq!(found["username"], user);
        assert_eq!(found["access_key"], key);
        assert_eq!(found["role"], "x");
        assert_eq!(found["display_name"], "token-alice");
        let hour = |field: &str| found[field].as_str().unwrap().to_owned();
        assert!(hour("issued_at") < hour("expires_at"));
        assert!(!found.to_string().contains(lease.text("secret_key")));
    }
    assert_eq!(read(&mount, "somebody").await, None);
    assert_eq!(read(&mount, "AKIA0000000000000000").await, None);
}

#[tokio::test]
async fn users_are_listed_in_pages_that_tell_what_is_known_of_each() {
    let mount = mount().await;
    let mut users = Vec::new();
    for _ in 0..5 {
        let lease = mount.generate("creds/x").await;
        users.push(lease.text("username").to_owned());
    }
    users.sort();

    let all = list(&mount, json!({})).await;
    assert_eq!(all["keys"], json!(users));
    assert_eq!(all["key_info"].as_object().unwrap().len(), 5);

    let page = list(&mount, json!({"after": users[1], "limit": 2})).await;
    assert_eq!(page["keys"], json!(users[2..4]));
    assert_eq!(page["key_info"][&users[2]]["role"], "x");
    assert_eq!(page["key_info"].as_object().unwrap().len(), 2);

    let broken = format!("issued/{}", users[3]);
    mount.store_elsewhere(&broken, "[]").await;
    let page = list(&mount, json!({"after": users[1], "limit": 2})).await;
    assert_eq!(page["keys"], json!(users[2..4]));
    assert_eq!(page["key_info"][&users[2]]["role"], "x");
    assert_eq!(page["key_info"].get(&users[3]), None);

    let end = list(&mount, json!({"after": users[4], "limit": "2"})).await;
    assert_eq!(end, json!({}));
}

#[tokio::test]
async fn of_very_many_only_the_names_are_listed() {
    let mount = mount().await;
    for _ in 0..101 {
        mount.generate("creds/x").await;
    }

    for limit in [Value::Null, json!(0), json!(-1), json!(101)] {
        let all = list(&mount, json!({"limit": limit})).await;
        assert_eq!(all["keys"].as_array().unwrap().len(), 101, "{limit}");
        assert_eq!(all.get("key_info"), None, "{limit}");
    }
    let page = list(&mount, json!({"limit": 100})).await;
    assert_eq!(page["key_info"].as_object().unwrap().len(), 100);
}

#[tokio::test]
async fn a_leaked_key_dies_by_one_command_and_its_leases_revocation_then_succeeds() {
    let mount = mount().await;
    let (leaked, other) = (
        mount.generate("creds/x").await,
        mount.generate("creds/x").await,
    );
    mount.clock().advance(HOUR / 2);

    let response = revoked(&mount, leaked.text("access_key")).await;

    assert_eq!(response.data["username"], leaked.text("username"));
    assert_eq!(response.warnings, Vec::<String>::new());
    assert!(!works(&mount, &leaked));
    assert!(works(&mount, &other));
    assert_eq!(read(&mount, leaked.text("username")).await, None);
    assert_eq!(mount.wal(), Vec::<String>::new());
    mount.revoke(&leaked).await.unwrap();
    assert!(works(&mount, &other));
}

#[tokio::test(start_paused = true)]
async fn what_aws_does_not_end_now_is_ended_at_the_next_tick() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount.clock().advance(HOUR / 2);
    mount.aws().deny("iam:DeleteAccessKey");

    let path = revoke(lease.text("username"));
    let error = mount.write_error(&path, json!({})).await.to_string();

    assert!(
        error.starts_with(
            "not revoked yet, and the access key may still work: it is tried again each minute: "
        ),
        "{error}"
    );
    assert!(error.contains("iam:DeleteAccessKey"), "{error}");
    mount.aws().heal();
    mount.pass(1).await;
    assert!(!works(&mount, &lease));
    assert_eq!(mount.wal(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn the_key_dies_even_where_keys_may_not_be_listed_and_the_user_not_be_removed() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    for denied in ["iam:GetUser", "iam:ListAccessKeys", "iam:DeleteUser"] {
        mount.aws().deny(denied);
    }

    let path = revoke(lease.text("access_key"));
    let error = mount.write_error(&path, json!({})).await.to_string();

    assert!(!works(&mount, &lease));
    assert!(
        error.starts_with(
            "the access key is dead, but its IAM user is not removed yet, and tried again each minute: "
        ),
        "{error}"
    );
    assert!(error.contains("grant iam:DeleteUser"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_may_not_be_listed_is_ended_at_a_later_try_all_the_same() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount.aws().deny("iam:DeleteAccessKey");
    mount
        .write_error(&revoke(lease.text("username")), json!({}))
        .await;
    mount.aws().heal();
    mount.aws().deny("iam:ListAccessKeys");

    mount.pass(1).await;

    assert!(!works(&mount, &lease));
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_young_user_that_was_ended_by_name_is_revoked_without_waiting() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    revoked(&mount, lease.text("username")).await;
    let before = tokio::time::Instant::now();

    mount.revoke(&lease).await.unwrap();

    assert_eq!(before.elapsed(), std::time::Duration::ZERO);
    assert_eq!(mount.wal(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_user_that_aws_does_not_know_yet_is_looked_for_until_that_is_certain() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount
        .aws()
        .inject(FaultRule::on("iam:GetUser", Fault::Code("NoSuchEntity")).times(1));

    let response = revoked(&mount, lease.text("username")).await;

    let [warning] = response.warnings.try_into().unwrap();
    assert!(
        warning.starts_with("AWS does not know IAM user "),
        "{warning}"
    );
    mount.clock().advance(MINUTE);
    mount.roll_back().await.unwrap();
    assert!(!works(&mount, &lease));
}

#[tokio::test]
async fn who_is_not_in_the_register_cannot_be_revoked() {
    let mount = mount().await;
    mount.aws().add_user("jane");

    for name in ["jane", "AKIA0000000000000000"] {
        let error = mount.write_error(&revoke(name), json!({})).await;

        assert!(matches!(&error, Error::Invalid(_)), "{error:?}");
        assert!(
            error.to_string().contains("it has ended already"),
            "{error}"
        );
        assert!(error.to_string().contains("list issued/"), "{error}");
    }
    assert!(mount.aws().user("jane").is_some());
}
