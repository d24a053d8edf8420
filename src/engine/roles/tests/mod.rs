//! Roles, as a specification.

mod clients;
mod legacy;
mod refusals;
mod storage;
mod warnings;
mod writing;

use serde_json::{Value, json};

use crate::engine::testing::READ_ONLY;

const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/path/Deploy";
const DOCUMENT: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}"#;

/// Everything that a role of this type may have.
fn full(credential_type: &str) -> Value {
    match credential_type {
        "iam_user" => json!({
            "credential_type": "iam_user",
            "policy_arns": [READ_ONLY],
            "policy_document": DOCUMENT,
            "iam_groups": ["group1", "group2"],
            "iam_tags": {"team": "platform", "cost centre": "42"},
            "user_path": "/path/",
            "permissions_boundary_arn": "arn:aws:iam::aws:policy/EC2FullAccess",
        }),
        "assumed_role" => json!({
            "credential_type": "assumed_role",
            "role_arns": [ROLE_ARN, "arn:aws:iam::123456789012:role/Other"],
            "policy_arns": [READ_ONLY],
            "policy_document": DOCUMENT,
            "iam_groups": ["group1"],
            "session_tags": {"team": "platform"},
            "external_id": "foo",
            "default_sts_ttl": 1800,
            "max_sts_ttl": 3600,
        }),
        "federation_token" => json!({
            "credential_type": "federation_token",
            "policy_arns": [READ_ONLY],
            "policy_document": DOCUMENT,
            "iam_groups": ["group1"],
            "default_sts_ttl": 1800,
            "max_sts_ttl": 3600,
        }),
        "session_token" => json!({
            "credential_type": "session_token",
            "mfa_serial_number": "arn:aws:iam::123456789012:mfa/root",
            "default_sts_ttl": 1800,
            "max_sts_ttl": 3600,
        }),
        other => panic!("no role of type {other}"),
    }
}

/// What a read answers of a role that has nothing, with `set` over it.
fn shown(set: &Value) -> Value {
    let mut shown = json!({
        "credential_type": "",
        "policy_arns": null,
        "role_arns": null,
        "policy_document": "",
        "iam_groups": null,
        "iam_tags": null,
        "session_tags": null,
        "external_id": "",
        "default_sts_ttl": 0,
        "max_sts_ttl": 0,
        "user_path": "",
        "permissions_boundary_arn": "",
        "mfa_serial_number": "",
    });
    for (key, value) in set.as_object().unwrap() {
        shown[key] = value.clone();
    }
    shown
}
