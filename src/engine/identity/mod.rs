//! The mount as its own identity provider: keys that sign identity tokens, and the two documents by
//! which AWS verifies these.
//!
//! Each key is an entry of its own that says from when on it signs, so nothing is put at the moment at
//! which one takes over from another: time does it, on every node alike. A put that lands late adds a
//! key and takes none away. Whatever is stored is published, and only what is stored signs.

mod algorithm;
mod documents;
mod issuer;
mod key;
mod key_set;
mod record;
mod tend;
#[cfg(test)]
mod tests;
mod token;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use time::OffsetDateTime;
use tokio::sync::Mutex;

pub(super) use algorithm::Algorithm;
pub(super) use documents::{Document, Documents};
pub(super) use issuer::Issuer;
pub(super) use key::SigningKey;
pub(super) use key_set::KeySet;
pub(super) use record::{PREFIX, StoredKey};
pub(super) use token::Claims;

use super::kept::Kept;
use crate::clock::Clock;
use crate::logical::{Storage, StorageError};
use crate::secret::SecretString;

/// The lifetime of a token, unless `identity_token_ttl` says another one.
pub(super) const DEFAULT_TTL: Duration = Duration::from_mins(5);
pub(super) const SHORTEST_TTL: Duration = Duration::from_mins(1);
pub(super) const LONGEST_TTL: Duration = Duration::from_mins(15);

/// How long a key signs until the next one does.
pub(super) const PERIOD: Duration = Duration::from_hours(30 * 24);
/// How long a key is published at least before it signs: copies of the documents may be a day old, and
/// somebody may have to put them there.
pub(super) const LEAD: Duration = Duration::from_hours(48);
/// How long a key is published after its time: its tokens live for minutes, and clocks differ.
pub(super) const LINGERS: Duration = Duration::from_hours(1);

const NAME: &str = "keys";
/// How many keys are read at a time.
const AT_A_TIME: usize = 8;

/// The keys of one mount, and what is made of them.
pub(crate) struct Identity {
    storage: Arc<dyn Storage>,
    clock: Arc<dyn Clock>,
    subject: Option<String>,
    keys: Kept<KeySet>,
    documents: Kept<Option<Documents>>,
    /// One change of the keys at a time.
    tending: Mutex<()>,
}

impl Identity {
    /// The identity of the mount that the host knows by this id.
    pub(super) fn new(
        storage: Arc<dyn Storage>,
        clock: Arc<dyn Clock>,
        backend_uuid: &str,
    ) -> Self {
        Self {
            storage,
            clock,
            subject: (!backend_uuid.is_empty())
                .then(|| format!("vault-aws-secrets:{backend_uuid}")),
            keys: Kept::new(1),
            documents: Kept::new(1),
            tending: Mutex::new(()),
        }
    }

    /// Whom tokens speak of: the same for the life of the mount. `None` where the host does not tell
    /// its mounts apart.
    pub(super) fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The keys in storage.
    pub(super) async fn keys(&self, storage: &dyn Storage) -> Result<Arc<KeySet>, StorageError> {
        if storage.is_snapshot() {
            return load(storage).await.map(Arc::new);
        }
        let load = async { load(storage).await.map(Some) };
        Ok(self.keys.get(NAME, load).await?.unwrap_or_default())
    }

    /// The documents, by `load` unless they are kept; `None` where there are none.
    pub(super) async fn documents<E>(
        &self,
        storage: &dyn Storage,
        load: impl Future<Output = Result<Option<Documents>, E>>,
    ) -> Result<Option<Documents>, E> {
        if storage.is_snapshot() {
            return load.await;
        }
        let load = async { load.await.map(Some) };
        let documents = self.documents.get(NAME, load).await?;
        Ok(documents.and_then(|documents| Option::clone(&documents)))
    }

    /// A token with these claims, of the key whose turn it is.
    pub(super) async fn token(&self, claims: &Claims) -> Result<SecretString, NoToken> {
        let now = self.clock.now();
        let keys = self.keys(&*self.storage).await?;
        let key = keys.current(now).ok_or(NoToken::NoKey)?;
        self.token_of(&key.key, claims)
    }

    /// The same, of this key.
    pub(super) fn token_of(
        &self,
        key: &SigningKey,
        claims: &Claims,
    ) -> Result<SecretString, NoToken> {
        let subject = self.subject().ok_or(NoToken::NoSubject)?;
        token::sign(key, claims, subject, self.clock.now())
    }

    /// What is stored has changed, or may have: a key, or the root configuration.
    pub(super) fn forget(&self) {
        self.keys.forget(NAME);
        self.documents.forget(NAME);
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoToken {
    #[error("the mount has no signing key, and makes one within some minutes")]
    NoKey,
    #[error("the server does not tell the mount's id, which tokens are to name")]
    NoSubject,
    #[error("the signing key does not sign")]
    DoesNotSign,
    #[error(transparent)]
    NoChance(#[from] crate::chance::NoChance),
    #[error("the signing keys cannot be read: {0}")]
    Storage(#[from] StorageError),
}

/// The moment so much later, or the last one that there is.
fn later(moment: OffsetDateTime, by: Duration) -> OffsetDateTime {
    moment.saturating_add(by.try_into().unwrap_or(time::Duration::MAX))
}

async fn load(storage: &dyn Storage) -> Result<KeySet, StorageError> {
    let names = storage.list(PREFIX).await?;
    stream::iter(names)
        .map(|name| async move { StoredKey::load(storage, &name).await })
        .buffer_unordered(AT_A_TIME)
        .try_filter_map(|stored| async move { stored.map(StoredKey::open).transpose() })
        .try_collect()
        .await
        .map(KeySet::new)
}
