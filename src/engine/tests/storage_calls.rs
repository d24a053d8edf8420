//! What a request asks of the host: each question is a round trip of its own.

use serde_json::{Value, json};

use crate::aws::fake::FakeRole;
use crate::engine::testing::{READ_ONLY, TestMount};

/// A mount with a role `x`, of which credentials were issued already.
async fn warm_mount(role: Value) -> TestMount {
    let mount = TestMount::configured().await;
    mount.aws().add_role("deploy", FakeRole::default());
    mount.write("roles/x", role).await;
    mount.generate("creds/x").await;
    calls(&mount);
    mount
}

/// The calls since the last time, those about the mount and the host first; without the names of
/// WAL entries and of users.
fn calls(mount: &TestMount) -> Vec<String> {
    let asked = mount.system().take_asked().into_iter().map(str::to_owned);
    let calls = mount.storage().take_calls().into_iter();
    let calls = calls.map(|call| {
        let end = ["wal/", "issued/"]
            .into_iter()
            .find_map(|prefix| call.find(prefix).map(|at| at + prefix.len()));
        call[..end.unwrap_or(call.len())].to_owned()
    });
    asked.chain(calls).collect()
}

fn iam_user() -> Value {
    json!({"credential_type": "iam_user", "policy_arns": READ_ONLY})
}

#[tokio::test]
async fn a_user_takes_one_entry_of_the_write_ahead_log_and_its_place_in_the_register() {
    let mount = warm_mount(iam_user()).await;

    let lease = mount.generate("creds/x").await;
    assert_eq!(
        calls(&mount),
        [
            // Beside the calls to AWS. The mount may be tuned at any time, and no host says so.
            "default_lease_ttl",
            // Before the first call to AWS.
            "put wal/",
            // Beside it.
            "put issued/",
            // At the end, both at once.
            "put issued/",
            "delete wal/"
        ]
    );

    mount.renew(&lease).await.unwrap();
    assert_eq!(
        calls(&mount),
        ["default_lease_ttl", "get issued/", "put issued/"]
    );

    mount.revoke(&lease).await.unwrap();
    assert_eq!(calls(&mount), ["get issued/", "delete issued/"]);
}

#[tokio::test]
async fn the_hosts_timer_asks_for_little_where_nothing_is_issued() {
    let mount = TestMount::configured().await;
    mount.roll_back().await.unwrap();
    calls(&mount);

    mount.roll_back().await.unwrap();

    assert_eq!(calls(&mount), ["replication_state", "list wal/"]);
}

#[tokio::test]
async fn the_first_user_takes_one_look_at_each_record() {
    let mut mount = warm_mount(iam_user()).await;
    mount.restart().await;
    calls(&mount);

    mount.generate("creds/x").await;

    assert_eq!(
        calls(&mount),
        [
            "replication_state",
            "default_lease_ttl",
            "get role/x",
            "get config/root",
            "get config/lease",
            "put wal/",
            "put issued/",
            "put issued/",
            "delete wal/"
        ]
    );
}

#[tokio::test]
async fn a_session_takes_nothing() {
    for role in [
        json!({
            "credential_type": "assumed_role",
            "role_arns": "arn:aws:iam::111122223333:role/deploy",
            "policy_arns": READ_ONLY,
            "max_sts_ttl": "2h",
        }),
        json!({
            "credential_type": "federation_token",
            "policy_arns": READ_ONLY,
            "max_sts_ttl": "2h",
        }),
        json!({"credential_type": "session_token", "max_sts_ttl": "2h"}),
    ] {
        let mount = warm_mount(role).await;

        let lease = mount.generate("creds/x").await;
        mount.renew(&lease).await.unwrap();
        mount.revoke(&lease).await.unwrap();

        assert_eq!(calls(&mount), [""; 0]);
    }
}

#[tokio::test]
async fn the_mounts_limit_is_asked_for_where_the_role_has_none() {
    let mount = warm_mount(json!({"credential_type": "session_token"})).await;

    mount.generate("creds/x").await;

    // It may be tuned at any time, and no host says so.
    assert_eq!(calls(&mount), ["max_lease_ttl"]);
}

#[tokio::test]
async fn a_role_is_read_once_however_often_it_is_shown() {
    let mount = warm_mount(iam_user()).await;

    mount.read("roles/x").await;

    assert_eq!(calls(&mount), [""; 0]);
}
