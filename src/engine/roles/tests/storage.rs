//! What is stored, under which conditions.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{ROLE_ARN, full};
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::framework::Answer;
use crate::logical::testing::StorageFault;
use crate::logical::{Error, Operation, READ_ONLY_STORAGE, Storage, StorageEntry, StorageError};

/// Lets everybody else run before each call, and longer before it changes something.
struct Yielding {
    storage: Arc<dyn Storage>,
    before_a_change: usize,
}

impl Yielding {
    async fn yield_for(times: usize) {
        for _ in 0..times {
            tokio::task::yield_now().await;
        }
    }
}

impl TestMount {
    /// Sends a request through a storage that yields.
    async fn send_yielding(
        &self,
        operation: Operation,
        data: Value,
        before_a_change: usize,
    ) -> Answer {
        let mut request = self.request(operation, "roles/x", data);
        request.storage = Arc::new(Yielding {
            storage: request.storage,
            before_a_change,
        });
        self.backend().handle_request(request).await
    }
}

#[async_trait]
impl Storage for Yielding {
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        Self::yield_for(1).await;
        self.storage.list(prefix).await
    }

    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError> {
        Self::yield_for(1).await;
        self.storage.get(key).await
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError> {
        Self::yield_for(self.before_a_change).await;
        self.storage.put(entry).await
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        Self::yield_for(self.before_a_change).await;
        self.storage.delete(key).await
    }
}

#[tokio::test]
async fn of_two_writes_at_once_each_keeps_what_the_other_wrote() {
    let mount = TestMount::new().await;
    mount.write("roles/x", full("iam_user")).await;

    let (one, other) = tokio::join!(
        mount.send_yielding(Operation::Update, json!({"user_path": "/one/"}), 1),
        mount.send_yielding(Operation::Update, json!({"iam_groups": "other"}), 1),
    );

    one.unwrap();
    other.unwrap();
    let role = mount.read("roles/x").await;
    assert_eq!(role["user_path"], "/one/");
    assert_eq!(role["iam_groups"], json!(["other"]));
}

#[tokio::test]
async fn of_two_first_reads_at_once_each_finds_the_old_role() {
    for lead in 0..10 {
        let mount = TestMount::new().await;
        mount.storage().set_text("policy/x", ROLE_ARN);

        let (one, other) =
            tokio::join!(mount.send_yielding(Operation::Read, json!({}), 1), async {
                Yielding::yield_for(lead).await;
                mount.send_yielding(Operation::Read, json!({}), 1).await
            });

        let (one, other) = (one.unwrap().unwrap(), other.unwrap().unwrap());
        assert_eq!(one.data["role_arns"], json!([ROLE_ARN]));
        assert_eq!(one, other);
        assert_eq!(mount.storage().keys(), ["role/x"]);
    }
}

#[tokio::test]
async fn a_first_read_undoes_no_write_that_comes_meanwhile() {
    let mount = TestMount::new().await;
    mount.storage().set_text("policy/x", ROLE_ARN);

    let (read, write) = tokio::join!(
        mount.send_yielding(Operation::Read, json!({}), 10),
        mount.send_yielding(Operation::Update, json!({"external_id": "foo"}), 1),
    );

    read.unwrap();
    write.unwrap();
    assert_eq!(mount.read("roles/x").await["external_id"], "foo");
}

#[tokio::test]
async fn keys_that_a_newer_engine_stored_survive_every_write() {
    let mount = TestMount::new().await;
    mount.write("roles/x", full("iam_user")).await;
    let stored = mount.storage().text("role/x").unwrap();
    let mut stored: Value = serde_json::from_str(&stored).unwrap();
    stored["newer"] = json!({"key": [1, null]});
    mount.storage().set_text("role/x", &stored.to_string());

    for change in [json!({"user_path": "/y/"}), json!({"arn": READ_ONLY})] {
        mount.write("roles/x", change).await;

        let stored = mount.storage().text("role/x").unwrap();
        let stored: Value = serde_json::from_str(&stored).unwrap();
        assert_eq!(stored["newer"], json!({"key": [1, null]}));
    }
}

#[tokio::test]
async fn a_write_on_a_node_that_may_not_write_goes_to_another_one() {
    let mount = TestMount::new().await;
    mount.write("roles/x", full("iam_user")).await;
    mount.storage().set_text("policy/old", ROLE_ARN);
    mount.storage().fail(StorageFault::ReadOnly, "");

    for (operation, path) in [
        (Operation::Update, "roles/x"),
        (Operation::Delete, "roles/x"),
        (Operation::Update, "roles/old"),
    ] {
        match mount.send(operation, path, json!({})).await {
            // The host knows it by this text and nothing else.
            Err(Error::ReadOnly(text)) => assert_eq!(text, READ_ONLY_STORAGE),
            other => panic!("{path}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_storage_that_fails_is_the_servers_fault() {
    let mount = TestMount::new().await;
    mount.write("roles/x", full("iam_user")).await;
    for (fault, operation, path) in [
        (StorageFault::Get, Operation::Read, "roles/x"),
        (StorageFault::Get, Operation::Read, "creds/x"),
        (StorageFault::Put, Operation::Update, "roles/x"),
        (StorageFault::Delete, Operation::Delete, "roles/x"),
        (StorageFault::List, Operation::List, "roles"),
    ] {
        mount.storage().fail(fault, "");
        let error = mount.send(operation, path, json!({})).await.unwrap_err();
        assert!(matches!(error, Error::Internal(_)), "{path}: {error:?}");
        mount.storage().heal();
    }

    mount.storage().set_text("role/x", "{]");
    let error = mount.read_error("creds/x").await.to_string();
    assert_eq!(
        error,
        "error retrieving role: cannot decode \"role/x\" from storage: not JSON at line 1 column 2"
    );
}
