use serde_json::json;

use crate::engine::testing::{READ_ONLY, TestMount};

const DOCUMENT: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}"#;

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

#[tokio::test(start_paused = true)]
async fn issue_and_revoke_of_a_full_role_take_two_round_trips_and_seven_calls_each() {
    let mount = TestMount::configured().await;
    mount.aws().add_group("developers");
    let policies: Vec<_> = ["a", "b", "c"]
        .map(|name| mount.aws().add_policy(name).to_string())
        .into();
    mount
        .write(
            "roles/full",
            json!({
                "credential_type": "iam_user",
                "policy_arns": policies,
                "policy_document": DOCUMENT,
                "iam_groups": "developers",
                "iam_tags": ["a=1", "b=2"],
            }),
        )
        .await;

    let (lease, trips) = mount.round_trips(mount.generate("creds/full")).await;
    assert_eq!(
        (mount.aws().calls().len(), trips),
        (7, 2),
        "{:?}",
        mount.aws().operations()
    );

    mount.aws().forget_calls();
    let (revoked, trips) = mount.round_trips(mount.revoke(&lease)).await;
    revoked.unwrap();
    assert_eq!(
        (mount.aws().calls().len(), trips),
        (7, 2),
        "{:?}",
        mount.aws().operations()
    );
    mount.assert_nothing_left();
}
