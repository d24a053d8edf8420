//! What the clients in use send.

use serde_json::{Value, json};

use super::{DOCUMENT, ROLE_ARN, shown};
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::{Error, Operation};

#[tokio::test]
async fn the_cli_sends_texts_with_commas_and_units() {
    let mount = TestMount::new().await;
    mount
        .write(
            "roles/x",
            json!({
                "credential_type": "assumed_role",
                "role_arns": format!("{ROLE_ARN}, arn:aws:iam::123456789012:role/Other"),
                "policy_arns": READ_ONLY,
                "policy_document": format!("{DOCUMENT}\n"),
                "iam_groups": "group1,group2",
                "session_tags": ["team=platform", "cost=42"],
                "default_sts_ttl": "15m",
                "max_sts_ttl": "1h",
            }),
        )
        .await;

    assert_eq!(
        Value::Object(mount.read("roles/x").await),
        shown(&json!({
            "credential_type": "assumed_role",
            "role_arns": [ROLE_ARN, "arn:aws:iam::123456789012:role/Other"],
            "policy_arns": [READ_ONLY],
            "policy_document": DOCUMENT,
            "iam_groups": ["group1", "group2"],
            "session_tags": {"team": "platform", "cost": "42"},
            "default_sts_ttl": 900,
            "max_sts_ttl": 3600,
        }))
    );
}

#[tokio::test]
async fn terraform_sends_lifetimes_as_text_and_reads_them_as_numbers() {
    let mount = TestMount::new().await;
    mount
        .write(
            "roles/x",
            json!({
                "credential_type": "federation_token",
                "policy_arns": [READ_ONLY],
                "iam_groups": [],
                "iam_tags": {},
                "default_sts_ttl": "3600",
                "max_sts_ttl": "7200",
            }),
        )
        .await;
    // Only what changed comes with the next write.
    mount
        .write("roles/x", json!({"max_sts_ttl": "10800"}))
        .await;

    let role = mount.read("roles/x").await;
    assert_eq!(role["default_sts_ttl"], json!(3600));
    assert_eq!(role["max_sts_ttl"], json!(10800));
    assert_eq!(role["policy_arns"], json!([READ_ONLY]));
}

#[tokio::test]
async fn terraform_takes_a_policy_away_with_a_null() {
    let mount = TestMount::new().await;
    mount
        .write(
            "roles/x",
            json!({
                "credential_type": "iam_user",
                "policy_arns": ["arn:aws:iam::aws:policy/AdministratorAccess"],
                "iam_groups": ["group1"],
            }),
        )
        .await;

    mount.write("roles/x", json!({"policy_arns": null})).await;

    let role = mount.read("roles/x").await;
    assert_eq!(role["policy_arns"], json!([]));
    assert_eq!(role["iam_groups"], json!(["group1"]));
}

#[tokio::test]
async fn a_null_beside_a_deprecated_parameter_is_no_other_parameter() {
    let mount = TestMount::new().await;
    mount
        .write(
            "roles/x",
            json!({"arn": READ_ONLY, "policy": null, "role_arns": null, "credential_type": null}),
        )
        .await;

    assert_eq!(
        mount.read("roles/x").await["policy_arns"],
        json!([READ_ONLY])
    );
}

#[tokio::test]
async fn a_form_sends_all_that_it_has_read() {
    let mount = TestMount::new().await;
    let role = json!({
        "credential_type": "iam_user",
        "policy_arns": [READ_ONLY],
        "iam_groups": [],
    });
    mount.write("roles/x", role).await;
    let read = Value::Object(mount.read("roles/x").await);

    mount.write("roles/x", read.clone()).await;

    assert_eq!(Value::Object(mount.read("roles/x").await), read);
}

#[tokio::test]
async fn a_field_that_nobody_knows_is_always_told_with_what_was_probably_meant() {
    const LIFETIMES: &str = "default_sts_ttl and max_sts_ttl are the lifetimes of sessions; the lease of an iam_user has those of config/lease, else the mount's";
    let mount = TestMount::new().await;
    for (field, value, advice) in [
        (
            "permission_boundary_arn",
            json!(READ_ONLY),
            "permissions_boundary_arn was probably meant",
        ),
        ("ttl", json!("1h"), LIFETIMES),
        ("iam_group", json!("a"), "iam_groups was probably meant"),
        ("policyArns", json!(null), "policy_arns was probably meant"),
        (
            "credential-type",
            json!("iam_user"),
            "credential_type was probably meant",
        ),
        (
            "region",
            json!("us-east-1"),
            "it is set for all roles in config/root",
        ),
    ] {
        let mut role = json!({"credential_type": "iam_user", "policy_arns": READ_ONLY});
        role[field] = value;

        let warnings = mount.write("roles/x", role).await;

        assert_eq!(
            warnings,
            [
                format!("Endpoint ignored these unrecognized parameters: [{field}]"),
                format!("{field} has no effect: {advice}"),
            ]
        );
    }
}

#[tokio::test]
async fn what_nobody_knows_is_told_beside_what_else_there_is_to_tell() {
    let mount = TestMount::new().await;

    let role = json!({"credential_type": "iam_user", "color": "red", "name": "y"});
    let warnings = mount.write("roles/x", role).await;

    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings[0].contains("without any permission"));
    assert_eq!(
        warnings[1],
        "Endpoint ignored these unrecognized parameters: [color]"
    );
    assert!(warnings[2].ends_with("captured from the endpoint's path: [name]"));
    assert_eq!(mount.list("roles").await, ["x"]);
}

#[tokio::test]
async fn a_role_is_read_written_deleted_and_nothing_else() {
    let mount = TestMount::new().await;
    for (operation, path) in [
        (Operation::Patch, "roles/x"),
        (Operation::List, "roles/x"),
        (Operation::Read, "roles"),
        (Operation::Delete, "roles"),
    ] {
        let error = mount.send(operation, path, json!({})).await.unwrap_err();
        assert!(matches!(error, Error::UnsupportedOperation), "{path}");
    }
    let error = mount.read_error("roles/x-").await;
    assert!(matches!(error, Error::UnsupportedPath));
    let missing = mount.send(Operation::Read, "roles/x", json!({})).await;
    assert_eq!(missing.unwrap(), None);
}
