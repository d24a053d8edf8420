//! Mounts and leases of the Go engines, in `src/engine/testdata`: one folder for each engine, where
//! a file is what that engine stores under the file's path (without `.json`). Beside that, a file
//! under `lease/` is the internal data that the host keeps of a lease, and one under `read/` is what
//! this engine shows of it all.

mod leases;
mod records;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::aws::fake::FakeRole;
use crate::engine::testing::TestMount;
use crate::logical::JsonObject;

const ENGINES: [&str; 3] = ["vault-1.21", "openbao-0.3", "legacy"];

/// The texts of an engine's folder, by their path in it.
fn files(engine: &str) -> BTreeMap<String, String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/engine/testdata");
    let root = root.join(engine);
    let mut found = Vec::new();
    walk(&root, &mut found);
    found
        .into_iter()
        .map(|file| {
            let path = file.strip_prefix(&root).unwrap().to_str().unwrap();
            let key = path.strip_suffix(".json").unwrap_or(path).to_owned();
            (key, std::fs::read_to_string(&file).unwrap())
        })
        .collect()
}

/// What the engine stores in its mount.
fn storage(engine: &str) -> BTreeMap<String, String> {
    let mut files = files(engine);
    files.retain(|key, _| !key.starts_with("lease/") && !key.starts_with("read/"));
    files
}

/// The files of one folder.
fn files_below(engine: &str, folder: &str) -> BTreeMap<String, String> {
    let files = files(engine).into_iter();
    files
        .filter_map(|(key, text)| Some((key.strip_prefix(folder)?.to_owned(), text)))
        .collect()
}

/// What the host keeps of the engine's leases, by name.
fn leases(engine: &str) -> BTreeMap<String, JsonObject> {
    let leases = files_below(engine, "lease/").into_iter();
    leases
        .map(|(name, text)| (name, serde_json::from_str(&text).unwrap()))
        .collect()
}

/// A mount that another engine filled.
async fn taken_over(engine: &str) -> TestMount {
    let mount = TestMount::new().await;
    for (key, text) in storage(engine) {
        mount.storage().set_text(&key, &text);
    }
    mount
}

/// The same in the account of the simulated AWS.
async fn taken_over_and_configured(engine: &str) -> TestMount {
    let mount = taken_over(engine).await;
    mount.configure(json!({})).await;
    mount.aws().add_group("developers");
    mount.aws().add_role("deploy", FakeRole::default());
    mount
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn stored(mount: &TestMount, key: &str) -> Value {
    parsed(&mount.storage().text(key).unwrap())
}

/// The keys of an object with the kinds of their values.
fn form(value: &Value) -> BTreeMap<String, &'static str> {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "fraction",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    let object = value.as_object().unwrap().iter();
    object
        .map(|(key, value)| (key.clone(), kind(value)))
        .collect()
}
