//! Programs that speak to this engine every day.

use std::process::Command;

use serde_json::json;

use crate::aws::READ_ONLY_ACCESS;
use crate::fixture::fixture;
use crate::settings::{checkout, settings};

#[test]
fn hvac_does_all_that_it_knows_of_this_engine() {
    let fixture = fixture!(registered);
    fixture.host.enable("aws");
    let role = fixture.aws.unique("assumable");
    let role_arn = fixture
        .aws
        .assumable_role(&role, &fixture.aws.root_user, READ_ONLY_ACCESS);

    let mut hvac = Command::new(&settings().python);
    hvac.arg(checkout("tests/e2e/hvac_client.py")).args([
        &fixture.host.address,
        &fixture.host.token,
        "aws",
        &fixture.aws.root.access_key,
        &fixture.aws.root.secret_key,
        &fixture.proxy.url(),
        &role_arn,
    ]);
    let leases = fixture.host.run(&mut hvac).succeeded();

    assert_eq!(leases.lines().count(), 7);
    assert_eq!(fixture.left_in_aws().len(), 3, "one by each iam_user");
    for lease in leases.lines() {
        fixture.revoke(lease);
    }
    assert_eq!(fixture.left_in_aws(), [""; 0]);
}

#[test]
fn what_terraform_takes_out_of_a_role_no_user_gets_any_more() {
    let fixture = fixture!(configured);
    let administrator = "arn:aws:iam::aws:policy/AdministratorAccess";
    fixture.role(
        "deploy",
        &json!({
            "credential_type": "iam_user",
            "policy_arns": [administrator],
            "policy_document": r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#,
            "iam_groups": [],
        }),
    );

    // What its provider sends.
    fixture.role("deploy", &json!({ "policy_arns": null }));

    let role = fixture.host.read("aws/roles/deploy").body();
    assert_eq!(role["data"]["policy_arns"], json!([]));
    let generated = fixture.generate("deploy");
    let user = fixture.aws.user(&generated.user);
    let user = user.expect("it was just made");
    assert!(user.attached.is_empty(), "{user:?}");
    assert_eq!(user.inline.len(), 1);
}

#[test]
fn a_mistyped_field_is_named_to_whoever_wrote_it() {
    let fixture = fixture!(configured);
    for (path, data, meant) in [
        (
            "aws/roles/deploy",
            json!({ "credential_type": "session_token", "max_sts_tll": "1h" }),
            "max_sts_ttl",
        ),
        (
            "aws/config/root",
            json!({ "reigon": "us-east-1" }),
            "region",
        ),
        (
            "aws/config/lease",
            json!({ "lease": "1h", "lease_max": "2h", "leaseMax": "3h" }),
            "lease_max",
        ),
    ] {
        let body = fixture.host.write(path, &data).body();

        let warnings = body["warnings"].to_string();
        let hint = format!("has no effect: {meant} was probably meant");
        assert!(warnings.contains(&hint), "{path}: {warnings}");
    }
}
