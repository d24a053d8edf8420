//! What is written: numbers with their units in their names.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde::Serialize;

use crate::Fallible;
use crate::load::Run;
use crate::settings::Plugin;

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) quick: bool,
    pub(crate) host: String,
    pub(crate) machine: Machine,
    /// The simulated AWS by itself: what bounds everything else.
    pub(crate) stand_in: Option<StandIn>,
    pub(crate) plugins: Vec<PluginReport>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory: String,
    pub(crate) kernel: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct StandIn {
    /// Of one client.
    pub(crate) p50_ms: f64,
    /// Of many.
    pub(crate) calls_per_second: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct PluginReport {
    pub(crate) name: &'static str,
    pub(crate) binary_bytes: u64,
    pub(crate) start: Option<Latency>,
    pub(crate) memory: Vec<Memory>,
    pub(crate) cases: Vec<Case>,
    pub(crate) storms: Vec<Storm>,
}

impl PluginReport {
    pub(crate) fn of(plugin: &Plugin) -> Fallible<Self> {
        let path = &plugin.binary;
        let file = fs::metadata(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self {
            name: plugin.name,
            binary_bytes: file.len(),
            start: None,
            memory: Vec::new(),
            cases: Vec::new(),
            storms: Vec::new(),
        })
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) mounts: usize,
    /// Configured, and nothing asked.
    pub(crate) idle_kib: u64,
    /// The most that was seen under load.
    pub(crate) loaded_kib: u64,
    /// Some seconds after the load.
    pub(crate) settled_kib: u64,
}

#[derive(Debug, Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "numbers have their units in their names"
)]
pub(crate) struct Latency {
    pub(crate) p50_ms: f64,
    pub(crate) p95_ms: f64,
    pub(crate) p99_ms: f64,
}

impl Latency {
    pub(crate) fn of(latencies: &[Duration]) -> Self {
        let mut sorted = latencies.to_vec();
        sorted.sort_unstable();
        // The smallest that so many percent do not exceed.
        let percentile = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100);
            let latency = sorted.get(rank.saturating_sub(1));
            milliseconds(latency.copied().unwrap_or_default())
        };
        Self {
            p50_ms: percentile(50),
            p95_ms: percentile(95),
            p99_ms: percentile(99),
        }
    }
}

/// One operation under one load.
#[derive(Debug, Serialize)]
pub(crate) struct Case {
    pub(crate) operation: &'static str,
    pub(crate) delay_ms: u128,
    pub(crate) clients: usize,
    /// How many succeeded.
    pub(crate) operations: usize,
    pub(crate) failures: usize,
    /// One of them.
    pub(crate) failure: Option<String>,
    #[serde(flatten)]
    pub(crate) latency: Latency,
    pub(crate) per_second: f64,
    /// Of the plugin, per operation.
    pub(crate) cpu_us: f64,
    /// To AWS, per operation.
    pub(crate) calls: BTreeMap<&'static str, f64>,
}

impl Case {
    pub(crate) fn of(
        operation: &'static str,
        delay: Duration,
        clients: usize,
        run: &Run,
        cpu: Duration,
        calls: Vec<&'static str>,
    ) -> Self {
        let operations = run.latencies.len();
        let per_operation = 1.0 / count(operations.max(1));
        let mut called = BTreeMap::new();
        for call in calls {
            *called.entry(call).or_insert(0.0) += per_operation;
        }
        Self {
            operation,
            delay_ms: delay.as_millis(),
            clients,
            operations,
            failures: run.failures.len(),
            failure: run.failures.first().cloned(),
            latency: Latency::of(&run.latencies),
            per_second: count(operations) / run.elapsed.as_secs_f64(),
            cpu_us: cpu.as_secs_f64() * 1e6 * per_operation,
            calls: called,
        }
    }
}

/// Many leases revoked at once.
#[derive(Debug, Serialize)]
pub(crate) struct Storm {
    pub(crate) leases: usize,
    /// How many calls IAM takes a second.
    pub(crate) limit: Option<u32>,
    pub(crate) delay_ms: u128,
    /// Until the host has no lease and AWS no user left.
    pub(crate) done_s: f64,
    /// Until AWS accepts none of the keys any more.
    pub(crate) keys_dead_s: f64,
    pub(crate) calls: usize,
    /// Of those, how many IAM refused because there were too many.
    pub(crate) refused: usize,
    /// Leases that the host has given up.
    pub(crate) lost: usize,
    /// Users that are left in AWS all the same.
    pub(crate) users_left: usize,
    pub(crate) cpu_s: f64,
}

pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Counts here are small.
pub(crate) fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}
