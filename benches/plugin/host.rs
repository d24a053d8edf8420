//! The server: its process and its HTTP API.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::Fallible;
use crate::driver::connection::{Ask, Connection};
use crate::driver::server::{Server, version};
use crate::process;

const TOKEN: &str = "root";
const START: Duration = Duration::from_mins(1);

/// A development server: unsealed, storage in memory, everything else as it comes.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) address: SocketAddr,
    server: Server,
    directory: TempDir,
}

impl Host {
    pub(crate) async fn start(binary: &Path) -> Fallible<Self> {
        let directory = tempfile::tempdir()?;
        let plugins = directory.path().join("plugins");
        fs::create_dir(&plugins)?;
        let configuration = directory.path().join("host.hcl");
        let mut text = format!("plugin_directory = \"{}\"\n", plugins.display());
        // So that storage can be filled.
        text.push_str("raw_storage_endpoint = true\n");
        if version(binary)?.starts_with("Vault") {
            text.push_str("disable_mlock = true\n");
        }
        fs::write(&configuration, text)?;

        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = Command::new(binary);
        command
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={TOKEN}"))
            .arg(format!("-dev-listen-address={address}"))
            .arg(format!("-config={}", configuration.display()))
            .env("HOME", directory.path())
            .env("AWS_EC2_METADATA_DISABLED", "true");
        let log = directory.path().join("host.log");
        let host = Self {
            address,
            server: Server::start(&command, &log)?,
            directory,
        };
        let began = Instant::now();
        while host
            .request("GET", "sys/health", &Value::Null)
            .await
            .is_err()
        {
            if !host.server.is_running() || began.elapsed() > START {
                let log = fs::read_to_string(log)?;
                return Err(format!("the host does not answer; it says: {log}").into());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(host)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.server.pid
    }

    /// Processor time used so far, without that of its plugins.
    pub(crate) fn cpu(&self) -> Duration {
        process::cpu(&[self.server.pid])
    }

    /// What its catalog may hold.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.directory.path().join("plugins")
    }

    /// Asks, on a connection of its own.
    pub(crate) async fn request(
        &self,
        method: &'static str,
        path: &str,
        body: &Value,
    ) -> Fallible<Value> {
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.send(&ask(method, path, body)).await?;
        let (status, answer) = (answer.status(), answer.body());
        if !status.is_success() {
            let answer = String::from_utf8_lossy(answer);
            return Err(format!("{method} {path}: {status}: {answer}").into());
        }
        Ok(serde_json::from_slice(answer).unwrap_or_default())
    }

    /// Where a mount has its storage, as raw paths begin.
    pub(crate) async fn storage(&self, mount: &str) -> Fallible<String> {
        let path = format!("sys/mounts/{mount}");
        let answer = self.request("GET", &path, &Value::Null).await?;
        let uuid = answer["data"]["uuid"]
            .as_str()
            .ok_or("a mount has no UUID")?;
        Ok(format!("logical/{uuid}"))
    }

    /// Lets the process that serves a mount end, and starts another one.
    pub(crate) async fn reload(&self, mount: &str) -> Fallible {
        let body = json!({ "mounts": [mount] });
        self.request("PUT", "sys/plugins/reload/backend", &body)
            .await?;
        Ok(())
    }

    /// How many leases there are under a prefix.
    pub(crate) async fn leases(&self, prefix: &str) -> Fallible<usize> {
        let path = format!("sys/leases/lookup/{prefix}/?list=true");
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.send(&ask("GET", &path, &Value::Null)).await?;
        if answer.status().as_u16() == 404 {
            return Ok(0);
        }
        let answer: Value = serde_json::from_slice(answer.body())?;
        match &answer["data"]["keys"] {
            Value::Array(keys) => Ok(keys.len()),
            _ => Err(format!("the leases of {prefix} cannot be listed: {answer}").into()),
        }
    }

    /// How many leases it has given up to revoke.
    pub(crate) async fn given_up_leases(&self) -> Fallible<usize> {
        let path = "sys/leases/count?type=irrevocable";
        let answer = self.request("GET", path, &Value::Null).await?;
        let count = answer["data"]["lease_count"].as_u64().unwrap_or_default();
        Ok(usize::try_from(count)?)
    }

    /// Revokes what is under a prefix, and waits for that or leaves it to the host.
    pub(crate) async fn revoke_prefix(&self, prefix: &str, sync: bool) -> Fallible {
        let path = format!("sys/leases/revoke-prefix/{prefix}");
        self.request("PUT", &path, &json!({ "sync": sync })).await?;
        Ok(())
    }
}

/// A request to the API of any host here.
pub(crate) fn ask(method: &'static str, path: &str, body: &Value) -> Ask {
    Ask {
        method,
        path: format!("/v1/{path}"),
        headers: vec![("x-vault-token", TOKEN.to_owned())],
        body: match body {
            Value::Null => String::new(),
            body => body.to_string(),
        },
    }
}

/// Requests that revoke leases, each answered when that is done.
pub(crate) fn revokes(lease_ids: &[String]) -> impl Iterator<Item = Ask> {
    lease_ids.iter().map(|id| {
        let body = json!({ "lease_id": id, "sync": true });
        ask("PUT", "sys/leases/revoke", &body)
    })
}
