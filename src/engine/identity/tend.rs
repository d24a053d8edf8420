//! Making keys and ending them.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tokio::task::spawn_blocking;

use super::record::{PREFIX, StoredKey};
use super::{Algorithm, Identity, KeySet, load};
use crate::logical::{Error, Storage};

impl Identity {
    /// Makes the keys that are missing for tokens to be signed so, and ends those whose time is over.
    pub(in crate::engine) async fn tend(
        &self,
        storage: &dyn Storage,
        algorithm: Algorithm,
    ) -> Result<Arc<KeySet>, Error> {
        let _alone = self.tending.lock().await;
        self.tend_alone(storage, algorithm).await
    }

    async fn tend_alone(
        &self,
        storage: &dyn Storage,
        algorithm: Algorithm,
    ) -> Result<Arc<KeySet>, Error> {
        let now = self.clock.now();
        let changes = load(storage).await?.changes(algorithm, now);
        // However it ends: the host may do what it says has failed.
        let _forgotten = Forgotten(self);
        for turn in changes.make {
            let wait = (turn - now).unsigned_abs();
            let id = make(storage, algorithm, now, wait).await?;
            tracing::info!(key = id, signs_from = %turn, "signing key made");
        }
        // After the keys that take their place are there.
        for id in changes.end {
            storage.delete(&format!("{PREFIX}{id}")).await?;
            tracing::info!(key = id, "signing key ended");
        }
        Ok(Arc::new(load(storage).await?))
    }

    /// Gives the turn to the key that is next, by its id, and makes the one after it.
    pub(in crate::engine) async fn roll_to(
        &self,
        storage: &dyn Storage,
        algorithm: Algorithm,
        id: &str,
    ) -> Result<(), Error> {
        let _alone = self.tending.lock().await;
        let Some(next) = StoredKey::load(storage, id).await? else {
            return Err(Error::internal(
                "the next signing key is not there any more",
            ));
        };
        {
            let _forgotten = Forgotten(self);
            let signing = next.signing_from(self.clock.now());
            signing.store(storage, id).await?;
        }
        tracing::info!(key = id, "signing key rolled");
        // It signs already, and the timer makes what is missing.
        if let Err(error) = self.tend_alone(storage, algorithm).await {
            tracing::warn!(%error, "the signing key after the next could not be made, and is tried again");
        }
        Ok(())
    }
}

/// Forgets what was read before a change when it ends, however it does.
struct Forgotten<'a>(&'a Identity);

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        self.0.forget();
    }
}

/// Makes and stores a key; its id.
async fn make(
    storage: &dyn Storage,
    algorithm: Algorithm,
    now: OffsetDateTime,
    wait: Duration,
) -> Result<String, Error> {
    // One of RSA takes a while to find.
    let made = spawn_blocking(move || StoredKey::generate(algorithm, now, wait)).await;
    let made = made
        .ok()
        .and_then(Result::ok)
        .ok_or_else(|| Error::internal("a signing key could not be made"))?;
    let id = made.clone().open()?.key.id().to_owned();
    made.store(storage, &id)
        .await
        .map_err(|error| Error::from(error).context("error saving a signing key"))?;
    Ok(id)
}
