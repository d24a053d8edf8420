//! Rotating the root access key: the mount works at every moment, and one key is left.

mod beside_others;
mod crashes;
mod new_key;
mod refusals;

use serde_json::json;

use crate::aws::fake::FakeAws;
use crate::engine::testing::TestMount;
use crate::logical::{Error, Operation, Response};

const ROLE: &str = "roles/bare";

/// A look at ourselves with both services, the new key, three proofs by both, the old key.
const CALLS: usize = 2 + 1 + 6 + 1;

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

/// The root user has one key, it is the stored one, and the mount works.
async fn assert_sound(mount: &TestMount, circumstances: &str) {
    assert_eq!(keys(mount), [stored_key(mount).await], "{circumstances}");
    let lease = mount.generate("creds/bare").await;
    mount.revoke(&lease).await.unwrap();
    mount.assert_nothing_left();
}
