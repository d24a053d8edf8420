//! The mount's storage, which the host encrypts and replicates.

use std::fmt;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::READ_ONLY_STORAGE;

/// The storage of one mount (`pb.Storage`). Keys are relative to the mount, without leading slash.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// The direct children below `prefix` (`""` or ending in `/`), without the prefix; folders end
    /// in `/`.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError>;

    /// The entry under `key`, if there is one.
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError>;

    /// Writes an entry.
    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError>;

    /// Deletes an entry; a missing one is no error.
    async fn delete(&self, key: &str) -> Result<(), StorageError>;

    /// Whether this is a snapshot that the host has loaded beside the storage: what it holds is of the
    /// past, so nobody may keep it for later or act with it.
    fn is_snapshot(&self) -> bool {
        false
    }
}

/// One entry of a mount's storage.
#[derive(Clone, PartialEq, Eq)]
pub struct StorageEntry {
    /// Where it is kept.
    pub key: String,
    /// What is kept.
    pub value: Vec<u8>,
    /// Asks the host to encrypt it with the seal once more.
    pub seal_wrap: bool,
}

impl StorageEntry {
    /// An entry without seal wrapping.
    pub fn new(key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            seal_wrap: false,
        }
    }
}

impl fmt::Debug for StorageEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageEntry")
            .field("key", &self.key)
            .field("bytes", &self.value.len())
            .finish_non_exhaustive()
    }
}

/// Why the storage refused.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// This node may not write. Holds the host's text, which the host wants to read again.
    #[error("{0}")]
    ReadOnly(String),

    /// Any other reason, in the host's words.
    #[error("{0}")]
    Failed(String),

    /// The stored text is not what its key promises.
    #[error("cannot decode {key:?} from storage: {reason}")]
    Decode {
        /// The entry's key.
        key: String,
        /// What was wrong, without the entry's content.
        reason: String,
    },
}

impl StorageError {
    /// Takes the host's text apart.
    pub fn from_host(text: impl Into<String>) -> Self {
        let text = text.into();
        if text.contains(READ_ONLY_STORAGE) {
            Self::ReadOnly(text)
        } else {
            Self::Failed(text)
        }
    }
}

/// Reads a JSON entry.
pub async fn get_json<T: DeserializeOwned>(
    storage: &dyn Storage,
    key: &str,
) -> Result<Option<T>, StorageError> {
    let Some(entry) = storage.get(key).await? else {
        return Ok(None);
    };
    serde_json::from_slice(&entry.value)
        .map(Some)
        .map_err(|error| StorageError::Decode {
            key: key.to_owned(),
            reason: describe(&error),
        })
}

/// Writes a JSON entry the way Go's encoder does, with a newline at the end.
pub async fn put_json<T: Serialize + Sync>(
    storage: &dyn Storage,
    key: &str,
    value: &T,
) -> Result<(), StorageError> {
    let mut text = serde_json::to_vec(value).map_err(|error| {
        StorageError::Failed(format!("cannot encode {key:?} for storage: {error}"))
    })?;
    text.push(b'\n');
    storage.put(StorageEntry::new(key, text)).await
}

/// `serde_json` quotes the offending value in some messages; a stored value may be a secret.
fn describe(error: &serde_json::Error) -> String {
    let kind = match error.classify() {
        serde_json::error::Category::Io => "read error",
        serde_json::error::Category::Syntax => "not JSON",
        serde_json::error::Category::Data => "a field has another type than expected",
        serde_json::error::Category::Eof => "the text ends too early",
    };
    format!("{kind} at line {} column {}", error.line(), error.column())
}
