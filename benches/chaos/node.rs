//! One node of the cluster: its files, its process, and what it says of itself.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::Fallible;
use crate::api::{self, Answer, Lost};
use crate::driver::connection::Ask;
use crate::driver::server::{Server, children, stat};

/// For what it says of itself.
const PATIENCE: Duration = Duration::from_secs(3);

/// What all nodes share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) binary: PathBuf,
    pub(crate) is_vault: bool,
    pub(crate) plugins: PathBuf,
    /// Short: sockets have their path in it.
    pub(crate) sockets: PathBuf,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    command: Command,
    log: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    server: Option<Server>,
    /// Whether somebody wants it sealed.
    kept_sealed: bool,
}

/// What a node was found to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not running, sealed or without a leader.
    Out,
    Active,
    Standby,
}

impl Node {
    /// Writes down what it is to be, and starts it.
    pub(crate) fn start(
        common: &Common,
        directory: &Path,
        number: usize,
        leader: Option<SocketAddr>,
    ) -> Fallible<Self> {
        let name = format!("node-{}", number + 1);
        let directory = directory.join(&name);
        let storage = directory.join("raft");
        fs::create_dir_all(&storage)?;
        let (address, cluster) = (free_address()?, free_address()?);
        let join = leader.map_or(String::new(), |leader| {
            format!("  retry_join {{\n    leader_api_addr = \"http://{leader}\"\n  }}\n")
        });
        let mut text = format!(
            "storage \"raft\" {{\n  path = \"{}\"\n  node_id = \"{name}\"\n  \
             performance_multiplier = 1\n{join}}}\n\
             listener \"tcp\" {{\n  address = \"{address}\"\n  cluster_address = \"{cluster}\"\n  \
             tls_disable = true\n}}\n\
             api_addr = \"http://{address}\"\n\
             cluster_addr = \"https://{cluster}\"\n\
             plugin_directory = \"{}\"\n\
             raw_storage_endpoint = true\n",
            storage.display(),
            common.plugins.display(),
        );
        if common.is_vault {
            text.push_str("disable_mlock = true\n");
        }
        let configuration = directory.join("node.hcl");
        fs::write(&configuration, text)?;
        let mut command = Command::new(&common.binary);
        command
            .args(["server", "-log-level=debug"])
            .arg(format!("-config={}", configuration.display()))
            .env("HOME", &directory)
            .env("TMPDIR", &common.sockets)
            .env("AWS_EC2_METADATA_DISABLED", "true")
            // Whatever goes wrong, nothing speaks to the AWS of real people: that takes https, and
            // nobody listens here.
            .env("HTTPS_PROXY", "http://127.0.0.1:9");
        let node = Self {
            name,
            address,
            command,
            log: directory.join("host.log"),
            state: Mutex::default(),
        };
        node.restart()?;
        Ok(node)
    }

    pub(crate) fn restart(&self) -> Fallible {
        let server = Server::start(&self.command, &self.log)?;
        self.state().server = Some(server);
        Ok(())
    }

    /// The process of the host; none while it is down.
    pub(crate) fn pid(&self) -> Option<u32> {
        let state = self.state();
        let server = state.server.as_ref().filter(|server| server.is_running());
        server.map(|server| server.pid)
    }

    /// Whether it ought to run and does not.
    pub(crate) fn has_ended(&self) -> bool {
        let state = self.state();
        state
            .server
            .as_ref()
            .is_some_and(|server| !server.is_running())
    }

    /// Kills the host, and hands over what is left of it: plugins live on until that is dropped.
    pub(crate) fn kill(&self) -> Fallible<Option<Server>> {
        let server = self.stop();
        if let Some(server) = &server {
            kill(server.pid)?;
        }
        Ok(server)
    }

    /// Hands over the host, which ends in order when that is dropped.
    pub(crate) fn stop(&self) -> Option<Server> {
        self.state().server.take()
    }

    /// The processes of a plugin here.
    pub(crate) fn plugins(&self, binary: &Path) -> Fallible<Vec<u32>> {
        self.pid()
            .map_or(Ok(Vec::new()), |pid| children(pid, binary))
    }

    pub(crate) fn keep_sealed(&self, sealed: bool) {
        self.state().kept_sealed = sealed;
    }

    /// Looks how it stands, and unseals it if it is sealed against everybody's wish.
    pub(crate) async fn look(&self, unseal_key: &str) -> Standing {
        if self.pid().is_none() {
            return Standing::Out;
        }
        let status = self.ask("GET", "sys/seal-status", &Value::Null).await;
        let Ok(status) = status else {
            return Standing::Out;
        };
        if status.body["sealed"] != false {
            if !self.state().kept_sealed {
                // It takes the key as soon as it has found the others.
                let _ = self
                    .ask("PUT", "sys/unseal", &json!({ "key": unseal_key }))
                    .await;
            }
            return Standing::Out;
        }
        match self.ask("GET", "sys/leader", &Value::Null).await {
            Ok(answer) if answer.body["is_self"] == true => Standing::Active,
            Ok(answer) if answer.body["leader_address"] != "" && answer.is_success() => {
                Standing::Standby
            }
            _ => Standing::Out,
        }
    }

    async fn ask(&self, method: &'static str, path: &str, body: &Value) -> Result<Answer, Lost> {
        api::send(self.address, &ask("", method, path, body), PATIENCE).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request to a host's API.
pub(crate) fn ask(token: &str, method: &'static str, path: &str, body: &Value) -> Ask {
    Ask {
        method,
        path: format!("/v1/{path}"),
        headers: vec![("x-vault-token", token.to_owned())],
        body: match body {
            Value::Null => String::new(),
            body => body.to_string(),
        },
    }
}

/// Ends a process at once, as the kernel does when memory is short.
pub(crate) fn kill(pid: u32) -> Fallible {
    let status = Command::new("/bin/sh")
        .args(["-c", r#"kill -KILL "$1""#, "kill", &pid.to_string()])
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("there is no process {pid} to kill").into())
    }
}

/// How long ago a process was started.
pub(crate) fn age(pid: u32) -> Option<Duration> {
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let uptime: f64 = uptime.split(' ').next()?.parse().ok()?;
    // In hundredths of a second on every architecture.
    let start: f64 = stat(pid)?[19].parse().ok()?;
    Duration::try_from_secs_f64(uptime - start / 100.0).ok()
}

/// An address that nobody listens at, with a port that no connection is given for its own end: a
/// node that comes back wants it again.
fn free_address() -> Fallible<SocketAddr> {
    for _ in 0..100 {
        let port = rand::random_range(20_000..32_000);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    Err("no port between 20000 and 32000 is free".into())
}
