//! Help texts and the OpenAPI document of the whole engine.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::engine::testing::TestMount;
use crate::framework::testing::{assert_golden, assert_host_decodes};
use crate::logical::{JsonObject, Operation};

async fn help(mount: &TestMount, path: &str) -> JsonObject {
    // As a host asks that has the plugin registered under another name.
    let data = json!({"requestResponsePrefix": "aws-too"});
    let answer = mount.send(Operation::Help, path, data).await;
    answer.unwrap().unwrap().data
}

/// Every path of the engine, from its OpenAPI document.
fn paths(help: &JsonObject) -> Vec<String> {
    help["openapi"]["paths"]
        .as_object()
        .unwrap()
        .keys()
        .map(|path| path.trim_matches('/').to_owned())
        .collect()
}

#[tokio::test]
async fn the_help_of_the_engine_and_of_every_path_tells_what_it_is_for() {
    let mount = TestMount::new().await;
    let engine = help(&mount, "").await;
    assert_golden("engine/engine.txt", engine["help"].as_str().unwrap());
    for path in paths(&engine) {
        let asked = path.replace("{name}", "example").replace("{id}", "example");
        let text = help(&mount, &asked).await["help"].clone();
        let text = text.as_str().unwrap();
        assert!(!text.contains("<no "), "{path} has no help:\n{text}");
        let file = path
            .replace("/{name}", "-name")
            .replace("/{id}", "-id")
            .replace('/', "-");
        let file = file.trim_start_matches('.');
        assert_golden(&format!("engine/{file}.txt"), text);
    }
}

#[tokio::test]
async fn the_openapi_document_describes_every_path_and_operation() {
    let mount = TestMount::new().await;
    let document = &help(&mount, "").await["openapi"];

    assert_host_decodes(document);
    let mut text = serde_json::to_string_pretty(document).unwrap();
    text.push('\n');
    assert_golden("engine/openapi.json", &text);
}

#[tokio::test]
async fn operation_ids_are_those_of_the_go_engine() {
    let go: BTreeMap<(&str, &str), &str> = BTreeMap::from([
        (("/config/lease", "get"), "aws-read-lease-configuration"),
        (("/config/lease", "post"), "aws-configure-lease"),
        (
            ("/config/root", "get"),
            "aws-read-root-iam-credentials-configuration",
        ),
        (
            ("/config/root", "post"),
            "aws-configure-root-iam-credentials",
        ),
        (
            ("/config/rotate-root", "post"),
            "aws-rotate-root-iam-credentials",
        ),
        (("/creds/{name}", "get"), "aws-generate-credentials"),
        (
            ("/creds/{name}", "post"),
            "aws-generate-credentials-with-parameters",
        ),
        (("/roles/", "get"), "aws-list-roles"),
        (("/roles/{name}", "get"), "aws-read-role"),
        (("/roles/{name}", "post"), "aws-write-role"),
        (("/roles/{name}", "delete"), "aws-delete-role"),
        (
            ("/static-creds/{name}", "get"),
            "aws-read-static-creds-name",
        ),
        (("/static-roles/", "get"), "aws-list-static-roles"),
        (
            ("/static-roles/{name}", "get"),
            "aws-read-static-roles-name",
        ),
        (
            ("/static-roles/{name}", "post"),
            "aws-write-static-roles-name",
        ),
        (
            ("/static-roles/{name}", "delete"),
            "aws-delete-static-roles-name",
        ),
        // The Go engines have no such paths.
        (
            ("/config/check", "get"),
            "aws-read-root-iam-credentials-check",
        ),
        (
            ("/.well-known/openid-configuration", "get"),
            "aws-read-identity-provider-configuration",
        ),
        (
            ("/.well-known/keys", "get"),
            "aws-read-identity-provider-keys",
        ),
        (("/contain", "post"), "aws-contain-mount"),
        (("/contain/{name}", "post"), "aws-contain-role"),
        (("/contain-status/", "get"), "aws-list-contain-status"),
        (("/contain-status/{id}", "get"), "aws-read-contain-status"),
        (("/metrics", "get"), "aws-read-metrics"),
        (("/tidy", "post"), "aws-tidy-users"),
        (("/issued/", "get"), "aws-list-issued-users"),
        (("/issued/{name}", "get"), "aws-read-issued-user"),
        (("/issued/{name}/revoke", "post"), "aws-revoke-issued-user"),
        (
            ("/static-roles/{name}/rotate", "post"),
            "aws-rotate-static-role",
        ),
        (("/sts/{name}", "get"), "aws-generate-sts-credentials"),
        (
            ("/sts/{name}", "post"),
            "aws-generate-sts-credentials-with-parameters",
        ),
    ]);
    let mount = TestMount::new().await;
    let help = help(&mount, "").await;
    let paths = help["openapi"]["paths"].as_object().unwrap();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let Some(id) = operation.get("operationId") else {
                continue;
            };
            let known = go.get(&(path.as_str(), method.as_str()));
            assert_eq!(id.as_str(), known.copied(), "{method} {path}");
        }
    }
    for (path, method) in go.keys() {
        assert_ne!(paths[*path][*method], Value::Null, "{method} {path}");
    }
}
