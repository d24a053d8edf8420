//! `static-roles/<name>/rotate`: a new access key now, whenever the next one is due.

use std::sync::Arc;

use serde_json::Value;

use super::NAME;
use super::record::{StaticCredentials, StaticRole};
use super::rotation::Rotation;
use crate::aws::limit::Class;
use crate::engine::Engine;
use crate::engine::stored::date_time;
use crate::framework::{
    Answer, FieldData, FieldType, OperationDocs, Path, PathDocs, ResponseField,
};
use crate::logical::{Error, JsonObject, Operation, Request, Response};

const RESPONSE: &[ResponseField] = &[
    ResponseField::new(
        "access_key",
        FieldType::String,
        "Access key id of the new key",
    ),
    ResponseField::new(
        "expiration",
        FieldType::Time,
        "When the next rotation is due",
    ),
];

pub(in crate::engine) fn path() -> Path<Engine> {
    Path::new("static-roles/{name@}/rotate")
        .field(&NAME)
        .on_with(
            Operation::Update,
            OperationDocs {
                verb: "rotate",
                suffix: "static-role",
                forward: true,
                response: RESPONSE,
                ..OperationDocs::NONE
            },
            rotate_now,
        )
        .docs(PathDocs {
            synopsis: "Rotate the access key of a static role now.",
            description: "Makes a new access key, which static-creds/<name> shows from then on, and \
                begins a new rotation period. The key before stays valid until the next rotation, \
                unless the role has single_key set: call this twice to be rid of a key that has \
                leaked.",
            operation_suffix: "",
        })
}

async fn rotate_now(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let storage = &*request.storage;
    let caller = &request.caller;
    let static_roles = &engine.static_roles;
    let name = data.value(&NAME);
    let _role = static_roles.lock(&name, caller).await?;
    let role = StaticRole::load(storage, &name).await?.ok_or_else(|| {
        Error::invalid(format!(
            "static role {name:?} not found: write static-roles/{name} first"
        ))
    })?;
    let stored = StaticCredentials::load(storage, &name).await?;
    let (account, _) = static_roles
        .adopt(&engine, storage, &role, Class::Issue, caller)
        .await?;
    let rotation = Rotation {
        engine: &engine,
        storage,
        caller,
        class: Class::Issue,
        role: &role,
        stored: stored.as_ref(),
        due: None,
    };
    let rotated = match rotation.run(account).await {
        Ok(rotated) => rotated,
        Err(error) => {
            // It may have made the role due.
            static_roles.queue.forget();
            return Err(error);
        }
    };
    static_roles.queue.schedule(&name, rotated.expiration);
    Ok(Some(Response {
        data: JsonObject::from_iter([
            (
                "access_key".to_owned(),
                Value::from(rotated.credentials.access_key),
            ),
            (
                "expiration".to_owned(),
                Value::from(date_time(rotated.expiration)),
            ),
        ]),
        warnings: rotated.warnings,
        ..Response::default()
    }))
}
