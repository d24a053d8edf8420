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
use crate::caller::Caller;
use crate::engine::clients::Connected;
use crate::engine::config_lease::LeaseConfig;
use crate::engine::error::refused;
use crate::engine::iam_user_removal::{Attached, remove_known};
use crate::engine::issued::{self, Making, Planned};
use crate::engine::roles::{self, RoleName, RoleRecord};
use crate::engine::tag_rules::MAX_TAGS;
use crate::engine::{Engine, busy};
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

    /// Adds the tag of the mount, which stands in the place of one of the role's with that key.
    fn mark(&mut self, owner: aws::Tag, name: &RoleName) -> Result<(), Error> {
        let key = owner.key.to_lowercase();
        self.tags.retain(|tag| tag.key.to_lowercase() != key);
        if self.tags.len() == MAX_TAGS {
            return Err(Error::invalid(format!(
                "role {:?}: with owner_tag of config/root the user would have {} tags, and AWS takes at most {MAX_TAGS}: remove one of iam_tags",
                name.as_str(),
                MAX_TAGS + 1
            )));
        }
        self.tags.push(owner);
        Ok(())
    }

    /// How many calls to AWS it takes to make a user.
    fn calls(&self) -> usize {
        let inline = usize::from(self.inline_policy.is_some());
        2 + self.policy_arns.len() + inline + self.groups.len()
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
    let mut blueprint = Blueprint::new(&asked.role_name, &asked.role)?;
    let clients = engine.clients.get(storage).await?;
    if let Some(tag) = engine.owner.tag(storage, &clients.root).await? {
        blueprint.mark(tag, &asked.role_name)?;
    }
    let lease_config = LeaseConfig::load(engine, storage).await?;
    let max_active = asked.role.max_active();
    if max_active.is_some() {
        engine
            .issued
            .count(engine, storage, &request.caller)
            .await?;
    }
    let planned = Planned {
        role: asked.role_name.to_string(),
        display_name: asked.display_name.clone(),
        entity_id: request.entity_id.clone(),
        max_active,
    };
    let work = Work {
        engine,
        storage,
        clients: &clients,
        lease_config: &lease_config,
        iam: clients
            .iam
            .for_request(Class::Issue, &request.caller)
            .expecting(blueprint.calls()),
        caller: &request.caller,
    };

    let (user, mut making) = work.create_user(asked, &blueprint, &planned).await?;
    if !request.caller.waits() {
        work.undo(&making, &Attached::default()).await;
        return Err(nobody_waits());
    }
    let mut attached = blueprint.attached();
    let iam = work.iam.finishing();
    let made = furnish(&iam, &making.name, &blueprint).await;
    attached.access_key_id = made
        .key
        .as_ref()
        .ok()
        .map(|key| key.access_key_id.to_string());
    let committed = async {
        let key = made.into_key()?;
        if !request.caller.waits() {
            return Err(nobody_waits());
        }
        super::must_be_enabled(engine, storage, &asked.role_name).await?;
        making
            .commit(engine, storage, &user, &key.access_key_id)
            .await?;
        Ok(key)
    };
    let key = match committed.await {
        Ok(key) => key,
        Err(error) => {
            work.undo(&making, &attached).await;
            return Err(error);
        }
    };
    let name = &making.name;
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
        user_id: Some(user.user_id),
        arn: Some(user.arn.to_string()),
        attached: Some(attached),
    };
    // The Go engines keep the whole role here.
    let policy = json!(*asked.role);
    lease::of_user(data, &lease, policy, lease_config.options())
}

/// What a request works with.
struct Work<'a> {
    engine: &'a Engine,
    storage: &'a dyn Storage,
    clients: &'a Connected,
    lease_config: &'a LeaseConfig,
    iam: LimitedIam,
    caller: &'a Caller,
}

impl Work<'_> {
    /// The first round trip: the user, under the first name that is free.
    async fn create_user(
        &self,
        asked: &Asked,
        blueprint: &Blueprint,
        planned: &Planned,
    ) -> Result<(User, Making), Error> {
        const CONTEXT: &str = "Error creating IAM user";
        let next_name = || {
            let role = asked.role_name.as_str();
            let names = &self.clients.names;
            names.iam_user(&*self.engine.clock, &asked.display_name, role)
        };
        let iam = self.iam.beginning();
        let mut name = next_name()?;
        let mut taken = Vec::new();
        loop {
            if !self.caller.waits() {
                return Err(nobody_waits());
            }
            // Before anything is stored for it.
            iam.let_in("iam:CreateUser")
                .map_err(|error| refused(CONTEXT, &error))?;
            let (engine, storage) = (self.engine, self.storage);
            let begun = Making::begin(engine, storage, self.clients, name.clone(), planned).await?;
            let exists = match begun {
                None => format!("IAM user {name} belongs to another lease"),
                Some(mut making) => {
                    let wanted = || CreateUser {
                        user_name: name.clone(),
                        path: blueprint.path.clone(),
                        permissions_boundary: blueprint.permissions_boundary.clone(),
                        tags: blueprint.tags.clone(),
                    };
                    let (created, registered) = join!(
                        busy::retry(|| iam.create_user(wanted())),
                        making.register(engine, storage, self.lease_config)
                    );
                    let error = match created {
                        Ok(user) => {
                            if let Err(error) = registered {
                                self.undo(&making, &Attached::default()).await;
                                return Err(error);
                            }
                            return Ok((user, making));
                        }
                        Err(error) => error,
                    };
                    if error.may_have_happened() {
                        // Whether the name was free is not known either.
                        making
                            .remove(engine, storage, self.clients, &self.iam.undoing())
                            .await;
                        return Err(refused(CONTEXT, &error));
                    }
                    // Where the name is taken, the entry speaks of somebody else's user.
                    making
                        .cancel(engine, storage)
                        .await
                        .map_err(|unforgotten| {
                            unforgotten.context(&format!(
                                "{CONTEXT}: {error}; and its WAL entry could not be deleted"
                            ))
                        })?;
                    if error.kind() != ErrorKind::AlreadyExists {
                        return Err(refused(CONTEXT, &error));
                    }
                    error.to_string()
                }
            };
            taken.push(name);
            name = next_name()?;
            if taken.contains(&name) || taken.len() == NAMES {
                return Err(Error::invalid(format!(
                    "{CONTEXT}: {exists} (username_template in config/root must give a new name each time, such as by {{{{ random 20 }}}})"
                )));
            }
        }
    }

    /// Removes a half-made user. The WAL entry stays until it is certain that the user is gone.
    async fn undo(&self, making: &Making, attached: &Attached) {
        match remove_known(&self.iam.undoing(), &making.name, attached).await {
            Ok(removal) => making.removed(self.engine, self.storage, removal).await,
            Err(error) => issued::left_to_rollback(&making.name, &error),
        }
    }
}

fn nobody_waits() -> Error {
    Error::invalid("nobody waits for the credentials any more, so none are made")
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
