//! A plugin on a host: registered, mounted, configured.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use vault_plugin_secrets_aws::aws::fake::FakeAws;

use crate::Fallible;
use crate::driver::connection::Ask;
use crate::driver::plugin::sha256;
use crate::driver::server::children;
use crate::host::{self, Host};
use crate::process;
use crate::settings::Plugin;
use crate::world::{ASSUMED_ROLE, GROUP, World};

const MANAGED: [&str; 3] = [
    "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess",
    "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
    "arn:aws:iam::aws:policy/IAMReadOnlyAccess",
];
const INLINE: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["sqs:SendMessage","sqs:ReceiveMessage"],"Resource":"*"}]}"#;

/// The roles that a mount has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// An IAM user with three managed policies, an inline policy, a group and two tags.
    Full,
    /// An IAM user with a managed policy.
    OnePolicy,
    /// A session of a role of AWS.
    Assumed,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::OnePolicy => "one-policy",
            Self::Assumed => "assumed",
        }
    }
}

/// A plugin on a host.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    host: &'a Host,
    world: &'a World,
    plugin: &'a Plugin,
    binary: PathBuf,
    mounts: usize,
}

impl<'a> Subject<'a> {
    /// Registers the plugin and mounts it so many times.
    pub(crate) async fn install(
        host: &'a Host,
        world: &'a World,
        plugin: &'a Plugin,
        mounts: usize,
    ) -> Fallible<Self> {
        let binary = host.plugins().join(plugin.name);
        fs::copy(&plugin.binary, &binary)?;
        let catalog = format!("sys/plugins/catalog/secret/{}", plugin.name);
        let entry = json!({ "command": plugin.name, "sha256": sha256(&binary)? });
        host.request("POST", &catalog, &entry).await?;
        let subject = Self {
            host,
            world,
            plugin,
            binary,
            mounts,
        };
        for number in 0..mounts {
            subject.mount(number).await?;
        }
        Ok(subject)
    }

    async fn mount(&self, number: usize) -> Fallible {
        let mount = self.mount_path(number);
        let write = |path: String, body: Value| async move {
            self.host.request("POST", &path, &body).await
        };
        write(
            format!("sys/mounts/{mount}"),
            json!({ "type": self.plugin.name }),
        )
        .await?;
        let key = &self.world.account(self.plugin).key;
        let endpoint = format!("http://{}", self.world.address);
        write(
            format!("{mount}/config/root"),
            json!({
                "access_key": key.access_key_id.as_str(),
                "secret_key": key.secret_access_key.expose_secret(),
                "region": "us-east-1",
                "iam_endpoint": endpoint,
                "sts_endpoint": endpoint,
                "sts_region": "us-east-1",
            }),
        )
        .await?;
        for (role, body) in [
            (
                Role::Full,
                json!({
                    "credential_type": "iam_user",
                    "policy_arns": MANAGED,
                    "policy_document": INLINE,
                    "iam_groups": [GROUP],
                    "iam_tags": { "team": "payments", "stage": "production" },
                }),
            ),
            (
                Role::OnePolicy,
                json!({ "credential_type": "iam_user", "policy_arns": [MANAGED[0]] }),
            ),
            (
                Role::Assumed,
                json!({
                    "credential_type": "assumed_role",
                    "role_arns": [self.aws().arn("iam", &format!("role/{ASSUMED_ROLE}")).as_str()],
                }),
            ),
        ] {
            write(format!("{mount}/roles/{}", role.name()), body).await?;
        }
        Ok(())
    }

    pub(crate) fn mount_path(&self, number: usize) -> String {
        format!("{}-{number}", self.plugin.name)
    }

    pub(crate) fn name(&self) -> &'static str {
        self.plugin.name
    }

    /// The AWS it works with.
    pub(crate) fn aws(&self) -> &FakeAws {
        &self.world.account(self.plugin).aws
    }

    /// What the leases of a role of the first mount begin with.
    pub(crate) fn lease_prefix(&self, role: Role) -> String {
        format!("{}/creds/{}", self.mount_path(0), role.name())
    }

    /// Asks for a role's credentials, of one mount after the other.
    pub(crate) fn issues(&self, role: Role, count: usize) -> impl Iterator<Item = Ask> {
        self.reads("creds", role, count)
    }

    /// Asks for a role itself.
    pub(crate) fn role_reads(&self, role: Role, count: usize) -> impl Iterator<Item = Ask> {
        self.reads("roles", role, count)
    }

    fn reads(&self, what: &str, role: Role, count: usize) -> impl Iterator<Item = Ask> {
        (0..count).map(move |number| {
            let mount = self.mount_path(number % self.mounts);
            let path = format!("{mount}/{what}/{}", role.name());
            host::ask("GET", &path, &Value::Null)
        })
    }

    /// The processes that serve its mounts.
    pub(crate) fn processes(&self) -> Fallible<Vec<u32>> {
        children(self.host.pid(), &self.binary)
    }

    /// Processor time used so far.
    pub(crate) fn cpu(&self) -> Fallible<Duration> {
        Ok(process::cpu(&self.processes()?))
    }

    /// Memory in use, in KiB.
    pub(crate) fn memory(&self) -> Fallible<u64> {
        process::memory(&self.processes()?)
    }
}
