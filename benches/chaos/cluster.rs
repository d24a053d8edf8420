//! The host: one node or several that are one, with integrated storage.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::Fallible;
use crate::api::{self, Answer, Lost};
use crate::driver::progress::say;
use crate::driver::server::version;
use crate::node::{Common, Node, Standing, ask};
use crate::settings::Settings;

const START: Duration = Duration::from_mins(1);
/// Between two looks at how the nodes stand.
const PAUSE: Duration = Duration::from_millis(250);
/// For an operator's request; hosts answer within 90 seconds.
const PATIENCE: Duration = Duration::from_secs(100);

#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    /// What it says of itself, such as `OpenBao v2.5.0`.
    pub(crate) product: String,
    /// The plugin, where the host runs it.
    pub(crate) plugin: PathBuf,
    token: String,
    unseal_key: String,
    active: AtomicUsize,
    standings: Mutex<Vec<Standing>>,
    /// Dropped last.
    _sockets: TempDir,
}

impl Cluster {
    /// Starts the nodes and makes them one.
    pub(crate) async fn start(settings: &Settings, directory: &Path) -> Fallible<Self> {
        let plugins = directory.join("plugins");
        fs::create_dir_all(&plugins)?;
        let plugin = plugins.join("vault-plugin-secrets-aws");
        fs::copy(&settings.plugin, &plugin)?;
        let sockets = tempfile::tempdir()?;
        let product = version(&settings.host)?;
        let common = Common {
            binary: settings.host.clone(),
            is_vault: product.starts_with("Vault"),
            plugins,
            sockets: sockets.path().to_owned(),
        };
        let first = Node::start(&common, directory, 0, None)?;
        let mut cluster = Self {
            nodes: vec![first],
            product,
            plugin,
            token: String::new(),
            unseal_key: String::new(),
            active: AtomicUsize::new(0),
            standings: Mutex::default(),
            _sockets: sockets,
        };
        cluster.initialize().await?;
        cluster.wait_until_well().await?;
        cluster.give_votes_soon().await?;
        let leader = cluster.nodes[0].address;
        for number in 1..settings.nodes {
            let node = Node::start(&common, directory, number, Some(leader))?;
            cluster.nodes.push(node);
        }
        cluster.wait_until_well().await?;
        cluster.wait_for_votes().await?;
        Ok(cluster)
    }

    /// Makes keys for a new host.
    async fn initialize(&mut self) -> Fallible {
        let body = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let ask = ask("", "PUT", "sys/init", &body);
        let began = Instant::now();
        let keys = loop {
            match api::send(self.nodes[0].address, &ask, PATIENCE).await {
                Ok(answer) if answer.is_success() => break answer.body,
                _ if began.elapsed() < START && !self.nodes[0].has_ended() => sleep(PAUSE).await,
                other => return Err(format!("the host cannot be initialized: {other:?}").into()),
            }
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.token = text(&keys["root_token"]);
        self.unseal_key = text(&keys["keys_base64"][0]);
        Ok(())
    }

    /// New nodes get a vote after some time that is meant for larger clusters.
    async fn give_votes_soon(&self) -> Fallible {
        let body = json!({ "server_stabilization_time": "1s" });
        let path = "sys/storage/raft/autopilot/configuration";
        self.operate("POST", path, &body).await?;
        Ok(())
    }

    async fn wait_for_votes(&self) -> Fallible {
        let began = Instant::now();
        loop {
            let path = "sys/storage/raft/configuration";
            let answer = self.operate("GET", path, &Value::Null).await?;
            let servers = answer.body["data"]["config"]["servers"].as_array();
            let voters = servers.into_iter().flatten();
            let voters = voters.filter(|server| server["voter"] == true).count();
            if voters == self.nodes.len() {
                return Ok(());
            }
            if began.elapsed() > START {
                return Err("not every node has got a vote".into());
            }
            sleep(PAUSE).await;
        }
    }

    /// Looks how all nodes stand, and does for them what makes them stand.
    pub(crate) async fn look(&self) {
        let mut found = Vec::new();
        for node in &self.nodes {
            found.push(node.look(&self.unseal_key).await);
        }
        if let Some(active) = found
            .iter()
            .position(|standing| *standing == Standing::Active)
        {
            self.active.store(active, Ordering::Relaxed);
        }
        *self.standings() = found;
    }

    /// Looks again and again.
    pub(crate) async fn watch(&self) {
        loop {
            self.look().await;
            sleep(PAUSE).await;
        }
    }

    /// Whether, by the last look, every node serves or could.
    pub(crate) fn is_well(&self) -> bool {
        let standings = self.standings();
        standings.len() == self.nodes.len()
            && standings.contains(&Standing::Active)
            && !standings.contains(&Standing::Out)
    }

    /// Whether, by the last look, a node serves.
    pub(crate) fn has_active(&self) -> bool {
        self.standings().contains(&Standing::Active)
    }

    pub(crate) async fn wait_until_well(&self) -> Fallible {
        let began = Instant::now();
        loop {
            self.look().await;
            if self.is_well() {
                return Ok(());
            }
            for node in self.nodes.iter().filter(|node| node.has_ended()) {
                say(&format!(
                    "{} has ended by itself: starting it again",
                    node.name
                ));
                node.restart()?;
            }
            if began.elapsed() > START {
                return Err(format!("the nodes do not agree: {:?}", *self.standings()).into());
            }
            sleep(PAUSE).await;
        }
    }

    /// The node that was active when somebody looked last.
    pub(crate) fn active(&self) -> &Node {
        &self.nodes[self.active.load(Ordering::Relaxed)]
    }

    /// A client's request.
    pub(crate) async fn send(
        &self,
        node: SocketAddr,
        method: &'static str,
        path: &str,
        body: &Value,
        patience: Duration,
    ) -> Result<Answer, Lost> {
        let ask = ask(&self.token, method, path, body);
        api::send(node, &ask, patience).await
    }

    /// The same of a client with a token of its own.
    pub(crate) async fn send_as(
        &self,
        token: &str,
        node: SocketAddr,
        (method, path, body): (&'static str, &str, &Value),
        patience: Duration,
    ) -> Result<Answer, Lost> {
        api::send(node, &ask(token, method, path, body), patience).await
    }

    /// An operator's request to the active node, whose answer counts; 404 is one.
    pub(crate) async fn operate(
        &self,
        method: &'static str,
        path: &str,
        body: &Value,
    ) -> Fallible<Answer> {
        let began = Instant::now();
        loop {
            let address = self.active().address;
            let answer = self.send(address, method, path, body, PATIENCE).await;
            match answer {
                Ok(answer) if answer.is_success() || answer.status == 404 => return Ok(answer),
                Ok(answer) if began.elapsed() > START => {
                    return Err(format!("{method} {path}: {}", answer.errors()).into());
                }
                Err(lost) if began.elapsed() > START => {
                    return Err(format!("{method} {path}: {}", lost.name()).into());
                }
                _ => sleep(PAUSE).await,
            }
            self.look().await;
        }
    }

    fn standings(&self) -> MutexGuard<'_, Vec<Standing>> {
        self.standings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
