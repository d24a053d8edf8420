//! Mounts and leases of the Go engines, in `src/engine/testdata`: one folder for each engine, where
//! a file is what that engine stores under the file's path (without `.json`). Beside that, a file
//! under `lease/` is the internal data that the host keeps of a lease, and one under `read/` is what
//! this engine shows of it all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::fake::{FakeAws, FakeRole, Fault};
use crate::aws::{Arn, GroupName, PolicyName};
use crate::engine::testing::{Lease, READ_ONLY, TestMount};
use crate::logical::{JsonObject, LeaseOptions, Operation, Secret};

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

#[tokio::test]
async fn roles_of_the_go_engines_give_credentials() {
    for engine in ENGINES {
        let mount = taken_over_and_configured(engine).await;
        let device = mount.aws().add_mfa_device(FakeAws::ADMIN, "123456");
        for role in mount.list("roles").await {
            let stored = mount.read(&format!("roles/{role}")).await;
            let path = match stored["credential_type"].as_str().unwrap() {
                "" => continue,
                "assumed_role" => format!("sts/{role}"),
                _ => format!("creds/{role}"),
            };
            let mut data = json!({});
            if stored["mfa_serial_number"] == json!(device.as_str()) {
                data["mfa_code"] = json!("123456");
            }

            let lease = mount.generate_with(&path, data).await;

            mount.revoke(&lease).await.unwrap();
        }
        assert!(mount.aws().iam_users().is_empty(), "{engine}");
    }
}

/// A user as the Go engines make them, with all that the engines may attach.
fn add_user(mount: &TestMount, name: &str) {
    mount.aws().add_user(name);
    mount.aws().add_access_key(name);
    mount.aws().change_user(name, |user| {
        user.managed_policies.push(Arn::new(READ_ONLY).unwrap());
        user.inline_policies
            .insert(PolicyName::new("user").unwrap(), "{}".to_owned());
        user.groups.insert(GroupName::new("developers").unwrap());
    });
}

/// The lease that the host keeps.
fn lease(mount: &TestMount, internal_data: JsonObject) -> Lease {
    Lease {
        path: "creds/x".to_owned(),
        data: JsonObject::new(),
        secret: Secret {
            internal_data,
            lease: LeaseOptions {
                issue_time: Some(crate::clock::Clock::now(mount.clock())),
                ..LeaseOptions::default()
            },
            lease_id: "aws/creds/x/id".to_owned(),
        },
    }
}

#[tokio::test]
async fn leases_of_the_go_engines_are_renewed_and_revoked() {
    for engine in ENGINES {
        let mount = taken_over_and_configured(engine).await;
        for (name, internal_data) in leases(engine) {
            let session = internal_data.get("is_sts") == Some(&json!(true));
            if !session {
                add_user(&mount, internal_data["username"].as_str().unwrap());
            }
            let lease = lease(&mount, internal_data.clone());
            mount.aws().forget_calls();

            let renewed = mount.renew(&lease).await.unwrap();
            assert_eq!(mount.aws().operations(), [""; 0], "{engine} {name}");
            if session {
                assert_eq!(renewed, None);
            } else {
                // The host keeps what is answered, so nothing of it may be lost.
                let kept = renewed.unwrap().secret.unwrap().internal_data;
                assert_eq!(kept, internal_data, "{engine} {name}");
            }

            mount.revoke(&lease).await.unwrap();
            assert!(mount.aws().iam_users().is_empty(), "{engine} {name}");
            assert_eq!(
                mount.aws().operations().is_empty(),
                session,
                "{engine} {name}"
            );
        }
    }
}

#[tokio::test]
async fn unfinished_work_of_the_go_engines_is_rolled_back() {
    for engine in ["vault-1.21", "openbao-0.3"] {
        let mount = taken_over_and_configured(engine).await;
        let [entry] = mount.wal().try_into().unwrap();
        let name = stored(&mount, &entry)["data"]["UserName"].clone();
        add_user(&mount, name.as_str().unwrap());
        mount.roll_back().await.unwrap();
        assert_eq!(mount.wal(), [entry], "{engine}: too young");
        mount.clock().advance(Duration::from_mins(6));

        mount.roll_back().await.unwrap();

        mount.assert_nothing_left();
    }
}

#[tokio::test]
async fn our_unfinished_work_can_be_rolled_back_by_the_go_engines() {
    let mount = taken_over_and_configured("vault-1.21").await;
    let [golden] = mount.wal().try_into().unwrap();
    let golden = mount.storage().text(&golden).unwrap();
    mount
        .storage()
        .set_text("role/x", r#"{"credential_types":["iam_user"]}"#);
    mount.aws().die_after(1, Fault::HeldBefore);
    let request = mount.request(Operation::Read, "creds/x", json!({}));
    let backend = mount.backend();
    let dying = backend.handle_request(request);

    let dead = tokio::time::timeout(Duration::from_millis(50), dying).await;

    assert!(dead.is_err());
    let [user] = mount.aws().iam_users().try_into().unwrap();
    let ours = mount
        .wal()
        .into_iter()
        .map(|key| mount.storage().text(&key).unwrap());
    let ours: Vec<_> = ours.filter(|text| *text != golden).collect();
    assert_eq!(ours.len(), 1);
    assert_eq!(
        ours[0],
        format!(
            r#"{{"type":"user","data":{{"UserName":"{}"}},"created_at":1767323045}}"#,
            user.user_name
        )
    );
    assert_eq!(form(&parsed(&ours[0])), form(&parsed(&golden)));
}

#[tokio::test]
async fn our_leases_can_be_revoked_by_the_go_engines() {
    let mount = taken_over_and_configured("vault-1.21").await;
    let golden = leases("vault-1.21");
    for (name, role) in [
        ("user", "user"),
        ("federated", "upgraded"),
        ("assumed", "assumed"),
    ] {
        let path = if name == "user" { "creds" } else { "sts" };

        let lease = mount.generate(&format!("{path}/{role}")).await;

        let ours = Value::Object(lease.secret.internal_data);
        let go = Value::Object(golden[name].clone());
        for (key, kind) in form(&go) {
            assert_eq!(form(&ours).get(&key), Some(&kind), "{name} {key}");
        }
        assert_eq!(ours["secret_type"], go["secret_type"]);
        assert_eq!(ours["is_sts"], go["is_sts"]);
        if name == "user" {
            assert_eq!(form(&ours["policy"]).len(), form(&go["policy"]).len());
        }
    }
}
