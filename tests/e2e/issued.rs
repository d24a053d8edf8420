//! Credentials that a mount has given out, whichever engine serves it.

use serde_json::Value;

use crate::aws::KeyPair;
use crate::host::{Host, text};

/// Credentials with their lease.
#[derive(Clone)]
pub(crate) struct Issued {
    /// The lease's id.
    pub(crate) lease: String,
    /// Name of the user or session; empty where the engine does not tell.
    pub(crate) name: String,
    /// Those of a session have a token.
    pub(crate) keys: KeyPair,
}

impl Issued {
    /// What a role of the mount at `aws` gives.
    pub(crate) fn by(host: &Host, role: &str) -> Self {
        Self::of(&host.read(&format!("aws/creds/{role}")).body())
    }

    /// What the host has answered.
    pub(crate) fn of(body: &Value) -> Self {
        let data = &body["data"];
        let optional = |name: &str| data[name].as_str().map(ToOwned::to_owned);
        Self {
            lease: text(&body["lease_id"]),
            name: optional("username").unwrap_or_default(),
            keys: KeyPair {
                access_key: text(&data["access_key"]),
                secret_key: text(&data["secret_key"]),
                session_token: optional("session_token"),
            },
        }
    }
}
