//! Federated sessions of the engine's own user.

use serde_json::{Value, json};

use crate::engine::testing::{READ_ONLY, TestMount};

const DOCUMENT: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}"#;

async fn mount_with(more: Value) -> TestMount {
    let mount = TestMount::configured().await;
    let mut role = json!({"credential_type": "federation_token"});
    for (field, value) in more.as_object().unwrap() {
        role[field] = value.clone();
    }
    mount.write("roles/x", role).await;
    mount
}

#[tokio::test]
async fn the_answer_has_working_credentials_with_their_names_and_times() {
    let mount = mount_with(json!({"policy_arns": READ_ONLY, "policy_document": DOCUMENT})).await;
    for path in ["creds/x", "sts/x"] {
        let lease = mount.generate(path).await;

        let works = mount.aws().identify(
            lease.text("access_key"),
            lease.text("secret_key"),
            Some(lease.text("session_token")),
        );
        assert_eq!(works.unwrap().as_str(), lease.text("arn"));
        assert_eq!(lease.data["security_token"], lease.data["session_token"]);
        let name = lease.text("username");
        assert!(name.starts_with("vault-") && name.len() == 32, "{name}");
        assert!(
            lease
                .text("arn")
                .ends_with(&format!(":federated-user/{name}"))
        );
        assert_eq!(lease.data["ttl"], json!(3600));
        assert_eq!(lease.text("expiration"), "2026-01-02T04:04:05Z");
        assert_eq!(lease.data.len(), 8);
    }
    for session in mount.aws().sessions() {
        assert_eq!(session.policy.as_deref(), Some(DOCUMENT));
        assert_eq!(session.policy_arns[0].as_str(), READ_ONLY);
    }
    assert_eq!(
        mount.aws().operations(),
        ["sts:GetFederationToken", "sts:GetFederationToken"]
    );
}

#[tokio::test]
async fn the_lease_remembers_what_the_go_engines_do() {
    for (policies, policy) in [
        (json!({"policy_document": DOCUMENT}), DOCUMENT),
        (json!({"policy_arns": READ_ONLY}), ""),
    ] {
        let mount = mount_with(policies).await;

        let lease = mount.generate("creds/x").await;

        assert_eq!(
            Value::Object(lease.secret.internal_data.clone()),
            json!({
                "secret_type": "access_keys",
                "is_sts": true,
                "username": lease.text("username"),
                "policy": policy,
            })
        );
        assert!(!lease.secret.lease.renewable);
    }
}

#[tokio::test]
async fn a_session_without_any_policy_is_never_asked_for() {
    const GUARD: &str = "must specify at least one of policy_arns or policy_document with federation_token credential_type";
    let mount = TestMount::configured().await;
    // A role of the Go engines, which take it.
    mount
        .storage()
        .set_text("role/x", r#"{"credential_types":["federation_token"]}"#);

    assert_eq!(mount.generate_refusal("creds/x", json!({})).await, GUARD);

    mount.aws().add_group("developers");
    mount
        .write("roles/x", json!({"iam_groups": "developers"}))
        .await;
    assert_eq!(
        mount.generate_refusal("sts/x", json!({})).await,
        format!("{GUARD}: the groups in iam_groups of the role have no policies")
    );
    assert!(mount.aws().calls_of("sts:GetFederationToken").is_empty());
}

#[tokio::test]
async fn what_belongs_to_assumed_roles_is_ignored() {
    let mount = mount_with(json!({"policy_document": DOCUMENT})).await;

    let lease = mount
        .generate_with(
            "creds/x",
            json!({"role_arn": "arn:aws:iam::1:role/x", "role_session_name": "ci"}),
        )
        .await;

    assert_ne!(lease.text("username"), "ci");
}
