//! A host with the engine, an AWS for it, and the proof at the end that both are clean.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::{Aws, KeyPair, READ_ONLY_ACCESS};
use crate::host::{Host, World, text};
use crate::process::wait_for;
use crate::proxy::Proxy;
use crate::settings::checkout;

/// How long anything that the host does in the background may take: it rolls back once a minute.
pub(crate) const A_ROLLBACK: Duration = Duration::from_secs(150);
/// How long the nodes of a cluster may need to find an active one.
const A_MINUTE: Duration = Duration::from_mins(1);
/// How long a revocation that the host queued may take.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Starts a [`Fixture`] that is named after the test.
macro_rules! fixture {
    ($kind:ident) => {{
        fn here() {}
        crate::fixture::Fixture::$kind(std::any::type_name_of_val(&here).trim_end_matches("::here"))
    }};
}
pub(crate) use fixture;

/// Makes an empty directory that is named after the test.
macro_rules! directory {
    () => {{
        fn here() {}
        crate::fixture::Fixture::directory(
            std::any::type_name_of_val(&here).trim_end_matches("::here"),
        )
    }};
}
pub(crate) use directory;

/// All that one test needs.
pub(crate) struct Fixture {
    /// The host, with the plugin registered.
    pub(crate) host: Host,
    /// The other nodes of its cluster.
    pub(crate) others: Vec<Host>,
    /// AWS, past the proxy.
    pub(crate) aws: Aws,
    /// What lies between the engine and AWS.
    pub(crate) proxy: Proxy,
    directory: PathBuf,
    secrets: Mutex<Vec<String>>,
}

/// Credentials with their lease.
pub(crate) struct Generated {
    /// The keys in AWS's words.
    pub(crate) keys: KeyPair,
    /// The IAM user that was made for it.
    pub(crate) user: String,
    /// The lease's id.
    pub(crate) lease: String,
    /// Whole answer of the host.
    pub(crate) body: Value,
}

impl Fixture {
    /// The engine mounted at `aws` in a development host, and told its root keys.
    pub(crate) fn configured(test: &str) -> Self {
        let fixture = Self::registered(test);
        fixture.host.enable("aws");
        fixture.configure("aws", &fixture.aws.root);
        fixture
    }

    /// The plugin in the catalog of a development host, mounted nowhere.
    pub(crate) fn registered(test: &str) -> Self {
        let fixture = Self::bare(test);
        fixture.host.register_plugin();
        fixture
    }

    /// A development host that knows nothing of the plugin.
    pub(crate) fn bare(test: &str) -> Self {
        Self::on(test, Host::development)
    }

    /// As [`configured`](Self::configured), in a host that can be sealed.
    pub(crate) fn sealable(test: &str) -> Self {
        let fixture = Self::on(test, Host::sealable);
        fixture.host.register_plugin();
        fixture.host.enable("aws");
        fixture.configure("aws", &fixture.aws.root);
        fixture
    }

    /// A host that has no keys yet.
    pub(crate) fn empty(test: &str) -> Self {
        Self::on(test, Host::empty)
    }

    /// A host in a world whose configuration declares plugins; or what it logged, if it does not
    /// start.
    pub(crate) fn declared(directory: PathBuf, world: &World) -> Result<Self, String> {
        Host::declared(world).map(|host| Self::with(directory, host))
    }

    /// A host that knows nothing of the plugin, with integrated storage, and TLS for its operators.
    pub(crate) fn secured(test: &str) -> Self {
        Self::on(test, Host::secured)
    }

    /// As [`configured`](Self::configured), in a cluster of two nodes; [`host`](Self::host) begins
    /// as the active one.
    pub(crate) fn clustered(test: &str) -> Self {
        Self::cluster(test, 1)
    }

    /// The same with three nodes, of which one may be lost.
    pub(crate) fn clustered_by_three(test: &str) -> Self {
        let fixture = Self::cluster(test, 2);
        fixture.host.wait_for_votes(3);
        fixture
    }

    fn cluster(test: &str, others: usize) -> Self {
        let mut fixture = Self::on(test, Host::first_of_cluster);
        for number in 1..=others {
            let other = fixture.scratch(&format!("other-{number}"));
            fixture.others.push(fixture.host.join(&other));
        }
        fixture.host.register_plugin();
        fixture.host.enable("aws");
        fixture.configure("aws", &fixture.aws.root);
        for other in &fixture.others {
            wait_for("the node to know the mount", SOON, || {
                other.read("aws/config/root").is_success().then_some(())
            });
        }
        fixture
    }

    /// The active node of the cluster, once it serves the mount at `aws`.
    pub(crate) fn leader(&self) -> &Host {
        wait_for("an active node", A_MINUTE, || {
            self.nodes()
                .find(|node| node.is_active() && node.read("aws/config/root").is_success())
        })
    }

    /// Counts a node that was killed no more.
    pub(crate) fn lose_first(&mut self) -> Host {
        std::mem::replace(&mut self.host, self.others.remove(0))
    }

    fn on(test: &str, host: impl FnOnce(&Path) -> Host) -> Self {
        let directory = Self::directory(test);
        let host = host(&directory);
        Self::with(directory, host)
    }

    /// An empty directory for a test.
    pub(crate) fn directory(test: &str) -> PathBuf {
        let directory = checkout("target/e2e").join(test.replace("::", "."));
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).expect("target/e2e can be written");
        // The host follows links and then refuses plugins of a directory that it got to by one.
        directory.canonicalize().expect("it was just made")
    }

    fn with(directory: PathBuf, host: Host) -> Self {
        let aws = Aws::new();
        let secrets = Mutex::new(vec![aws.root.secret_key.clone()]);
        Self {
            host,
            others: Vec::new(),
            aws,
            proxy: Proxy::start(),
            directory,
            secrets,
        }
    }

    /// Writes the root configuration of a mount, pointing at the proxy.
    pub(crate) fn configure(&self, mount: &str, root: &KeyPair) {
        self.secrets
            .lock()
            .expect("no test thread died")
            .push(root.secret_key.clone());
        self.host
            .write(
                &format!("{mount}/config/root"),
                &json!({
                    "access_key": root.access_key,
                    "secret_key": root.secret_key,
                    "region": "us-east-1",
                    "iam_endpoint": self.proxy.url(),
                    "sts_endpoint": self.proxy.url(),
                }),
            )
            .succeeded();
    }

    /// Where the test may put a file of that name.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Writes a role.
    pub(crate) fn role(&self, name: &str, role: &Value) {
        self.host
            .write(&format!("aws/roles/{name}"), role)
            .succeeded();
    }

    /// Writes the role `deploy`, whose users have one managed policy.
    pub(crate) fn deploy_role(&self) {
        self.role(
            "deploy",
            &json!({ "credential_type": "iam_user", "policy_arns": READ_ONLY_ACCESS }),
        );
    }

    /// Writes the role `deploy`, whose users take every call that there is to make.
    pub(crate) fn full_deploy_role(&self) {
        let group = self.aws.unique("readers");
        self.aws.group(&group, READ_ONLY_ACCESS);
        self.role(
            "deploy",
            &json!({
                "credential_type": "iam_user",
                "policy_arns": [READ_ONLY_ACCESS],
                "policy_document": r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#,
                "iam_groups": [group],
                "iam_tags": { "team": "storage" },
            }),
        );
    }

    /// Generates credentials for an `iam_user` role of the mount at `aws`.
    pub(crate) fn generate(&self, role: &str) -> Generated {
        self.generate_from(&format!("aws/creds/{role}"))
    }

    /// Generates credentials at a path.
    pub(crate) fn generate_from(&self, path: &str) -> Generated {
        let body = self.host.read(path).body();
        let keys = KeyPair {
            access_key: text(&body["data"]["access_key"]),
            secret_key: text(&body["data"]["secret_key"]),
            session_token: None,
        };
        let owner = keys.identity().expect("AWS knows the keys");
        Generated {
            user: owner.rsplit('/').next().unwrap_or_default().to_owned(),
            lease: text(&body["lease_id"]),
            keys,
            body,
        }
    }

    /// Ends a lease and waits for the end.
    pub(crate) fn revoke(&self, lease: &str) {
        self.host
            .write(
                "sys/leases/revoke",
                &json!({ "lease_id": lease, "sync": true }),
            )
            .succeeded();
    }

    /// Reloads the plugin, and waits for the new process.
    pub(crate) fn reload(&self) {
        let before = self.host.plugin_processes();
        self.host
            .write("sys/plugins/reload/backend", &json!({ "plugin": "aws" }))
            .body();
        wait_for("a new process", SOON, || {
            let now = self.host.plugin_processes();
            (now.len() == 1 && now != before).then_some(())
        });
    }

    /// Makes every entry of the write-ahead log old enough to be rolled back, and what AWS made
    /// meanwhile as old as that: the engine leaves entries that are younger than five minutes alone,
    /// for their request may still be under way.
    pub(crate) fn age_wal_entries(&self) {
        const AGE: Duration = Duration::from_mins(6);
        self.proxy.age(AGE);
        for id in self.host.stored_keys("aws", "wal") {
            let key = format!("wal/{id}");
            // Another request may be done with it meanwhile.
            let Some(mut entry) = self.host.find_stored("aws", &key) else {
                continue;
            };
            let created_at = entry["created_at"].as_u64().expect("seconds");
            entry["created_at"] = json!(created_at - AGE.as_secs());
            self.host.store("aws", &key, &entry);
        }
    }

    /// Waits until AWS has none of the users that this test's engine made.
    pub(crate) fn wait_until_aws_is_clean(&self) {
        wait_for("AWS to lose every user the engine made", A_ROLLBACK, || {
            self.left_in_aws().is_empty().then_some(())
        });
    }

    /// Users that the engine made and that are still there.
    pub(crate) fn left_in_aws(&self) -> Vec<String> {
        let there = self.aws.user_names();
        let mut users = self.proxy.created_users();
        users.retain(|user| there.contains(user));
        users
    }

    fn nodes(&self) -> impl Iterator<Item = &Host> {
        std::iter::once(&self.host).chain(&self.others)
    }

    fn revoke_every_lease(&self) {
        // Who is alone leads nobody, and does not say so either.
        let host = if self.others.is_empty() {
            &self.host
        } else {
            wait_for("an active node", SOON, || {
                self.nodes().find(|node| node.is_active())
            })
        };
        let mounts = host.read("sys/mounts").succeeded();
        for (path, mount) in mounts.as_object().into_iter().flatten() {
            if mount["type"] == "aws" {
                let path = path.trim_end_matches('/');
                host.write(
                    &format!("sys/leases/revoke-prefix/{path}"),
                    &json!({ "sync": true }),
                )
                .succeeded();
            }
        }
    }

    fn assert_aws_is_clean(&self) {
        assert_eq!(self.left_in_aws(), [""; 0], "users without a lease");
        let keys = self.aws.keys_of(&self.aws.root_user);
        assert_eq!(keys.len(), 1, "the root user's keys: {keys:?}");
    }

    fn assert_log_is_clean(&self) {
        let secrets = self.secrets.lock().expect("no test thread died");
        for log in self.nodes().map(Host::log) {
            for secret in secrets.iter().chain(&self.proxy.secrets()) {
                if let Some(line) = log.lines().find(|line| line.contains(secret)) {
                    panic!("a secret is in the host's log: {line}");
                }
            }
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if thread::panicking() {
            println!("what the host logged is in {}", self.directory.display());
            return;
        }
        self.proxy.let_pass();
        self.revoke_every_lease();
        self.assert_aws_is_clean();
        self.assert_log_is_clean();
    }
}
