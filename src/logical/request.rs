//! A request of the host.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Secret, Storage};
use crate::caller::Caller;

/// A JSON object, as request data, response data and internal data are.
pub type JsonObject = serde_json::Map<String, serde_json::Value>;

/// One request, with the storage of its mount.
#[derive(Clone)]
pub struct Request {
    /// UUID of the API request; empty for requests that the host makes itself.
    pub id: String,
    /// What is asked.
    pub operation: Operation,
    /// Path below the mount, without leading slash.
    pub path: String,
    /// Body or query parameters. A number that a JSON value does not hold as it was written, such as
    /// `1.10`, is a text.
    pub data: JsonObject,
    /// On renew and revoke: what the engine answered when it issued the lease.
    pub secret: Option<Secret>,
    /// Display name of the caller's token, such as `token-ci` or `ldap-bob`.
    pub display_name: String,
    /// Where the engine is mounted, with trailing slash.
    pub mount_point: String,
    /// The type that the mount was enabled as, such as `aws`.
    pub mount_type: String,
    /// Accessor of the mount; may be empty.
    pub mount_accessor: String,
    /// The caller's entity; may be empty.
    pub entity_id: String,
    /// The mount's storage.
    pub storage: Arc<dyn Storage>,
    /// Who waits for the answer.
    pub caller: Caller,
}

impl Request {
    /// A request with an operation, a path and a storage; the rest is empty.
    pub fn new(operation: Operation, path: impl Into<String>, storage: Arc<dyn Storage>) -> Self {
        let caller = operation.caller(None);
        Self {
            id: String::new(),
            operation,
            path: path.into(),
            data: JsonObject::new(),
            secret: None,
            display_name: String::new(),
            mount_point: String::new(),
            mount_type: String::new(),
            mount_accessor: String::new(),
            entity_id: String::new(),
            storage,
            caller,
        }
    }

    /// The same without what was sent, which may be large, and without the lease.
    #[must_use]
    pub fn without_content(&self) -> Self {
        Self {
            id: self.id.clone(),
            display_name: self.display_name.clone(),
            mount_point: self.mount_point.clone(),
            mount_type: self.mount_type.clone(),
            mount_accessor: self.mount_accessor.clone(),
            entity_id: self.entity_id.clone(),
            caller: self.caller.clone(),
            ..Self::new(
                self.operation.clone(),
                self.path.clone(),
                Arc::clone(&self.storage),
            )
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("id", &self.id)
            .field("operation", &self.operation)
            .field("path", &self.path)
            .field("mount_point", &self.mount_point)
            .finish_non_exhaustive()
    }
}

/// What a request asks (`logical.Operation`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// Write something that an existence check did not find.
    Create,
    /// Read.
    Read,
    /// Write.
    Update,
    /// Write some fields (HTTP PATCH).
    Patch,
    /// Delete.
    Delete,
    /// List the names below a path.
    List,
    /// Help text and OpenAPI document.
    Help,
    /// Extend a lease.
    Renew,
    /// End a lease.
    Revoke,
    /// Periodic work and replay of the write-ahead log.
    Rollback,
    /// A rotation that the host's rotation manager triggers (Vault Enterprise).
    Rotate,
    /// A name that this version does not know.
    Other(String),
}

impl Operation {
    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Help => "help",
            Self::Renew => "renew",
            Self::Revoke => "revoke",
            Self::Rollback => "rollback",
            Self::Rotate => "rotate",
            Self::Other(name) => name,
        }
    }

    /// Who asks for it: a client, or the host for itself. The host waits for `told`, where it says.
    pub fn caller(&self, told: Option<Duration>) -> Caller {
        match self {
            Self::Revoke | Self::Rollback | Self::Rotate => Caller::host(told),
            _ => Caller::client(told),
        }
    }
}

impl From<&str> for Operation {
    fn from(name: &str) -> Self {
        match name {
            "create" => Self::Create,
            "read" => Self::Read,
            "update" => Self::Update,
            "patch" => Self::Patch,
            "delete" => Self::Delete,
            "list" => Self::List,
            "help" => Self::Help,
            "renew" => Self::Renew,
            "revoke" => Self::Revoke,
            "rollback" => Self::Rollback,
            "rotate" => Self::Rotate,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
