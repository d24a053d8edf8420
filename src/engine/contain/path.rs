//! What is asked of containment, and what is told of it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::look::dry_run;
use super::readable_role;
use super::sessions::outlook;
use super::status::{STATUS, shown};
use super::steps;
use super::work::Work;
use crate::engine::Engine;
use crate::engine::roles::{self, RoleName};
use crate::framework::{
    Answer, Field, FieldData, FieldType, OperationDocs, Path, PathDocs, ResponseField, wal,
};
use crate::logical::{Error, Operation, Request, Response, Storage, StorageError};

const DRY_RUN: Field<bool> = Field::new(
    "dry_run",
    "Only tell how many IAM users and registered sessions there are, who has them and their names, and change nothing.",
)
.label("Dry run");
/// How long a call that has begun is waited for beyond the time of the first stretch.
const LAST_CALLS: Duration = Duration::from_secs(2);

/// How many roles are disabled at a time.
const ROLES_AT_A_TIME: usize = 16;

const ANSWER: &[ResponseField] = &[
    STATUS[0],
    STATUS[1],
    STATUS[2],
    STATUS[3],
    STATUS[4],
    STATUS[5],
    STATUS[6],
    STATUS[7],
    STATUS[8],
    STATUS[9],
    STATUS[10],
    ResponseField::new(
        "dry_run",
        FieldType::Bool,
        "true where nothing was changed; else it is missing",
    ),
    ResponseField::new(
        "usernames",
        FieldType::CommaStringSlice,
        "Of a dry run: names of the IAM users, at most 1000",
    ),
    ResponseField::new(
        "holders",
        FieldType::Map,
        "Of a dry run: how many users and registered sessions tokens of each display name have, at most 100",
    ),
    ResponseField::new(
        "registered_sessions",
        FieldType::Int,
        "Of a dry run: how many sessions of the register there are, from roles with revocable_sessions; others that end too are not counted",
    ),
];

pub(in crate::engine) fn path() -> Path<Engine> {
    Path::new("contain/{name@}")
        .field(&roles::NAME)
        .field(&DRY_RUN)
        .refuses_unknown()
        .on_with(Operation::Update, docs("role"), contain_role)
        .docs(PathDocs {
            synopsis: "Disable a role and end all that it has given out.",
            description: "For an incident. The role gives nothing from now on (disabled=false on \
                roles/<name> enables it again). Of the IAM users that it made, all access keys are \
                ended first, and then the users removed. It is answered within some seconds, with \
                an id: contain-status/<id> tells how far it is, and the rest goes on at the \
                server's timer, over restarts, until all is done. Sessions of STS are ended by a \
                policy that denies everything to those that were opened until now, whoever opened \
                them, of the AWS role or for federation_token of the engine's user; those of \
                session_token live on. With dry_run=true it counts and names, and \
                changes nothing.",
            operation_suffix: "role",
        })
}

pub(in crate::engine) fn mount_path() -> Path<Engine> {
    Path::new("contain/?")
        .field(&DRY_RUN)
        .refuses_unknown()
        .on_with(Operation::Update, docs("mount"), contain_mount)
        .docs(PathDocs {
            synopsis: "Disable all roles and end all that the mount has given out.",
            description: "As contain/<role>, of every role at once, deleted ones included. Static \
                roles and the engine's own access key are not touched: rotate them. With \
                dry_run=true it counts and names, and changes nothing.",
            operation_suffix: "mount",
        })
}

fn docs(suffix: &'static str) -> OperationDocs {
    OperationDocs {
        verb: "contain",
        suffix,
        response: ANSWER,
        of_active_node: true,
        ..OperationDocs::NONE
    }
}

async fn contain_role(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let name = data.value(&roles::NAME);
    contain(&engine, &request, &data, Some(name)).await
}

async fn contain_mount(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    contain(&engine, &request, &data, None).await
}

async fn contain(
    engine: &Engine,
    request: &Request,
    data: &FieldData,
    role: Option<RoleName>,
) -> Answer {
    data.must_not_be_empty(&DRY_RUN)?;
    let (storage, caller) = (&*request.storage, &request.caller);
    let mut work = Work {
        role: role.as_ref().map(RoleName::to_string).unwrap_or_default(),
        display_name: request.display_name.clone(),
        began_at: engine.clock.now().unix_timestamp(),
        ..Work::default()
    };
    let roles = match role {
        Some(role) => vec![role],
        None => roles::names(storage).await?,
    };
    let mut warnings = Vec::new();
    if data.value(&DRY_RUN) {
        let mut response = dry_run(storage, request, &work).await?;
        if !any_stored(engine, storage, &roles).await? {
            warnings.push(no_such_role(&work.role));
        }
        warnings.extend(of_sessions(engine, storage, &roles).await?);
        response.warnings.extend(warnings);
        return Ok(Some(response));
    }
    // Before anything else: nothing more comes out. A node that may not write hands all of it over.
    let disabled = disable_all(engine, request, &roles).await?;
    warnings.extend(disabled.unreadable);
    if !disabled.any {
        warnings.push(no_such_role(&work.role));
    }
    // What was handed out until now was handed out before.
    work.began_at = engine.clock.now().unix_timestamp();
    warnings.extend(of_sessions(engine, storage, &roles).await?);
    if let Err(error) = Work::forget_old(storage).await {
        tracing::warn!(%error, "containments that have ended could not be forgotten");
    }
    let id = wal::name().map_err(|error| Error::internal(error.to_string()))?;
    let turn = engine.contain.turn(&id);
    work.store(storage, &id).await?;
    engine.contain.opened(&id);
    tracing::warn!(%id, role = work.role, asked_by = work.display_name, "containment begins");
    // However far that comes, and however it ends: the rest is the timer's.
    let until = caller.a_look_by();
    let begun = steps::go_on(engine, storage, caller, &id, &mut work, until);
    let begun = timeout_at(until + LAST_CALLS, begun).await;
    drop(turn);
    if let Ok(Err(error)) = begun {
        tracing::warn!(%id, %error, "containment goes on at the next tick");
        warnings.push(format!("it goes on within a minute, for now: {error}"));
    }
    let work = Work::load(storage, &id).await?.unwrap_or(work);
    let mut response = Response::data(shown(&id, &work));
    response.warnings = warnings;
    Ok(Some(response))
}

fn no_such_role(role: &str) -> String {
    format!(
        "there is no role {role:?}: if it was deleted, its users and the sessions in the register end nevertheless; if not, look at the name"
    )
}

/// Whether there is any of these roles; of none there is nothing to be missing.
async fn any_stored(
    engine: &Engine,
    storage: &dyn Storage,
    roles: &[RoleName],
) -> Result<bool, Error> {
    for name in roles {
        match roles::load(engine, storage, name).await {
            Ok(None) => {}
            Ok(Some(_)) | Err(StorageError::Decode { .. }) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(roles.is_empty())
}

/// What became of the roles.
struct Disabled {
    /// Whether there is any of them.
    any: bool,
    /// What is to be said of those that cannot be read.
    unreadable: Vec<String>,
}

/// Disables these roles. One that cannot be read gives nothing either, and must not hold up the others.
async fn disable_all(
    engine: &Engine,
    request: &Request,
    roles: &[RoleName],
) -> Result<Disabled, Error> {
    let storage = &*request.storage;
    let mut outcomes = stream::iter(0..roles.len())
        .map(|at| async move { (at, roles::disable(engine, storage, &roles[at]).await) })
        .buffer_unordered(ROLES_AT_A_TIME);
    let mut disabled = Disabled {
        any: roles.is_empty(),
        unreadable: Vec::new(),
    };
    let mut done = 0;
    while let Some((at, outcome)) = outcomes.next().await {
        disabled.any |= match outcome {
            Err(error @ StorageError::Decode { .. }) => {
                disabled.unreadable.push(format!(
                    "role {:?} cannot be read, so it gives nothing, and its sessions end only as far as they are in the register: {error}",
                    roles[at].as_str()
                ));
                true
            }
            outcome => {
                outcome.map_err(|error| Error::from(error).context("error disabling the role"))?
            }
        };
        done += 1;
        if done < roles.len() && Instant::now() >= request.caller.begin_by() {
            return Err(Error::internal(format!(
                "{done} of {} roles were disabled in the time for this request, and nothing was ended yet: ask again, it goes on with the others",
                roles.len()
            )));
        }
    }
    Ok(disabled)
}

/// What becomes of the sessions of these roles, in one sentence for a role or one for all.
async fn of_sessions(
    engine: &Engine,
    storage: &dyn Storage,
    roles: &[RoleName],
) -> Result<Option<String>, Error> {
    let mut giving = Vec::new();
    for name in roles {
        if let Some(role) = readable_role(engine, storage, name).await? {
            let sentences = outlook(name, &role);
            if !sentences.is_empty() {
                giving.push(sentences.join("; "));
            }
        }
    }
    Ok(match giving.len() {
        0 => None,
        1 => giving.pop(),
        count => Some(format!(
            "{count} roles of this mount give sessions: those of assumed_role and federation_token end with all others of their AWS role or user, those of session_token live until they end by themselves (contain-status/ tells of each)"
        )),
    })
}
