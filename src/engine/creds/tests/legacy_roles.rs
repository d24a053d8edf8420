//! Credentials of roles of before `credential_type`.

use serde_json::json;

use crate::aws::fake::FakeRole;
use crate::engine::testing::{READ_ONLY, TestMount};

const DOCUMENT: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}"#;

async fn mount() -> TestMount {
    let mount = TestMount::configured().await;
    let role_arn = mount.aws().add_role("deploy", FakeRole::default());
    for (name, text) in [
        ("document", DOCUMENT),
        ("policy", READ_ONLY),
        ("role", role_arn.as_str()),
    ] {
        mount.storage().set_text(&format!("policy/{name}"), text);
    }
    mount
}

#[tokio::test]
async fn a_document_gives_users_under_creds_and_federation_tokens_under_sts() {
    let mount = mount().await;

    let user = mount.generate("creds/document").await;
    let session = mount.generate("sts/document").await;

    assert!(user.text("arn").contains(":user/"), "{}", user.text("arn"));
    let [inline] = mount.aws().iam_users()[0]
        .inline_policies
        .values()
        .cloned()
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    assert_eq!(inline, DOCUMENT);
    assert!(session.text("arn").contains(":federated-user/"));
    assert_eq!(mount.aws().sessions()[0].policy.as_deref(), Some(DOCUMENT));
}

#[tokio::test]
async fn a_policy_gives_users_under_creds_only() {
    let mount = mount().await;

    let user = mount.generate("creds/policy").await;
    assert!(user.text("arn").contains(":user/"));

    assert_eq!(
        mount.generate_refusal("sts/policy", json!({})).await,
        "attempted to retrieve iam_user credentials through the sts path; this is not allowed for legacy roles"
    );
}

#[tokio::test]
async fn an_aws_role_gives_sessions_under_sts_only() {
    let mount = mount().await;

    let session = mount.generate("sts/role").await;
    assert!(session.text("arn").contains(":assumed-role/deploy/"));

    assert_eq!(
        mount.generate_refusal("creds/role", json!({})).await,
        "attempted to retrieve assumed_role credentials through the creds path; this is not allowed for legacy roles"
    );
}

#[tokio::test]
async fn a_write_with_the_parameters_of_today_opens_both_prefixes() {
    let mount = mount().await;
    mount.write("roles/role", json!({})).await;
    mount.write("roles/policy", json!({})).await;

    mount.generate("creds/role").await;
    mount.generate("sts/role").await;
    mount.generate("sts/policy").await;
}

#[tokio::test]
async fn a_role_of_several_types_gives_the_one_of_the_prefix_or_none() {
    let mount = mount().await;
    let stored = json!({"credential_types": ["iam_user", "assumed_role"]});
    mount.storage().set_text("role/x", &stored.to_string());

    assert_eq!(
        mount.generate_refusal("sts/x", json!({})).await,
        "requested credential type \"federation_token\" not in allowed credential types [\"iam_user\", \"assumed_role\"]"
    );
}

#[tokio::test]
async fn a_type_of_a_newer_engine_is_named_when_it_is_asked_for() {
    let mount = mount().await;
    let stored = json!({"credential_types": ["console"]});
    mount.storage().set_text("role/x", &stored.to_string());

    assert_eq!(
        mount.generate_refusal("creds/x", json!({})).await,
        "unknown credential_type: \"console\""
    );
}
