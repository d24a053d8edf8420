//! What cannot work is refused in words that help, and leaves nothing behind.

use serde_json::{Value, json};

use crate::aws::{KeyPair, READ_ONLY_ACCESS};
use crate::fixture::{Fixture, fixture};

/// No user is left, now and not at some later time, and nothing is noted down to be undone.
fn assert_nothing_is_left(fixture: &Fixture) {
    assert_eq!(fixture.left_in_aws(), [""; 0]);
    assert_eq!(fixture.host.stored_keys("aws", "wal"), [""; 0]);
}

#[test]
fn a_wrong_root_secret_is_said_to_be_wrong() {
    let fixture = fixture!(registered);
    fixture.host.enable("aws");
    fixture.full_deploy_role();
    fixture.configure(
        "aws",
        &KeyPair {
            secret_key: "mistyped/secret/that/never/was".to_owned(),
            ..fixture.aws.root.clone()
        },
    );

    let refusal = fixture.host.read("aws/creds/deploy").failed();

    assert!(refusal.contains("SignatureDoesNotMatch"), "{refusal}");
    assert_nothing_is_left(&fixture);
    // And it can be corrected.
    fixture.configure("aws", &fixture.aws.root);
    fixture.generate("deploy");
}

#[test]
fn what_terraform_sends_after_a_rotation_loses_no_key_that_works() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let old = &fixture.aws.root;
    let rotated = fixture
        .host
        .write("aws/config/rotate-root", &json!({}))
        .succeeded();

    for access_key in [&rotated["access_key"], &json!(old.access_key)] {
        let refusal = fixture
            .host
            .write(
                "aws/config/root",
                &json!({ "access_key": access_key, "secret_key": old.secret_key }),
            )
            .refused(400);
        assert!(refusal.contains("nothing was changed"), "{refusal}");
    }

    fixture.generate("deploy");
}

#[test]
fn an_unknown_root_access_key_is_said_to_be_unknown() {
    let fixture = fixture!(configured);
    fixture.full_deploy_role();
    fixture.configure(
        "aws",
        &KeyPair {
            access_key: "AKIAABCDEFGHIJKLMNOP".to_owned(),
            ..fixture.aws.root.clone()
        },
    );

    let refusal = fixture.host.read("aws/creds/deploy").failed();

    assert!(refusal.contains("InvalidClientTokenId"), "{refusal}");
    assert_nothing_is_left(&fixture);
}

#[test]
fn a_policy_document_that_can_be_none_is_refused_when_it_is_written() {
    let fixture = fixture!(configured);
    for document in ["{", "not JSON", "[1]", "\"text\""] {
        let refusal = fixture
            .host
            .write(
                "aws/roles/deploy",
                &json!({ "credential_type": "iam_user", "policy_document": document }),
            )
            .refused(400);

        assert!(refusal.contains("policy"), "{document}: {refusal}");
        fixture.host.read("aws/roles/deploy").refused(404);
    }
}

#[test]
fn a_body_that_no_fields_can_need_is_refused_by_its_size() {
    let fixture = fixture!(configured);
    // Vault itself refuses a longer text, and OpenBao a longer list.
    let long = vec!["x".repeat(10_000); 200];
    for (path, field) in [
        ("aws/roles/deploy", "policy_document"),
        ("aws/config/root", "region"),
        ("aws/creds/deploy", "role_session_name"),
    ] {
        let refusal = fixture
            .host
            .write(path, &json!({ field: long }))
            .refused(400);

        assert!(refusal.contains("at most 1048576"), "{path}: {refusal}");
    }
}

#[test]
fn a_role_that_contradicts_itself_is_refused_when_it_is_written() {
    let fixture = fixture!(configured);

    let refusal = fixture
        .host
        .write(
            "aws/roles/deploy",
            &json!({
                "credential_type": "iam_user",
                "role_arns": "arn:aws:iam::123456789012:role/deploy",
                "max_sts_ttl": "1h",
            }),
        )
        .refused(400);

    assert!(
        refusal.contains("role_arns") && refusal.contains("max_sts_ttl"),
        "{refusal}"
    );
    fixture.host.read("aws/roles/deploy").refused(404);
}

#[test]
fn credentials_of_an_unknown_role_are_refused_by_name() {
    let fixture = fixture!(configured);

    let refusal = fixture.host.read("aws/creds/nobody").refused(400);

    assert_eq!(refusal, r#"Role "nobody" not found"#);
}

#[test]
fn a_policy_that_aws_does_not_know_leaves_no_user_behind() {
    let fixture = fixture!(configured);
    let arn = "arn:aws:iam::aws:policy/NoSuchPolicy";
    fixture.role(
        "deploy",
        &json!({ "credential_type": "iam_user", "policy_arns": [READ_ONLY_ACCESS, arn] }),
    );

    let refusal = fixture.host.read("aws/creds/deploy").refused(400);

    assert!(refusal.contains("NoSuchEntity"), "{refusal}");
    assert!(refusal.contains(arn), "{refusal}");
    assert_nothing_is_left(&fixture);
}

#[test]
fn a_document_that_aws_refuses_leaves_no_user_behind() {
    let fixture = fixture!(configured);
    fixture.full_deploy_role();
    fixture
        .proxy
        .on("PutUserPolicy")
        .fail(400, "MalformedPolicyDocument");

    let refusal = fixture.host.read("aws/creds/deploy").refused(400);

    assert!(refusal.contains("MalformedPolicyDocument"), "{refusal}");
    assert!(refusal.contains("policy_document of the role"), "{refusal}");
    assert_nothing_is_left(&fixture);
}

#[test]
fn a_group_that_aws_does_not_know_leaves_no_user_behind() {
    let fixture = fixture!(configured);
    fixture.role(
        "deploy",
        &json!({ "credential_type": "iam_user", "iam_groups": "no-such-group" }),
    );

    let refusal = fixture.host.read("aws/creds/deploy").refused(400);

    assert!(refusal.contains("no-such-group"), "{refusal}");
    assert_nothing_is_left(&fixture);
}

#[test]
fn throttling_by_aws_is_reported_as_a_rate_limit() {
    let fixture = fixture!(configured);
    fixture.full_deploy_role();
    fixture
        .host
        .write("aws/config/root", &with_no_retries(&fixture))
        .succeeded();
    fixture.proxy.on("CreateUser").fail(400, "Throttling");

    let refusal = fixture.host.read("aws/creds/deploy").refused(502);

    assert!(refusal.contains("Throttling"), "{refusal}");
    assert_nothing_is_left(&fixture);
}

fn with_no_retries(fixture: &Fixture) -> Value {
    json!({
        "access_key": fixture.aws.root.access_key,
        "secret_key": fixture.aws.root.secret_key,
        "region": "us-east-1",
        "iam_endpoint": fixture.proxy.url(),
        "max_retries": 0,
    })
}
