//! The account: what AWS has, what the host has, what the plugin has stored and what clients hold, side
//! by side.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use vault_plugin_secrets_aws::aws::fake::{FakeAws, FakeUser};
use vault_plugin_secrets_aws::aws::{AccessKeyId, AccessKeyStatus};
use vault_plugin_secrets_aws::clock::{Clock as _, SystemClock};

use crate::Fallible;
use crate::cluster::Cluster;
use crate::ledger::Ledger;
use crate::scene::{MOUNT, STATIC_ROLES};

/// How long after its end a lease may be there without anybody asking why.
const GRACE: time::Duration = time::Duration::seconds(20);

/// Who looks, and where.
#[derive(Debug)]
pub(crate) struct Accountant<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) aws: &'a FakeAws,
    pub(crate) ledger: &'a Ledger,
    /// The mount's own storage.
    pub(crate) storage: &'a str,
}

/// What was found at one moment. Names are those of users, unless it is said otherwise.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Account {
    pub(crate) users: usize,
    pub(crate) leases: usize,
    /// Users of leases that are over, and that the host still tries to revoke.
    pub(crate) overdue: Vec<String>,
    /// Ids of leases that the host has given up.
    pub(crate) given_up: Vec<String>,
    /// Without a lease, in the write-ahead log.
    pub(crate) half_made: Vec<String>,
    /// Without a lease, in the register of what was issued.
    pub(crate) doubts: Vec<String>,
    /// Without a lease, and nobody knows of them.
    pub(crate) forgotten: Vec<String>,
    /// With a lease, and not in the register of what was issued.
    pub(crate) unregistered: Vec<String>,
    /// Users with access keys that nobody owns.
    pub(crate) spare_keys: Vec<String>,
    /// Static roles whose stored access key does not work.
    pub(crate) dead_static_keys: Vec<String>,
    /// What is wrong with the engine's own access key.
    pub(crate) root: Vec<String>,
    /// Entries of the write-ahead log.
    pub(crate) wal: usize,
    /// Records of the register.
    pub(crate) issued: usize,
    /// Records of users that are gone.
    pub(crate) stale: Vec<String>,
    /// Leases that clients were promised and that are gone.
    pub(crate) lost: Vec<String>,
}

impl Account {
    /// Whether nothing is left but doubts.
    pub(crate) fn is_healed(&self) -> bool {
        self.half_made.is_empty()
            && self.forgotten.is_empty()
            && self.spare_keys.is_empty()
            && self.dead_static_keys.is_empty()
            && self.root.is_empty()
    }

    /// Whether nothing is left at all, but leases that live.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_healed()
            && self.doubts.is_empty()
            && self.overdue.is_empty()
            && self.unregistered.is_empty()
            && self.wal == 0
            && self.stale.is_empty()
    }

    /// Whether the host has no leases any more, but those that it has given up, and no rotation is
    /// under way.
    pub(crate) fn is_over(&self) -> bool {
        self.leases == self.given_up.len() && self.is_healed()
    }

    /// What is left, but for doubts, with what it is.
    pub(crate) fn left(&self) -> Vec<(&'static str, &str)> {
        let lists = [
            ("half-made user", &self.half_made),
            ("forgotten user", &self.forgotten),
            ("user with a spare access key", &self.spare_keys),
            ("static role with a dead key", &self.dead_static_keys),
            ("root", &self.root),
        ];
        let each = lists.iter().flat_map(|(kind, list)| {
            let texts = list.iter().map(String::as_str);
            texts.map(|text| (*kind, text))
        });
        each.collect()
    }

    pub(crate) fn without_lease(&self) -> usize {
        self.half_made.len() + self.doubts.len() + self.forgotten.len()
    }
}

/// What the host keeps of a lease.
#[derive(Debug)]
struct Lease {
    user: String,
    /// Empty once it has been renewed.
    access_key: String,
    expires: OffsetDateTime,
    is_given_up: bool,
}

impl Accountant<'_> {
    /// Looks at everything. Nobody may be making users meanwhile.
    pub(crate) async fn look(&self) -> Fallible<Account> {
        // Before the host: what clients were given before is there if it is anywhere.
        let held = self.ledger.grants();
        let mut account = Account::default();
        // Before AWS: a user goes before its lease does.
        let leases = self.leases().await?;
        account.leases = leases.len();
        let now = SystemClock.now();
        for (id, lease) in &leases {
            if lease.is_given_up {
                account.given_up.push(id.clone());
            } else if lease.expires + GRACE < now {
                account.overdue.push(lease.user.clone());
            }
        }
        self.look_at_grants(&held, &leases);
        let leased = |user: &str| {
            let mut living = leases.values().filter(|lease| !lease.is_given_up);
            living.find(|lease| lease.user == user)
        };

        let users = self.aws.iam_users();
        let users: Vec<&FakeUser> = users
            .iter()
            .filter(|user| !STATIC_ROLES.contains(&user.user_name.as_str()))
            .collect();
        account.users = users.len();
        // After AWS: an entry goes after its user did.
        let issued = self.stored_names("issued").await?;
        let wal = self.wal().await?;
        account.issued = issued.len();
        account.wal = wal.len();
        for user in &users {
            let name = user.user_name.to_string();
            match leased(&name) {
                Some(lease) => {
                    if !issued.contains(&name) {
                        account.unregistered.push(name.clone());
                    }
                    let given = held.iter().find(|grant| grant.user == name);
                    let own = given.map_or(&lease.access_key, |grant| &grant.access_key);
                    let is_other = |id: &str| !own.is_empty() && id != own;
                    let keys = &user.access_keys;
                    if keys.len() > 1 || keys.iter().any(|key| is_other(key.access_key_id.as_str()))
                    {
                        account.spare_keys.push(name);
                    }
                }
                None if wal.iter().any(|entry| entry.contains(&name)) => {
                    account.half_made.push(name);
                }
                None if issued.contains(&name) => account.doubts.push(name),
                None => account.forgotten.push(name),
            }
        }
        let there: BTreeSet<_> = users.iter().map(|user| user.user_name.as_str()).collect();
        let is_stale = |name: &&String| !there.contains(name.as_str()) && leased(name).is_none();
        account.stale = issued.iter().filter(is_stale).cloned().collect();
        self.look_at_root(&mut account).await?;
        self.look_at_static_roles(&mut account).await?;
        let lost = self.ledger.grants();
        account.lost = lost
            .into_iter()
            .filter_map(|grant| Some(format!("{} ({})", grant.user, grant.lost?)))
            .collect();
        Ok(account)
    }

    /// Whether leases that clients count on are with the host.
    fn look_at_grants(&self, held: &[crate::ledger::Grant], leases: &BTreeMap<String, Lease>) {
        let now = self.ledger.now();
        for (number, grant) in held.iter().enumerate() {
            let is_there = leases
                .get(&grant.lease)
                .is_some_and(|lease| !lease.is_given_up);
            // Again, because it may have been given back meanwhile.
            if !is_there && grant.is_held(now) && self.ledger.look(number).is_held(now) {
                self.ledger.lose(number, "the host has no such lease");
            }
        }
    }

    /// Notes down each user that AWS does not have as a client was given it, although its lease lives.
    pub(crate) fn look_at_users(&self) {
        let now = self.ledger.now();
        for (number, grant) in self.ledger.grants().iter().enumerate() {
            if !grant.is_held(now) {
                continue;
            }
            let user = self.aws.user(&grant.user);
            let works = user.is_some_and(|user| {
                let mut keys = user.access_keys.iter();
                keys.any(|key| {
                    key.access_key_id.as_str() == grant.access_key
                        && key.status == AccessKeyStatus::Active
                })
            });
            // Again, because it may have been given back meanwhile.
            if !works && self.ledger.look(number).is_held(now) {
                self.ledger
                    .lose(number, "AWS does not accept the access key");
            }
        }
    }

    async fn look_at_root(&self, account: &mut Account) -> Fallible {
        let path = format!("{MOUNT}/config/root");
        let root = self.cluster.operate("GET", &path, &Value::Null).await?;
        let stored = root.body["data"]["access_key"].as_str().unwrap_or_default();
        let user = self
            .aws
            .user(FakeAws::ADMIN)
            .ok_or("AWS has no root user")?;
        let mut keys = user.access_keys.iter();
        let works = keys.any(|key| {
            key.access_key_id.as_str() == stored && key.status == AccessKeyStatus::Active
        });
        if !works {
            account
                .root
                .push(format!("stored access key {stored} is dead"));
        }
        if user.access_keys.len() > 1 {
            account.spare_keys.push(FakeAws::ADMIN.to_owned());
        }
        Ok(())
    }

    async fn look_at_static_roles(&self, account: &mut Account) -> Fallible {
        for role in STATIC_ROLES {
            let stored = self.stored(&format!("static-creds/{role}")).await?;
            let text = |name: &str| stored[name].as_str().unwrap_or_default();
            let (current, secret) = (text("access_key"), text("secret_key"));
            let previous = text("previous_access_key");
            if self.aws.identify(current, secret, None).is_none() {
                account.dead_static_keys.push(role.to_owned());
            }
            let keys = self.aws.access_key_ids(role);
            let mut ids = keys.iter().map(AccessKeyId::as_str);
            let is_single = role.ends_with("single");
            if ids.any(|id| id != current && (is_single || id != previous)) {
                account.spare_keys.push(role.to_owned());
            }
        }
        Ok(())
    }

    async fn leases(&self) -> Fallible<BTreeMap<String, Lease>> {
        let mut found = BTreeMap::new();
        let prefix = format!("{MOUNT}/creds");
        for id in self.names(&format!("sys/leases/lookup/{prefix}")).await? {
            let id = format!("{prefix}/{id}");
            let path = format!("sys/raw/sys/expire/id/{id}");
            let Some(entry) = self.raw(&path).await? else {
                continue;
            };
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let lease = Lease {
                user: text(&entry["secret"]["internal_data"]["username"]),
                access_key: text(&entry["data"]["access_key"]),
                expires: OffsetDateTime::parse(&text(&entry["expire_time"]), &Rfc3339)?,
                is_given_up: !text(&entry["revokeErr"]).is_empty(),
            };
            found.insert(id, lease);
        }
        Ok(found)
    }

    /// The text of every entry.
    async fn wal(&self) -> Fallible<Vec<String>> {
        let mut found = Vec::new();
        for id in self.stored_names("wal").await? {
            let entry = self.stored(&format!("wal/{id}")).await?;
            if entry != Value::Null {
                found.push(entry.to_string());
            }
        }
        Ok(found)
    }

    async fn stored(&self, key: &str) -> Fallible<Value> {
        let found = self.raw(&format!("{}/{key}", self.storage)).await?;
        Ok(found.unwrap_or_default())
    }

    /// The last parts of the keys under a prefix, however deep they lie.
    async fn stored_names(&self, prefix: &str) -> Fallible<BTreeSet<String>> {
        let keys = self.names(&format!("{}/{prefix}", self.storage)).await?;
        let last = |key: String| key.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(keys.into_iter().map(last).collect())
    }

    async fn raw(&self, path: &str) -> Fallible<Option<Value>> {
        let answer = self.cluster.operate("GET", path, &Value::Null).await?;
        let value = answer.body["data"]["value"].as_str();
        Ok(value.map(serde_json::from_str).transpose()?)
    }

    /// What a listing shows, and what lies below it.
    async fn names(&self, path: &str) -> Fallible<Vec<String>> {
        let mut found = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let path = format!("{path}/{folder}?list=true");
            let answer = self.cluster.operate("GET", &path, &Value::Null).await?;
            let keys = answer.body["data"]["keys"].as_array();
            for key in keys.into_iter().flatten().filter_map(Value::as_str) {
                let name = format!("{folder}{key}");
                if name.ends_with('/') {
                    folders.push(name);
                } else {
                    found.push(name);
                }
            }
        }
        Ok(found)
    }

    /// Has the host revoke all that is left.
    pub(crate) async fn revoke_all(&self) -> Fallible {
        let path = format!("sys/leases/revoke-prefix/{MOUNT}/creds");
        let body = json!({ "sync": false });
        self.cluster.operate("PUT", &path, &body).await?;
        Ok(())
    }
}
