//! The OpenAPI document that web interfaces and generated clients read.
//!
//! The host decodes the documents of all mounts and merges them: one value of another type than it
//! expects breaks its endpoint for everybody. So the document is made of fixed shapes. Schemas stand
//! where they are used, because hosts lose a `$ref` that comes from an external plugin.

mod operation_id;
mod schema;

use serde_json::{Map, Value, json};

use super::field::FieldSchema;
use super::path::{OperationDocs, Route};
use crate::logical::{Operation, SpecialPaths};

/// What a document says beside its routes.
pub(super) struct Document<'a> {
    /// Decides which paths are marked as needing `sudo` or no token.
    pub(super) special_paths: &'a SpecialPaths,
    /// Begins the operation ids.
    pub(super) prefix: &'a str,
    /// The host's version.
    pub(super) version: &'a str,
}

impl Document<'_> {
    /// The document of these routes.
    pub(super) fn of<S>(&self, routes: &[&Route<S>]) -> Value {
        let mut paths = Map::new();
        for route in routes {
            for (choice, path) in route.pattern.openapi_paths().into_iter().enumerate() {
                // As in Vault's own documents, a list stands for itself, at the path with a slash.
                for (path, is_list) in [(format!("{path}/"), true), (path, false)] {
                    let mut operations = route.operations.keys();
                    if operations.any(|operation| (*operation == Operation::List) == is_list) {
                        let item = self.path_item(route, choice, &path, is_list);
                        // Of two routes with one path only the first is ever asked.
                        paths.entry(path).or_insert(item);
                    }
                }
            }
        }
        json!({
            "openapi": "3.0.2",
            "info": {
                "title": "Vault API",
                "description": "HTTP API of the secrets engine",
                "version": self.version,
                "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            },
            "paths": paths,
            "components": {"schemas": {}},
        })
    }

    fn path_item<S>(&self, route: &Route<S>, choice: usize, path: &str, is_list: bool) -> Value {
        let (in_path, in_request): (Vec<&FieldSchema>, Vec<&FieldSchema>) = route
            .fields
            .iter()
            .partition(|field| route.pattern.names().any(|name| name == field.name));
        let mut item = Map::new();
        item.insert("description".to_owned(), clean(route.docs.synopsis));
        if !in_path.is_empty() {
            let parameters: Vec<Value> = in_path
                .iter()
                .map(|field| schema::parameter(field, "path"))
                .collect();
            item.insert("parameters".to_owned(), Value::from(parameters));
        }
        let relative = path.trim_matches('/');
        for (key, applies) in [
            (
                "x-vault-sudo",
                is_special(relative, &self.special_paths.root),
            ),
            (
                "x-vault-unauthenticated",
                is_special(relative, &self.special_paths.unauthenticated),
            ),
            (
                "x-vault-createSupported",
                !is_list
                    && (route.exists.is_some()
                        || route.operations.contains_key(&Operation::Create)),
            ),
        ] {
            if applies {
                item.insert(key.to_owned(), Value::from(true));
            }
        }
        for (operation, (_, docs)) in &route.operations {
            if (*operation == Operation::List) != is_list {
                continue;
            }
            let Some(method) = method(route, operation) else {
                continue;
            };
            let mut entry = describe(route, operation, docs, &in_request);
            let id = operation_id::of(route.docs, *docs, operation, choice, path, self.prefix);
            entry.insert("operationId".to_owned(), Value::from(id));
            item.insert(method.to_owned(), Value::Object(entry));
        }
        Value::Object(item)
    }
}

/// The HTTP method of an operation. Where a create and an update share one, the update speaks for both.
fn method<S>(route: &Route<S>, operation: &Operation) -> Option<&'static str> {
    let also = |other| route.operations.contains_key(&other);
    match operation {
        Operation::Create if !also(Operation::Update) => Some("post"),
        Operation::Update => Some("post"),
        Operation::Patch => Some("patch"),
        Operation::Delete => Some("delete"),
        Operation::Read | Operation::List => Some("get"),
        _ => None,
    }
}

fn describe<S>(
    route: &Route<S>,
    operation: &Operation,
    docs: &OperationDocs,
    fields: &[&FieldSchema],
) -> Map<String, Value> {
    let summary = match docs.summary {
        "" => route.docs.synopsis,
        summary => summary,
    };
    let mut entry = Map::from_iter([
        ("summary".to_owned(), clean(summary)),
        ("tags".to_owned(), json!(["secrets"])),
        (
            "responses".to_owned(),
            match docs.raw {
                "" => schema::responses(operation, docs.response),
                content_type => schema::raw(content_type),
            },
        ),
    ]);
    let writes = matches!(
        operation,
        Operation::Create | Operation::Update | Operation::Patch
    );
    if writes {
        if !fields.is_empty() {
            let body = json!({"application/json": {"schema": schema::body(fields)}});
            entry.insert(
                "requestBody".to_owned(),
                json!({"required": true, "content": body}),
            );
        }
        return entry;
    }
    let mut parameters: Vec<Value> = fields
        .iter()
        .filter(|field| field.query)
        .map(|field| schema::parameter(field, "query"))
        .collect();
    if *operation == Operation::List {
        parameters.push(schema::list_parameter());
    }
    if !parameters.is_empty() {
        entry.insert("parameters".to_owned(), Value::from(parameters));
    }
    entry
}

/// Whether the host counts `path` among its special `patterns`: the same text, a text that begins
/// like one that ends in `*`, or one whose whole segments were replaced by `+`.
fn is_special(path: &str, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| {
        let (pattern, open) = match pattern.strip_suffix('*') {
            Some(beginning) => (beginning, true),
            None => (pattern.as_str(), false),
        };
        let mut wanted = pattern.split('/').peekable();
        let mut found = path.split('/');
        loop {
            match (wanted.next(), found.next()) {
                (None, None) => return true,
                (Some(want), Some(have)) if open && wanted.peek().is_none() => {
                    return have.starts_with(want);
                }
                (Some(want), Some(have)) if want == "+" || want == have => {}
                _ => return false,
            }
        }
    })
}

/// The text on one line.
fn clean(text: &str) -> Value {
    Value::from(text.split_whitespace().collect::<Vec<_>>().join(" "))
}
