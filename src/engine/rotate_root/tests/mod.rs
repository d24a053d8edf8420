//! Rotating the root access key: the mount works at every moment, and one key is left.

mod assumed_role;
mod automatic;
mod beside_others;
mod crashes;
mod doubts;
mod new_key;
mod older_entries;
mod other_accounts;
mod own_timer;
mod refusals;
mod time;

use serde_json::{Value, json};

use crate::aws::AccessKey;
use crate::aws::fake::FakeAws;
use crate::engine::testing::TestMount;
use crate::logical::{Error, Operation, Response};
use crate::secret::ExposeSecret;

const ROLE: &str = "roles/bare";

/// A look at ourselves with both services and at our keys, the new key, three proofs by both, the old
/// key.
const CALLS: usize = 2 + 1 + 1 + 6 + 1;

async fn configured() -> TestMount {
    let mount = TestMount::configured().await;
    mount
        .write(ROLE, json!({"credential_type": "iam_user"}))
        .await;
    mount
}

async fn rotate(mount: &TestMount) -> Result<Response, Error> {
    mount
        .send(Operation::Update, "config/rotate-root", json!({}))
        .await
        .map(Option::unwrap_or_default)
}

/// The ids of the keys that the root user has.
fn keys(mount: &TestMount) -> Vec<String> {
    let ids = mount.aws().access_key_ids(FakeAws::ADMIN);
    ids.iter().map(ToString::to_string).collect()
}

async fn stored_key(mount: &TestMount) -> String {
    let config = mount.read("config/root").await;
    config["access_key"].as_str().unwrap().to_owned()
}

/// The two fields of `config/root` for a key.
fn written(key: &AccessKey) -> Value {
    json!({
        "access_key": key.access_key_id.as_str(),
        "secret_key": key.secret_access_key.expose_secret(),
    })
}

/// The put of `config/root` that failed lands: the root user's key of this id is stored.
fn land(mount: &TestMount, id: &str) {
    let secrets = mount.aws().secrets();
    let secret = secrets
        .into_iter()
        .find(|secret| mount.aws().identify(id, secret, None).is_some());
    let text = mount.storage().text("config/root").unwrap();
    let mut record: Value = serde_json::from_str(&text).unwrap();
    record["access_key"] = json!(id);
    record["secret_key"] = json!(secret.unwrap());
    mount.storage().set_text("config/root", &record.to_string());
}

/// The root user has one key, it is the stored one, and the mount works.
async fn assert_sound(mount: &TestMount, circumstances: &str) {
    assert_eq!(keys(mount), [stored_key(mount).await], "{circumstances}");
    let lease = mount.generate("creds/bare").await;
    mount.revoke(&lease).await.unwrap();
    mount.assert_nothing_left();
}
