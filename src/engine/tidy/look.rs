//! What is found, and what becomes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::aws::limit::{Class, LimitedIam};
use crate::aws::{ErrorKind, Iam as _, Tag, User, UserName};
use crate::caller::Caller;
use crate::engine::clients::Connected;
use crate::engine::counters::RevokedBy;
use crate::engine::error::refused;
use crate::engine::iam_user_removal::Removal;
use crate::engine::issued::{self, IssuedUser};
use crate::engine::{Engine, roles, static_roles};
use crate::logical::{Error, Request, Storage};

/// Whoever is younger may be somebody's who is making it, and lists of AWS may lag behind; nor need
/// AWS's clock show quite our time.
const YOUTH: Duration = Duration::from_hours(1);

/// How many users are looked at, or removed, at a time.
const AT_A_TIME: usize = 8;
const READS_AT_A_TIME: usize = 32;

/// So many users are looked at before it is seen whether there is time for more.
const PAGE: usize = 64;

/// All that was found.
#[derive(Default)]
pub(super) struct Found {
    pub(super) aws_users: usize,
    pub(super) users: Vec<Nobodys>,
    pub(super) records: Vec<Nobodys>,
    /// The last name that there was time for; `None` when that is all.
    pub(super) after: Option<String>,
    pub(super) warnings: Vec<String>,
}

impl Found {
    fn has_changed_anything(&self) -> bool {
        let mut all = self.users.iter().chain(&self.records);
        all.any(|one| matches!(one.fate, Fate::Removed))
    }
}

/// A user without a record, or a record without a user.
pub(super) struct Nobodys {
    pub(super) name: String,
    /// The path of a user, the role of a record.
    pub(super) kind: (&'static str, String),
    pub(super) since: OffsetDateTime,
    /// Whether it carries the owner tag; `None` where that is not known, or nothing to know.
    pub(super) tagged: Option<bool>,
    pub(super) fate: Fate,
}

/// What becomes of it.
pub(super) enum Fate {
    WouldBeRemoved,
    Removed,
    Young,
    NotOurs,
    InUse,
    OtherAccount(String),
    UnknownAccount(String),
    Failed(String),
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WouldBeRemoved => f.write_str("would be removed with dry_run=false"),
            Self::Removed => f.write_str("removed"),
            Self::Young => f.write_str("left alone, for it is younger than an hour"),
            Self::NotOurs => {
                f.write_str("left alone, for it does not carry the owner_tag of this mount")
            }
            Self::InUse => f.write_str("left alone, for a static role has taken it over"),
            Self::OtherAccount(account) => {
                write!(f, "left alone, for it is of AWS account {account}")
            }
            Self::UnknownAccount(account) => write!(
                f,
                "left alone, for it is of AWS account {account}, and AWS does not tell at the moment which account is asked"
            ),
            Self::Failed(reason) => write!(f, "not removed: {reason}"),
        }
    }
}

/// Looks at users after that name, and unless it is a dry run removes what is this mount's.
pub(super) async fn look(
    engine: &Engine,
    request: &Request,
    dry_run: bool,
    after: &str,
) -> Result<Found, Error> {
    let (storage, caller) = (&*request.storage, &request.caller);
    let clients = engine.clients.get(storage).await?;
    let owner = engine.owner.tag(storage, &clients.root).await?;
    if owner.is_none() && !dry_run {
        return Err(Error::invalid(
            "dry_run=false needs owner_tag in config/root: only users that carry it are removed, and without it none does",
        ));
    }
    let iam = clients.iam.for_request(Class::Background, caller);
    // AWS first: whoever is made meanwhile is in the register by then.
    let users = iam
        .list_users()
        .await
        .map_err(|error| refused("error calling ListUsers", &error))?;
    let names = storage
        .list(issued::PREFIX)
        .await
        .map_err(|error| Error::from(error).context("error listing issued users"))?;
    let registered: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    let tidy = Tidy {
        engine,
        storage,
        clients: &clients,
        iam,
        owner: owner.as_ref(),
        paths: user_paths(engine, storage).await?,
        taken_over: static_roles::user_ids(storage).await?,
        ourselves: clients.caller(caller).await.map(|us| us.user_id),
        account: clients.account(caller).await,
        caller,
        now: engine.clock.now(),
        dry_run,
    };
    let mut found = Found {
        aws_users: users.len(),
        ..Found::default()
    };
    if owner.is_none() {
        found.warnings.push(
            "owner_tag in config/root is empty, so users are known by the user_path of the roles alone".to_owned(),
        );
    }
    let in_aws: BTreeSet<String> = users
        .iter()
        .filter_map(|user| Some(user.user_name.as_ref()?.to_string()))
        .collect();
    let mut without_record: BTreeMap<String, User> = users
        .into_iter()
        .filter_map(|user| Some((user.user_name.as_ref()?.to_string(), user)))
        .collect();
    without_record.retain(|name, _| !registered.contains(name.as_str()));
    let nobodys = without_record.into_values().map(Item::User);
    let lost = names
        .iter()
        .filter(|name| !in_aws.contains(*name))
        .map(|name| Item::Record(name.clone()));
    let mut items: Vec<Item> = nobodys.chain(lost).collect();
    items.retain(|item| item.name() > after);
    items.sort_unstable_by(|one, other| one.name().cmp(other.name()));
    for page in items.chunks(PAGE) {
        if Instant::now() >= caller.begin_by() {
            // Without a name before the first, it begins anew.
            found.after = Some(found.after.take().unwrap_or_else(|| after.to_owned()));
            return Ok(found);
        }
        let judged: Vec<_> = stream::iter(0..page.len())
            .map(|at| tidy.judge(&page[at]))
            .buffered(AT_A_TIME)
            .collect()
            .await;
        let mut failure = None;
        for (item, judged) in page.iter().zip(judged) {
            match (item, judged) {
                (_, Ok(None)) => {}
                (Item::User(_), Ok(Some(nobodys))) => found.users.push(nobodys),
                (Item::Record(_), Ok(Some(nobodys))) => found.records.push(nobodys),
                (_, Err(error)) => failure = failure.or(Some(error)),
            }
        }
        if let Some(error) = failure {
            if !found.has_changed_anything() {
                return Err(error);
            }
            // What is done must be told.
            found
                .warnings
                .push(format!("it went no further for now: {error}"));
            found.after = Some(found.after.take().unwrap_or_else(|| after.to_owned()));
            return Ok(found);
        }
        found.after = page.last().map(|item| item.name().to_owned());
    }
    found.after = None;
    Ok(found)
}

/// The paths that are this mount's alone, by its roles.
async fn user_paths(engine: &Engine, storage: &dyn Storage) -> Result<BTreeSet<String>, Error> {
    let names = roles::names(storage).await?;
    let mut roles = stream::iter(0..names.len())
        .map(|at| roles::load(engine, storage, &names[at]))
        .buffer_unordered(READS_AT_A_TIME);
    let mut paths = BTreeSet::new();
    while let Some(role) = roles.next().await {
        if let Some(role) = role?
            && !["", "/"].contains(&role.user_path.as_str())
        {
            paths.insert(role.user_path.clone());
        }
    }
    Ok(paths)
}

/// What is to be looked at.
enum Item {
    /// A user without a record.
    User(User),
    /// A record without a user.
    Record(String),
}

impl Item {
    fn name(&self) -> &str {
        match self {
            Self::User(user) => user.user_name.as_ref().map_or("", UserName::as_str),
            Self::Record(name) => name,
        }
    }
}

/// One look.
struct Tidy<'a> {
    engine: &'a Engine,
    storage: &'a dyn Storage,
    clients: &'a Connected,
    iam: LimitedIam,
    owner: Option<&'a Tag>,
    paths: BTreeSet<String>,
    /// AWS's ids of users of static roles.
    taken_over: BTreeSet<String>,
    /// AWS's id of the user that the engine acts as.
    ourselves: Option<String>,
    account: Option<String>,
    caller: &'a Caller,
    now: OffsetDateTime,
    dry_run: bool,
}

impl Tidy<'_> {
    async fn judge(&self, item: &Item) -> Result<Option<Nobodys>, Error> {
        match item {
            Item::User(user) => self.user(user).await,
            Item::Record(name) => self.record(name).await,
        }
    }

    /// `None` for a user that is no business of this mount.
    async fn user(&self, user: &User) -> Result<Option<Nobodys>, Error> {
        let Some(name) = &user.user_name else {
            return Ok(None);
        };
        if self.ourselves.as_ref() == Some(&user.user_id) {
            return Ok(None);
        }
        let tagged = match self.owner {
            Some(owner) => match self.iam.get_user(Some(name)).await {
                Ok(seen) => Some(seen.user_id == user.user_id && seen.tags.contains(owner)),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(refused("error calling GetUser", &error)),
            },
            None => None,
        };
        if tagged != Some(true) && !self.paths.contains(&user.path) {
            return Ok(None);
        }
        let fate = if self.now - user.create_date < YOUTH {
            Fate::Young
        } else if tagged != Some(true) {
            Fate::NotOurs
        } else if self.taken_over.contains(&user.user_id) {
            Fate::InUse
        } else if IssuedUser::load(self.storage, name).await?.is_some() {
            return Ok(None);
        } else if self.dry_run {
            Fate::WouldBeRemoved
        } else {
            self.remove(user, name).await
        };
        Ok(Some(Nobodys {
            name: name.to_string(),
            kind: ("path", user.path.clone()),
            since: user.create_date,
            tagged,
            fate,
        }))
    }

    async fn remove(&self, user: &User, name: &UserName) -> Fate {
        match issued::end_unregistered(self.clients, &self.iam, user, name).await {
            Ok(Some(Removal::Removed)) => {
                self.engine.counters.revoked(RevokedBy::Tidy);
                tracing::warn!(user = %name, "IAM user without a record removed by tidy");
                Fate::Removed
            }
            Ok(_) => Fate::Failed("it was gone, or another one, when it came to that".to_owned()),
            Err(error) => Fate::Failed(error.to_string()),
        }
    }

    /// `None` for a record that has gone meanwhile.
    async fn record(&self, name: &str) -> Result<Option<Nobodys>, Error> {
        let Some((user, record)) = IssuedUser::named(self.storage, name).await? else {
            return Ok(None);
        };
        let since = record.issued_at();
        let account = &record.account;
        let other_account = self.clients.other_account(account, self.caller).await;
        let fate = if other_account.is_some() {
            Fate::OtherAccount(account.clone())
        } else if self.account.is_none() && !account.is_empty() {
            Fate::UnknownAccount(account.clone())
        } else if self.now - since < YOUTH {
            Fate::Young
        } else {
            // A list may lag behind.
            match self.iam.get_user(Some(&user)).await {
                Ok(_) => return Ok(None),
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(refused("error calling GetUser", &error));
                }
                Err(_) if self.dry_run => Fate::WouldBeRemoved,
                Err(_) => {
                    IssuedUser::forget(self.engine, self.storage, &user).await;
                    Fate::Removed
                }
            }
        };
        Ok(Some(Nobodys {
            name: name.to_owned(),
            kind: ("role", record.role),
            since,
            tagged: None,
            fate,
        }))
    }
}
