//! Records: what is stored is read, and written again in the form in which the Go engines store it.

use serde_json::{Value, json};

use super::{ENGINES, files_below, form, parsed, storage, stored, taken_over};
use crate::engine::testing::TestMount;

#[tokio::test]
async fn every_read_answers_what_the_engine_before_would_have() {
    for engine in ENGINES {
        let mount = taken_over(engine).await;
        let reads = files_below(engine, "read/");
        for (path, text) in &reads {
            let data = Value::Object(mount.read(path).await);
            assert_eq!(data, parsed(text), "{engine} {path}");
        }
        let paths = reads.keys();
        let roles: Vec<_> = paths
            .filter_map(|path| path.strip_prefix("roles/"))
            .collect();
        assert_eq!(mount.list("roles").await, roles, "{engine}");
    }
}

#[tokio::test]
async fn reading_changes_nothing_but_entries_of_before_credential_type() {
    for engine in ENGINES {
        let mount = taken_over(engine).await;
        let before = storage(engine);
        for key in before.keys() {
            let path = key.replace("role/", "roles/").replace("policy/", "roles/");
            if path.starts_with("roles/") || path.starts_with("config/") {
                mount.read(&path).await;
            }
        }

        for (key, text) in &before {
            let now = mount.storage().text(key);
            match key.strip_prefix("policy/") {
                None => assert_eq!(now.as_ref(), Some(text), "{engine} {key}"),
                Some(name) => {
                    assert_eq!(now, None, "{engine} {key}");
                    mount.storage().text(&format!("role/{name}")).unwrap();
                }
            }
        }
    }
}

/// Go's encoder escapes these in a text, ours does not; to readers it is the same.
fn without_escapes(text: &str) -> String {
    text.replace(r"\u003c", "<")
        .replace(r"\u003e", ">")
        .replace(r"\u0026", "&")
}

#[tokio::test]
async fn what_vault_stored_is_written_again_to_the_byte() {
    let mount = taken_over("vault-1.21").await;
    for (key, path) in [
        ("config/root", "config/root"),
        ("role/user", "roles/user"),
        ("role/user-cleared", "roles/user-cleared"),
        ("role/assumed", "roles/assumed"),
        ("role/federated", "roles/federated"),
        ("role/session", "roles/session"),
    ] {
        let before = mount.storage().text(key).unwrap();
        mount.storage().set_text(key, &format!(" {before}"));

        mount.write(path, json!({})).await;

        let after = mount.storage().text(key).unwrap();
        assert_eq!(after, without_escapes(&before), "{key}");
    }
    let before = mount.storage().text("config/lease").unwrap();
    let same = json!({"lease": "30m", "lease_max": "12h"});
    mount.write("config/lease", same).await;
    assert_eq!(mount.storage().text("config/lease").unwrap(), before);
}

#[tokio::test]
async fn a_write_keeps_every_stored_key_and_adds_only_those_of_vault() {
    let vault = storage("vault-1.21");
    for engine in ENGINES {
        let mount = taken_over(engine).await;
        for (key, text) in storage(engine) {
            let (kind, name) = key.split_once('/').unwrap();
            let (path, like, data) = match (kind, name) {
                ("config", "root") => (key.clone(), "config/root", json!({})),
                ("config", "lease") => {
                    let read = mount.read(&key).await;
                    (key.clone(), "config/lease", Value::Object(read))
                }
                // Nothing can be written to what has no type, and a write ends the old rules.
                ("role", "invalid" | "upgraded") => continue,
                ("role", name) => (format!("roles/{name}"), "role/user", json!({})),
                _ => continue,
            };
            let mut before = parsed(&text);
            before["newer"] = json!({"of": ["a later release", null]});
            mount.storage().set_text(&key, &before.to_string());

            mount.write(&path, data).await;

            let after = stored(&mount, &key);
            for (field, value) in after.as_object().unwrap() {
                match before.get(field) {
                    Some(old) => assert_eq!(value, old, "{engine} {key} {field}"),
                    // The default template takes the place of none, as it does in Vault.
                    None if field == "username_template" => {}
                    None => {
                        let known = parsed(&vault[like]);
                        assert!(known.get(field).is_some(), "{engine} {key} {field}");
                        let zero = [json!(null), json!(""), json!(0), json!(false)];
                        assert!(zero.contains(value), "{engine} {key} {field}: {value}");
                    }
                }
            }
            for field in before.as_object().unwrap().keys() {
                assert!(after.get(field).is_some(), "{engine} {key} lost {field}");
            }
        }
    }
}

#[tokio::test]
async fn what_we_store_has_the_form_that_the_go_engines_store() {
    let vault = storage("vault-1.21");
    let mount = TestMount::new().await;
    mount
        .configure(json!({
            "sts_endpoint": "https://sts.eu-central-1.amazonaws.com",
            "sts_region": "eu-central-1",
            "sts_fallback_endpoints": "https://sts.eu-west-1.amazonaws.com",
            "sts_fallback_regions": "eu-west-1",
        }))
        .await;
    mount
        .write("config/lease", json!({"lease": "30m", "lease_max": "12h"}))
        .await;
    for name in ["user", "user-cleared", "assumed", "federated", "session"] {
        let mut role = parsed(&vault[&format!("role/{name}")]);
        let types = role["credential_types"].take();
        role["credential_type"] = types[0].clone();
        for ttl in ["default_sts_ttl", "max_sts_ttl"] {
            let nanoseconds = role[ttl].as_u64().unwrap();
            role[ttl] = json!(format!("{}s", nanoseconds / 1_000_000_000));
        }
        mount.write(&format!("roles/{name}"), role).await;
    }

    for (key, text) in &vault {
        let is_ours = mount.storage().text(key).is_some();
        if is_ours {
            assert_eq!(form(&stored(&mount, key)), form(&parsed(text)), "{key}");
            assert!(mount.storage().text(key).unwrap().ends_with("}\n"), "{key}");
        }
        if key.starts_with("role/") && is_ours {
            assert_eq!(stored(&mount, key), parsed(text), "{key}");
        }
    }
    assert_eq!(mount.storage().keys().len(), 7);
}

#[tokio::test]
async fn an_entry_of_before_credential_type_is_stored_as_the_go_engines_upgrade_it() {
    let mount = taken_over("legacy").await;
    for name in ["document", "gibberish"] {
        mount.read(&format!("roles/{name}")).await;
    }
    let vault = storage("vault-1.21");

    let document = stored(&mount, "role/document");
    assert_eq!(document, parsed(&vault["role/upgraded"]));
    let mut gibberish = stored(&mount, "role/gibberish");
    // To Go's decoder no list and an empty one are the same.
    assert_eq!(gibberish["credential_types"].take(), json!([]));
    assert_eq!(gibberish, parsed(&vault["role/invalid"]));
}
