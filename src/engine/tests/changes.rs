//! Roles and settings are kept in memory, and yet a change counts from the next request on.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::engine::testing::{Lease, READ_ONLY, TestMount};
use crate::logical::testing::StorageFault;
use crate::logical::{Operation, Storage, StorageEntry, StorageError};

/// A mount with a role of that path, of which credentials were issued already.
async fn warm_mount(user_path: &str) -> TestMount {
    let mount = TestMount::configured().await;
    mount.write("roles/x", role(user_path)).await;
    assert_eq!(issued_path(&mount).await, user_path);
    mount
}

fn role(user_path: &str) -> Value {
    json!({"credential_type": "iam_user", "policy_arns": READ_ONLY, "user_path": user_path})
}

/// The stored role with another path.
fn stored(mount: &TestMount, user_path: &str) -> String {
    let stored = mount.storage().text("role/x").unwrap();
    let mut stored: Value = serde_json::from_str(&stored).unwrap();
    stored["user_path"] = json!(user_path);
    stored.to_string()
}

/// The path of a new user's ARN.
fn path_of(lease: &Lease) -> &str {
    let arn = lease.text("arn");
    let from = arn.find('/').unwrap();
    let to = arn.rfind('/').unwrap();
    &arn[from..=to]
}

async fn issued_path(mount: &TestMount) -> String {
    path_of(&mount.generate("creds/x").await).to_owned()
}

#[tokio::test]
async fn an_own_write_of_a_role_is_seen_by_the_next_request() {
    let mount = warm_mount("/before/").await;

    mount
        .write("roles/x", json!({"user_path": "/after/"}))
        .await;

    assert_eq!(issued_path(&mount).await, "/after/");
    assert_eq!(mount.read("roles/x").await["user_path"], "/after/");
}

#[tokio::test]
async fn deleting_a_role_ends_it_at_once() {
    let mount = warm_mount("/before/").await;

    mount.delete("roles/x").await;

    assert_eq!(
        mount.generate_refusal("creds/x", json!({})).await,
        "Role \"x\" not found"
    );
}

#[tokio::test]
async fn a_role_that_another_node_wrote_is_used_once_the_host_says_so() {
    let mount = warm_mount("/before/").await;
    let after = stored(&mount, "/after/");

    mount.storage().set_text("role/x", &after);
    assert_eq!(issued_path(&mount).await, "/before/");

    mount.backend().invalidate_key("role/x").await;
    assert_eq!(issued_path(&mount).await, "/after/");
    assert_eq!(mount.read("roles/x").await["user_path"], "/after/");
}

#[tokio::test]
async fn the_host_tells_of_a_role_of_the_old_form_by_its_old_key() {
    let mount = TestMount::configured().await;
    let arn = |name: &str| format!("arn:aws:iam::123456789012:policy/{name}");
    mount.storage().set_text("policy/old", &arn("before"));
    // A node that may not write leaves the old form in place.
    mount.storage().fail(StorageFault::ReadOnly, "");
    let policies = async || mount.read("roles/old").await["policy_arns"].clone();
    assert_eq!(policies().await, json!([arn("before")]));

    mount.storage().set_text("policy/old", &arn("after"));
    assert_eq!(policies().await, json!([arn("before")]));

    mount.backend().invalidate_key("policy/old").await;
    assert_eq!(policies().await, json!([arn("after")]));
}

#[tokio::test]
async fn a_write_builds_on_what_is_stored_and_not_on_what_is_kept() {
    let mount = warm_mount("/before/").await;
    mount
        .storage()
        .set_text("role/x", &stored(&mount, "/after/"));

    mount.write("roles/x", json!({"iam_tags": "a=1"})).await;

    assert_eq!(issued_path(&mount).await, "/after/");
}

#[tokio::test]
async fn a_role_that_did_not_exist_is_there_once_it_is_written() {
    let mount = TestMount::configured().await;
    mount.generate_refusal("creds/x", json!({})).await;

    // By another node, and the host need not say so of a name that we know nothing of.
    mount.storage().set_text(
        "role/x",
        r#"{"credential_types":["iam_user"],"user_path":"/after/"}"#,
    );

    assert_eq!(issued_path(&mount).await, "/after/");
}

/// Says that a put has failed, when it was done.
struct Liar(Arc<dyn Storage>);

#[async_trait]
impl Storage for Liar {
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        self.0.list(prefix).await
    }

    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError> {
        self.0.get(key).await
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError> {
        self.0.put(entry).await?;
        Err(StorageError::from_host("leadership lost"))
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.0.delete(key).await?;
        Err(StorageError::from_host("leadership lost"))
    }
}

async fn write_through_a_liar(mount: &TestMount, path: &str, data: Value) {
    let mut request = mount.request(Operation::Update, path, data);
    request.storage = Arc::new(Liar(request.storage));
    mount.backend().handle_request(request).await.unwrap_err();
}

#[tokio::test]
async fn a_failed_write_is_not_kept() {
    let mount = warm_mount("/before/").await;
    mount.storage().fail(StorageFault::Put, "role/");
    mount
        .write_error("roles/x", json!({"user_path": "/after/"}))
        .await;
    mount.storage().heal();

    assert_eq!(issued_path(&mount).await, "/before/");
}

#[tokio::test]
async fn a_write_that_the_host_did_and_called_failed_is_seen() {
    let mount = warm_mount("/before/").await;
    let lease = json!({"lease": "1h", "lease_max": "2h"});

    write_through_a_liar(&mount, "roles/x", json!({"user_path": "/after/"})).await;
    write_through_a_liar(&mount, "config/lease", lease).await;

    let lease = mount.generate("creds/x").await;
    assert_eq!(path_of(&lease), "/after/");
    assert_eq!(lease.secret.lease.ttl.as_secs(), 3600);
}

/// Holds back what it has read until told.
struct Slow {
    storage: Arc<dyn Storage>,
    has_read: Notify,
    go_on: Notify,
}

#[async_trait]
impl Storage for Slow {
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        self.storage.list(prefix).await
    }

    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError> {
        let found = self.storage.get(key).await;
        self.has_read.notify_one();
        self.go_on.notified().await;
        found
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError> {
        self.storage.put(entry).await
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.storage.delete(key).await
    }
}

#[tokio::test]
async fn a_read_that_was_under_way_when_a_role_changed_is_not_kept() {
    let mut mount = warm_mount("/before/").await;
    let after = stored(&mount, "/after/");
    for by_us in [true, false] {
        mount
            .write("roles/x", json!({"user_path": "/before/"}))
            .await;
        mount.restart().await;
        let mut request = mount.request(Operation::Read, "roles/x", json!({}));
        let slow = Arc::new(Slow {
            storage: request.storage,
            has_read: Notify::new(),
            go_on: Notify::new(),
        });
        request.storage = Arc::clone(&slow) as Arc<_>;
        let backend = mount.backend();

        let (read, ()) = tokio::join!(backend.handle_request(request), async {
            slow.has_read.notified().await;
            if by_us {
                mount
                    .write("roles/x", json!({"user_path": "/after/"}))
                    .await;
            } else {
                mount.store_elsewhere("role/x", &after).await;
            }
            slow.go_on.notify_one();
        });

        assert_eq!(read.unwrap().unwrap().data["user_path"], "/before/");
        assert_eq!(mount.read("roles/x").await["user_path"], "/after/");
    }
}

#[tokio::test]
async fn lease_times_count_for_the_next_lease_and_renewal_whoever_wrote_them() {
    let mount = warm_mount("/before/").await;
    let lease = mount.generate("creds/x").await;
    assert_eq!(lease.secret.lease.ttl.as_secs(), 0, "nothing is set yet");
    let renewed = async || {
        let renewed = mount.renew(&lease).await.unwrap().unwrap();
        renewed.secret.unwrap().lease.ttl.as_secs()
    };

    mount
        .write("config/lease", json!({"lease": "1h", "lease_max": "2h"}))
        .await;
    assert_eq!(renewed().await, 3600);

    let stored = r#"{"Lease":60000000000,"LeaseMax":0}"#;
    mount.storage().set_text("config/lease", stored);
    assert_eq!(renewed().await, 3600);

    mount.backend().invalidate_key("config/lease").await;
    assert_eq!(renewed().await, 60);
    assert_eq!(
        mount.generate("creds/x").await.secret.lease.ttl.as_secs(),
        60
    );
}

#[tokio::test]
async fn a_template_that_another_node_wrote_names_the_next_user() {
    let mount = warm_mount("/before/").await;
    let stored = mount.storage().text("config/root").unwrap();
    let mut stored: Value = serde_json::from_str(&stored).unwrap();
    stored["username_template"] = json!("theirs-{{ random 8 }}");

    mount
        .store_elsewhere("config/root", &stored.to_string())
        .await;

    let name = mount.generate("creds/x").await;
    assert!(name.text("username").starts_with("theirs-"));
}

/// What was stored once.
struct Snapshot(Arc<dyn Storage>);

#[async_trait]
impl Storage for Snapshot {
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        self.0.list(prefix).await
    }

    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError> {
        self.0.get(key).await
    }

    async fn put(&self, _entry: StorageEntry) -> Result<(), StorageError> {
        Err(StorageError::from_host("a snapshot is read"))
    }

    async fn delete(&self, _key: &str) -> Result<(), StorageError> {
        Err(StorageError::from_host("a snapshot is read"))
    }

    fn is_snapshot(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_snapshot_shows_what_was_and_changes_nothing_of_what_is() {
    let mount = warm_mount("/now/").await;
    mount
        .write("config/lease", json!({"lease": "1h", "lease_max": "2h"}))
        .await;
    let past = warm_mount("/then/").await;
    past.write("config/lease", json!({"lease": "3h", "lease_max": "4h"}))
        .await;
    let of_the_past = async |path: &str| {
        let mut request = mount.request(Operation::Read, path, json!({}));
        let stored = past.request(Operation::Read, path, json!({})).storage;
        request.storage = Arc::new(Snapshot(stored));
        mount.backend().handle_request(request).await
    };

    for _ in 0..2 {
        let (role, lease) = (
            of_the_past("roles/x").await,
            of_the_past("config/lease").await,
        );
        assert_eq!(role.unwrap().unwrap().data["user_path"], "/then/");
        assert_eq!(lease.unwrap().unwrap().data["lease"], "3h0m0s");
        assert_eq!(mount.read("roles/x").await["user_path"], "/now/");
        assert_eq!(mount.read("config/lease").await["lease"], "1h0m0s");
    }
    mount.aws().forget_calls();
    let refused = of_the_past("creds/x").await.unwrap_err();
    assert!(
        refused.to_string().contains("read_snapshot_id"),
        "{refused}"
    );
    assert!(mount.aws().calls().is_empty());
}
