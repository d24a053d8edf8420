//! All roles, and the end of one's giving.

use super::record::load_locked;
use super::{LEGACY_PREFIX, PREFIX, RoleName};
use crate::engine::Engine;
use crate::logical::{Storage, StorageError};

/// The names of all roles, in alphabetical order.
pub(crate) async fn names(storage: &dyn Storage) -> Result<Vec<RoleName>, StorageError> {
    let mut names = storage.list(PREFIX).await?;
    names.extend(storage.list(LEGACY_PREFIX).await?);
    names.sort_unstable();
    names.dedup();
    Ok(names.into_iter().map(RoleName).collect())
}

/// Sees to it that the role gives no credentials from now on; answers whether there is such a role.
/// Nothing is written when it is disabled already.
pub(crate) async fn disable(
    engine: &Engine,
    storage: &dyn Storage,
    name: &RoleName,
) -> Result<bool, StorageError> {
    let _guard = engine.role_locks.lock(name.as_str()).await;
    let _change = engine.roles.change(name.as_str());
    let Some(mut role) = load_locked(storage, name).await? else {
        return Ok(false);
    };
    if !role.disabled {
        role.disabled = true;
        role.store(storage, name).await?;
    }
    Ok(true)
}
