//! The account: what AWS has, what the host has, what the plugin has stored and what clients hold, side
//! by side.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};
use vault_plugin_secrets_aws::aws::fake::{FakeAws, FakeUser};
use vault_plugin_secrets_aws::aws::{AccessKeyId, AccessKeyStatus};
use vault_plugin_secrets_aws::clock::{Clock as _, SystemClock};

use crate::Fallible;
use crate::cluster::Cluster;
use crate::ledger::{Grant, Ledger};
use crate::scene::{FEW, FEW_ROLE, MOUNT, STATIC_ROLES, ends_sessions, may_end_early};
use crate::stored::Lease;

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
    /// Without a lease, in the register of what was issued; sessions whose lease the host has given up
    /// among them.
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
    /// Names of sessions, and of users, whose credentials work although they should not.
    pub(crate) undead: Vec<String>,
    /// Users, with leases, of a role that may not have so many.
    pub(crate) crowded: Vec<String>,
    /// Ids of containments that go on.
    pub(crate) contained: Vec<String>,
    /// What the register told and cannot be.
    pub(crate) contradictions: Vec<String>,
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
            && self.undead.is_empty()
            && self.contained.is_empty()
    }

    /// Whether the host has no leases any more, but those that it has given up, and no rotation is
    /// under way.
    pub(crate) fn is_over(&self) -> bool {
        self.leases == self.given_up.len() && self.is_healed()
    }

    /// The same, and nothing that was begun goes on.
    pub(crate) fn is_over_for_good(&self) -> bool {
        self.is_over() && self.contained.is_empty()
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
                account.overdue.push(lease.name.clone());
            }
        }
        self.look_at_grants(&held, &leases);
        let leased = |user: &str| {
            let mut living = leases.values().filter(|lease| !lease.is_given_up);
            living.find(|lease| lease.name == user)
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
                    let given = held.iter().find(|grant| grant.name == name);
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
        self.look_at_the_dead(&mut account, &held, &leases);
        let prefix = format!("{MOUNT}/creds/{FEW_ROLE}/");
        let few = leases.iter().filter(|(id, _)| id.starts_with(&prefix));
        let few: Vec<_> = few
            .map(|(_, lease)| lease.name.clone())
            .filter(|name| there.contains(name.as_str()))
            .collect();
        account.crowded = if few.len() > FEW { few } else { Vec::new() };
        for id in self.stored_names("contain").await? {
            if self.stored(&format!("contain/{id}")).await?["finished_at"].is_null() {
                account.contained.push(id);
            }
        }
        account.contradictions = self.ledger.contradictions();
        self.look_at_root(&mut account).await?;
        self.look_at_static_roles(&mut account).await?;
        let lost = self.ledger.grants();
        account.lost = lost
            .into_iter()
            .filter_map(|grant| Some(format!("{} ({})", grant.name, grant.lost?)))
            .collect();
        Ok(account)
    }

    /// Whether leases that clients count on are with the host.
    fn look_at_grants(&self, held: &[Grant], leases: &BTreeMap<String, Lease>) {
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

    /// Notes down what AWS does not accept as a client was given it, although its lease lives.
    pub(crate) fn look_at_credentials(&self) {
        let now = self.ledger.now();
        for (number, grant) in self.ledger.grants().iter().enumerate() {
            if !grant.is_held(now) || may_end_early(&grant.role) {
                continue;
            }
            let works = self.works(grant);
            // Again, because it may have been given back meanwhile.
            if !works && self.ledger.look(number).is_held(now) {
                self.ledger
                    .lose(number, "AWS does not accept the credentials");
            }
        }
    }

    /// What must not work any more: what was said to be ended, and sessions that end with their leases.
    fn look_at_the_dead(
        &self,
        account: &mut Account,
        held: &[Grant],
        leases: &BTreeMap<String, Lease>,
    ) {
        let now = self.ledger.now();
        for grant in held {
            let ends = grant.session_token.is_some() && ends_sessions(&grant.role);
            let list = match leases.get(&grant.lease) {
                _ if grant.ended.is_some() => &mut account.undead,
                None if ends => &mut account.undead,
                // The engine finds that out when no lease can live so long.
                Some(lease) if ends && lease.is_given_up => &mut account.doubts,
                _ => continue,
            };
            // Of its last seconds nobody takes care.
            if !grant.ends_soon(now) && self.works(grant) {
                list.push(grant.name.clone());
            }
        }
    }

    fn works(&self, grant: &Grant) -> bool {
        let (key, secret) = (&grant.access_key, &grant.secret_key);
        if let Some(token) = &grant.session_token {
            return self.aws.lets("s3:GetObject", key, secret, Some(token));
        }
        // Not by a call, which a key that is not spread yet would not stand.
        let user = self.aws.user(&grant.name);
        user.is_some_and(|user| {
            let mut keys = user.access_keys.iter();
            keys.any(|own| {
                own.access_key_id.as_str() == key && own.status == AccessKeyStatus::Active
            })
        })
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

    /// Has the host revoke all that is left.
    pub(crate) async fn revoke_all(&self) -> Fallible {
        let path = format!("sys/leases/revoke-prefix/{MOUNT}/creds");
        let body = json!({ "sync": false });
        self.cluster.operate("PUT", &path, &body).await?;
        Ok(())
    }
}
