//! The host's storage of one mount (`pb.Storage`).

use std::sync::Arc;

use async_trait::async_trait;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::{Request, Status};

use super::host_channel::{HostChannel, text};
use super::{MAX_MESSAGE, translate};
use crate::go_plugin::Channel;
use crate::logical::{Storage, StorageEntry, StorageError};
use crate::pb::backend::storage_client::StorageClient;
use crate::pb::backend::{StorageDeleteArgs, StorageGetArgs, StorageListArgs, StoragePutArgs};

/// Storage on the other end of a channel. The host reports failures in the status of a call or in
/// its answer; both are looked at.
pub(super) struct RemoteStorage {
    host: Arc<HostChannel>,
    snapshot: Option<AsciiMetadataValue>,
}

/// Under this name a host says with a request which snapshot it is about, and wants to be told the same
/// with each question of ours that belongs to it.
const SNAPSHOT_ID: &str = "snapshot_id";

impl RemoteStorage {
    pub(super) fn new(host: Arc<HostChannel>) -> Self {
        Self {
            host,
            snapshot: None,
        }
    }

    /// The snapshot that a call with this metadata is about, if it is about one.
    pub(super) fn snapshot(&self, metadata: &MetadataMap) -> Option<Self> {
        let snapshot = metadata.get(SNAPSHOT_ID).filter(|id| !id.is_empty())?;
        Some(Self {
            host: Arc::clone(&self.host),
            snapshot: Some(snapshot.clone()),
        })
    }

    fn question<T>(&self, args: T) -> Request<T> {
        let mut question = Request::new(args);
        if let Some(snapshot) = &self.snapshot {
            let metadata = question.metadata_mut();
            metadata.insert(SNAPSHOT_ID, snapshot.clone());
        }
        question
    }
}

#[async_trait]
impl Storage for RemoteStorage {
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        let args = StorageListArgs {
            prefix: prefix.to_owned(),
        };
        let question = self.question(args);
        let call = |channel| async move { client(channel).list(question).await };
        let reply = self
            .host
            .call(call)
            .await
            .map_err(|status| failed(&status))?;
        check(reply.err)?;
        Ok(reply.keys)
    }

    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError> {
        let args = StorageGetArgs {
            key: key.to_owned(),
        };
        let question = self.question(args);
        let call = |channel| async move { client(channel).get(question).await };
        let reply = self
            .host
            .call(call)
            .await
            .map_err(|status| failed(&status))?;
        check(reply.err)?;
        Ok(reply.entry.map(translate::storage_entry))
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError> {
        let args = StoragePutArgs {
            entry: Some(translate::storage_entry_to_wire(entry)),
        };
        let question = self.question(args);
        let call = |channel| async move { client(channel).put(question).await };
        let reply = self
            .host
            .call(call)
            .await
            .map_err(|status| failed(&status))?;
        check(reply.err)
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let args = StorageDeleteArgs {
            key: key.to_owned(),
        };
        let question = self.question(args);
        let call = |channel| async move { client(channel).delete(question).await };
        let reply = self
            .host
            .call(call)
            .await
            .map_err(|status| failed(&status))?;
        check(reply.err)
    }

    fn is_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }
}

fn client(channel: Channel) -> StorageClient<Channel> {
    StorageClient::with_origin(channel, Channel::origin())
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE)
}

fn failed(status: &Status) -> StorageError {
    StorageError::from_host(text(status))
}

fn check(err: String) -> Result<(), StorageError> {
    if err.is_empty() {
        Ok(())
    } else {
        Err(StorageError::from_host(err))
    }
}
