//! Clients whose sessions are ended before their time: one by one, by their access keys, by a prefix,
//! with the token that asked, and many at once.

use std::time::Duration;

use rand::RngExt as _;
use serde_json::json;
use tokio::task::JoinSet;

use crate::clients::Client;
use crate::crowd::Phase;
use crate::scene::{MOUNT, STORM_ROLE};

/// How many sessions of a storm are asked for at once.
const STORM: usize = 10;

impl Client {
    /// Holds a few sessions of its own role at a time, and ends them in every way there is.
    pub(crate) async fn hold_sessions(mut self, role: &'static str) {
        loop {
            self.pause(Phase::Chaos, 1_000, 30_000).await;
            if !self.all.is(Phase::Chaos) {
                return;
            }
            let mut holder = self.other();
            if self.random.random_bool(0.3) {
                holder.token = self.token_of_its_own().await;
            }
            let mut grants = Vec::new();
            for _ in 0..self.random.random_range(1..3) {
                grants.extend(holder.issue(role).await);
            }
            self.pause(Phase::Healing, 500, 15_000).await;
            if let Some(token) = holder.token {
                self.revoke_token(&token, &grants).await;
                continue;
            }
            if self.random.random_bool(0.2) {
                self.revoke_all(role).await;
                continue;
            }
            for grant in grants {
                if self.random.random_bool(0.3) {
                    self.end_by_key(grant).await;
                } else {
                    self.revoke(grant).await;
                }
            }
        }
    }

    /// Opens many sessions at once, and ends all of them at once.
    pub(crate) async fn storm(mut self) {
        loop {
            self.pause(Phase::Chaos, 5_000, 20_000).await;
            if !self.all.is(Phase::Chaos) {
                return;
            }
            let mut opened = JoinSet::new();
            for _ in 0..STORM {
                let mut one = self.other();
                opened.spawn(async move { one.issue(STORM_ROLE).await });
            }
            opened.join_all().await;
            self.pause(Phase::Healing, 1, 3_000).await;
            self.revoke_all(STORM_ROLE).await;
        }
    }

    async fn token_of_its_own(&mut self) -> Option<String> {
        let body = json!({ "policies": ["root"], "ttl": "10m" });
        let path = "auth/token/create";
        let answer = self.ask("make a token", "POST", path, &body).await.ok()?;
        let token = &answer.body["auth"]["client_token"];
        token.as_str().map(str::to_owned)
    }

    /// What was given to it goes with it, in the host's own time.
    async fn revoke_token(&mut self, token: &str, grants: &[usize]) {
        for grant in grants {
            self.all.ledger.ending(*grant);
        }
        let body = json!({ "token": token });
        let path = "auth/token/revoke";
        self.ask_until_done("revoke a token", path, &body, Phase::Healing)
            .await;
    }

    /// Ends all that the role has given.
    async fn revoke_all(&mut self, role: &'static str) {
        let ledger = self.all.ledger.clone();
        ledger.give_back(role);
        let asked = ledger.now();
        let is_awaited = self.random.random_bool(0.5);
        let body = json!({ "sync": is_awaited });
        let path = format!("sys/leases/revoke-prefix/{MOUNT}/creds/{role}");
        let done = self
            .ask_until_done("revoke by prefix", &path, &body, Phase::Healing)
            .await;
        if done.is_some() && is_awaited {
            ledger.ended_before(asked, Some(role), "all leases of its role were revoked");
        }
        ledger.given_back(role);
    }

    /// Waits for some time between these milliseconds, but not beyond the phase.
    pub(crate) async fn pause(&mut self, phase: Phase, least: u64, most: u64) {
        let pause = self.random.random_range(least..most);
        self.all.rest(Duration::from_millis(pause), phase).await;
    }
}
