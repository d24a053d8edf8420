//! Confidential text: it cannot be printed, and one adaptor writes it to storage.

pub use secrecy::{ExposeSecret, SecretString};

/// For `#[serde(with = "crate::secret::stored")]` on a [`SecretString`] field: the only way in
/// which a secret is serialized, meant for the host's encrypted storage.
pub mod stored {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{ExposeSecret, SecretString};

    /// Writes the text.
    pub fn serialize<S: Serializer>(secret: &SecretString, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(secret.expose_secret())
    }

    /// Reads the text.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SecretString, D::Error> {
        Option::<String>::deserialize(from).map(|text| text.unwrap_or_default().into())
    }
}
