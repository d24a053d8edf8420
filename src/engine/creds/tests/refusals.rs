//! What a client reads when STS says no.

use serde_json::json;

use crate::aws::fake::{FakeRole, Fault, FaultRule};
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::Error;
use crate::secret::ExposeSecret;

/// A mount with a role of each type of session.
async fn mount() -> TestMount {
    let mount = TestMount::configured().await;
    write_roles(&mount).await;
    mount
}

async fn write_roles(mount: &TestMount) {
    let role_arn = mount.aws().add_role("deploy", FakeRole::default());
    for (name, role) in [
        (
            "assumed",
            json!({"credential_type": "assumed_role", "role_arns": role_arn.as_str()}),
        ),
        (
            "federated",
            json!({"credential_type": "federation_token", "policy_arns": READ_ONLY}),
        ),
        ("session", json!({"credential_type": "session_token"})),
    ] {
        mount.write(&format!("roles/{name}"), role).await;
    }
    mount.aws().forget_calls();
}

const CALLS: [(&str, &str, &str); 3] = [
    ("assumed", "sts:AssumeRole", "Error assuming role: "),
    (
        "federated",
        "sts:GetFederationToken",
        "Error generating STS keys: ",
    ),
    (
        "session",
        "sts:GetSessionToken",
        "Error generating STS keys: ",
    ),
];

#[tokio::test]
async fn throttling_is_told_as_such_with_awss_words() {
    let mount = mount().await;
    for (role, operation, prefix) in CALLS {
        mount.aws().fail_next(operation, 1, "Throttling");
        match mount.read_error(&format!("creds/{role}")).await {
            Error::UpstreamRateLimited(text) => {
                let start = format!("{prefix}Throttling: Rate exceeded");
                assert!(text.starts_with(&start), "{text}");
            }
            other => panic!("{role}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn any_other_failure_of_aws_is_400_with_awss_words_and_the_next_step() {
    let mount = mount().await;
    for (role, operation, prefix) in CALLS {
        for (fault, next) in [
            (
                Fault::Code("InvalidClientTokenId"),
                "check access_key and secret_key in config/root",
            ),
            (
                Fault::Unreachable,
                "check region and endpoints in config/root",
            ),
            (
                Fault::AnswerLost,
                "check region and endpoints in config/root",
            ),
            (Fault::Code("ServiceFailure"), "ServiceFailure"),
            (
                Fault::Code("RegionDisabledException"),
                "set sts_region in config/root",
            ),
            (Fault::Code("PackedPolicyTooLarge"), "are too much together"),
            (
                Fault::Code("MalformedPolicyDocument"),
                "check policy_document of the role",
            ),
        ] {
            mount.aws().inject(FaultRule::on(operation, fault).times(1));
            let text = mount
                .generate_refusal(&format!("sts/{role}"), json!({}))
                .await;
            assert!(text.starts_with(prefix), "{text}");
            assert!(text.contains(next), "{fault:?}: {text}");
        }
    }
}

#[tokio::test]
async fn a_denied_assumption_tells_who_must_be_trusted() {
    let mount = mount().await;
    mount.aws().deny("sts:AssumeRole");

    let text = mount.generate_refusal("creds/assumed", json!({})).await;

    assert!(
        text.starts_with("Error assuming role: AccessDenied: User: "),
        "{text}"
    );
    assert!(
        text.contains("the trust policy of the AWS role must allow arn:aws:iam::111122223333:user/administrator, and"),
        "{text}"
    );
    assert!(text.contains("set it as external_id of the role"), "{text}");
}

#[tokio::test]
async fn a_role_that_does_not_exist_looks_like_one_that_does_not_trust() {
    let mount = mount().await;
    let role = json!({"role_arns": mount.aws().arn("iam", "role/nowhere").as_str()});
    mount.write("roles/assumed", role).await;

    let text = mount.generate_refusal("creds/assumed", json!({})).await;

    assert!(
        text.contains("AWS says the same of a role that does not exist"),
        "{text}"
    );
}

#[tokio::test]
async fn a_denied_token_tells_the_permission_to_grant() {
    let mount = mount().await;
    for (role, operation, _) in &CALLS[1..] {
        mount.aws().deny(operation);
        let text = mount
            .generate_refusal(&format!("creds/{role}"), json!({}))
            .await;
        assert!(text.contains(&format!("grant {operation} to")), "{text}");
    }
}

#[tokio::test]
async fn an_engine_that_runs_on_a_session_is_told_what_it_cannot_give() {
    let mut mount = mount().await;
    let session = mount.generate("creds/assumed").await;
    mount.write("config/root", json!({"access_key": ""})).await;
    mount.restart_with_session(&session).await;

    mount
        .generate_with("creds/assumed", json!({"ttl": "1h"}))
        .await;
    for role in ["federated", "session"] {
        let text = mount
            .generate_refusal(&format!("creds/{role}"), json!({}))
            .await;
        assert!(
            text.contains("with session credentials (AWS gives this to an IAM user only"),
            "{text}"
        );
        assert!(text.contains("use credential_type assumed_role"), "{text}");
    }
    let text = mount
        .generate_refusal("creds/assumed", json!({"ttl": "2h"}))
        .await;
    assert!(text.contains("role chaining. (2h0m0s was asked for, ttl of the request; the engine's own credentials are a role's session"), "{text}");
    assert!(text.contains("set max_sts_ttl of the role to 1h"), "{text}");
}

#[tokio::test]
async fn the_accounts_root_user_cannot_assume_roles() {
    let mount = mount().await;
    let key = mount.aws().account_root_key();
    mount
        .configure(json!({
            "access_key": key.access_key_id.as_str(),
            "secret_key": key.secret_access_key.expose_secret(),
        }))
        .await;

    let text = mount.generate_refusal("creds/assumed", json!({})).await;

    assert!(text.contains("use the key of an IAM user"), "{text}");
}

#[tokio::test]
async fn too_much_for_a_session_tells_which_fields_count() {
    let mount = mount().await;
    mount.aws().add_group("many");
    let long = |letter: &str| format!(r#"{{"Statement":[],"Id":"{}"}}"#, letter.repeat(1500));
    for name in ["one", "other"] {
        let statement = format!(
            r#"{{"Statement":[{{"Effect":"Allow","Action":"s3:{}","Resource":"*"}}]}}"#,
            "x".repeat(1500)
        );
        mount.aws().put_group_policy("many", name, &statement);
    }
    mount
        .write(
            "roles/federated",
            json!({"policy_document": long("x"), "iam_groups": "many"}),
        )
        .await;
    let text = mount.generate_refusal("creds/federated", json!({})).await;
    assert!(
        text.contains("put statements into managed policies"),
        "{text}"
    );

    mount.aws().add_group("managed");
    let arns: Vec<_> = (0..11)
        .map(|n| mount.aws().add_policy(&format!("p{n}")))
        .collect();
    mount.aws().attach_group_policy("managed", &arns[10]);
    let arns: Vec<_> = arns[..10].iter().map(ToString::to_string).collect();
    let role = json!({"policy_document": "", "policy_arns": arns, "iam_groups": "managed"});
    mount.write("roles/federated", role).await;
    let text = mount.generate_refusal("creds/federated", json!({})).await;
    assert!(
        text.contains("policy_arns of the role and the managed policies"),
        "{text}"
    );
}

#[tokio::test]
async fn a_mount_without_credentials_tells_where_to_write_them() {
    let mount = TestMount::new().await;
    write_roles(&mount).await;
    for (role, _, prefix) in CALLS {
        let text = mount
            .generate_refusal(&format!("creds/{role}"), json!({}))
            .await;
        assert!(text.starts_with(prefix), "{text}");
        assert!(
            text.contains("write access_key and secret_key to config/root"),
            "{text}"
        );
    }
}
