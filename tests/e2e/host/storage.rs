//! A mount's own storage, which only an operator's hand reaches.

use serde_json::{Value, json};

use super::{Host, strings, text};

impl Host {
    /// The keys under `prefix` in a mount's own storage, such as `wal/`.
    pub(crate) fn stored_keys(&self, mount: &str, prefix: &str) -> Vec<String> {
        let answer = self.list(&format!("sys/raw/logical/{}/{prefix}", self.uuid(mount)));
        if answer.status == 404 {
            return Vec::new();
        }
        strings(&answer.succeeded()["keys"])
    }

    /// The JSON stored under `key` in a mount's own storage.
    pub(crate) fn stored(&self, mount: &str, key: &str) -> Value {
        let found = self.find_stored(mount, key);
        found.unwrap_or_else(|| panic!("nothing is stored under {key}"))
    }

    /// As [`stored`](Self::stored), of a key that may not be there.
    pub(crate) fn find_stored(&self, mount: &str, key: &str) -> Option<Value> {
        let answer = self.read(&format!("sys/raw/logical/{}/{key}", self.uuid(mount)));
        if answer.status == 404 {
            return None;
        }
        let value = text(&answer.succeeded()["value"]);
        Some(serde_json::from_str(&value).expect("JSON is stored"))
    }

    /// Puts JSON into a mount's own storage, behind the plugin's back.
    pub(crate) fn store(&self, mount: &str, key: &str, value: &Value) {
        self.store_text(mount, key, &value.to_string());
    }

    /// Puts a text into a mount's own storage, behind the plugin's back.
    pub(crate) fn store_text(&self, mount: &str, key: &str, value: &str) {
        self.write(
            &format!("sys/raw/logical/{}/{key}", self.uuid(mount)),
            &json!({ "value": value }),
        )
        .succeeded();
    }

    /// Takes an entry out of a mount's own storage, behind the plugin's back.
    pub(crate) fn remove_stored(&self, mount: &str, key: &str) {
        let path = format!("sys/raw/logical/{}/{key}", self.uuid(mount));
        self.delete(&path).succeeded();
    }

    fn uuid(&self, mount: &str) -> String {
        let mounts = self.read("sys/mounts").succeeded();
        text(&mounts[format!("{mount}/")]["uuid"])
    }
}
