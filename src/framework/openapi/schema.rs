//! The schemas of fields, request bodies and answers.

use serde_json::{Map, Value, json};

use super::super::field::FieldSchema;
use super::super::field_type::FieldType;
use super::super::path::ResponseField;
use super::clean;
use crate::logical::Operation;

/// What a list answers when nothing else is declared.
const LIST: &[ResponseField] = &[ResponseField {
    name: "keys",
    field_type: FieldType::CommaStringSlice,
    description: "Names; those of folders end in a slash",
}];

/// A field in the path or in the query.
pub(super) fn parameter(field: &FieldSchema, place: &str) -> Value {
    let mut parameter = json!({
        "name": field.name,
        "description": clean(field.description),
        "in": place,
        "schema": of_field(field),
    });
    if place == "path" {
        parameter["required"] = Value::from(true);
    }
    if field.deprecated {
        parameter["deprecated"] = Value::from(true);
    }
    parameter
}

/// The query parameter that turns a read into a list.
pub(super) fn list_parameter() -> Value {
    json!({
        "name": "list",
        "description": "Must be set to `true`",
        "in": "query",
        "schema": {"type": "string", "enum": ["true"]},
        "required": true,
    })
}

/// The body of a write.
pub(super) fn body(fields: &[&FieldSchema]) -> Value {
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| {
            let mut schema = of_field(field);
            schema["description"] = clean(field.description);
            if field.deprecated {
                schema["deprecated"] = Value::from(true);
            }
            (field.name.to_owned(), schema)
        })
        .collect();
    let mut required: Vec<&str> = fields
        .iter()
        .filter(|field| field.required)
        .map(|field| field.name)
        .collect();
    required.sort_unstable();
    let mut schema = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        schema["required"] = Value::from(required);
    }
    schema
}

/// The answers of an operation, by HTTP status.
pub(super) fn responses(operation: &Operation, declared: &[ResponseField]) -> Value {
    let fields = match operation {
        Operation::List if declared.is_empty() => LIST,
        _ => declared,
    };
    if fields.is_empty() {
        return match operation {
            Operation::Delete => json!({"204": {"description": "empty body"}}),
            _ => json!({"200": {"description": "OK"}}),
        };
    }
    let properties: Map<String, Value> = fields
        .iter()
        .map(|field| {
            let mut schema = field.field_type.openapi_schema();
            schema["description"] = clean(field.description);
            (field.name.to_owned(), schema)
        })
        .collect();
    json!({"200": {
        "description": "OK",
        "content": {"application/json": {"schema": {"type": "object", "properties": properties}}},
    }})
}

/// An answer that is no JSON.
pub(super) fn raw(content_type: &str) -> Value {
    json!({"200": {
        "description": "OK",
        "content": {content_type: {"schema": {"type": "string"}}},
    }})
}

fn of_field(field: &FieldSchema) -> Value {
    let mut schema = field.field_type.openapi_schema();
    if let Some(default) = &field.default {
        schema["default"] = default.clone();
    }
    let mut display = Map::new();
    if !field.label.is_empty() {
        display.insert("name".to_owned(), Value::from(field.label));
    }
    if !field.example.is_empty() {
        display.insert("value".to_owned(), Value::from(field.example));
    }
    if field.sensitive {
        display.insert("sensitive".to_owned(), Value::from(true));
    }
    if !display.is_empty() {
        schema["x-vault-displayAttrs"] = Value::Object(display);
    }
    schema
}
