//! The types that hosts decode an OpenAPI document to (`framework.OASDocument` of Vault and
//! OpenBao). A document that does not fit breaks `sys/internal/specs/openapi` for all mounts.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// Checks that a host can decode the document and loses nothing of it.
///
/// # Panics
///
/// When a value has another type than hosts expect, a key is unknown to them, or a response's
/// status is none.
pub fn assert_host_decodes(document: &Value) {
    let document: Document = match serde_json::from_value(document.clone()) {
        Ok(document) => document,
        Err(error) => panic!("hosts cannot decode the OpenAPI document: {error}"),
    };
    for (path, item) in &document.paths {
        assert!(
            path.starts_with('/'),
            "{path:?} does not begin with a slash"
        );
        for operation in [&item.get, &item.post, &item.patch, &item.delete] {
            for status in operation
                .iter()
                .flat_map(|operation| operation.responses.keys())
            {
                assert!(
                    status
                        .parse()
                        .is_ok_and(|status: u16| (100..600).contains(&status)),
                    "{path}: {status:?} is no HTTP status"
                );
            }
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Document {
    openapi: String,
    info: Info,
    paths: BTreeMap<String, PathItem>,
    components: Components,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Info {
    title: String,
    description: String,
    version: String,
    license: License,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct License {
    name: String,
    url: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Components {
    schemas: BTreeMap<String, Schema>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PathItem {
    description: String,
    parameters: Vec<Parameter>,
    #[serde(rename = "x-vault-sudo")]
    sudo: bool,
    #[serde(rename = "x-vault-unauthenticated")]
    unauthenticated: bool,
    #[serde(rename = "x-vault-createSupported")]
    create_supported: bool,
    #[serde(rename = "x-vault-displayAttrs")]
    display: Display,
    get: Option<Operation>,
    post: Option<Operation>,
    patch: Option<Operation>,
    delete: Option<Operation>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Operation {
    summary: String,
    description: String,
    #[serde(rename = "operationId")]
    id: String,
    tags: Vec<String>,
    parameters: Vec<Parameter>,
    #[serde(rename = "requestBody")]
    request_body: RequestBody,
    responses: BTreeMap<String, Response>,
    deprecated: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parameter {
    name: String,
    description: String,
    #[serde(rename = "in")]
    place: String,
    schema: Schema,
    required: bool,
    deprecated: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RequestBody {
    description: String,
    required: bool,
    content: BTreeMap<String, MediaType>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Response {
    description: String,
    content: BTreeMap<String, MediaType>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MediaType {
    schema: Schema,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Schema {
    #[serde(rename = "type")]
    kind: String,
    description: String,
    properties: BTreeMap<String, Self>,
    required: Vec<String>,
    items: Option<Box<Self>>,
    format: String,
    pattern: String,
    #[serde(rename = "enum")]
    allowed: Vec<Value>,
    default: Value,
    example: Value,
    deprecated: bool,
    #[serde(rename = "x-vault-displayAttrs")]
    display: Display,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Display {
    name: String,
    description: String,
    value: Value,
    sensitive: bool,
    navigation: bool,
    #[serde(rename = "itemType")]
    item_type: String,
    group: String,
    action: String,
    #[serde(rename = "editType")]
    edit_type: String,
}
