//! How far containments are: `contain-status/`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::work::{Step, Work};
use crate::engine::Engine;
use crate::engine::stored::{date_time, unix};
use crate::framework::{
    Answer, Field, FieldData, FieldType, OperationDocs, Path, PathDocs, ResponseField,
};
use crate::logical::{JsonObject, Operation, Request, Response};

const ID: Field<String> = Field::new("id", "Id of the work, as contain/ answered it.");

/// What is told of one.
pub(super) const STATUS: &[ResponseField] = &[
    ResponseField::new("id", FieldType::String, "Id of the work"),
    ResponseField::new(
        "role",
        FieldType::String,
        "The role; empty for the whole mount",
    ),
    ResponseField::new(
        "state",
        FieldType::String,
        "What is going on: ending access keys, ending sessions, removing users or finished",
    ),
    ResponseField::new(
        "display_name",
        FieldType::String,
        "Display name of the token that asked",
    ),
    ResponseField::new("began_at", FieldType::Time, "When it was asked for"),
    ResponseField::new(
        "finished_at",
        FieldType::Time,
        "When all was done; null before",
    ),
    ResponseField::new(
        "users",
        FieldType::Int,
        "How many IAM users were found so far",
    ),
    ResponseField::new(
        "keys_ended",
        FieldType::Int,
        "How many of their access keys AWS does not accept any more",
    ),
    ResponseField::new("users_removed", FieldType::Int, "How many of them are gone"),
    ResponseField::new(
        "failures",
        FieldType::Map,
        "Why users were not ended at the last try, at most 20 by their names; they are tried again each minute",
    ),
    ResponseField::new(
        "sessions",
        FieldType::CommaStringSlice,
        "What is to be known of sessions",
    ),
];

const LIST_RESPONSE: &[ResponseField] = &[
    ResponseField::new(
        "keys",
        FieldType::CommaStringSlice,
        "Ids of the works, the last 20 that have ended among them",
    ),
    ResponseField::new("key_info", FieldType::Map, "How far each is"),
];

pub(in crate::engine) fn status_path() -> Path<Engine> {
    Path::new("contain-status/{id}")
        .field(&ID)
        .on_with(
            Operation::Read,
            OperationDocs {
                response: STATUS,
                of_active_node: true,
                ..OperationDocs::NONE
            },
            read,
        )
        .docs(PathDocs {
            synopsis: "Tell how far a containment is.",
            description: "What contain/ has begun under that id: how many users were found, how \
                many of their keys are ended, how many of them are gone, and why not the others.",
            operation_suffix: "contain-status",
        })
}

pub(in crate::engine) fn list_path() -> Path<Engine> {
    Path::new("contain-status/?")
        .on_with(
            Operation::List,
            OperationDocs {
                response: LIST_RESPONSE,
                of_active_node: true,
                ..OperationDocs::NONE
            },
            list,
        )
        .docs(PathDocs {
            synopsis: "List the containments.",
            description: "The ids of all that go on, and of the last 20 that have ended.",
            operation_suffix: "contain-status",
        })
}

async fn read(_engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let id = data.value(&ID);
    let work = Work::load(&*request.storage, &id).await?;
    Ok(work.map(|work| Response::data(shown(&id, &work))))
}

async fn list(_engine: Arc<Engine>, request: Request, _data: FieldData) -> Answer {
    let mut works = Work::all(&*request.storage).await?;
    works.sort_by_key(|(_, work)| work.began_at);
    let info: JsonObject = works
        .iter()
        .map(|(id, work)| (id.clone(), Value::from(shown(id, work))))
        .collect();
    let mut response = Response::list(works.into_iter().map(|(id, _)| id).collect());
    if !info.is_empty() {
        response.data.insert("key_info".to_owned(), json!(info));
    }
    Ok(Some(response))
}

pub(super) fn shown(id: &str, work: &Work) -> JsonObject {
    let time = |seconds| date_time(unix(seconds));
    let state = match work.step {
        Step::Users if !work.left.is_empty() => "removing users, some of which are tried again",
        Step::Users if work.only_left && work.sessions_left => {
            "ending sessions, some of which are tried again"
        }
        step => step.state(),
    };
    let failures: JsonObject = work
        .failures
        .iter()
        .map(|failure| {
            let reason = Value::from(failure.error.as_str());
            (failure.username.clone(), reason)
        })
        .collect();
    JsonObject::from_iter(
        [
            ("id", Value::from(id)),
            ("role", Value::from(work.role.as_str())),
            ("state", Value::from(state)),
            ("display_name", Value::from(work.display_name.as_str())),
            ("began_at", Value::from(time(work.began_at))),
            ("finished_at", Value::from(work.finished_at.map(time))),
            ("users", Value::from(work.users)),
            // The key of a user that is gone is dead, whatever ended it.
            (
                "keys_ended",
                Value::from(work.keys_ended.max(work.users_removed)),
            ),
            ("users_removed", Value::from(work.users_removed)),
            ("failures", json!(failures)),
            ("sessions", Value::from(work.sessions.clone())),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    )
}
