//! An answer to the host.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use super::{JsonObject, Secret};

/// By these keys of an answer's data a host knows one that clients read as it is
/// (`logical.HTTPStatusCode` and others).
const RAW_STATUS: &str = "http_status_code";
const RAW_CONTENT_TYPE: &str = "http_content_type";
const RAW_BODY: &str = "http_raw_body";

/// The answer to a request.
#[derive(Clone, Default, PartialEq)]
pub struct Response {
    /// Makes the host register a lease.
    pub secret: Option<Secret>,
    /// What the client reads.
    pub data: JsonObject,
    /// Shown to the client beside the data.
    pub warnings: Vec<String>,
}

impl Response {
    /// An answer with data.
    pub fn data(data: JsonObject) -> Self {
        Self {
            data,
            ..Self::default()
        }
    }

    /// An answer that has nothing but warnings.
    pub fn warnings(warnings: Vec<String>) -> Self {
        Self {
            warnings,
            ..Self::default()
        }
    }

    /// An answer that clients read as it is, without the host's JSON around it.
    pub fn raw(content_type: &str, body: &str) -> Self {
        Self::data(JsonObject::from_iter([
            (RAW_STATUS.to_owned(), Value::from(200)),
            (RAW_CONTENT_TYPE.to_owned(), Value::from(content_type)),
            // Hosts decode what happens to be base 64, so it always is.
            (
                RAW_BODY.to_owned(),
                Value::from(BASE64_STANDARD.encode(body)),
            ),
        ]))
    }

    /// The answer to a list. Without keys it has no data, which a client sees as 404.
    pub fn list(keys: Vec<String>) -> Self {
        let mut data = JsonObject::new();
        if !keys.is_empty() {
            data.insert("keys".to_owned(), Value::from(keys));
        }
        Self::data(data)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("secret", &self.secret)
            .field("data", &self.data.keys().collect::<Vec<_>>())
            .field("warnings", &self.warnings)
            .finish()
    }
}
