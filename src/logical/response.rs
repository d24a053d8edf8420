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
const RAW_CACHE_CONTROL: &str = "http_raw_cache_control";
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

    /// An answer that clients read as it is, with status 200, without the host's JSON around it.
    pub fn raw(content_type: &str, cache_control: &str, body: &str) -> Self {
        let text = |name: &str, text: &str| (name.to_owned(), Value::from(text));
        Self::data(JsonObject::from_iter([
            (RAW_STATUS.to_owned(), Value::from(200)),
            text(RAW_CONTENT_TYPE, content_type),
            text(RAW_CACHE_CONTROL, cache_control),
            // Hosts decode what happens to be Base64, so it always is.
            text(RAW_BODY, &BASE64_STANDARD.encode(body)),
        ]))
    }

    /// What clients read of an answer that is [raw](Self::raw).
    #[cfg(any(test, feature = "test-util"))]
    pub fn raw_body(&self) -> Option<String> {
        let body = self.data.get(RAW_BODY)?.as_str()?;
        String::from_utf8(BASE64_STANDARD.decode(body).ok()?).ok()
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
