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
async fn what_hvac_sends_as_null_stays_as_it_is() {
    let mount = TestMount::new().await;
    let role = json!({
        "credential_type": "assumed_role",
        "role_arns": [ROLE_ARN],
        "policy_document": DOCUMENT,
        "default_sts_ttl": 1800,
    });
    mount.write("roles/x", role.clone()).await;

    mount
        .write(
            "roles/x",
            json!({
                "credential_type": "assumed_role",
                "policy_document": null,
                "default_sts_ttl": null,
                "max_sts_ttl": null,
                "role_arns": null,
                "policy_arns": null,
                "iam_tags": null,
                "policy": null,
                "arn": null,
            }),
        )
        .await;

    assert_eq!(Value::Object(mount.read("roles/x").await), shown(&role));
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
async fn fields_that_nobody_knows_are_told_when_there_is_an_answer() {
    let mount = TestMount::new().await;
    let known = json!({"credential_type": "iam_user", "policy_arns": READ_ONLY, "color": "red"});
    assert_eq!(mount.write("roles/x", known).await, [""; 0]);

    let warnings = mount
        .write(
            "roles/x",
            json!({"policy_arns": "", "color": "red", "name": "y"}),
        )
        .await;

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
