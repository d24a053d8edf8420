//! The hand that breaks things: what it does next follows from the seed, and how things stand.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Fallible;
use crate::api::Lost;
use crate::cluster::Cluster;
use crate::ledger::Ledger;
use crate::node::{Node, age, kill};
use crate::settings::Settings;

pub(crate) const ACTS: &str = "hand";
pub(crate) const PLUGIN_KILLED: &str = "plugin killed";
pub(crate) const HOST_KILLED: &str = "host killed";

const PATIENCE: Duration = Duration::from_secs(5);
/// On average: more often there is nobody to kill, and nothing under way.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
/// Until it looks again where there was nobody to kill.
const PROWL: Duration = Duration::from_millis(40);
const NEWBORN: Duration = Duration::from_millis(250);
/// For what takes seconds, as rotations do, to come to its end now and then.
const LULL: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Hand {
    cluster: Arc<Cluster>,
    ledger: Arc<Ledger>,
    random: StdRng,
    /// What is broken and mended by itself.
    mending: JoinSet<Fallible>,
}

impl Hand {
    pub(crate) fn new(cluster: Arc<Cluster>, ledger: Arc<Ledger>, seed: u64) -> Self {
        Self {
            cluster,
            ledger,
            random: StdRng::seed_from_u64(seed),
            mending: JoinSet::new(),
        }
    }

    /// Kills as many as are wanted in about the time that is given, and mends what it broke.
    pub(crate) async fn play(mut self, settings: &Settings) -> Fallible {
        let began = self.ledger.now();
        let end = began + settings.duration;
        let mut next_node = began + Duration::from_secs(4);
        loop {
            let kills = kills(&self.ledger);
            let now = self.ledger.now();
            if kills >= settings.kills {
                break;
            }
            if now > end + settings.duration {
                return Err(format!("only {kills} processes could be killed").into());
            }
            let left = u32::try_from(settings.kills - kills)?;
            let average = end.saturating_sub(now) / left;
            self.pause(average.max(SHORTEST_PAUSE)).await;
            if self.ledger.now() > next_node && self.cluster.is_well() {
                if self.random.random_bool(0.25) {
                    self.rest().await;
                } else {
                    self.shake_a_node().await;
                }
                next_node =
                    self.ledger.now() + Duration::from_secs(self.random.random_range(4..12));
            } else {
                while !self.kill_plugin()? {
                    sleep(PROWL).await;
                    if self.ledger.now() > next_node {
                        break;
                    }
                }
            }
            while let Some(mended) = self.mending.try_join_next() {
                mended??;
            }
        }
        while let Some(mended) = self.mending.join_next().await {
            mended??;
        }
        Ok(())
    }

    async fn rest(&self) {
        self.ledger.count(ACTS, "lull of some seconds");
        self.ledger.note("hand: rests".to_owned());
        sleep(LULL).await;
    }

    /// As long as it is on average until the next visitor of many comes: often less, sometimes more.
    async fn pause(&mut self, average: Duration) {
        let chance: f64 = self.random.random_range(0.01..1.0);
        let pause = average.mul_f64(-chance.ln());
        sleep(pause.max(Duration::from_millis(20))).await;
    }

    fn did(&self, what: &str, node: &Node) {
        self.ledger.count(ACTS, what);
        self.ledger.note(format!("hand: {what} on {}", node.name));
    }

    /// Whether there was one to kill.
    fn kill_plugin(&mut self) -> Fallible<bool> {
        let mut killed = false;
        let cluster = Arc::clone(&self.cluster);
        let node = if self.random.random_bool(0.85) {
            cluster.active()
        } else {
            &cluster.nodes[self.random.random_range(0..cluster.nodes.len())]
        };
        // One that dies while its host sets it up is a trial of the host, which may need an operator
        // then: a few of those, not most.
        let spares_newborns = self.random.random_bool(0.95);
        for pid in node.plugins(&cluster.plugin)? {
            let is_newborn = age(pid).is_none_or(|age| age < NEWBORN);
            if !(spares_newborns && is_newborn) && kill(pid).is_ok() {
                self.did(PLUGIN_KILLED, node);
                killed = true;
            }
        }
        Ok(killed)
    }

    async fn shake_a_node(&mut self) {
        match self.random.random_range(0..20) {
            0..10 => self.kill_host(),
            10..14 => self.step_down().await,
            14..17 => self.seal().await,
            _ => self.reload().await,
        }
    }

    /// Kills a host. Its plugins may live on for some seconds, as those of real hosts do.
    fn kill_host(&mut self) {
        let number = if self.random.random_bool(0.6) {
            let active = self.cluster.active().address;
            let mut nodes = self.cluster.nodes.iter();
            nodes
                .position(|node| node.address == active)
                .unwrap_or_default()
        } else {
            self.random.random_range(0..self.cluster.nodes.len())
        };
        let orphans = Duration::from_millis(if self.random.random_bool(0.5) {
            self.random.random_range(100..8_000)
        } else {
            0
        });
        let down = Duration::from_millis(self.random.random_range(200..3_000));
        let (cluster, ledger) = (Arc::clone(&self.cluster), Arc::clone(&self.ledger));
        self.did(HOST_KILLED, &self.cluster.nodes[number]);
        self.mending.spawn(async move {
            let node = &cluster.nodes[number];
            let remains = node.kill()?;
            let buried = async {
                sleep(orphans).await;
                drop(remains);
                ledger.note(format!("hand: orphans of {} killed", node.name));
            };
            let restarted = async {
                sleep(down).await;
                ledger.note(format!("hand: {} started again", node.name));
                node.restart()
            };
            tokio::join!(buried, restarted).1
        });
    }

    async fn step_down(&self) {
        let node = self.cluster.active();
        self.did("step-down", node);
        self.tell(node, "sys/step-down", &json!({})).await;
    }

    async fn seal(&mut self) {
        let cluster = Arc::clone(&self.cluster);
        let node = cluster.active();
        let name = node.name.clone();
        self.did("seal", node);
        node.keep_sealed(true);
        self.tell(node, "sys/seal", &json!({})).await;
        let sealed = Duration::from_millis(self.random.random_range(500..4_000));
        let (cluster, ledger) = (Arc::clone(&self.cluster), Arc::clone(&self.ledger));
        self.mending.spawn(async move {
            sleep(sealed).await;
            ledger.note(format!("hand: {name} may be unsealed"));
            let node = cluster.nodes.iter().find(|node| node.name == name);
            node.ok_or("no such node")?.keep_sealed(false);
            Ok(())
        });
    }

    async fn reload(&self) {
        let node = self.cluster.active();
        self.did("plugin reloaded", node);
        let body = json!({ "plugin": "aws" });
        self.tell(node, "sys/plugins/reload/backend", &body).await;
    }

    async fn tell(&self, node: &Node, path: &str, body: &Value) {
        let answer = self
            .cluster
            .send(node.address, "PUT", path, body, PATIENCE)
            .await;
        let told = match answer {
            Ok(answer) if answer.is_success() => return,
            Ok(answer) => answer.errors(),
            // It may well be that it does what it was told.
            Err(Lost::HungUp | Lost::Broken) => "no answer".to_owned(),
            Err(lost) => lost.name().to_owned(),
        };
        self.ledger
            .note(format!("hand: {path} on {}: {told}", node.name));
    }
}

/// How many processes have been killed so far.
pub(crate) fn kills(ledger: &Ledger) -> usize {
    ledger.counted(ACTS, PLUGIN_KILLED) + ledger.counted(ACTS, HOST_KILLED)
}
