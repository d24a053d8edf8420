//! The OpenAPI document that the web interface and generated clients read.

use serde_json::{Map, Value, json};

use super::field::FieldSchema;
use super::path::{OperationDocs, Route};
use crate::logical::Operation;

/// A document of these routes. `prefix` begins the operation ids; `version` is the host's.
pub(super) fn document<S>(routes: &[&Route<S>], prefix: &str, version: &str) -> Value {
    let mut paths = Map::new();
    let mut schemas = Map::new();
    for route in routes {
        for (choice, path) in route.pattern.openapi_paths().into_iter().enumerate() {
            let item = path_item(route, choice, &path, prefix, &mut schemas);
            match paths.get_mut(&path) {
                Some(Value::Object(known)) => {
                    // A list and a read on the same path are two routes, yet one item.
                    if let Value::Object(item) = item {
                        known.extend(item);
                    }
                }
                _ => {
                    paths.insert(path, item);
                }
            }
        }
    }
    json!({
        "openapi": "3.0.2",
        "info": {
            "title": "Vault API",
            "description": "HTTP API of the secrets engine",
            "version": version,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn path_item<S>(
    route: &Route<S>,
    choice: usize,
    path: &str,
    prefix: &str,
    schemas: &mut Map<String, Value>,
) -> Value {
    let mut item = Map::new();
    item.insert("description".to_owned(), Value::from(route.docs.synopsis));
    let captured = route.pattern.names();
    let parameters: Vec<Value> = route
        .fields
        .iter()
        .filter(|field| captured.contains(&field.name))
        .map(|field| parameter(field, "path", true))
        .collect();
    if !parameters.is_empty() {
        item.insert("parameters".to_owned(), Value::from(parameters));
    }
    let body: Vec<&FieldSchema> = route
        .fields
        .iter()
        .filter(|field| !captured.contains(&field.name))
        .collect();
    let reads = route.operations.contains_key(&Operation::Read);
    for (operation, (_, docs)) in &route.operations {
        let id = operation_id(route, operation, docs, choice, path, prefix);
        let mut entry = Map::new();
        let summary = if docs.summary.is_empty() {
            route.docs.synopsis
        } else {
            docs.summary
        };
        entry.insert("summary".to_owned(), Value::from(summary));
        entry.insert("operationId".to_owned(), Value::from(id.as_str()));
        entry.insert("tags".to_owned(), json!(["secrets"]));
        let verb = match operation {
            Operation::Create => {
                item.insert("x-vault-createSupported".to_owned(), Value::from(true));
                // An update on the same path says all of it.
                if route.operations.contains_key(&Operation::Update) {
                    continue;
                }
                "post"
            }
            Operation::Update => "post",
            Operation::Patch => "patch",
            Operation::Delete => "delete",
            Operation::Read => "get",
            Operation::List => {
                entry.insert("parameters".to_owned(), json!([list_parameter(!reads)]));
                "get"
            }
            _ => continue,
        };
        match verb {
            "post" | "patch" if !body.is_empty() => {
                let name = format!("{}Request", title_case(&id));
                schemas.insert(name, object_schema(&body));
                entry.insert(
                    "requestBody".to_owned(),
                    json!({
                        "required": true,
                        "content": {"application/json": {"schema": object_schema(&body)}},
                    }),
                );
            }
            "get" if *operation == Operation::Read => {
                let query: Vec<Value> = body
                    .iter()
                    .filter(|field| field.query)
                    .map(|field| parameter(field, "query", false))
                    .collect();
                if !query.is_empty() {
                    entry.insert("parameters".to_owned(), Value::from(query));
                }
            }
            _ => {}
        }
        entry.insert("responses".to_owned(), responses(operation, docs));
        item.insert(verb.to_owned(), Value::Object(entry));
    }
    Value::Object(item)
}

fn list_parameter(required: bool) -> Value {
    json!({
        "name": "list",
        "description": "Must be set to `true`",
        "in": "query",
        "schema": {"type": "string", "enum": ["true"]},
        "required": required,
    })
}

fn parameter(field: &FieldSchema, place: &str, required: bool) -> Value {
    json!({
        "name": field.name,
        "description": field.description,
        "in": place,
        "schema": field.field_type.openapi_schema(),
        "required": required,
    })
}

fn object_schema(fields: &[&FieldSchema]) -> Value {
    let mut properties = Map::new();
    for field in fields {
        let mut schema = field.field_type.openapi_schema();
        if let Value::Object(schema) = &mut schema {
            schema.insert("description".to_owned(), Value::from(field.description));
            if let Some(default) = &field.default {
                schema.insert("default".to_owned(), default.clone());
            }
            if field.deprecated {
                schema.insert("deprecated".to_owned(), Value::from(true));
            }
            let mut display = Map::new();
            if !field.label.is_empty() {
                display.insert("name".to_owned(), Value::from(field.label));
            }
            if field.sensitive {
                display.insert("sensitive".to_owned(), Value::from(true));
            }
            if !display.is_empty() {
                schema.insert("x-vault-displayAttrs".to_owned(), Value::Object(display));
            }
        }
        properties.insert(field.name.to_owned(), schema);
    }
    let required: Vec<&str> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name)
        .collect();
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = Value::from(required);
    }
    schema
}

fn responses(operation: &Operation, docs: &OperationDocs) -> Value {
    if docs.response.is_empty() {
        return match operation {
            Operation::Delete => json!({"204": {"description": "empty body"}}),
            _ => json!({"200": {"description": "OK"}}),
        };
    }
    let properties: Map<String, Value> = docs
        .response
        .iter()
        .map(|field| {
            let mut schema = field.field_type.openapi_schema();
            schema["description"] = Value::from(field.description);
            (field.name.to_owned(), schema)
        })
        .collect();
    json!({"200": {
        "description": "OK",
        "content": {"application/json": {"schema": {"type": "object", "properties": properties}}},
    }})
}

/// `<prefix>-<verb>-<suffix>` in lower case with hyphens.
fn operation_id<S>(
    route: &Route<S>,
    operation: &Operation,
    docs: &OperationDocs,
    choice: usize,
    path: &str,
    prefix: &str,
) -> String {
    let verb = match (docs.verb, operation) {
        ("", Operation::Update | Operation::Create) => "write",
        ("", other) => other.as_str(),
        (verb, _) => verb,
    };
    let declared = if docs.suffix.is_empty() {
        route.docs.operation_suffix
    } else {
        docs.suffix
    };
    let suffix = match declared
        .split('|')
        .nth(choice)
        .or(declared.split('|').next())
    {
        Some(text) if !text.is_empty() => text.to_owned(),
        _ => path
            .split(['/', '{', '}', '_'])
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
            .join("-"),
    };
    [prefix, verb, &suffix]
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
        .to_lowercase()
}

/// `aws-read-role` to `AwsReadRole`.
fn title_case(id: &str) -> String {
    id.split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_uppercase().chain(letters).collect()
            })
        })
        .collect()
}
