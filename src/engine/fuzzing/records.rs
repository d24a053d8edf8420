//! What is stored: by another version, by another engine, or by a hand.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::LONG;
use super::mount::{Mount, on_a_mount};
use crate::clock::Clock;
use crate::engine::config_lease::LeaseConfig;
use crate::engine::config_root::RootConfig;
use crate::engine::roles::RoleRecord;
use crate::engine::static_roles::{StaticCredentials, StaticRole};
use crate::logical::{JsonObject, LeaseOptions, Operation, Request, Secret, Storage, StorageEntry};

/// More entries show nothing new.
const MOST: usize = 8;

/// Shorter ones may stand in a message by chance.
const SHORTEST_SECRET: usize = 12;

/// Entries, a line of `<key> <text>` for each; what the host keeps of a lease stands under `lease`.
pub(crate) fn records(data: &[u8]) {
    let entries: Vec<(String, Vec<u8>)> = data
        .split(|byte| *byte == b'\n')
        .filter_map(|line| {
            let at = line.iter().position(|byte| *byte == b' ')?;
            let key = std::str::from_utf8(&line[..at]).ok()?;
            Some((key.to_owned(), line[at + 1..].to_vec()))
        })
        .take(MOST)
        .collect();
    if entries.is_empty() {
        return;
    }
    for (key, text) in &entries {
        match key.split('/').next() {
            Some("role") => survives::<RoleRecord>(text),
            Some("config") => {
                survives::<RootConfig>(text);
                survives::<LeaseConfig>(text);
            }
            Some("static-roles") => survives::<StaticRole>(text),
            Some("static-creds") => survives::<StaticCredentials>(text),
            _ => {}
        }
    }
    let secrets = entries
        .iter()
        .filter_map(|(_, text)| secret_in(text, data))
        .collect();
    on_a_mount(|mount| live_with(mount, entries, secrets));
}

/// A record that can be read is the same after it was written, with all that we do not know.
fn survives<T: Default + Serialize + DeserializeOwned>(text: &[u8]) {
    let (Ok(record), Ok(object)) = (
        serde_json::from_slice::<T>(text),
        serde_json::from_slice::<JsonObject>(text),
    ) else {
        return;
    };
    let written = written(&record);
    let again: Result<T, _> = serde_json::from_value(Value::Object(written.clone()));
    assert_eq!(
        again.map(|again| self::written(&again)).ok(),
        Some(written.clone())
    );
    let known = self::written(&T::default());
    for (key, value) in object {
        let optional = [
            "expiration",
            "invalid_data",
            "last_vault_rotation",
            "previous_access_key",
            "prohibit_flexible_cred_path",
            "single_key",
        ];
        if !known.contains_key(&key) && !optional.contains(&key.as_str()) {
            assert_eq!(written.get(&key), Some(&value), "{key:?}");
        }
    }
}

fn written<T: Serialize>(record: &T) -> JsonObject {
    match serde_json::to_value(record) {
        Ok(Value::Object(object)) => object,
        other => panic!("no object: {other:?}"),
    }
}

/// The secret in a text, if it stands nowhere else in all of them.
fn secret_in(text: &[u8], all: &[u8]) -> Option<String> {
    let object: JsonObject = serde_json::from_slice(text).ok()?;
    let secret = object.get("secret_key")?.as_str()?;
    let times = String::from_utf8_lossy(all).matches(secret).count();
    (secret.len() >= SHORTEST_SECRET && times == 1).then(|| secret.to_owned())
}

/// All that can be asked of a mount in which these are stored.
async fn live_with(mount: Mount, entries: Vec<(String, Vec<u8>)>, secrets: Vec<String>) {
    let host = Host { mount, secrets };
    let mut lease = None;
    for (key, text) in &entries {
        if key == "lease" {
            lease = serde_json::from_slice::<JsonObject>(text).ok();
            continue;
        }
        let entry = StorageEntry::new(key, text.clone());
        assert!(host.mount.storage.put(entry).await.is_ok());
        host.mount.backend.invalidate_key(key).await;
    }
    for path in ["config/root", "config/lease"] {
        host.ask(Operation::Read, path).await;
    }
    for path in ["roles", "static-roles"] {
        host.ask(Operation::List, path).await;
    }
    for (key, _) in &entries {
        match key.split_once('/') {
            Some(("role" | "policy", name)) => {
                host.ask(Operation::Read, &format!("roles/{name}")).await;
                host.ask(Operation::Read, &format!("creds/{name}")).await;
                host.ask(Operation::Read, &format!("sts/{name}")).await;
                host.ask(Operation::Update, &format!("roles/{name}")).await;
            }
            Some(("static-roles" | "static-creds", name)) => {
                host.ask(Operation::Read, &format!("static-roles/{name}"))
                    .await;
                host.ask(Operation::Read, &format!("static-creds/{name}"))
                    .await;
                host.ask(Operation::Update, &format!("static-roles/{name}"))
                    .await;
            }
            _ => {}
        }
    }
    host.ask(Operation::Read, "creds/user").await;
    host.ask(Operation::Read, "creds/assumed").await;
    if let Some(internal_data) = lease {
        for operation in [Operation::Renew, Operation::Revoke] {
            host.with_lease(operation, internal_data.clone()).await;
        }
    }
    for minutes in [6, 60] {
        host.mount.clock.advance(Duration::from_mins(minutes));
        host.ask(Operation::Rollback, "").await;
    }
    host.ask(Operation::Update, "config/rotate-root").await;
    host.ask(Operation::Update, "config/root").await;
}

struct Host {
    mount: Mount,
    secrets: Vec<String>,
}

impl Host {
    async fn ask(&self, operation: Operation, path: &str) {
        self.send(self.request(operation, path)).await;
    }

    async fn with_lease(&self, operation: Operation, internal_data: JsonObject) {
        let lease = LeaseOptions {
            issue_time: Some(self.mount.clock.now() - Duration::from_secs(1)),
            ..LeaseOptions::default()
        };
        let mut request = self.request(operation, "creds/user");
        request.secret = Some(Secret {
            lease,
            internal_data,
            lease_id: String::new(),
        });
        self.send(request).await;
    }

    fn request(&self, operation: Operation, path: &str) -> Request {
        let storage = Arc::clone(&self.mount.storage) as Arc<dyn Storage>;
        Request {
            display_name: "token-alice".to_owned(),
            ..Request::new(operation, path, storage)
        }
    }

    async fn send(&self, request: Request) {
        let what = format!("{} {}", request.operation, request.path);
        let told = match self.mount.backend.handle_request(request).await {
            Ok(answer) => answer.unwrap_or_default().warnings.concat(),
            Err(error) => error.to_string(),
        };
        assert!(told.len() < LONG, "{what}: {} bytes", told.len());
        let made = self.mount.aws.secrets();
        for secret in self.secrets.iter().chain(&made) {
            assert!(!told.contains(secret), "{what}: {told}");
        }
    }
}
