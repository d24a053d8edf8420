//! Static roles, as a specification.

mod crashes;
mod creds;
mod cross_account;
mod delete;
mod doubts;
mod other_mounts;
mod rotation;
mod schedule;
mod stored_forms;
mod takeover;
mod write;

use std::time::Duration;

use serde_json::{Value, json};

use crate::engine::testing::TestMount;
use crate::logical::{Error, JsonObject};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const ROLE: &str = "static-roles/app";

fn of_jane() -> Value {
    json!({"username": "jane", "rotation_period": "1d"})
}

/// A mount with the IAM user `jane`, who has this many access keys.
async fn with_jane(access_keys: usize) -> TestMount {
    let mount = TestMount::configured().await;
    mount.aws().add_user("jane");
    for _ in 0..access_keys {
        mount.aws().add_access_key("jane");
        mount.clock().advance(HOUR);
    }
    mount
}

#[track_caller]
fn assert_invalid(error: &Error, words: &[&str]) {
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    for word in words {
        assert!(error.to_string().contains(word), "{word:?} in: {error}");
    }
}

/// A mount of which the static role `app` has taken over the IAM user `jane`.
async fn with_app() -> TestMount {
    with_app_and(json!({})).await
}

/// The same with more fields.
async fn with_app_and(more: Value) -> TestMount {
    let mount = TestMount::configured().await;
    mount.aws().add_user("jane");
    let mut data = json!({"username": "jane", "rotation_period": "24h"});
    if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
        data.extend(more);
    }
    mount.write("static-roles/app", data).await;
    mount.aws().forget_calls();
    mount
}

impl TestMount {
    /// The id of the key that the role shows; the key must work.
    async fn working_key(&self, role: &str) -> String {
        let creds = self.read(&format!("static-creds/{role}")).await;
        let (id, secret) = (text(&creds, "access_key"), text(&creds, "secret_key"));
        let user = self.aws().identify(id, secret, None);
        assert!(user.is_some(), "AWS does not accept {id}");
        id.to_owned()
    }

    /// The ids of a user's access keys, oldest first.
    fn keys_of(&self, user: &str) -> Vec<String> {
        let ids = self.aws().access_key_ids(user);
        ids.iter().map(ToString::to_string).collect()
    }

    /// The host's timer, a minute later.
    async fn tick(&self) {
        self.clock().advance(Duration::from_mins(1));
        self.roll_back().await.unwrap();
    }

    /// What is stored under a key.
    fn stored(&self, key: &str) -> Value {
        let text = self.storage().text(key);
        serde_json::from_str(&text.unwrap_or_else(|| panic!("nothing under {key}"))).unwrap()
    }

    /// Every static role and credential in storage.
    fn stored_keys(&self) -> Vec<String> {
        let mut keys = self.storage().keys();
        keys.retain(|key| key.starts_with("static-"));
        keys
    }
}

fn text<'a>(data: &'a JsonObject, key: &str) -> &'a str {
    data[key].as_str().unwrap()
}
