//! Mounts that hold what the Go engines store, to the byte.
//!
//! The records are those that the unit tests have; `src/engine/tests/go_engines` says what is what.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::fixture::fixture;
use crate::host::Host;
use crate::settings::checkout;

const ENGINES: [&str; 3] = ["vault-1.21", "openbao-0.3", "legacy"];

/// The texts of the files below a folder, by their path in it without `.json`.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("the records are there") {
            let path: PathBuf = entry.expect("a file").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).expect("a text");
            let key = path.strip_prefix(folder).expect("it is below");
            let key = key.to_str().expect("a name");
            found.insert(key.strip_suffix(".json").unwrap_or(key).to_owned(), text);
        }
    }
    found
}

/// Mounts the engine where that of `engine` left its records.
fn take_over(host: &Host, engine: &str) -> BTreeMap<String, String> {
    host.enable(engine);
    let files = files(&checkout("src/engine/testdata").join(engine));
    for (key, text) in &files {
        // The rest is what the host keeps of leases, what a client reads, and work that is not done.
        let kind = key.split_once('/').map_or("", |(kind, _)| kind);
        if !["lease", "read", "wal"].contains(&kind) {
            host.store_text(engine, key, text);
        }
    }
    files
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn mounts_of_the_go_engines_are_read_as_these_would_show_them() {
    let fixture = fixture!(registered);
    let host = &fixture.host;

    let mounts = ENGINES.map(|engine| (engine, take_over(host, engine)));

    for (engine, files) in &mounts {
        let reads: BTreeMap<_, _> = files
            .iter()
            .filter_map(|(key, text)| Some((key.strip_prefix("read/")?, parsed(text))))
            .collect();
        for (path, expected) in &reads {
            let shown = host.read(&format!("{engine}/{path}")).succeeded();
            assert_eq!(&shown, expected, "{engine}/{path}");
        }
        let roles: Vec<_> = reads
            .keys()
            .filter_map(|path| path.strip_prefix("roles/"))
            .collect();
        let listed = host.list(&format!("{engine}/roles")).succeeded();
        assert_eq!(listed["keys"], json!(roles), "{engine}");
    }
    for (engine, files) in &mounts {
        let Some(stored) = files.get("static-creds/deployer").map(|text| parsed(text)) else {
            continue;
        };
        let role = parsed(&files["static-roles/deployer"]);
        let shown = host
            .read(&format!("{engine}/static-roles/deployer"))
            .succeeded();
        for field in ["name", "id", "username"] {
            assert_eq!(shown[field], role[field], "{engine} {field}");
        }
        let nanoseconds = role["rotation_period"].as_u64().expect("a number");
        assert_eq!(shown["rotation_period"], nanoseconds / 1_000_000_000);
        let shown = host
            .read(&format!("{engine}/static-creds/deployer"))
            .succeeded();
        for field in ["access_key", "secret_key", "expiration"] {
            if !stored[field].is_null() {
                assert_eq!(shown[field], stored[field], "{engine} {field}");
            }
        }
    }
}
