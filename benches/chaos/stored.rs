//! What the host and the plugin have stored, as an operator reads it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::Fallible;
use crate::account::Accountant;
use crate::scene::MOUNT;

/// What the host keeps of a lease.
#[derive(Debug)]
pub(super) struct Lease {
    /// The user's, or the session's.
    pub(super) name: String,
    /// Empty once it has been renewed.
    pub(super) access_key: String,
    pub(super) expires: OffsetDateTime,
    pub(super) is_given_up: bool,
}

impl Accountant<'_> {
    pub(super) async fn leases(&self) -> Fallible<BTreeMap<String, Lease>> {
        let mut found = BTreeMap::new();
        let prefix = format!("{MOUNT}/creds");
        for id in self.names(&format!("sys/leases/lookup/{prefix}")).await? {
            let id = format!("{prefix}/{id}");
            let path = format!("sys/raw/sys/expire/id/{id}");
            let Some(entry) = self.raw(&path).await? else {
                continue;
            };
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let data = &entry["secret"]["internal_data"];
            let session = text(&data["session"]["user_id"]);
            let name = session.split(':').next_back().unwrap_or_default();
            let lease = Lease {
                name: match data["username"].as_str() {
                    Some(user) => user.to_owned(),
                    None => name.to_owned(),
                },
                access_key: text(&entry["data"]["access_key"]),
                expires: OffsetDateTime::parse(&text(&entry["expire_time"]), &Rfc3339)?,
                is_given_up: !text(&entry["revokeErr"]).is_empty(),
            };
            found.insert(id, lease);
        }
        Ok(found)
    }

    /// The text of every entry.
    pub(super) async fn wal(&self) -> Fallible<Vec<String>> {
        let mut found = Vec::new();
        for id in self.stored_names("wal").await? {
            let entry = self.stored(&format!("wal/{id}")).await?;
            if entry != Value::Null {
                found.push(entry.to_string());
            }
        }
        Ok(found)
    }

    pub(super) async fn stored(&self, key: &str) -> Fallible<Value> {
        let found = self.raw(&format!("{}/{key}", self.storage)).await?;
        Ok(found.unwrap_or_default())
    }

    /// The last parts of the keys under a prefix, however deep they lie.
    pub(super) async fn stored_names(&self, prefix: &str) -> Fallible<BTreeSet<String>> {
        let keys = self.names(&format!("{}/{prefix}", self.storage)).await?;
        let last = |key: String| key.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(keys.into_iter().map(last).collect())
    }

    async fn raw(&self, path: &str) -> Fallible<Option<Value>> {
        let answer = self.cluster.operate("GET", path, &Value::Null).await?;
        let value = answer.body["data"]["value"].as_str();
        Ok(value.map(serde_json::from_str).transpose()?)
    }

    /// What a listing shows, and what lies below it.
    async fn names(&self, path: &str) -> Fallible<Vec<String>> {
        let mut found = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let path = format!("{path}/{folder}?list=true");
            let answer = self.cluster.operate("GET", &path, &Value::Null).await?;
            let keys = answer.body["data"]["keys"].as_array();
            for key in keys.into_iter().flatten().filter_map(Value::as_str) {
                let name = format!("{folder}{key}");
                if name.ends_with('/') {
                    folders.push(name);
                } else {
                    found.push(name);
                }
            }
        }
        Ok(found)
    }
}
