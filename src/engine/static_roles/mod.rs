//! `static-roles/` and `static-creds/`: IAM users that exist already, whose access keys the engine
//! rotates.
//!
//! A static role takes over one IAM user. `rotation` replaces its access key, `unfinished` ends what
//! was cut off, `schedule` does it on the host's timer, with the due times of `queue`. All that
//! must survive is in storage (`record`).

mod accounts;
mod creds;
mod delete;
mod keys;
mod looked_at;
mod queue;
mod record;
mod rotate;
mod rotation;
mod schedule;
#[cfg(test)]
mod tests;
mod unfinished;
mod write;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub(super) use creds::path as creds_path;
pub(super) use looked_at::{LookedAt, names};
pub(super) use record::CREDENTIALS;
#[cfg(any(test, feature = "test-util"))]
pub(super) use record::StaticCredentials;
pub(super) use record::StaticRole;
pub(super) use rotate::path as rotate_path;
pub(super) use schedule::rotate_due;
pub(super) use unfinished::{KIND, roll_back};

use time::OffsetDateTime;
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout_at;

use self::accounts::{Account, Accounts};
use self::queue::RotationQueue;
use self::record::ROLES;
use super::Engine;
use super::key_rotation::too_late;
use super::locks::NameLocks;
use super::schedule::{
    ROTATION_SCHEDULE, ROTATION_WINDOW, SHOWN_PERIOD, SHOWN_SCHEDULE, SHOWN_WINDOW,
};
use crate::aws::limit::Class;
use crate::caller::Caller;
use crate::clock::Clock;
use crate::framework::{
    Answer, Field, FieldData, FieldType, OperationDocs, Path, PathDocs, ResponseField,
};
use crate::logical::{Error, Operation, Request, Response, Storage};

/// The state of the static roles of one mount.
pub(super) struct StaticRoles {
    /// By the role's name. Taken first.
    locks: NameLocks,
    /// By the user's id, for whoever changes its access keys. Taken after the role's.
    user_locks: NameLocks,
    queue: Arc<RotationQueue>,
    accounts: Accounts,
}

impl StaticRoles {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            locks: NameLocks::default(),
            user_locks: NameLocks::default(),
            queue: Arc::new(RotationQueue::new(clock)),
            accounts: Accounts::default(),
        }
    }

    /// The mount begins on this node, which may not have been the one that wrote last: the due
    /// times are read again at the next tick.
    pub(super) fn begin(&self) {
        self.queue.forget();
    }

    /// When each role was to be rotated that was not by then; `None` while not all are known.
    pub(super) fn overdue(&self, then: OffsetDateTime) -> Option<Vec<OffsetDateTime>> {
        self.queue.overdue(then)
    }

    /// Another node changed what is stored under `key`.
    pub(super) fn invalidate_key(&self, key: &str) {
        if key.starts_with(ROLES) || key.starts_with(CREDENTIALS) {
            self.queue.forget();
        }
    }

    /// The right to change a role, for as long as there is time to begin something.
    async fn lock(&self, role: &str, caller: &Caller) -> Result<OwnedMutexGuard<()>, Error> {
        let locked = timeout_at(caller.begin_by(), self.locks.lock(role));
        locked.await.map_err(|_| too_late())
    }

    /// The same for the access keys of a user.
    async fn lock_user(&self, id: &str, caller: &Caller) -> Result<OwnedMutexGuard<()>, Error> {
        let locked = timeout_at(caller.begin_by(), self.user_locks.lock(id));
        locked.await.map_err(|_| too_late())
    }

    /// IAM of the account of the role's user, which AWS must know as the one of the role's id if it
    /// has one; and AWS's id of the user.
    async fn adopt(
        &self,
        engine: &Engine,
        storage: &dyn Storage,
        role: &StaticRole,
        class: Class,
        caller: &Caller,
    ) -> Result<(Account, String), Error> {
        let account = self.connect(engine, storage, role, class, caller).await?;
        let id = account.check_user(&role.user_name()?, &role.id).await?;
        self.accounts.keep(&account);
        Ok((account, id))
    }

    /// IAM of the account of the role's user, for one request.
    async fn connect(
        &self,
        engine: &Engine,
        storage: &dyn Storage,
        role: &StaticRole,
        class: Class,
        caller: &Caller,
    ) -> Result<Account, Error> {
        self.accounts
            .connect(&engine.clients, storage, &role.account, class, caller)
            .await
    }
}

/// AWS's own ids of the users that static roles have taken over.
pub(super) async fn user_ids(storage: &dyn Storage) -> Result<BTreeSet<String>, Error> {
    let mut ids = BTreeSet::new();
    for name in storage.list(ROLES).await? {
        if let Some(role) = StaticRole::load(storage, &name).await? {
            ids.insert(role.id);
        }
    }
    Ok(ids)
}

const NAME: Field<String> = Field::new("name", "Name of the static role.").label("Role Name");
const USERNAME: Field<String> = Field::new(
    "username",
    "Name of the IAM user that the role takes over. It must exist and belong to no other static role. A user that was renamed is followed; another user is refused.",
)
.required()
.label("Username");
const ROTATION_PERIOD: Field<Duration> = Field::new(
    "rotation_period",
    "Time from one rotation of the access key to the next, such as 24h or 86400 (seconds); at least a minute. A change counts from now on. This or rotation_schedule is required.",
)
.label("Rotation period");
const ASSUME_ROLE_ARN: Field<String> = Field::new(
    "assume_role_arn",
    "ARN of the AWS role to assume when the IAM user is in another account than the engine's own.",
)
.label("Assume role ARN");
const ASSUME_ROLE_SESSION_NAME: Field<String> = Field::new(
    "assume_role_session_name",
    "Name of the session of assume_role_arn in AWS's logs. Without it a name is made of the static role's.",
)
.label("Assume role session name");
const EXTERNAL_ID: Field<String> = Field::new(
    "external_id",
    "External id that the trust policy of assume_role_arn asks for.",
)
.label("External ID");
const SINGLE_KEY: Field<bool> = Field::new(
    "single_key",
    "Delete all other access keys of the IAM user as soon as a new one is stored, for rules that allow no second key. Whoever still uses the old key must then read the new one at once. Counts from the next rotation on.",
)
.label("Single key");

const RESPONSE: &[ResponseField] = &[
    ResponseField::new("name", FieldType::String, "Name of the static role"),
    ResponseField::new("id", FieldType::String, "AWS's own id of the IAM user"),
    ResponseField::new("username", FieldType::String, "Name of the IAM user"),
    SHOWN_PERIOD,
    SHOWN_SCHEDULE,
    SHOWN_WINDOW,
    ResponseField::new(
        "assume_role_arn",
        FieldType::String,
        "AWS role by which another account is entered",
    ),
    ResponseField::new(
        "assume_role_session_name",
        FieldType::String,
        "Name of its session",
    ),
    ResponseField::new("external_id", FieldType::String, "External id"),
    ResponseField::new(
        "single_key",
        FieldType::Bool,
        "Whether old access keys go at once",
    ),
];

pub(super) fn path() -> Path<Engine> {
    Path::new("static-roles/{name@}")
        .field(&NAME)
        .field(&USERNAME)
        .field(&ROTATION_PERIOD)
        .field(&ROTATION_SCHEDULE)
        .field(&ROTATION_WINDOW)
        .field(&ASSUME_ROLE_ARN)
        .field(&ASSUME_ROLE_SESSION_NAME)
        .field(&EXTERNAL_ID)
        .field(&SINGLE_KEY)
        .field(&delete::FORCE)
        .misnomers(&[
            ("ttl", "rotation_period was probably meant"),
            ("period", "rotation_period was probably meant"),
            ("user", "username was probably meant"),
            ("role_arn", "assume_role_arn was probably meant"),
        ])
        .on_with(
            Operation::Read,
            OperationDocs {
                response: RESPONSE,
                ..OperationDocs::NONE
            },
            read,
        )
        .on_with(
            Operation::Update,
            OperationDocs {
                response: RESPONSE,
                forward: true,
                ..OperationDocs::NONE
            },
            write::write,
        )
        .on_with(
            Operation::Delete,
            OperationDocs {
                forward: true,
                ..OperationDocs::NONE
            },
            delete::delete,
        )
        .docs(PathDocs {
            synopsis: "Take over an IAM user and rotate its access key.",
            description: "The first write makes a new access key for the user, which \
                static-creds/<name> then shows; each rotation makes another. AWS allows a user two \
                access keys: the one before stays valid until the next rotation needs its place, \
                unless single_key is set. A user that has two keys already loses an inactive one, \
                else the oldest, whoever made it, so give a static role a user of its own. The \
                engine's credentials need iam:GetUser, iam:ListAccessKeys, iam:CreateAccessKey and \
                iam:DeleteAccessKey on the user. A write changes the fields that it names and keeps \
                the others. Deleting the role deletes the keys that it made and leaves the user.",
            operation_suffix: "",
        })
}

pub(super) fn list_path() -> Path<Engine> {
    const RESPONSE: &[ResponseField] = &[ResponseField::new(
        "keys",
        FieldType::CommaStringSlice,
        "Names of the static roles",
    )];
    Path::new("static-roles/?")
        .on_with(
            Operation::List,
            OperationDocs {
                response: RESPONSE,
                ..OperationDocs::NONE
            },
            list,
        )
        .docs(PathDocs {
            synopsis: "List the static roles.",
            description: "The names of all static roles, in alphabetical order.",
            operation_suffix: "",
        })
}

async fn list(_engine: Arc<Engine>, request: Request, _data: FieldData) -> Answer {
    Ok(Some(Response::list(names(&*request.storage).await?)))
}

async fn read(_engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let name = data.value(&NAME);
    let role = StaticRole::load(&*request.storage, &name).await?;
    Ok(role.map(|role| answer(role, Vec::new())))
}

/// The role as clients see it.
fn answer(role: StaticRole, warnings: Vec<String>) -> Response {
    let account = role.account;
    let period = if role.rotation_schedule.is_empty() {
        role.rotation_period
    } else {
        Duration::ZERO
    };
    let times = (!role.rotation_schedule.is_empty()).then(|| {
        [
            ("rotation_schedule", Value::from(role.rotation_schedule)),
            ("rotation_window", role.rotation_window.as_secs().into()),
        ]
    });
    let data = [
        ("name", Value::from(role.name)),
        ("id", Value::from(role.id)),
        ("username", Value::from(role.username)),
        ("rotation_period", period.as_secs().into()),
        ("assume_role_arn", account.assume_role_arn.into()),
        (
            "assume_role_session_name",
            account.assume_role_session_name.into(),
        ),
        ("external_id", account.external_id.into()),
        ("single_key", role.single_key.into()),
    ];
    Response {
        data: data
            .into_iter()
            .chain(times.into_iter().flatten())
            .map(|(key, value)| (key.to_owned(), role.as_sent.show(key, value)))
            .collect(),
        warnings,
        ..Response::default()
    }
}
