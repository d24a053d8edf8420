//! `.well-known/`: the documents of the mount's own identity provider, for everybody.

use std::sync::Arc;

use super::Engine;
use super::clients::root_config::RootConfig;
use super::identity::{Document, Documents};
use crate::framework::{Answer, FieldData, OperationDocs, Path, PathDocs};
use crate::logical::{Error, Operation, Request, Response, Storage};

/// The paths that need no token.
pub(super) const PATHS: [&str; 2] = [Document::Configuration.path(), Document::Keys.path()];

/// A key is published for days before it signs, and for an hour after.
const CACHE_CONTROL: &str = "public, max-age=3600";

pub(super) fn path() -> Path<Engine> {
    Path::new(".well-known/(openid-configuration|keys)")
        .on_with(
            Operation::Read,
            OperationDocs {
                suffix: "identity-provider-configuration|identity-provider-keys",
                ..OperationDocs::NONE
            },
            read,
        )
        .docs(PathDocs {
            synopsis: "Read a document of the mount's own identity provider.",
            description: "By openid-configuration and keys AWS verifies the identity tokens of a \
                mount with identity_token_issuer in config/root. Both are answered without a token, \
                as plain JSON, are the same for everybody and hold nothing secret. Without \
                identity_token_issuer there are none.",
            operation_suffix: "",
        })
}

async fn read(engine: Arc<Engine>, request: Request, _data: FieldData) -> Answer {
    let wanted = [Document::Configuration, Document::Keys]
        .into_iter()
        .find(|document| document.path() == request.path)
        .ok_or(Error::UnsupportedPath)?;
    let storage = &*request.storage;
    let documents = engine
        .identity
        .documents(storage, load(&engine, storage))
        .await?;
    Ok(documents
        .map(|documents| Response::raw("application/json", CACHE_CONTROL, documents.text(wanted))))
}

async fn load(engine: &Engine, storage: &dyn Storage) -> Result<Option<Documents>, Error> {
    let root = RootConfig::load(storage).await?.unwrap_or_default();
    if !root.is_keyless() {
        return Ok(None);
    }
    let keys = engine.identity.keys(storage).await?;
    Ok(Some(Documents::new(&root.identity_token_issuer, &keys)))
}
