//! An IAM user made for one lease.
//!
//! Two round trips, whatever the role holds: the user with its tags and boundary, then everything
//! else at once. Before the first, a WAL entry is stored; after the second it goes. What fails in
//! between is undone at once.

use futures_util::future::{BoxFuture, join_all};
use futures_util::{FutureExt, join};
use serde_json::{Value, json};

use super::Asked;
use super::lease::{self, UserLease};
use crate::aws::limit::{Class, LimitedIam};
use crate::aws::{
    self, AccessKey, Arn, CreateUser, ErrorKind, GroupName, Iam, InvalidName, PolicyName, User,
    UserName,
};
use crate::engine::clients::Connected;
use crate::engine::config_lease::LeaseConfig;
use crate::engine::error::refused;
use crate::engine::iam_user_removal::{Attached, Removal, remove_known};
use crate::engine::roles::{self, RoleName, RoleRecord};
use crate::engine::rollback::{HalfMade, Work, remove_half_made_user};
use crate::engine::{Engine, busy, usernames};
use crate::framework::wal::{self, WalId};
use crate::logical::{Error, JsonObject, Request, Response, Storage};
use crate::secret::ExposeSecret;

/// How many names are tried when AWS says that a user of that name exists.
const NAMES: usize = 5;

/// What the role says of its users, in AWS's words.
struct Blueprint {
    path: Option<String>,
    permissions_boundary: Option<Arn>,
    tags: Vec<aws::Tag>,
    policy_arns: Vec<Arn>,
    inline_policy: Option<(PolicyName, String)>,
    groups: Vec<GroupName>,
}

impl Blueprint {
    fn new(name: &RoleName, role: &RoleRecord) -> Result<Self, Error> {
        let invalid = |field: &str, error: InvalidName| {
            Error::invalid(format!("role {:?}: {field}: {error}", name.as_str()))
        };
        let arns = |field, texts: &[String]| {
            let read = |text: &String| Arn::new(text).map_err(|error| invalid(field, error));
            texts.iter().map(read).collect::<Result<Vec<_>, _>>()
        };
        let boundary = (!role.permissions_boundary_arn.is_empty())
            .then(|| Arn::new(&role.permissions_boundary_arn))
            .transpose()
            .map_err(|error| invalid("permissions_boundary_arn", error))?;
        let inline_policy = (!role.policy_document.is_empty())
            .then(|| {
                PolicyName::new(name.as_str()).map(|policy| (policy, role.policy_document.clone()))
            })
            .transpose()
            .map_err(|error| invalid("policy_document is put under the role's name", error))?;
        let group =
            |text: &String| GroupName::new(text).map_err(|error| invalid("iam_groups", error));
        Ok(Self {
            path: (!role.user_path.is_empty()).then(|| role.user_path.clone()),
            permissions_boundary: boundary,
            tags: roles::tags(role.iam_tags.as_ref()),
            policy_arns: arns("policy_arns", role.policy_arns())?,
            inline_policy,
            groups: role
                .iam_groups()
                .iter()
                .map(group)
                .collect::<Result<_, _>>()?,
        })
    }

    /// What will be attached to the user, but for the key.
    fn attached(&self) -> Attached {
        Attached {
            access_key_id: None,
            policy_arns: self.policy_arns.iter().map(Arn::to_string).collect(),
            inline_policies: self
                .inline_policy
                .iter()
                .map(|(name, _)| name.to_string())
                .collect(),
            groups: self.groups.iter().map(GroupName::to_string).collect(),
        }
    }
}

pub(super) async fn generate(
    engine: &Engine,
    request: &Request,
    asked: &Asked,
) -> Result<Response, Error> {
    let storage = &*request.storage;
    let blueprint = Blueprint::new(&asked.role_name, &asked.role)?;
    let clients = engine.clients.get(storage).await?;
    let lease_config = LeaseConfig::load(engine, storage).await?;

    let iam = clients.iam.for_request(Class::Issue, &request.caller);

    let (user, name, entry) =
        create_user(engine, storage, &clients, &iam, asked, &blueprint).await?;
    let mut attached = blueprint.attached();
    let made = furnish(&iam, &name, &blueprint).await;
    attached.access_key_id = made
        .key
        .as_ref()
        .ok()
        .map(|key| key.access_key_id.to_string());
    let key = match made.into_key() {
        Ok(key) => key,
        Err(error) => {
            undo(storage, &iam, &name, &attached, &entry).await;
            return Err(error);
        }
    };
    if let Err(error) = wal::delete(storage, &entry).await {
        // The entry would remove the user later on, so nobody may get its key.
        undo(storage, &iam, &name, &attached, &entry).await;
        return Err(Error::from(error).context("failed to commit WAL entry"));
    }
    tracing::debug!(user = %name, role = %asked.role_name, "IAM user made");

    let data = JsonObject::from_iter([
        (
            "access_key".to_owned(),
            Value::from(key.access_key_id.as_str()),
        ),
        (
            "secret_key".to_owned(),
            Value::from(key.secret_access_key.expose_secret()),
        ),
        ("session_token".to_owned(), Value::Null),
        ("security_token".to_owned(), Value::Null),
        ("arn".to_owned(), Value::from(user.arn.as_str())),
        ("username".to_owned(), Value::from(name.as_str())),
    ]);
    let lease = UserLease {
        username: name.to_string(),
        arn: Some(user.arn.to_string()),
        attached: Some(attached),
    };
    // The Go engines keep the whole role here.
    let policy = json!(*asked.role);
    lease::of_user(data, &lease, policy, lease_config.options())
}

/// The first round trip: the user, under the first name that is free.
async fn create_user(
    engine: &Engine,
    storage: &dyn Storage,
    clients: &Connected,
    iam: &LimitedIam,
    asked: &Asked,
    blueprint: &Blueprint,
) -> Result<(User, UserName, WalId), Error> {
    const CONTEXT: &str = "Error creating IAM user";
    let next_name = || usernames::iam_user(engine, clients, &asked.display_name, &asked.role_name);
    let mut name = next_name()?;
    let mut taken = Vec::new();
    loop {
        let begun = engine.clock.now();
        let entry = engine
            .write_ahead(storage, &Work::User(&name))
            .await
            .map_err(|error| Error::from(error).context("error writing WAL entry"))?;
        let wanted = || CreateUser {
            user_name: name.clone(),
            path: blueprint.path.clone(),
            permissions_boundary: blueprint.permissions_boundary.clone(),
            tags: blueprint.tags.clone(),
        };
        let error = match busy::retry(|| iam.create_user(wanted())).await {
            Ok(user) => return Ok((user, name, entry)),
            Err(error) => error,
        };
        if error.may_have_happened() {
            // Whether the name was free is not known either: the user's age tells whose it is.
            let iam = iam.undoing();
            match remove_half_made_user(&iam, &name, begun).await {
                Ok(HalfMade::Unknown) => {}
                Ok(HalfMade::Removed | HalfMade::NotOurs) => forget(storage, &name, &entry).await,
                Err(error) => left_to_rollback(&name, &error),
            }
            return Err(refused(CONTEXT, &error));
        }
        // Where the name is taken, the entry speaks of somebody else's user.
        wal::delete(storage, &entry).await.map_err(|unforgotten| {
            Error::from(unforgotten).context(&format!(
                "{CONTEXT}: {error}; and its WAL entry could not be deleted"
            ))
        })?;
        if error.kind() != ErrorKind::AlreadyExists {
            return Err(refused(CONTEXT, &error));
        }
        taken.push(name);
        name = next_name()?;
        if taken.contains(&name) || taken.len() == NAMES {
            return Err(Error::invalid(format!(
                "{CONTEXT}: {error} (username_template in config/root must give a new name each time, such as by {{{{ random 20 }}}})"
            )));
        }
    }
}

/// What came of the second round trip.
struct Made {
    key: Result<AccessKey, Error>,
    rest: Result<(), Error>,
}

impl Made {
    fn into_key(self) -> Result<AccessKey, Error> {
        self.rest?;
        self.key
    }
}

/// The second round trip: everything else at once. All of it has ended when this returns.
async fn furnish(iam: &dyn Iam, name: &UserName, blueprint: &Blueprint) -> Made {
    type Step<'a> = BoxFuture<'a, Result<(), Error>>;
    // IAM may not know a user yet that it has just created.
    let passing = |error: &aws::Error| {
        error.kind() == ErrorKind::Busy
            || error.kind() == ErrorKind::NotFound && error.message().contains(name.as_str())
    };
    let attach = blueprint.policy_arns.iter().map(|arn| -> Step<'_> {
        async move {
            busy::retry_when(passing, || iam.attach_user_policy(name, arn))
                .await
                .map_err(|error| refused("Error attaching user policy", &error))
        }
        .boxed()
    });
    let put = blueprint
        .inline_policy
        .iter()
        .map(|(policy, document)| -> Step<'_> {
            async move {
                busy::retry_when(passing, || iam.put_user_policy(name, policy, document))
                    .await
                    .map_err(|error| refused("Error putting user policy", &error))
            }
            .boxed()
        });
    let add = blueprint.groups.iter().map(|group| -> Step<'_> {
        async move {
            busy::retry_when(passing, || iam.add_user_to_group(group, name))
                .await
                .map_err(|error| refused("Error adding user to group", &error))
        }
        .boxed()
    });
    let key = async {
        busy::retry_when(passing, || iam.create_access_key(name))
            .await
            .map_err(|error| refused("Error creating access keys", &error))
    };
    let (rest, key) = join!(join_all(attach.chain(put).chain(add)), key);
    Made {
        key,
        rest: rest.into_iter().collect(),
    }
}

/// Removes a half-made user. The WAL entry stays until it is certain that the user is gone.
async fn undo(
    storage: &dyn Storage,
    iam: &LimitedIam,
    name: &UserName,
    attached: &Attached,
    entry: &WalId,
) {
    match remove_known(&iam.undoing(), name, attached).await {
        Ok(Removal::Removed) => forget(storage, name, entry).await,
        // AWS may not know the user yet; the entry looks again later.
        Ok(Removal::Unknown) => {}
        Err(error) => left_to_rollback(name, &error),
    }
}

/// Deletes the entry of a user that is gone, or was never ours.
async fn forget(storage: &dyn Storage, name: &UserName, entry: &WalId) {
    if let Err(error) = wal::delete(storage, entry).await {
        tracing::warn!(user = %name, %error, "WAL entry of an undone IAM user stays, rollback deletes it");
    }
}

fn left_to_rollback(name: &UserName, error: &dyn std::fmt::Display) {
    tracing::warn!(user = %name, %error, "half-made IAM user could not be removed now, rollback tries again");
}
