use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::{DOCUMENT, full_role};
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::Operation;

#[tokio::test]
async fn a_read_makes_an_iam_user_with_exactly_what_the_role_says() {
    let mount = TestMount::configured().await;
    mount.aws().add_group("developers");
    let boundary = mount.aws().add_policy("boundary");
    mount
        .write(
            "roles/deploy",
            json!({
                "credential_type": "iam_user",
                "policy_arns": READ_ONLY,
                "policy_document": DOCUMENT,
                "iam_groups": "developers",
                "iam_tags": {"team": "platform", "cost": "42"},
                "user_path": "/vault/",
                "permissions_boundary_arn": boundary.as_str(),
            }),
        )
        .await;

    let lease = mount.generate("creds/deploy").await;

    let [user] = mount.aws().iam_users().try_into().unwrap();
    assert_eq!(user.user_name.as_str(), lease.text("username"));
    assert_eq!(user.arn.as_str(), lease.text("arn"));
    assert_eq!(user.path, "/vault/");
    assert_eq!(user.permissions_boundary, Some(boundary));
    let tags: Vec<_> = user
        .tags
        .iter()
        .map(|tag| (tag.key.as_str(), tag.value.as_str()))
        .collect();
    assert_eq!(tags, [("cost", "42"), ("team", "platform")]);
    assert_eq!(
        user.managed_policies
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        [READ_ONLY]
    );
    let inline: Vec<_> = user
        .inline_policies
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    assert_eq!(inline, [("deploy", DOCUMENT)]);
    assert_eq!(
        user.groups
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["developers"]
    );
    let signed = mount
        .aws()
        .identify(lease.text("access_key"), lease.text("secret_key"), None);
    assert_eq!(signed, Some(user.arn));
    assert_eq!(lease.data["session_token"], json!(null));
    assert_eq!(mount.wal(), Vec::<String>::new());

    mount.revoke(&lease).await.unwrap();
    mount.assert_nothing_left();
}

#[tokio::test]
async fn the_answer_has_the_keys_that_clients_of_either_engine_read() {
    let mount = TestMount::configured().await;
    full_role(&mount).await;

    let lease = mount.generate("creds/full").await;

    let keys: Vec<_> = lease.data.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "access_key",
            "arn",
            "secret_key",
            "security_token",
            "session_token",
            "username"
        ]
    );
    assert_eq!(lease.data["session_token"], json!(null));
    assert_eq!(lease.data["security_token"], json!(null));
    assert!(lease.secret.lease.renewable);
}

#[tokio::test]
async fn a_role_of_today_gives_a_user_under_both_prefixes_and_by_read_and_write() {
    let mount = TestMount::configured().await;
    full_role(&mount).await;

    for path in ["creds/full", "sts/full"] {
        for operation in [Operation::Read, Operation::Update] {
            let answer = mount.send(operation, path, json!({"ttl": "15m"})).await;
            let lease = mount.lease(path, answer.unwrap().unwrap());
            assert_eq!(lease.secret.lease.ttl, Duration::ZERO, "left to the mount");
            mount.revoke(&lease).await.unwrap();
        }
    }
    mount.assert_nothing_left();
}

#[tokio::test]
async fn a_user_is_named_after_the_token_and_the_role() {
    let mount = TestMount::configured().await;
    full_role(&mount).await;

    let lease = mount.generate("creds/full").await;

    let name = lease.text("username");
    assert!(name.starts_with("vault-token-alice-full-"), "{name}");
    assert!(name.len() <= 64, "{name}");
}

#[tokio::test]
async fn a_role_with_nothing_gives_a_user_who_may_nothing() {
    let mount = TestMount::configured().await;
    let warnings = mount
        .write("roles/bare", json!({"credential_type": "iam_user"}))
        .await;
    assert_eq!(warnings.len(), 1);

    let lease = mount.generate("creds/bare").await;

    let [user] = mount.aws().iam_users().try_into().unwrap();
    assert_eq!(user.path, "/");
    assert_eq!(user.tags, []);
    assert_eq!(user.access_keys.len(), 1);
    mount.revoke(&lease).await.unwrap();
    mount.assert_nothing_left();
}

#[tokio::test]
async fn what_a_role_names_twice_is_attached_once_and_removed_once() {
    let mount = TestMount::configured().await;
    mount.aws().add_group("developers");
    mount
        .write(
            "roles/twice",
            json!({
                "credential_type": "iam_user",
                "policy_arns": [READ_ONLY, READ_ONLY],
                "iam_groups": ["developers", "developers"],
            }),
        )
        .await;

    let lease = mount.generate("creds/twice").await;

    mount.revoke(&lease).await.unwrap();
    mount.assert_nothing_left();
}

#[tokio::test]
async fn many_requests_at_once_get_a_user_each() {
    let mount = TestMount::configured().await;
    full_role(&mount).await;

    let leases = join_all((0..20).map(|_| mount.generate("creds/full"))).await;

    let names: BTreeSet<_> = leases.iter().map(|lease| lease.text("username")).collect();
    assert_eq!(names.len(), 20);
    assert_eq!(mount.aws().iam_users().len(), 20);
    assert_eq!(mount.aws().connections(), 1, "one client for all");
    for revoked in join_all(leases.iter().map(|lease| mount.revoke(lease))).await {
        revoked.unwrap();
    }
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn issue_and_revoke_of_a_full_role_take_two_round_trips_and_seven_calls_each() {
    let mount = TestMount::configured().await;
    full_role(&mount).await;

    let (lease, trips) = mount.round_trips(mount.generate("creds/full")).await;
    assert_eq!(trips, 2);
    assert_eq!(
        mount.aws().operations(),
        [
            "iam:CreateUser",
            "iam:AttachUserPolicy",
            "iam:AttachUserPolicy",
            "iam:AttachUserPolicy",
            "iam:PutUserPolicy",
            "iam:AddUserToGroup",
            "iam:CreateAccessKey",
        ]
    );

    mount.aws().forget_calls();
    let (revoked, trips) = mount.round_trips(mount.revoke(&lease)).await;
    revoked.unwrap();
    assert_eq!(trips, 2);
    assert_eq!(
        mount.aws().operations(),
        [
            "iam:DeleteAccessKey",
            "iam:DetachUserPolicy",
            "iam:DetachUserPolicy",
            "iam:DetachUserPolicy",
            "iam:DeleteUserPolicy",
            "iam:RemoveUserFromGroup",
            "iam:DeleteUser",
        ]
    );
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn issue_and_revoke_of_a_bare_role_take_two_calls_each() {
    let mount = TestMount::configured().await;
    mount
        .write("roles/bare", json!({"credential_type": "iam_user"}))
        .await;

    let lease = mount.generate("creds/bare").await;
    mount.revoke(&lease).await.unwrap();

    assert_eq!(
        mount.aws().operations(),
        [
            "iam:CreateUser",
            "iam:CreateAccessKey",
            "iam:DeleteAccessKey",
            "iam:DeleteUser"
        ]
    );
    mount.assert_nothing_left();
}
