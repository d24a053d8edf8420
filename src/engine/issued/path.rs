//! `issued/`: who has an IAM user's credentials or a session that can be ended, and the end of one
//! whatever became of its lease.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::making::condemn;
use super::record::{IssuedUser, PREFIX};
use super::removal::{Condemned, end_key, remove};
use crate::aws::limit::Class;
use crate::aws::{AccessKeyId, UserName};
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::counters::{Failed, RevokedBy};
use crate::engine::roles;
use crate::engine::sessions::{self, IssuedSession};
use crate::engine::stored::{date_time, unix};
use crate::framework::{
    Answer, Field, FieldData, FieldType, OperationDocs, Path, PathDocs, ResponseField, wal,
};
use crate::logical::{Error, JsonObject, Operation, Request, Response, Storage, StorageError};

const NAME: Field<String> =
    Field::new("name", "Name of the IAM user, or the id of the access key.")
        .label("User name or access key id");
const AFTER: Field<String> = Field::new(
    "after",
    "The last name of the page before. Without it the list begins with the first.",
)
.query();
const LIMIT: Field<i64> = Field::new(
    "limit",
    "How many names a page has at most; all of them if not set. Where there are no more than 100 names, what is known of each is told, too.",
)
.query();

/// Answers of no more names than that tell what is known of each.
const TOLD: usize = 100;

const NOT_REVOKED: &str =
    "not revoked yet, and the access key may still work: it is tried again each minute";

/// How many records are read at a time.
const READS_AT_A_TIME: usize = 32;

const RESPONSE: &[ResponseField] = &[
    ResponseField::new(
        "username",
        FieldType::String,
        "Name of the IAM user or of the session",
    ),
    ResponseField::new(
        "access_key",
        FieldType::String,
        "Id of the access key; empty while a user is made",
    ),
    ResponseField::new("role", FieldType::String, "Role that gave it"),
    ResponseField::new(
        "display_name",
        FieldType::String,
        "Display name of the token that asked",
    ),
    ResponseField::new(
        "entity_id",
        FieldType::String,
        "Entity of the token that asked; empty if it has none",
    ),
    ResponseField::new("account", FieldType::String, "AWS account"),
    ResponseField::new(
        "arn",
        FieldType::String,
        "ARN of the session; missing for an IAM user",
    ),
    ResponseField::new("issued_at", FieldType::Time, "When it was asked for"),
    ResponseField::new(
        "expires_at",
        FieldType::Time,
        "Until when its lease can live, if nobody renews it; the end of a session",
    ),
];

const LIST_RESPONSE: &[ResponseField] = &[
    ResponseField::new(
        "keys",
        FieldType::CommaStringSlice,
        "Names of the IAM users and access keys of the sessions, in alphabetical order",
    ),
    ResponseField::new(
        "key_info",
        FieldType::Map,
        "What is known of each; where there are no more than 100 names",
    ),
];

pub(in crate::engine) fn path() -> Path<Engine> {
    Path::new("issued/{name=}")
        .field(&NAME)
        .on_with(
            Operation::Read,
            OperationDocs {
                response: RESPONSE,
                ..OperationDocs::NONE
            },
            read,
        )
        .docs(PathDocs {
            synopsis: "Tell who has an IAM user's credentials or a session, and until when.",
            description: "By the name of an IAM user that was made for a lease, or by the id of its \
                access key: the role, the token that asked, when, and until when the lease can \
                live. The same of a session of STS, by the id of its access key, if its role had \
                revocable_sessions=true; other sessions are not in it.",
            operation_suffix: "issued-user",
        })
}

pub(in crate::engine) fn list_path() -> Path<Engine> {
    Path::new("issued/?")
        .field(&AFTER)
        .field(&LIMIT)
        .on_with(
            Operation::List,
            OperationDocs {
                response: LIST_RESPONSE,
                ..OperationDocs::NONE
            },
            list,
        )
        .docs(PathDocs {
            synopsis: "List the IAM users that were made for leases, and sessions that can be ended.",
            description: "The names of all IAM users that live for a lease, and the access keys of \
                sessions of STS whose role had revocable_sessions=true, in alphabetical order, in \
                pages if limit is set. Of up to 100 names it tells role, caller and times, too \
                (list -detailed). Other sessions are not in it.",
            operation_suffix: "issued-users",
        })
}

pub(in crate::engine) fn revoke_path() -> Path<Engine> {
    Path::new("issued/{name=}/revoke")
        .field(&NAME)
        .on_with(
            Operation::Update,
            OperationDocs {
                verb: "revoke",
                response: RESPONSE,
                ..OperationDocs::NONE
            },
            revoke,
        )
        .docs(PathDocs {
            synopsis: "End an IAM user and its access key, or a session, now, whatever became of the lease.",
            description: "By the name of an IAM user that was made for a lease, or by the id of its \
                access key. The user goes with its key and all that is attached to it. A session of \
                STS whose role had revocable_sessions=true, by the id of its access key: a policy \
                denies everything to it, on which AWS acts within seconds, sometimes minutes; what \
                its holder opened from it in other AWS roles lives on. What AWS \
                does not do now is tried again each minute. The lease stays in the server's list \
                until it is over or revoked, which then succeeds.",
            operation_suffix: "issued-user",
        })
}

async fn list(_engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let limit = data.value(&LIMIT);
    // As the hosts' own lists have it: what is not above zero is no limit.
    let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0);
    let after = data.value(&AFTER);
    let mut names = request.storage.list(PREFIX).await?;
    names.extend(request.storage.list(sessions::PREFIX).await?);
    names.retain(|name| *name > after);
    names.sort_unstable();
    names.truncate(limit.unwrap_or(usize::MAX));
    let mut info = JsonObject::new();
    if names.len() <= TOLD {
        let storage = &*request.storage;
        let mut records = stream::iter(names.clone())
            .map(|name| async move {
                let found = Found::named(storage, &name).await;
                found.map(|found| Some((name, found?)))
            })
            .buffer_unordered(READS_AT_A_TIME);
        while let Some(record) = records.next().await {
            match record {
                Ok(Some((name, found))) => {
                    info.insert(name, Value::Object(found.shown()));
                }
                // A record that cannot be read must not hide another one.
                Ok(None) | Err(StorageError::Decode { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    let mut response = Response::list(names);
    if !info.is_empty() {
        response.data.insert("key_info".to_owned(), json!(info));
    }
    Ok(Some(response))
}

async fn read(_engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let found = find(&*request.storage, &request.caller, &data.value(&NAME)).await?;
    Ok(found.map(|found| Response::data(found.shown())))
}

async fn revoke(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let (engine, storage) = (&*engine, &*request.storage);
    let name = data.value(&NAME);
    let (user, record) = match find(storage, &request.caller, &name).await? {
        Some(Found::User(user, record)) => (user, *record),
        Some(Found::Session(session)) => {
            let ended = end(engine, &request, &session).await;
            return ended.inspect_err(|error| engine.counters.failed(Failed::Revoke, error));
        }
        None => {
            return Err(Error::invalid(format!(
                "issued/ has neither an IAM user with the name or the access key {name:?} nor a session with that access key: it has ended already, or was not given for a lease of this mount, or by a role without revocable_sessions, whose sessions contain/<role> ends all at once; list issued/ for those that live, and a static role's key is rotated by static-roles/<name>/rotate"
            )));
        }
    };
    // From here on it goes, whether AWS answers now or not.
    let entry = condemn(engine, storage, &user, &record).await?;
    let since = record.issued_at();
    let clients = engine.clients.get(storage).await?;
    let iam = clients
        .iam
        .for_request(Class::Removal, &request.caller.committed());
    // The key is what harms, and needs no look at anything else.
    let key = end_key(&clients, &iam, &user, &record).await;
    let removal = remove(&clients, &iam, &Condemned::registered(&user, &record)).await;
    let removal = removal.map_err(|error| match key {
        Ok(()) if !record.access_key_id.is_empty() => error.context(
            "the access key is dead, but its IAM user is not removed yet, and tried again each minute",
        ),
        Ok(()) => error.context(NOT_REVOKED),
        Err(of_key) => of_key.context(NOT_REVOKED),
    });
    let removal = removal.inspect_err(|error| engine.counters.failed(Failed::Revoke, error))?;
    engine.counters.revoked(RevokedBy::Name);
    let mut response = Response::data(shown(&user, &record));
    if removal.is_some_and(|removal| !removal.is_certain(since, engine.clock.now())) {
        response.warnings.push(format!(
            "AWS does not know IAM user {user}, which may be because it is so young: it is looked for each minute until that is certain"
        ));
        return Ok(Some(response));
    }
    tracing::info!(%user, access_key = record.access_key_id, role = record.role, ?removal, "IAM user revoked by name");
    IssuedUser::forget(engine, storage, &user).await;
    wal::delete(storage, &entry).await?;
    Ok(Some(response))
}

async fn end(engine: &Engine, request: &Request, session: &IssuedSession) -> Answer {
    let storage = &*request.storage;
    let ended = sessions::end(engine, storage, &request.caller, session, RevokedBy::Name).await;
    if let Err(error) = ended {
        let context = if sessions::is_being_ended(storage, session).await {
            "not ended yet, and tried again each minute"
        } else {
            "not ended, and not written down either: ask again"
        };
        return Err(error.context(context));
    }
    let mut response = Response::data(session.shown());
    response.warnings.push(roles::ENDING_TAKES_TIME.to_owned());
    Ok(Some(response))
}

/// What the registers have of a name.
enum Found {
    User(UserName, Box<IssuedUser>),
    Session(Box<IssuedSession>),
}

impl Found {
    /// A user by its name, or a session by its access key.
    async fn named(storage: &dyn Storage, name: &str) -> Result<Option<Self>, StorageError> {
        if let Some((user, record)) = IssuedUser::named(storage, name).await? {
            return Ok(Some(Self::User(user, Box::new(record))));
        }
        let session = IssuedSession::named(storage, name).await?;
        Ok(session.map(|session| Self::Session(Box::new(session))))
    }

    fn shown(&self) -> JsonObject {
        match self {
            Self::User(user, record) => shown(user, record),
            Self::Session(session) => session.shown(),
        }
    }
}

/// By the name, or else a user by its access key, for which all records of users are read.
async fn find(storage: &dyn Storage, caller: &Caller, name: &str) -> Result<Option<Found>, Error> {
    if let Some(found) = Found::named(storage, name).await? {
        return Ok(Some(found));
    }
    if AccessKeyId::new(name).is_err() {
        return Ok(None);
    }
    let names = storage.list(PREFIX).await?;
    let mut records = stream::iter(names)
        .map(|name| async move { IssuedUser::named(storage, &name).await })
        .buffer_unordered(READS_AT_A_TIME);
    while let Some(record) = records.next().await {
        if Instant::now() >= caller.begin_by() {
            return Err(Error::internal(
                "the register of users could not be read in time: ask by the IAM user's name, which AWS tells for an access key (aws iam get-access-key-last-used)",
            ));
        }
        // A record that cannot be read must not hide another one.
        if let Ok(Some((user, record))) = record
            && record.access_key_id == name
        {
            return Ok(Some(Found::User(user, Box::new(record))));
        }
    }
    Ok(None)
}

fn shown(user: &UserName, record: &IssuedUser) -> JsonObject {
    let time = |seconds| date_time(unix(seconds));
    let mut shown = JsonObject::new();
    for (name, value) in [
        ("username", user.to_string()),
        ("access_key", record.access_key_id.clone()),
        ("role", record.role.clone()),
        ("display_name", record.display_name.clone()),
        ("entity_id", record.entity_id.clone()),
        ("account", record.account.clone()),
        ("issued_at", time(record.issued_at)),
        ("expires_at", time(record.expires_at)),
    ] {
        shown.insert(name.to_owned(), Value::from(value));
    }
    shown
}
