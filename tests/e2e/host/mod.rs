//! A host: its process, its HTTP API, its command line and what only an operator's hand reaches.

mod answers;
mod cluster;
mod scrape;
mod secured;
mod storage;
mod world;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vault_plugin_secrets_aws::environment::{Environment as _, ProcessEnvironment};

pub(crate) use self::answers::{Answer, Printed, strings, text};
pub(crate) use self::secured::certificate;
pub(crate) use self::world::{World, copy};
use crate::process::{Server, children, wait_for};
use crate::product::Product;
use crate::settings::settings;

/// The token of a development host, which is root.
const DEVELOPMENT_TOKEN: &str = "root";
const PLUGIN: &str = "vault-plugin-secrets-aws";
const START: Duration = Duration::from_mins(1);

/// A running host, ended with its plugin processes when dropped.
pub(crate) struct Host {
    /// Which one it is.
    pub(crate) product: Product,
    /// What its catalog may hold.
    pub(crate) plugin_directory: PathBuf,
    /// A token that may do everything.
    pub(crate) token: String,
    /// Its base URL.
    pub(crate) address: String,
    /// Where operators reach it instead, if that is elsewhere, and the certificates they trust.
    pub(crate) operators: Option<(String, PathBuf)>,
    server: Server,
    agent: ureq::Agent,
    home: PathBuf,
    unseal_key: Option<String>,
}

impl Host {
    /// A development host: unsealed, in memory, storage readable through `sys/raw`.
    pub(crate) fn development(directory: &Path) -> Self {
        let mut host = Self::start(directory, |port| {
            vec![
                "-dev".to_owned(),
                "-dev-no-store-token".to_owned(),
                format!("-dev-root-token-id={DEVELOPMENT_TOKEN}"),
                format!("-dev-listen-address=127.0.0.1:{port}"),
            ]
        });
        host.token = String::from(DEVELOPMENT_TOKEN);
        host
    }

    /// A host that can be sealed and unsealed.
    pub(crate) fn sealable(directory: &Path) -> Self {
        let mut host = Self::empty(directory);
        host.initialize();
        host
    }

    /// A host that has no keys yet.
    pub(crate) fn empty(directory: &Path) -> Self {
        Self::start(directory, |port| {
            let listener = directory.join("listener.hcl");
            fs::write(
                &listener,
                format!(
                    "storage \"inmem\" {{}}\n\
                     listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  tls_disable = true\n}}\n\
                     api_addr = \"http://127.0.0.1:{port}\"\n"
                ),
            )
            .expect("the configuration can be written");
            vec![format!("-config={}", listener.display())]
        })
    }

    /// Makes keys for a new host, and unseals it.
    pub(crate) fn initialize(&mut self) {
        let keys = self
            .write(
                "sys/init",
                &json!({ "secret_shares": 1, "secret_threshold": 1 }),
            )
            .body();
        self.token = text(&keys["root_token"]);
        self.unseal_key = Some(text(&keys["keys_base64"][0]));
        self.unseal();
    }

    fn start(directory: &Path, arguments: impl Fn(u16) -> Vec<String>) -> Self {
        Self::start_in(&World::of(directory), arguments)
            .unwrap_or_else(|log| panic!("the host ended: {log}"))
    }

    /// Starts it where it is to run, or says what it logged if it ended instead.
    fn start_in(world: &World, arguments: impl Fn(u16) -> Vec<String>) -> Result<Self, String> {
        let product = Product::of(&settings().host);
        let plugin_directory = world.outside("/plugins");
        fs::create_dir_all(&plugin_directory).expect("the directory can be made");
        fs::write(
            world.outside("/host.hcl"),
            format!(
                "plugin_directory = \"{}\"\nraw_storage_endpoint = true\n{}",
                world.inside("/plugins"),
                product.configuration()
            ),
        )
        .expect("the configuration can be written");
        let home = world.outside("/home");
        fs::create_dir_all(&home).expect("the directory can be made");

        // Whoever else asks for a free port between our asking and the host's binding may get
        // the same one.
        for _ in 0..5 {
            let port = free_port();
            let mut command = world.command(&settings().host);
            command
                .args(["server", "-log-level=trace"])
                .arg(format!("-config={}", world.inside("/host.hcl")))
                .args(arguments(port))
                .env("HOME", world.inside("/home"))
                // Credentials come from the configuration or not at all.
                .env("AWS_EC2_METADATA_DISABLED", "true")
                // Whatever goes wrong, nothing speaks to the AWS of real people: that takes https,
                // and nobody listens here.
                .env("HTTPS_PROXY", "http://127.0.0.1:9");
            let server = Server::start(&command, &world.log());
            let agent = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .timeout_global(Some(Duration::from_mins(2)))
                .build()
                .new_agent();
            let host = Self {
                product,
                plugin_directory: plugin_directory.clone(),
                token: String::new(),
                address: format!("http://127.0.0.1:{port}"),
                operators: None,
                server,
                agent,
                home: home.clone(),
                unseal_key: None,
            };
            let answers = wait_for("the host to answer", START, || {
                if host.server.is_running() {
                    host.try_request("GET", "sys/seal-status", None)
                        .is_ok()
                        .then_some(true)
                } else {
                    Some(false)
                }
            });
            if answers {
                return Ok(host);
            }
            if !host.log().contains("address already in use") {
                return Err(host.log());
            }
        }
        panic!("five free ports were taken before the host could bind them");
    }

    /// Reads a path as a caller who hangs up after `patience`, whatever comes.
    pub(crate) fn read_and_hang_up(&self, path: &str, patience: Duration) {
        let answer = self
            .agent
            .get(format!("{}/v1/{path}", self.address))
            .header("X-Vault-Token", &self.token)
            .config()
            .timeout_global(Some(patience))
            .build()
            .call();
        assert!(answer.is_err(), "{path} was answered in time");
    }

    /// Reads a path.
    pub(crate) fn read(&self, path: &str) -> Answer {
        self.request("GET", path, None)
    }

    /// Writes a path.
    pub(crate) fn write(&self, path: &str, body: &Value) -> Answer {
        self.request("POST", path, Some(body))
    }

    /// Lists a path.
    pub(crate) fn list(&self, path: &str) -> Answer {
        self.request("GET", &format!("{path}?list=true"), None)
    }

    /// Deletes a path.
    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.request("DELETE", path, None)
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        self.try_request(method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_request(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, ureq::Error> {
        let send = |address: &str| {
            let request = ureq::http::Request::builder()
                .method(method)
                .uri(address)
                .header("X-Vault-Token", &self.token);
            match body {
                Some(body) => self.agent.run(request.body(body.to_string())?),
                None => self.agent.run(request.body(())?),
            }
        };
        let mut answer = send(&format!("{}/v1/{path}", self.address))?;
        // As every client does: a standby sends us to the active node when it cannot reach it
        // itself.
        if answer.status() == ureq::http::StatusCode::TEMPORARY_REDIRECT {
            let there = answer.headers().get("Location");
            let there = there.and_then(|there| there.to_str().ok());
            answer = send(there.expect("it says where"))?;
        }
        let text = answer.body_mut().read_to_string()?;
        Ok(Answer {
            request: format!("{method} {path}"),
            status: answer.status().as_u16(),
            body: serde_json::from_str(&text).unwrap_or(Value::Null),
        })
    }

    /// Runs a command of the host's command line as an operator would.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Printed {
        let mut command = Command::new(&settings().host);
        command.args(arguments);
        self.run(&mut command)
    }

    /// Runs a program with the environment of an operator who is logged in, and with what the
    /// command itself sets.
    pub(crate) fn run(&self, command: &mut Command) -> Printed {
        let given: Vec<_> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        let variables = self.product.variables();
        command
            .env_clear()
            .env("PATH", ProcessEnvironment.var("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("HOST_BIN", &settings().host)
            .env(format!("{variables}_ADDR"), &self.address)
            .env(format!("{variables}_TOKEN"), &self.token);
        if let Some((address, certificates)) = &self.operators {
            command
                .env(format!("{variables}_ADDR"), address)
                .env(format!("{variables}_CACERT"), certificates);
        }
        let output = command.envs(given).output().expect("the program starts");
        Printed {
            succeeded: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Puts a file into the plugin directory, in place of what may be running there.
    ///
    /// Another process writes it: were it open for writing here, a child that another test
    /// forks at that moment would hold it open too, and a file open for writing cannot be run.
    pub(crate) fn install(&self, binary: &Path, name: &str) {
        let printed = self.run(
            Command::new("/bin/sh")
                .args([
                    "-ec",
                    r#"ln "$1" "$2.new" || cp "$1" "$2.new"; mv "$2.new" "$2""#,
                ])
                .arg("install")
                .arg(binary)
                .arg(self.plugin_directory.join(name)),
        );
        printed.succeeded();
    }

    /// Installs the plugin under test and registers it as `aws`.
    pub(crate) fn register_plugin(&self) {
        self.register_plugin_as(None);
    }

    /// As [`register_plugin`](Self::register_plugin), with a version.
    pub(crate) fn register_plugin_as(&self, version: Option<&str>) {
        self.install(&settings().plugin, PLUGIN);
        self.write(
            "sys/plugins/catalog/secret/aws",
            &json!({
                "command": PLUGIN,
                "sha256": sha256(&settings().plugin),
                "version": version,
            }),
        )
        .succeeded();
    }

    /// As [`register_plugin`](Self::register_plugin), with variables for the plugin alone. On `OpenBao`
    /// those of the server itself count more.
    pub(crate) fn register_plugin_in(&self, variables: &[(&str, &str)]) {
        self.install(&settings().plugin, PLUGIN);
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        self.write(
            "sys/plugins/catalog/secret/aws",
            &json!({
                "command": PLUGIN,
                "sha256": sha256(&settings().plugin),
                "env": variables,
            }),
        )
        .succeeded();
    }

    /// Mounts the plugin at `path`.
    pub(crate) fn enable(&self, path: &str) {
        self.write(&format!("sys/mounts/{path}"), &json!({ "type": "aws" }))
            .succeeded();
    }

    /// The process ids of the plugins that run now.
    pub(crate) fn plugin_processes(&self) -> Vec<u32> {
        children(self.server.pid())
    }

    /// Seals a sealable host.
    pub(crate) fn seal(&self) {
        self.write("sys/seal", &json!({})).succeeded();
    }

    /// Unseals a sealable host and waits until it serves.
    pub(crate) fn unseal(&self) {
        let key = self.unseal_key.as_ref().expect("the host can be sealed");
        self.write("sys/unseal", &json!({ "key": key })).succeeded();
        wait_for("the host to serve", START, || {
            (self.read("sys/health").status == 200).then_some(())
        });
    }

    /// Everything the host and its plugins have logged.
    pub(crate) fn log(&self) -> String {
        self.server.log()
    }
}

/// A file's checksum as the catalog wants it.
pub(crate) fn sha256(path: &Path) -> String {
    use std::fmt::Write as _;

    let digest = Sha256::digest(fs::read(path).expect("the file can be read"));
    digest.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

/// A port that nobody listens at, and that no other test of this run was given: until its host
/// listens there, the system may offer it again, and one test would speak to the other's host.
fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let offered = || {
        TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port is free")
            .port()
    };
    let mut given = GIVEN.lock().expect("no test thread died");
    (0..1000)
        .map(|_| offered())
        .find(|port| given.insert(*port))
        .expect("there are more ports than tests")
}
