//! What is stored: by another version, by another engine, or by a hand.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::LONG;
use super::mount::{Mount, on_a_mount};
use crate::clock::Clock;
use crate::engine::config_lease::LeaseConfig;
use crate::engine::config_root::RootConfig;
use crate::engine::contain::Work;
use crate::engine::identity::StoredKey;
use crate::engine::issued::{IssuedUser, Noted};
use crate::engine::roles::RoleRecord;
use crate::engine::rotate_root::Failures;
use crate::engine::sessions::{Denials, IssuedSession};
use crate::engine::static_roles::{StaticCredentials, StaticRole};
use crate::logical::{
    JsonObject, LeaseOptions, Operation, Request, Response, Secret, Storage, StorageEntry,
};

/// More entries show nothing new.
const MOST: usize = 8;

/// What is stored of credentials that are out, and of their end.
const OF_THE_REGISTER: [&str; 4] = ["issued", "sessions", "session-denials", "contain"];

/// Shorter ones may stand in a message by chance.
const SHORTEST_SECRET: usize = 12;

/// Entries, a line of `<key> <text>` for each. What the host keeps of a lease stands under `lease`, and
/// what is asked of the list of the register under `page`.
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
        match kind(key) {
            "role" => survives::<RoleRecord>(text),
            "config" => {
                survives::<RootConfig>(text);
                survives::<LeaseConfig>(text);
            }
            "static-roles" => survives::<StaticRole>(text),
            "static-creds" => survives::<StaticCredentials>(text),
            "issued" => survives::<IssuedUser>(text),
            "sessions" => survives::<IssuedSession>(text),
            "session-denials" => survives::<Denials>(text),
            "contain" => survives::<Work>(text),
            "identity-keys" => survives::<StoredKey>(text),
            "issued-watch" => reads_again::<Noted>(text),
            "root-rotation" => reads_again::<Failures>(text),
            _ => {}
        }
    }
    let secrets = entries
        .iter()
        .filter_map(|(_, text)| secret_in(text, data))
        .collect();
    on_a_mount(|mount| live_with(mount, entries, secrets));
}

fn kind(key: &str) -> &str {
    key.split('/').next().unwrap_or_default()
}

/// A record that can be read is the same after it was written, with all that we do not know.
fn survives<T: Serialize + DeserializeOwned>(text: &[u8]) {
    reads_again::<T>(text);
    let Ok(object) = serde_json::from_slice::<JsonObject>(text) else {
        return;
    };
    let with = |key: &str, value: &Value| {
        let mut object = object.clone();
        object.insert(key.to_owned(), value.clone());
        serde_json::from_value::<T>(Value::Object(object)).map(|record| written(&record))
    };
    // No record of ours holds it, least of all there.
    let odd = json!([{"of": "another version"}]);
    for (key, value) in &object {
        let is_unknown = with(key, &odd).is_ok_and(|written| written.get(key) == Some(&odd));
        if is_unknown && let Ok(written) = with(key, value) {
            assert_eq!(written.get(key), Some(value), "{key:?}");
        }
    }
    if let Ok(written) = with("of another version", &odd) {
        assert_eq!(written.get("of another version"), Some(&odd));
    }
}

/// The same of a record that keeps nothing that we do not know.
fn reads_again<T: Serialize + DeserializeOwned>(text: &[u8]) {
    if let Ok(record) = serde_json::from_slice::<T>(text) {
        let written = written(&record);
        let again: Result<T, _> = serde_json::from_value(Value::Object(written.clone()));
        let again = again.map(|again| self::written(&again));
        assert_eq!(again.ok(), Some(written));
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
    let secret = ["secret_key", "private_key"]
        .into_iter()
        .find_map(|key| object.get(key)?.as_str())?;
    let times = String::from_utf8_lossy(all).matches(secret).count();
    (secret.len() >= SHORTEST_SECRET && times == 1).then(|| secret.to_owned())
}

/// All that can be asked of a mount in which these are stored.
async fn live_with(mount: Mount, entries: Vec<(String, Vec<u8>)>, secrets: Vec<String>) {
    let host = Host { mount, secrets };
    let (mut lease, mut page) = (None, None);
    for (key, text) in &entries {
        match key.as_str() {
            "lease" => {
                lease = serde_json::from_slice::<JsonObject>(text).ok();
                continue;
            }
            "page" => {
                page = serde_json::from_slice::<JsonObject>(text).ok();
                continue;
            }
            _ => {}
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
            Some(("identity-keys", _)) => {
                for document in ["openid-configuration", "keys"] {
                    host.ask(Operation::Read, &format!(".well-known/{document}"))
                        .await;
                }
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
    if let Some(page) = page {
        host.looks_at(page).await;
    }
    let is_of_the_register = |(key, _): &(String, Vec<u8>)| OF_THE_REGISTER.contains(&kind(key));
    let with_the_register = entries.iter().any(is_of_the_register);
    if with_the_register {
        host.watches().await;
    }
    for minutes in [6, 60] {
        host.mount.clock.advance(Duration::from_mins(minutes));
        host.ask(Operation::Rollback, "").await;
    }
    if with_the_register {
        host.takes_back(&entries).await;
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

    /// Each page of the register is what it is of the whole list.
    async fn looks_at(&self, page: JsonObject) {
        let listed = |answer: Option<Response>| -> Vec<String> {
            let keys = answer.and_then(|mut answer| answer.data.remove("keys"));
            keys.and_then(|keys| serde_json::from_value(keys).ok())
                .unwrap_or_default()
        };
        let all = listed(self.send(self.request(Operation::List, "issued/")).await);
        assert!(all.is_sorted(), "{all:?}");
        let mut request = self.request(Operation::List, "issued/");
        request.data = page.clone();
        let answer = self.send(request).await;
        let (Some(after), Some(limit)) = (
            page.get("after").and_then(Value::as_str),
            page.get("limit").and_then(Value::as_i64),
        ) else {
            return;
        };
        assert!(answer.is_some(), "refused: {page:?}");
        let most = usize::try_from(limit).ok().filter(|most| *most > 0);
        let page: Vec<String> = all
            .into_iter()
            .filter(|name| name.as_str() > after)
            .take(most.unwrap_or(usize::MAX))
            .collect();
        assert_eq!(listed(answer), page, "after {after:?}, {limit}");
    }

    /// All that tells an operator what is out.
    async fn watches(&self) {
        for (operation, path) in [
            (Operation::List, "issued/"),
            (Operation::List, "contain-status/"),
            (Operation::Update, "tidy"),
        ] {
            self.ask(operation, path).await;
        }
        let mut dry_run = self.request(Operation::Update, "contain/");
        dry_run.data.insert("dry_run".to_owned(), json!(true));
        self.send(dry_run).await;
    }

    /// The end of it.
    async fn takes_back(&self, entries: &[(String, Vec<u8>)]) {
        for (key, _) in entries {
            match key.split_once('/') {
                Some(("issued" | "sessions", name)) => {
                    self.ask(Operation::Read, &format!("issued/{name}")).await;
                    self.ask(Operation::Update, &format!("issued/{name}/revoke"))
                        .await;
                }
                Some(("contain", id)) => {
                    self.ask(Operation::Read, &format!("contain-status/{id}"))
                        .await;
                }
                _ => {}
            }
        }
        self.ask(Operation::Update, "contain/").await;
        self.mount.clock.advance(Duration::from_mins(2));
        self.ask(Operation::Rollback, "").await;
        let figures = self.send(self.request(Operation::Read, "metrics")).await;
        let text = figures.and_then(|figures| figures.raw_body());
        for line in text.unwrap_or_default().split_terminator('\n') {
            assert!(line.starts_with("# ") || is_figure(line), "{line:?}");
        }
    }

    fn request(&self, operation: Operation, path: &str) -> Request {
        let storage = Arc::clone(&self.mount.storage) as Arc<dyn Storage>;
        Request {
            display_name: "token-alice".to_owned(),
            ..Request::new(operation, path, storage)
        }
    }

    /// The answer, unless it was refused.
    async fn send(&self, request: Request) -> Option<Response> {
        let what = format!("{} {}", request.operation, request.path);
        let outcome = self.mount.backend.handle_request(request).await;
        let (told, answer) = match outcome {
            Ok(answer) => {
                let answer = answer.unwrap_or_default();
                (answer.warnings.concat(), Some(answer))
            }
            Err(error) => (error.to_string(), None),
        };
        assert!(told.len() < LONG, "{what}: {} bytes", told.len());
        let made = self.mount.aws.secrets();
        for secret in self.secrets.iter().chain(&made) {
            assert!(!told.contains(secret), "{what}: {told}");
        }
        answer
    }
}

/// Whether a line of the metrics is a name, maybe labels, and a number.
fn is_figure(line: &str) -> bool {
    line.rsplit_once(' ').is_some_and(|(name, value)| {
        let is_whole = name.ends_with("\"}") || !name.contains('{');
        name.starts_with("aws_secrets_") && is_whole && value.parse::<f64>().is_ok()
    })
}
