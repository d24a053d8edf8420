//! What is to be run, from the environment and the command line.

use std::path::PathBuf;
use std::time::Duration;

use vault_plugin_secrets_aws::environment::{Environment as _, ProcessEnvironment};

use crate::Fallible;

/// What is run and how long.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `HOST_BIN`: the server.
    pub(crate) host: PathBuf,
    /// `PLUGIN_BIN`: the plugin under test.
    pub(crate) plugin: PathBuf,
    /// Where the results go. Beside it lies what the nodes have, until all went well.
    pub(crate) output: PathBuf,
    /// What the hand does follows from it; what meets what does not.
    pub(crate) seed: u64,
    pub(crate) nodes: usize,
    /// How many processes are killed.
    pub(crate) kills: usize,
    /// The time over which they are spread.
    pub(crate) duration: Duration,
    /// Whether what only time settles is left to it.
    pub(crate) quick: bool,
}

impl Settings {
    pub(crate) fn read() -> Fallible<Self> {
        let variable = |name: &str| ProcessEnvironment.var(name).map(PathBuf::from);
        let (Some(host), Some(plugin)) = (variable("HOST_BIN"), variable("PLUGIN_BIN")) else {
            return Err("HOST_BIN and PLUGIN_BIN must be set: run scripts/chaos".into());
        };
        // Cargo itself adds --bench.
        let mut arguments = std::env::args().skip(1).filter(|text| text != "--bench");
        let output = arguments.next();
        let mut settings = Self {
            host,
            plugin,
            output: output
                .ok_or("the first argument must name the output")?
                .into(),
            seed: 0,
            nodes: 3,
            kills: 0,
            duration: Duration::ZERO,
            quick: false,
        };
        while let Some(name) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{name}: no value"));
            match name.as_str() {
                "--seed" => settings.seed = value()?.parse()?,
                "--nodes" => settings.nodes = value()?.parse()?,
                "--kills" => settings.kills = value()?.parse()?,
                "--seconds" => settings.duration = Duration::from_secs(value()?.parse()?),
                "--quick" => settings.quick = true,
                other => return Err(format!("{other} is no option").into()),
            }
        }
        if settings.nodes == 0 || settings.kills == 0 || settings.duration.is_zero() {
            return Err("nodes, kills and seconds must be more than none".into());
        }
        Ok(settings)
    }

    /// What the nodes have.
    pub(crate) fn directory(&self) -> PathBuf {
        self.output.with_file_name("nodes")
    }
}
