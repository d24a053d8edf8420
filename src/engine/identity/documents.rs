//! The two documents by which everybody can verify the tokens of a mount. They hold nothing secret.

use serde_json::{Value, json};

use super::key_set::TimedKey;
use super::{Algorithm, KeySet};

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Document {
    /// What there is to know of the issuer (`OpenID` Connect Discovery).
    Configuration,
    /// The public keys (RFC 7517).
    Keys,
}

impl Document {
    /// Below the issuer, and below the mount.
    pub(in crate::engine) const fn path(self) -> &'static str {
        match self {
            Self::Configuration => ".well-known/openid-configuration",
            Self::Keys => ".well-known/keys",
        }
    }
}

/// Both as JSON.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Documents {
    configuration: String,
    keys: String,
}

impl Documents {
    /// Those of an issuer.
    pub(in crate::engine) fn new(issuer: &str, keys: &KeySet) -> Self {
        let algorithms = Algorithm::ALL.map(Algorithm::as_str);
        let configuration = json!({
            "issuer": issuer,
            "jwks_uri": format!("{issuer}/{}", Document::Keys.path()),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
            "claims_supported": ["iss", "sub", "aud", "iat", "exp", "jti"],
        });
        let public = |key: &TimedKey| key.key.public().clone();
        let keys: Vec<Value> = keys.all().map(public).collect();
        Self {
            configuration: configuration.to_string(),
            keys: json!({"keys": keys}).to_string(),
        }
    }

    pub(in crate::engine) fn text(&self, of: Document) -> &str {
        match of {
            Document::Configuration => &self.configuration,
            Document::Keys => &self.keys,
        }
    }
}
