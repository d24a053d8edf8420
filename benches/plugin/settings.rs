//! What is to be measured, from the environment and the command line.

use std::path::PathBuf;
use std::time::Duration;

use vault_plugin_secrets_aws::environment::{Environment as _, ProcessEnvironment};

use crate::Fallible;
use crate::subject::Role;

/// A part of the benchmark that can be run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Start,
    Memory,
    Requests,
    Storms,
    Register,
}

/// A plugin to measure.
#[derive(Clone, Debug)]
pub(crate) struct Plugin {
    /// `product` or `peer`: its name in the host's catalog and in the results.
    pub(crate) name: &'static str,
    pub(crate) binary: PathBuf,
    /// The AWS account it works in.
    pub(crate) account: &'static str,
}

/// What is run and how long.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `HOST_BIN`: the server.
    pub(crate) host: PathBuf,
    /// `PLUGIN_BIN`, and `PEER_BIN` if it is set.
    pub(crate) plugins: Vec<Plugin>,
    /// `QUICK`: few repetitions of few cases.
    pub(crate) quick: bool,
    phases: Vec<Phase>,
    /// Where the results go.
    pub(crate) output: PathBuf,
}

impl Settings {
    pub(crate) fn read() -> Fallible<Self> {
        let variable = |name: &str| ProcessEnvironment.var(name).map(PathBuf::from);
        let (Some(host), Some(binary)) = (variable("HOST_BIN"), variable("PLUGIN_BIN")) else {
            return Err("HOST_BIN and PLUGIN_BIN must be set: run scripts/bench".into());
        };
        let mut plugins = vec![Plugin {
            name: "product",
            binary,
            account: "111122223333",
        }];
        plugins.extend(variable("PEER_BIN").map(|binary| Plugin {
            name: "peer",
            binary,
            account: "444455556666",
        }));
        // Cargo itself adds --bench.
        let mut arguments = std::env::args().skip(1).filter(|text| text != "--bench");
        let output = arguments.next();
        let phases = arguments.map(|name| match name.as_str() {
            "start" => Ok(Phase::Start),
            "memory" => Ok(Phase::Memory),
            "requests" => Ok(Phase::Requests),
            "storms" => Ok(Phase::Storms),
            "register" => Ok(Phase::Register),
            other => Err(format!("{other} is no phase")),
        });
        Ok(Self {
            host,
            plugins,
            quick: ProcessEnvironment.var("QUICK").is_some(),
            phases: phases.collect::<Result<_, _>>()?,
            output: output
                .ok_or("the first argument must name the output")?
                .into(),
        })
    }

    /// Whether a phase was asked for; when none was named, all are.
    pub(crate) fn runs(&self, phase: Phase) -> bool {
        self.phases.is_empty() || self.phases.contains(&phase)
    }

    /// How often each plugin is started.
    pub(crate) fn starts(&self) -> usize {
        if self.quick { 20 } else { 100 }
    }

    /// How many clients ask for a role itself, for which AWS is not asked.
    pub(crate) fn clients(&self) -> &'static [usize] {
        if self.quick { &[1, 64] } else { &[1, 16, 64] }
    }

    /// The loads under which credentials of a role are issued and revoked: how long one call to
    /// AWS takes, and how many clients ask.
    pub(crate) fn loads(&self, role: Role) -> Vec<(Duration, usize)> {
        let milliseconds: &[u64] = match (role, self.quick) {
            // Of the others only what their speed and their processor time are read from.
            (Role::OnePolicy | Role::Assumed, _) => {
                return vec![(Duration::ZERO, 64), (Duration::from_millis(50), 1)];
            }
            (Role::Full, true) => &[0, 50],
            (Role::Full, false) => &[0, 20, 50, 100],
        };
        let delays = milliseconds.iter().copied().map(Duration::from_millis);
        delays
            .flat_map(|delay| self.clients().iter().map(move |&clients| (delay, clients)))
            .collect()
    }

    /// How long a plugin is left alone before its memory is looked at. Unused connections are closed by
    /// then, and the host's timer has come, at which plugins tidy up.
    pub(crate) fn quiet(&self) -> Duration {
        Duration::from_secs(if self.quick { 3 } else { 105 })
    }

    /// How many operations one case has.
    pub(crate) fn operations(&self, clients: usize, delay: Duration) -> usize {
        let some = match clients {
            1 if delay >= Duration::from_millis(100) => 60,
            1 => 100,
            16 => 320,
            _ => 960,
        };
        // Where nobody waits for AWS, more are needed to keep the machine busy for long enough.
        let some = if delay.is_zero() { some * 4 } else { some };
        if self.quick { some / 4 } else { some }
    }
}
