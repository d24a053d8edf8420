//! The tag by which this mount knows its users in AWS again, also those that it has no record of.

use tokio::sync::OnceCell;

use super::config_root::RootConfig;
use crate::aws::Tag;
use crate::framework::wal;
use crate::logical::{Error, Storage, get_json, put_json};

/// Where the mount's own id is stored. Not replicated, as the register is not: every cluster makes and
/// removes its own users.
pub(super) const KEY: &str = "issued-owner";

/// The id of this mount, which nothing else has; made when it is needed first.
#[derive(Debug, Default)]
pub(super) struct Owner {
    id: OnceCell<String>,
}

impl Owner {
    /// The tag; `None` when `owner_tag` of `config/root` is empty.
    pub(super) async fn tag(
        &self,
        storage: &dyn Storage,
        root: &RootConfig,
    ) -> Result<Option<Tag>, Error> {
        if root.owner_tag.is_empty() {
            return Ok(None);
        }
        let id = self.id.get_or_try_init(|| load_or_make(storage)).await?;
        Ok(Some(Tag::new(&root.owner_tag, id)))
    }
}

async fn load_or_make(storage: &dyn Storage) -> Result<String, Error> {
    const CONTEXT: &str = "error with the id of this mount, which is the value of owner_tag";
    let known: Option<String> = get_json(storage, KEY)
        .await
        .map_err(|error| Error::from(error).context(CONTEXT))?;
    if let Some(id) = known {
        return Ok(id);
    }
    let id = wal::name().map_err(|error| Error::internal(error.to_string()))?;
    put_json(storage, KEY, &id)
        .await
        .map_err(|error| Error::from(error).context(CONTEXT))?;
    Ok(id)
}
