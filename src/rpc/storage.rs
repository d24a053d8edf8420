//! The host's storage of one mount (`pb.Storage`).

use std::sync::Arc;

use async_trait::async_trait;
use tonic::Status;

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
}

impl RemoteStorage {
    pub(super) fn new(host: Arc<HostChannel>) -> Self {
        Self { host }
    }
}

#[async_trait]
impl Storage for RemoteStorage {
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        let args = StorageListArgs {
            prefix: prefix.to_owned(),
        };
        let call = |channel| async move { client(channel).list(args).await };
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
        let call = |channel| async move { client(channel).get(args).await };
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
        let call = |channel| async move { client(channel).put(args).await };
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
        let call = |channel| async move { client(channel).delete(args).await };
        let reply = self
            .host
            .call(call)
            .await
            .map_err(|status| failed(&status))?;
        check(reply.err)
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
