//! Roots that are sessions, and what sessions they can give.

use serde_json::json;

use super::{assert_problems, assert_tells, check, text};
use crate::aws::fake::FakeRole;
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::secret::ExposeSecret;

fn asking_for(external_id: &str) -> FakeRole {
    FakeRole {
        external_id: Some(external_id.to_owned()),
        ..FakeRole::default()
    }
}

#[tokio::test]
async fn a_role_whose_trust_policy_refuses_is_told_with_its_arn() {
    let mount = TestMount::configured().await;
    let good = mount.aws().add_role("good", FakeRole::default());
    let strict = mount.aws().add_role("strict", asking_for("wedged"));
    let arns = json!([good.as_str(), strict.as_str()]);
    mount
        .write(
            "roles/deploy",
            json!({"credential_type": "assumed_role", "role_arns": arns}),
        )
        .await;

    let answer = check(&mount).await;

    assert_problems(&answer, &["permissions_assumed_role"]);
    let told = text(&answer, "permissions_assumed_role");
    assert!(
        told.starts_with(&format!(
            "missing sts:AssumeRole of AssumeTheseRoles on {strict}, or its trust policy"
        )),
        "{told}"
    );
    assert!(!told.contains(good.as_str()), "{told}");

    mount
        .write("roles/deploy", json!({"external_id": "wedged"}))
        .await;

    let answer = check(&mount).await;
    assert_problems(&answer, &[]);
    assert_eq!(
        text(&answer, "permissions_assumed_role"),
        "granted: AWS gives sessions of 2 role_arns"
    );
}

#[tokio::test]
async fn of_very_many_roles_the_first_are_tried() {
    let mount = TestMount::configured().await;
    let arns: Vec<_> = (0..9)
        .map(|number| {
            mount
                .aws()
                .add_role(&format!("r{number}"), FakeRole::default())
        })
        .map(|arn| arn.to_string())
        .collect();
    mount
        .write(
            "roles/deploy",
            json!({"credential_type": "assumed_role", "role_arns": arns}),
        )
        .await;

    let answer = check(&mount).await;

    assert_eq!(
        text(&answer, "permissions_assumed_role"),
        "granted: AWS gives sessions of the first 5 of 9 role_arns"
    );
    assert_eq!(mount.aws().calls_of("sts:AssumeRole").len(), 5);
}

#[tokio::test]
async fn a_federation_token_that_aws_refuses_is_told() {
    let mount = TestMount::configured().await;
    let role = json!({"credential_type": "federation_token", "policy_arns": READ_ONLY});
    mount.write("roles/federated", role).await;
    assert_eq!(
        text(&check(&mount).await, "permissions_federation_token"),
        "granted"
    );

    mount.aws().deny("sts:GetFederationToken");

    let answer = check(&mount).await;
    assert_problems(&answer, &["permissions_federation_token"]);
    assert_tells(
        &answer,
        "permissions_federation_token",
        &["missing sts:GetFederationToken of FederateItself"],
    );
}

#[tokio::test]
async fn the_session_of_a_role_is_told_as_such_and_what_aws_gives_to_users_only() {
    let mut mount = TestMount::configured().await;
    let role = mount.aws().add_role("instance", FakeRole::default());
    mount
        .write(
            "roles/self",
            json!({"credential_type": "assumed_role", "role_arns": role.as_str()}),
        )
        .await;
    let session = mount.generate("sts/self").await;
    mount
        .write("config/root", json!({"access_key": null}))
        .await;
    for (name, of) in [("f", "federation_token"), ("s", "session_token")] {
        let policy = if of == "federation_token" {
            READ_ONLY
        } else {
            ""
        };
        let role = json!({"credential_type": of, "policy_arns": policy});
        mount.write(&format!("roles/{name}"), role).await;
    }
    mount
        .write("roles/bare", json!({"credential_type": "iam_user"}))
        .await;
    mount.restart_with_session(&session).await;

    let answer = check(&mount).await;

    assert_eq!(text(&answer, "kind"), "session of a role");
    assert_problems(
        &answer,
        &["permissions_federation_token", "permissions_session_token"],
    );
    for of in ["federation_token", "session_token"] {
        let field = format!("permissions_{of}");
        assert_tells(
            &answer,
            &field,
            &[of, "IAM users only", "session of a role"],
        );
    }
    // Of the role, since a session has no policies.
    let asked = mount.aws().calls_of("iam:SimulatePrincipalPolicy");
    assert!(
        asked.iter().all(|call| call.target == role.as_str()),
        "{asked:?}"
    );
    assert_eq!(text(&answer, "permissions_iam_user"), "granted");
    assert!(
        !answer.contains_key("permissions_rotate_root"),
        "there is no key"
    );
}

#[tokio::test]
async fn a_root_that_assumes_a_role_is_told_as_the_role_and_its_key_as_the_key() {
    let mount = TestMount::configured().await;
    let abroad = mount.aws().in_account("444455556666");
    let role = abroad.add_role("admin", FakeRole::default());
    mount
        .write(
            "config/root",
            json!({"assume_role_arn": role.as_str(), "rotation_period": "24h"}),
        )
        .await;

    let answer = check(&mount).await;

    assert_problems(&answer, &[]);
    assert_eq!(text(&answer, "account"), "444455556666");
    assert_eq!(text(&answer, "kind"), "session of a role");
    assert_eq!(
        text(&answer, "credentials"),
        format!("access_key of config/root, which assumes {role}")
    );
    assert_eq!(answer["access_keys"], json!(1));
    assert_eq!(text(&answer, "permissions_rotate_root"), "granted");
    let asked = mount.aws().calls_of("iam:SimulatePrincipalPolicy");
    assert!(
        asked
            .iter()
            .all(|call| call.target == "arn:aws:iam::111122223333:user/administrator"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_root_that_may_not_assume_its_role_is_told_what_to_grant() {
    let mount = TestMount::configured().await;
    let role = mount.aws().add_role("admin", asking_for("wedged"));
    mount
        .write("config/root", json!({"assume_role_arn": role.as_str()}))
        .await;

    let answer = check(&mount).await;

    assert_problems(&answer, &["sts", "iam"]);
    assert_tells(&answer, "sts", &["sts:AssumeRole", role.as_str()]);
    assert_eq!(
        text(&answer, "access_key_age"),
        "0s",
        "the key itself works"
    );
}

#[tokio::test]
async fn the_root_user_of_the_account_may_do_everything_but_assume_a_role() {
    let mount = TestMount::new().await;
    let key = mount.aws().account_root_key();
    let role = mount.aws().add_role("deploy", FakeRole::default());
    let root = json!({
        "access_key": key.access_key_id.as_str(),
        "secret_key": key.secret_access_key.expose_secret(),
    });
    mount.write("config/root", root).await;
    mount
        .write(
            "roles/deploy",
            json!({"credential_type": "assumed_role", "role_arns": role.as_str()}),
        )
        .await;
    mount
        .write("roles/bare", json!({"credential_type": "iam_user"}))
        .await;

    let answer = check(&mount).await;

    assert_eq!(text(&answer, "kind"), "root user of the account");
    assert_problems(&answer, &["permissions_assumed_role"]);
    assert_eq!(text(&answer, "permissions_iam_user"), "granted");
    assert_tells(
        &answer,
        "permissions_rotate_root",
        &["for the key of an IAM user"],
    );
    assert_tells(&answer, "access_key_age", &["not known", "root user"]);
}
