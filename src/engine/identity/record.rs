//! A signing key in storage.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::key::{NoKey, SigningKey};
use super::key_set::TimedKey;
use super::{Algorithm, later};
use crate::engine::stored::rfc3339;
use crate::logical::{JsonObject, Storage, StorageError, get_json, put_json};
use crate::secret::{self, SecretString};

/// Where the keys are, each by its id; seal-wrapped.
pub(in crate::engine) const PREFIX: &str = "identity-keys/";

/// The record of a key; what of it we do not know is kept.
#[derive(Clone, Serialize, Deserialize)]
pub(in crate::engine) struct StoredKey {
    algorithm: String,
    #[serde(with = "secret::stored")]
    private_key: SecretString,
    #[serde(with = "rfc3339")]
    published_from: Option<OffsetDateTime>,
    #[serde(with = "rfc3339")]
    signs_from: Option<OffsetDateTime>,
    #[serde(flatten)]
    unknown: JsonObject,
}

impl StoredKey {
    /// A new key that signs after a while.
    pub(super) fn generate(
        algorithm: Algorithm,
        now: OffsetDateTime,
        wait: Duration,
    ) -> Result<Self, NoKey> {
        Ok(Self {
            algorithm: algorithm.as_str().to_owned(),
            private_key: SigningKey::generate(algorithm)?,
            published_from: Some(now),
            signs_from: Some(later(now, wait)),
            unknown: JsonObject::new(),
        })
    }

    pub(super) async fn load(
        storage: &dyn Storage,
        id: &str,
    ) -> Result<Option<Self>, StorageError> {
        get_json(storage, &format!("{PREFIX}{id}")).await
    }

    pub(super) async fn store(&self, storage: &dyn Storage, id: &str) -> Result<(), StorageError> {
        put_json(storage, &format!("{PREFIX}{id}"), self).await
    }

    /// The same, signing from now on.
    pub(super) fn signing_from(mut self, now: OffsetDateTime) -> Self {
        self.signs_from = Some(now);
        self
    }

    /// The key with its times.
    pub(super) fn open(self) -> Result<TimedKey, StorageError> {
        let refused = |reason: &str| StorageError::Decode {
            key: PREFIX.to_owned(),
            reason: reason.to_owned(),
        };
        let algorithm = Algorithm::parse(&self.algorithm)
            .ok_or_else(|| refused("a signing key of an unknown algorithm"))?;
        let key = SigningKey::new(algorithm, &self.private_key)
            .map_err(|error| refused(&error.to_string()))?;
        let (Some(published_from), Some(signs_from)) = (self.published_from, self.signs_from)
        else {
            return Err(refused("a signing key without its times"));
        };
        Ok(TimedKey {
            key,
            published_from,
            signs_from,
        })
    }
}
