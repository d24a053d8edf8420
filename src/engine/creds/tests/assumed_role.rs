//! Sessions of AWS roles.

use serde_json::{Value, json};

use crate::aws::Tag;
use crate::aws::fake::{FakeRole, FakeSession};
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::Operation;

const DOCUMENT: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}"#;

/// A mount with an AWS role, `deploy`, and a role of ours that assumes it, with `more`.
async fn mount_with(more: Value) -> TestMount {
    let mount = TestMount::configured().await;
    let arn = mount.aws().add_role("deploy", FakeRole::default());
    let mut role = json!({"credential_type": "assumed_role", "role_arns": [arn.as_str()]});
    for (field, value) in more.as_object().unwrap() {
        role[field] = value.clone();
    }
    mount.write("roles/x", role).await;
    mount
}

fn only_session(mount: &TestMount) -> FakeSession {
    let [session] = mount.aws().sessions().try_into().unwrap();
    session
}

#[tokio::test]
async fn the_answer_has_working_credentials_with_their_names_and_times() {
    let mount = mount_with(json!({})).await;

    let lease = mount.generate("creds/x").await;

    let session = only_session(&mount);
    let works = mount.aws().identify(
        lease.text("access_key"),
        lease.text("secret_key"),
        Some(lease.text("session_token")),
    );
    assert_eq!(works, Some(session.arn.clone()));
    assert_eq!(lease.data["security_token"], lease.data["session_token"]);
    assert_eq!(lease.text("arn"), session.arn.as_str());
    assert_eq!(
        session.arn.resource(),
        format!("assumed-role/deploy/{}", lease.text("username"))
    );
    assert!(lease.text("username").starts_with("vault-token-alice-x-"));
    assert_eq!(lease.data["ttl"], json!(3600));
    assert_eq!(lease.text("expiration"), "2026-01-02T04:04:05Z");
    assert_eq!(lease.data.len(), 8);
}

#[tokio::test]
async fn both_prefixes_and_both_operations_do_the_same() {
    let mount = mount_with(json!({})).await;
    let keys = |data: &serde_json::Map<String, Value>| data.keys().cloned().collect::<Vec<_>>();
    let expected = keys(&mount.generate("creds/x").await.data);

    for (operation, path) in [
        (Operation::Read, "sts/x"),
        (Operation::Update, "creds/x"),
        (Operation::Update, "sts/x"),
    ] {
        let answer = mount.send(operation, path, json!({"ttl": 900})).await;
        let data = answer.unwrap().unwrap().data;
        assert_eq!(keys(&data), expected);
        assert_eq!(data["ttl"], json!(900));
    }
}

#[tokio::test]
async fn the_session_is_narrowed_and_tagged_as_the_role_says() {
    let mount = mount_with(json!({
        "policy_arns": READ_ONLY,
        "policy_document": DOCUMENT,
        "session_tags": {"team": "platform", "cost": "42"},
    }))
    .await;

    mount.generate("sts/x").await;

    let session = only_session(&mount);
    assert_eq!(session.policy.as_deref(), Some(DOCUMENT));
    assert_eq!(
        session
            .policy_arns
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        [READ_ONLY]
    );
    assert_eq!(
        session.tags,
        [Tag::new("cost", "42"), Tag::new("team", "platform")]
    );
}

#[tokio::test]
async fn the_external_id_opens_a_role_that_asks_for_it() {
    let mount = mount_with(json!({"external_id": "vault-42"})).await;
    mount.aws().add_role(
        "deploy",
        FakeRole {
            external_id: Some("vault-42".to_owned()),
            ..FakeRole::default()
        },
    );
    mount.generate("creds/x").await;

    mount
        .write("roles/x", json!({"external_id": "other"}))
        .await;
    let text = mount.generate_refusal("creds/x", json!({})).await;

    assert!(
        text.contains("it must be external_id of the role"),
        "{text}"
    );
    assert!(!text.contains("other"), "{text}");
}

#[tokio::test]
async fn of_several_aws_roles_the_request_names_one() {
    let mount = mount_with(json!({})).await;
    let deploy = mount.aws().arn("iam", "role/deploy").to_string();
    let audit = mount
        .aws()
        .add_role("audit", FakeRole::default())
        .to_string();
    mount
        .write("roles/x", json!({"role_arns": [deploy, audit]}))
        .await;

    let lease = mount
        .generate_with("creds/x", json!({"role_arn": audit}))
        .await;
    assert!(lease.text("arn").contains(":assumed-role/audit/"));

    assert_eq!(
        mount.generate_refusal("creds/x", json!({})).await,
        "did not supply a role_arn parameter and unable to determine one: name one of the role's role_arns"
    );
    // As Terraform sends it.
    assert_eq!(
        mount
            .generate_refusal("creds/x", json!({"role_arn": ""}))
            .await,
        "did not supply a role_arn parameter and unable to determine one: name one of the role's role_arns"
    );
    assert_eq!(
        mount
            .generate_refusal(
                "creds/x",
                json!({"role_arn": "arn:aws:iam::111122223333:role/d*"})
            )
            .await,
        "role_arn \"arn:aws:iam::111122223333:role/d*\" not in allowed role arns for Vault role \"x\""
    );
}

#[tokio::test]
async fn a_single_aws_role_may_be_named_or_left_out() {
    let mount = mount_with(json!({})).await;
    let deploy = mount.aws().arn("iam", "role/deploy").to_string();
    for role_arn in [json!(deploy), json!(""), json!(null)] {
        mount
            .generate_with("sts/x", json!({"role_arn": role_arn}))
            .await;
    }
}

#[tokio::test]
async fn a_stored_role_without_any_aws_role_tells_so() {
    let mount = TestMount::configured().await;
    mount
        .storage()
        .set_text("role/x", r#"{"credential_types":["assumed_role"]}"#);

    assert_eq!(
        mount.generate_refusal("creds/x", json!({})).await,
        "did not supply a role_arn parameter and unable to determine one: the role has no role_arns"
    );
}

#[tokio::test]
async fn the_requests_session_name_is_made_to_fit() {
    let mount = mount_with(json!({})).await;
    let long = "x".repeat(65);
    for (asked, name) in [
        ("ci@example.com", "ci@example.com"),
        ("^#$job name\n(*", "___job_name___"),
        ("größe", "gr__e"),
        (long.as_str(), &long[..64]),
    ] {
        let answer = mount
            .send(
                Operation::Read,
                "creds/x",
                json!({"role_session_name": asked}),
            )
            .await;
        let answer = answer.unwrap().unwrap();
        let warning = format!(
            "role_session_name is {name} in AWS: it takes at most 64 letters, digits and _+=,.@- there"
        );
        let warned = (asked != name).then_some(warning);
        assert_eq!(answer.warnings, Vec::from_iter(warned));
        let lease = mount.lease("creds/x", answer);
        assert_eq!(lease.text("username"), name);
        assert!(lease.text("arn").ends_with(&format!("/{name}")));
    }
    assert_eq!(
        mount
            .generate_refusal("creds/x", json!({"role_session_name": "x"}))
            .await,
        "role_session_name: role session name \"x\" must have 2 to 64 characters, not 1"
    );
}

#[tokio::test]
async fn the_lease_remembers_what_the_go_engines_do() {
    let mount = mount_with(json!({})).await;

    let lease = mount.generate("creds/x").await;

    assert_eq!(
        Value::Object(lease.secret.internal_data.clone()),
        json!({
            "secret_type": "access_keys",
            "is_sts": true,
            "username": lease.text("username"),
            "policy": mount.aws().arn("iam", "role/deploy").as_str(),
        })
    );
}

#[tokio::test]
async fn renewing_and_revoking_a_session_asks_aws_nothing() {
    let mount = mount_with(json!({})).await;
    let lease = mount.generate("creds/x").await;
    assert!(!lease.secret.lease.renewable);
    mount.aws().forget_calls();

    assert_eq!(mount.renew(&lease).await.unwrap(), None);
    mount.revoke(&lease).await.unwrap();

    assert_eq!(mount.aws().operations(), [""; 0]);
}

#[tokio::test]
async fn a_missing_role_is_the_callers_mistake() {
    let mount = TestMount::configured().await;
    assert_eq!(
        mount.generate_refusal("creds/x", json!({})).await,
        "Role \"x\" not found"
    );
}

#[tokio::test]
async fn one_session_takes_one_call() {
    let mount = mount_with(json!({})).await;

    mount.generate("creds/x").await;

    assert_eq!(mount.aws().operations(), ["sts:AssumeRole"]);
    assert_eq!(mount.wal(), [""; 0]);
}
