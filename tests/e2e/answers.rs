//! The form of what clients send and get, as a host passes it on.

use std::fs;

use serde_json::{Value, json};

use crate::fixture::fixture;
use crate::host::strings;

#[test]
fn an_answer_that_has_only_warnings_has_no_data() {
    let fixture = fixture!(configured);

    let longer_than_allowed = json!({ "lease": "2h", "lease_max": "1h" });
    let answer = fixture
        .host
        .write("aws/config/lease", &longer_than_allowed)
        .body();

    assert_eq!(answer["data"], Value::Null, "{answer}");
    assert_ne!(strings(&answer["warnings"]), [""; 0]);
}

#[test]
fn a_renewal_has_no_data_and_the_lease_is_revoked_all_the_same() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let generated = fixture.generate("deploy");

    let renewed = fixture
        .host
        .write("sys/leases/renew", &json!({ "lease_id": generated.lease }))
        .body();

    assert_eq!(renewed["data"], Value::Null, "{renewed}");
    assert_eq!(renewed["lease_id"], generated.lease);
    fixture.revoke(&generated.lease);
    assert!(!fixture.aws.has_user(&generated.user));
}

#[test]
fn a_number_in_a_tag_is_stored_as_it_was_written() {
    let fixture = fixture!(configured);
    let role = fixture.scratch("role.json");
    let text = r#"{ "credential_type": "iam_user", "iam_tags": { "version": 1.10, "build": 7 } }"#;
    fs::write(&role, text).expect("the file can be written");

    fixture
        .host
        .cli(&["write", "aws/roles/deploy", &format!("@{}", role.display())])
        .succeeded();

    let role = fixture.host.read("aws/roles/deploy").succeeded();

    assert_eq!(role["iam_tags"], json!({ "version": "1.10", "build": "7" }));
}

#[test]
fn the_hosts_document_has_our_paths_with_lists_at_a_slash() {
    let fixture = fixture!(configured);

    let document = fixture.host.read("sys/internal/specs/openapi").body();

    for (path, id) in [
        ("/aws/roles/", "aws-list-roles"),
        ("/aws/static-roles/", "aws-list-static-roles"),
        ("/aws/roles/{name}", "aws-read-role"),
    ] {
        assert_eq!(document["paths"][path]["get"]["operationId"], id, "{path}");
    }
}
