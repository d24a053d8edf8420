//! An answer to the host.

use std::fmt;

use serde_json::Value;

use super::{JsonObject, Secret};

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
    /// The key of the body of an answer that is raw. Hosts decode one that is Base64, so no such text is
    /// to be answered.
    pub const RAW_BODY: &str = "http_raw_body";

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

    /// An answer that the client reads as it is, with status 200, instead of in the host's envelope.
    pub fn raw(content_type: &str, cache_control: &str, body: &str) -> Self {
        let text = |name: &str, text: &str| (name.to_owned(), Value::from(text));
        Self::data(JsonObject::from_iter([
            ("http_status_code".to_owned(), Value::from(200)),
            text("http_content_type", content_type),
            text("http_raw_cache_control", cache_control),
            text(Self::RAW_BODY, body),
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
