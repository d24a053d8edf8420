//! Those who have an incident on their hands again and again, and who look at what is out there.

use std::time::Duration;

use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::Fallible;
use crate::api::Answer;
use crate::clients::Client;
use crate::cluster::Cluster;
use crate::crowd::Phase;
use crate::ledger::{Grant, Ledger};
use crate::scene::{MOUNT, ends_sessions};

/// Between two looks at how far a containment is.
const PAUSE: Duration = Duration::from_secs(2);
/// What is asked for later than this after a containment is not meant by it.
const MEANT: Duration = Duration::from_secs(65);
/// For a containment of the whole mount to end what does harm, when nothing goes wrong any more.
const CONTAINED: Duration = Duration::from_mins(2);

impl Client {
    /// Contains the role, and lets it give again a minute later, when nothing is meant that it gives
    /// from then on.
    pub(crate) async fn contain(mut self, role: &'static str) {
        let mut watched = JoinSet::new();
        loop {
            self.pause(Phase::Chaos, 10_000, 25_000).await;
            if !self.all.is(Phase::Chaos) {
                break;
            }
            let ledger = self.all.ledger.clone();
            ledger.give_back(role);
            let path = format!("{MOUNT}/contain/{role}");
            let begun = self
                .ask_until_done("contain", &path, &json!({}), Phase::End)
                .await;
            if let Some(id) = begun.as_ref().and_then(id) {
                let watch = self.other().watch_containment(id.to_owned(), role);
                watched.spawn(watch);
            }
            self.all.rest(MEANT, Phase::Chaos).await;
            let path = format!("{MOUNT}/roles/{role}");
            let body = json!({ "disabled": false });
            self.ask_until_done("enable the role again", &path, &body, Phase::End)
                .await;
            ledger.given_back(role);
        }
        watched.join_all().await;
    }

    /// Whatever was given when it began must be dead when it has finished.
    async fn watch_containment(mut self, id: String, role: &'static str) {
        let ledger = self.all.ledger.clone();
        let began = ledger.now();
        let path = status(&id);
        while !self.all.is(Phase::End) {
            self.all.rest(PAUSE, Phase::Healing).await;
            let told = self.ask("ask how far", "GET", &path, &Value::Null).await;
            if told.is_ok_and(|told| is_finished(&told)) {
                ledger.note(format!("operator: {role} is contained"));
                ledger.ended_before(began, Some(role), "its role was contained");
                return;
            }
        }
    }

    /// Looks up what clients hold, scrapes the figures, and tidies.
    pub(crate) async fn inquire(mut self) {
        while self.all.is(Phase::Chaos) {
            self.pause(Phase::Chaos, 200, 2_000).await;
            match self.random.random_range(0..10) {
                0 => {
                    let path = format!("{MOUNT}/tidy");
                    let body = json!({ "dry_run": false });
                    self.ask("tidy", "POST", &path, &body).await.ok();
                }
                1 | 2 => {
                    let path = format!("{MOUNT}/metrics");
                    let scraped = self.ask("scrape", "GET", &path, &Value::Null);
                    scraped.await.ok();
                }
                _ => self.look_up().await,
            }
        }
    }

    /// Whose is this access key?
    async fn look_up(&mut self) {
        let ledger = self.all.ledger.clone();
        let grants = ledger.grants();
        // Late ones are held more often.
        let from = grants.len().saturating_sub(50);
        if from == grants.len() {
            return;
        }
        let number = self.random.random_range(from..grants.len());
        let grant = &grants[number];
        if !grant.is_registered() {
            return;
        }
        let path = format!("{MOUNT}/issued/{}", grant.access_key);
        let Ok(told) = self.ask("look up", "GET", &path, &Value::Null).await else {
            return;
        };
        let is_held = ledger.look(number).is_held(ledger.now());
        let fits = ["username", "role"].map(|name| told.body["data"][name].as_str())
            == [Some(grant.name.as_str()), Some(grant.role.as_str())];
        // A host that has no engine at the moment says 404 too, and that.
        let is_unknown =
            told.status == 404 && told.body["errors"].as_array().is_none_or(Vec::is_empty);
        if told.is_success() && !fits || is_unknown && is_held {
            ledger.contradict(format!(
                "asked for {} of {}, which a client holds, the register says {}: {}",
                grant.access_key,
                grant.name,
                told.errors(),
                told.body["data"]
            ));
        }
    }

    /// Asks again and again until it is done, but not beyond that phase.
    pub(crate) async fn ask_until_done(
        &mut self,
        kind: &'static str,
        path: &str,
        body: &Value,
        last: Phase,
    ) -> Option<Answer> {
        loop {
            match self.ask(kind, "PUT", path, body).await {
                Ok(answer) if answer.is_success() => return Some(answer),
                _ if *self.all.phase.borrow() >= last => return None,
                _ => self.pause_before_another_try().await,
            }
        }
    }
}

/// Contains the whole mount, and waits until nothing works any more. Records may be left, of users that
/// AWS does not know, and that it may not have heard of yet.
pub(crate) async fn contain_all(cluster: &Cluster, ledger: &Ledger) -> Fallible {
    let path = format!("{MOUNT}/contain");
    let begun = cluster.operate("PUT", &path, &json!({})).await?;
    let path = status(id(&begun).ok_or("the containment has no id")?);
    let began = Instant::now();
    loop {
        let told = cluster.operate("GET", &path, &Value::Null).await?;
        let data = &told.body["data"];
        let state = data["state"].as_str().unwrap_or_default();
        if data["users"] == data["keys_ended"] && !state.starts_with("ending") {
            ledger.ended_before(ledger.now(), None, "the whole mount was contained");
            return Ok(());
        }
        if began.elapsed() > CONTAINED {
            return Err(format!("the mount is not contained: {data}").into());
        }
        sleep(PAUSE).await;
    }
}

fn status(id: &str) -> String {
    format!("{MOUNT}/contain-status/{id}")
}

fn id(answer: &Answer) -> Option<&str> {
    answer.body["data"]["id"].as_str()
}

fn is_finished(told: &Answer) -> bool {
    told.body["data"]["finished_at"].is_string()
}

impl Grant {
    /// Whether its key is in the register: users are, and sessions that can be ended.
    fn is_registered(&self) -> bool {
        self.session_token.is_none() || ends_sessions(&self.role)
    }
}
