//! Sessions of `sts:GetFederationToken`, which a policy on the engine's own user ends.

use serde_json::{Value, json};

use super::{MINUTE, open, own_user, working, works};
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::secret::ExposeSecret;

async fn mount_with(more: Value) -> TestMount {
    let mount = TestMount::configured().await;
    let mut role = json!({
        "credential_type": "federation_token",
        "policy_arns": READ_ONLY,
        "revocable_sessions": true,
    });
    for (field, value) in more.as_object().unwrap() {
        role[field] = value.clone();
    }
    mount.write("roles/x", role).await;
    mount
        .write("roles/plain", json!({"credential_type": "session_token"}))
        .await;
    mount
}

#[tokio::test]
async fn a_federated_session_is_denied_and_neither_its_neighbour_nor_the_engine_is() {
    let mount = mount_with(json!({})).await;
    let leases = open(&mount, 2).await;
    assert!(leases[0].text("username").len() <= 32);

    mount.revoke(&leases[0]).await.unwrap();

    assert!(!works(&mount, &leases[0]));
    assert!(works(&mount, &leases[1]));
    mount.generate("creds/plain").await;
    mount.wait(80 * MINUTE).await;
    assert!(own_user(&mount).inline_policies.is_empty());
}

#[tokio::test]
async fn what_is_cut_off_by_time_are_federated_sessions_only() {
    let mount = mount_with(json!({"revoke_older_sessions": true})).await;
    let plain = mount.generate("creds/plain").await;
    let leases = open(&mount, 80).await;

    for lease in &leases {
        mount.revoke(lease).await.unwrap();
    }

    assert_eq!(working(&mount, &leases), 0);
    let policies = own_user(&mount).inline_policies;
    let document = policies.values().next().unwrap();
    assert!(document.len() <= 2048, "{} characters", document.len());
    assert!(document.contains("aws:TokenIssueTime"), "{document}");
    assert!(works(&mount, &plain));
    mount.generate("creds/x").await;
}

#[tokio::test]
async fn the_accounts_root_user_has_no_policies_and_so_gives_no_sessions_that_end() {
    let mount = mount_with(json!({})).await;
    let key = mount.aws().account_root_key();
    mount
        .configure(json!({
            "access_key": key.access_key_id.as_str(),
            "secret_key": key.secret_access_key.expose_secret(),
        }))
        .await;

    let refusal = mount.generate_refusal("creds/x", json!({})).await;

    assert!(
        refusal.contains("neither an AWS role nor an IAM user"),
        "{refusal}"
    );
}
