//! Clients as they are: they follow the leader or not, ask again, renew, revoke, lose patience and
//! hang up.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::api::{Answer, Lost};
use crate::crowd::{Clients, Phase};
use crate::scene::{
    FEW_ROLE, LEAKY_ROLES, LEASE, LONGEST_LEASE, MOUNT, SESSION_ROLE, STATIC_ROLES, USER_ROLES,
    may_refuse,
};

/// Of a client that does not hang up.
const PATIENCE: Duration = Duration::from_mins(1);
/// After this many failures in a row a client has something else to do.
const TRIES: usize = 4;

/// What a lost answer leaves something behind of.
const MAKING: [&str; 6] = [
    "issue user",
    "issue one of few users",
    "issue user of a role that leaks",
    "open session",
    "rotate root",
    "rotate static role",
];

/// How notes of requests begin.
pub(crate) const CLIENT: &str = "client: ";

/// Whether a note is of a request that nobody saw the answer of.
pub(crate) fn is_unanswered(note: &str) -> bool {
    let lost = [Lost::HungUp, Lost::Broken];
    lost.iter().any(|lost| note.ends_with(lost.name()))
}

/// One client.
pub(crate) struct Client {
    pub(crate) all: Clients,
    pub(crate) random: StdRng,
    /// Whether it ever hangs up.
    is_patient: bool,
    /// Its own token; `None` of those that share one.
    pub(crate) token: Option<String>,
}

impl Client {
    pub(crate) fn new(all: &Clients, seed: u64, is_patient: bool) -> Self {
        Self {
            all: all.clone(),
            random: StdRng::seed_from_u64(seed),
            is_patient,
            token: None,
        }
    }

    /// Issues again and again. What becomes of each lease is a task of its own.
    pub(crate) async fn work(mut self) {
        let mut held = JoinSet::new();
        while self.all.is(Phase::Chaos) {
            let role = match self.random.random_range(0..20) {
                0 | 1 => SESSION_ROLE,
                2 => LEAKY_ROLES[1],
                3 | 4 => LEAKY_ROLES[0],
                5 | 6 => FEW_ROLE,
                other => USER_ROLES[other % USER_ROLES.len()],
            };
            let grant = self.issue(role).await;
            if let Some(grant) = grant.filter(|_| role != SESSION_ROLE && role != LEAKY_ROLES[1]) {
                held.spawn(self.other().use_up(grant));
            }
            let pause = self.random.random_range(50..500);
            sleep(Duration::from_millis(pause)).await;
            while held.try_join_next().is_some() {}
        }
        held.join_all().await;
    }

    /// Holds a lease for some time, renews it meanwhile, and then revokes it or leaves it to end.
    async fn use_up(mut self, grant: usize) {
        let renewals = match self.random.random_range(0..10) {
            0..5 => 0,
            5..8 => 1,
            _ => self.random.random_range(2..5),
        };
        for _ in 0..renewals {
            let pause = Duration::from_millis(self.random.random_range(500..20_000));
            self.all.rest(pause, Phase::Healing).await;
            if self.all.is(Phase::End) || !self.renew(grant).await {
                break;
            }
        }
        let pause = Duration::from_millis(self.random.random_range(0..8_000));
        self.all.rest(pause, Phase::Healing).await;
        if self.random.random_bool(0.15) {
            self.end_by_key(grant).await;
        } else if self.random.random_bool(0.75) || self.all.is(Phase::End) {
            self.revoke(grant).await;
        } else {
            self.all
                .ledger
                .tell(grant, "left to end by itself".to_owned());
        }
    }

    /// Holds one lease after the other, each for as long as it can be.
    pub(crate) async fn keep(mut self) {
        while !self.all.is(Phase::End) {
            let Some(grant) = self.issue(USER_ROLES[1]).await else {
                self.all.rest(Duration::from_secs(1), Phase::Healing).await;
                continue;
            };
            let held_until = self.all.ledger.look(grant).given + LONGEST_LEASE;
            while self.all.ledger.now() + LEASE / 2 < held_until && !self.all.is(Phase::End) {
                self.all.rest(LEASE / 4, Phase::Healing).await;
                self.renew(grant).await;
            }
            self.revoke(grant).await;
        }
    }

    pub(crate) async fn rotate_root(mut self) {
        while self.all.is(Phase::Chaos) {
            let pause = Duration::from_secs(self.random.random_range(1..8));
            self.all.rest(pause, Phase::Chaos).await;
            let path = format!("{MOUNT}/config/rotate-root");
            self.ask("rotate root", "POST", &path, &json!({}))
                .await
                .ok();
        }
    }

    pub(crate) async fn rotate_static(mut self) {
        while self.all.is(Phase::Chaos) {
            let pause = Duration::from_secs(self.random.random_range(1..6));
            self.all.rest(pause, Phase::Chaos).await;
            let role = STATIC_ROLES[self.random.random_range(0..STATIC_ROLES.len())];
            let path = format!("{MOUNT}/static-roles/{role}/rotate");
            self.ask("rotate static role", "POST", &path, &json!({}))
                .await
                .ok();
            let path = format!("{MOUNT}/static-creds/{role}");
            self.ask("read static role", "GET", &path, &Value::Null)
                .await
                .ok();
        }
    }

    pub(crate) async fn issue(&mut self, role: &'static str) -> Option<usize> {
        let calm = Arc::clone(&self.all.calm);
        let _under_way = calm.read().await;
        let path = format!("{MOUNT}/creds/{role}");
        let kind = if USER_ROLES.contains(&role) {
            "issue user"
        } else if role == FEW_ROLE {
            "issue one of few users"
        } else if role == LEAKY_ROLES[0] {
            "issue user of a role that leaks"
        } else {
            "open session"
        };
        for _ in 0..TRIES {
            let asked = self.all.ledger.now();
            match self.ask(kind, "GET", &path, &Value::Null).await {
                Ok(answer) if answer.is_success() => {
                    return Some(self.all.ledger.grant(role, &answer.body, asked));
                }
                Ok(answer) if answer.status == 400 && may_refuse(role) => return None,
                _ => self.pause_before_another_try().await,
            }
        }
        None
    }

    /// Whether it goes on to be worth renewing.
    async fn renew(&mut self, grant: usize) -> bool {
        for _ in 0..TRIES {
            let held = self.all.ledger.look(grant);
            let asked = self.all.ledger.now();
            let body = json!({ "lease_id": held.lease });
            match self.ask("renew", "PUT", "sys/leases/renew", &body).await {
                Ok(answer) if answer.is_success() => {
                    let seconds = answer.body["lease_duration"].as_u64().unwrap_or_default();
                    self.all.ledger.renewed(grant, asked, seconds);
                    self.all
                        .ledger
                        .tell(grant, format!("renewed for {seconds} s"));
                    return true;
                }
                Ok(answer) => {
                    let errors = answer.errors();
                    self.all
                        .ledger
                        .tell(grant, format!("renewing answered {errors}"));
                    let is_gone = errors.contains("lease not found");
                    if is_gone && held.is_held(self.all.ledger.now()) {
                        self.all.ledger.lose(grant, &errors);
                    }
                    if is_gone {
                        return false;
                    }
                }
                Err(lost) => {
                    let lost = lost.name();
                    self.all.ledger.tell(grant, format!("renewing: {lost}"));
                }
            }
            self.pause_before_another_try().await;
        }
        true
    }

    pub(crate) async fn revoke(&mut self, grant: usize) {
        let lease = self.all.ledger.look(grant).lease;
        let is_awaited = self.random.random_bool(0.5);
        let body = json!({ "lease_id": lease, "sync": is_awaited });
        // A user that AWS does not know yet goes when it does.
        let is_certain = is_awaited && self.all.ledger.look(grant).session_token.is_some();
        let how = is_certain.then_some("its lease was revoked");
        self.end("revoke", grant, ("sys/leases/revoke", &body), how)
            .await;
    }

    /// Ends what it was given by the id of its access key, with no regard to its lease.
    pub(crate) async fn end_by_key(&mut self, grant: usize) {
        let key = self.all.ledger.look(grant).access_key;
        let path = format!("{MOUNT}/issued/{key}/revoke");
        let how = Some("it was ended by its access key");
        self.end("end by access key", grant, (&path, &json!({})), how)
            .await;
    }

    /// Tries to end it; if that is answered, and `how` is known then, it must not work any more.
    async fn end(
        &mut self,
        kind: &'static str,
        grant: usize,
        (path, body): (&str, &Value),
        how: Option<&'static str>,
    ) {
        self.all.ledger.ending(grant);
        for _ in 0..TRIES {
            let answer = self.ask(kind, "PUT", path, body).await;
            let what = match &answer {
                Ok(answer) if answer.is_success() => "done".to_owned(),
                Ok(answer) => answer.errors(),
                Err(lost) => lost.name().to_owned(),
            };
            self.all.ledger.tell(grant, format!("{kind}: {what}"));
            if let Ok(answer) = answer
                && answer.is_success()
            {
                let is_session = self.all.ledger.look(grant).session_token.is_some();
                // Of a user a warning says that AWS does not know it yet.
                let is_certain = is_session || answer.body["warnings"].is_null();
                if let Some(how) = how.filter(|_| is_certain) {
                    self.all.ledger.ended(grant, how);
                }
                return;
            }
            self.pause_before_another_try().await;
        }
    }

    /// Sends one request, to the active node or any other, and maybe hangs up.
    pub(crate) async fn ask(
        &mut self,
        kind: &'static str,
        method: &'static str,
        path: &str,
        body: &Value,
    ) -> Result<Answer, Lost> {
        let hangs_up = !self.is_patient && self.random.random_bool(0.15);
        let patience = if hangs_up {
            Duration::from_millis(self.random.random_range(1..700))
        } else {
            PATIENCE
        };
        let node = self.node();
        let cluster = Arc::clone(&self.all.cluster);
        let asked = self.all.ledger.now();
        let answer = match &self.token {
            Some(token) => {
                let what = (method, path, body);
                cluster.send_as(token, node, what, patience).await
            }
            None => cluster.send(node, method, path, body, patience).await,
        };
        let came_to = match &answer {
            Ok(answer) if answer.is_success() => "done".to_owned(),
            Ok(answer) => format!("answered {}", answer.status),
            Err(lost) => lost.name().to_owned(),
        };
        if MAKING.contains(&kind) && came_to != "done" {
            let why = answer.as_ref().map(Answer::errors);
            let why = why.unwrap_or_else(|_| came_to.clone());
            let since = asked.as_secs_f64();
            let note = format!("{CLIENT}{kind}, asked at {since:.3} s: {why}");
            self.all.ledger.note(note);
        }
        self.all.ledger.count(kind, &came_to);
        answer
    }

    fn node(&mut self) -> SocketAddr {
        let cluster = &self.all.cluster;
        if self.random.random_bool(0.8) {
            return cluster.active().address;
        }
        cluster.nodes[self.random.random_range(0..cluster.nodes.len())].address
    }

    pub(crate) async fn pause_before_another_try(&mut self) {
        let pause = self.random.random_range(100..1000);
        sleep(Duration::from_millis(pause)).await;
    }

    /// Somebody else with a fate of their own.
    pub(crate) fn other(&mut self) -> Self {
        Self {
            all: self.all.clone(),
            random: StdRng::seed_from_u64(self.random.random()),
            is_patient: self.is_patient,
            token: self.token.clone(),
        }
    }
}
