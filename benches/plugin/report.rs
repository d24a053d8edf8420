//! What is written: numbers with their units in their names.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use serde::Serialize;
use vault_plugin_secrets_aws::aws::fake::Call;

use crate::Fallible;
use crate::driver::machine::Machine;
use crate::load::Run;
use crate::settings::Plugin;

/// Everything.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) quick: bool,
    pub(crate) host: String,
    pub(crate) machine: Machine,
    /// The simulated AWS by itself, which bounds everything else.
    pub(crate) stand_in: Vec<StandIn>,
    pub(crate) plugins: Vec<PluginReport>,
}

#[derive(Debug, Serialize)]
pub(crate) struct StandIn {
    pub(crate) clients: usize,
    #[serde(flatten)]
    pub(crate) latency: Latency,
    pub(crate) per_second: f64,
}

#[derive(Debug, Serialize)]
pub(crate) struct PluginReport {
    pub(crate) name: &'static str,
    pub(crate) binary_bytes: u64,
    pub(crate) start: Option<Latency>,
    pub(crate) memory: Vec<Memory>,
    pub(crate) cases: Vec<Case>,
    pub(crate) storms: Vec<Storm>,
    pub(crate) overload: Option<Overload>,
    pub(crate) sweep: Option<Sweep>,
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
            overload: None,
            sweep: None,
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
    /// Of the host, per operation.
    pub(crate) host_cpu_us: f64,
    /// To AWS, per operation.
    pub(crate) calls: BTreeMap<&'static str, f64>,
    /// How many of these followed one another; of one client, and where calls take time.
    pub(crate) trips: Option<f64>,
}

/// Processor time, in user and kernel mode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    pub(crate) plugin: Duration,
    pub(crate) host: Duration,
}

impl Cpu {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            plugin: self.plugin.saturating_sub(before.plugin),
            host: self.host.saturating_sub(before.host),
        }
    }
}

impl Case {
    pub(crate) fn of(
        operation: &'static str,
        delay: Duration,
        clients: usize,
        run: &Run,
        cpu: Cpu,
        calls: &[Call],
    ) -> Self {
        let operations = run.latencies.len();
        let each = |sum: f64| sum / count(operations.max(1));
        let mut called: BTreeMap<_, usize> = BTreeMap::new();
        for call in calls {
            *called.entry(call.operation).or_default() += 1;
        }
        let called = called.into_iter();
        Self {
            operation,
            delay_ms: delay.as_millis(),
            clients,
            operations,
            failures: run.failures.len(),
            failure: run.failures.first().cloned(),
            latency: Latency::of(&run.latencies),
            per_second: per_second(run),
            cpu_us: each(cpu.plugin.as_secs_f64() * 1e6),
            host_cpu_us: each(cpu.host.as_secs_f64() * 1e6),
            calls: called
                .map(|(call, times)| (call, each(count(times))))
                .collect(),
            trips: (clients == 1 && !delay.is_zero()).then(|| each(count(in_a_row(calls)))),
        }
    }
}

/// The most calls of which none began before the one before it had ended.
fn in_a_row(calls: &[Call]) -> usize {
    let spans = calls
        .iter()
        .filter_map(|call| Some((call.ended?, call.began)));
    let mut spans: Vec<_> = spans.collect();
    spans.sort_unstable();
    let mut free = Duration::ZERO;
    spans
        .into_iter()
        .filter(|&(ended, began)| {
            let follows = began >= free;
            if follows {
                free = ended;
            }
            follows
        })
        .count()
}

/// Many leases revoked at once.
#[derive(Debug, Serialize)]
pub(crate) struct Storm {
    pub(crate) leases: usize,
    /// How many calls IAM takes a second.
    pub(crate) limit: Option<u32>,
    pub(crate) delay_ms: u128,
    /// From the request until AWS has removed the last user.
    pub(crate) done_s: f64,
    /// From the request until AWS accepts none of the keys any more.
    pub(crate) keys_dead_s: f64,
    pub(crate) calls: usize,
    /// Of those, how many IAM refused because there were too many.
    pub(crate) refused: usize,
    /// Leases that the host has given up, or still had when nobody waited any longer.
    pub(crate) lost: usize,
    /// Users that AWS still has.
    pub(crate) users_left: usize,
    /// Those of them whose key works.
    pub(crate) keys_left: usize,
    pub(crate) cpu_s: f64,
}

/// More requests for the full role than AWS takes.
#[derive(Debug, Serialize)]
pub(crate) struct Overload {
    /// How many calls IAM takes a second.
    pub(crate) limit: u32,
    pub(crate) delay_ms: u128,
    /// How many times more was asked for.
    pub(crate) times: u32,
    /// When clients hung up.
    pub(crate) patience_s: u64,
    pub(crate) time_s: u64,
    pub(crate) asked: usize,
    pub(crate) served: usize,
    pub(crate) refused: usize,
    pub(crate) given_up: usize,
    /// What AWS needs for one who is served.
    pub(crate) calls_of_an_issue: u32,
    pub(crate) served_after: Latency,
    pub(crate) refused_after: Latency,
    /// Leases that could not be revoked afterwards.
    pub(crate) lost: usize,
    /// Users that AWS still had when every lease was revoked and what nobody waited for had time to go.
    pub(crate) users_left: usize,
    pub(crate) keys_left: usize,
    pub(crate) cpu_s: f64,
}

/// What it takes to watch over many issued users.
#[derive(Debug, Serialize)]
pub(crate) struct Sweep {
    pub(crate) records: usize,
    pub(crate) before_kib: u64,
    /// Of the host's timer; all names are listed in the first.
    pub(crate) ticks: Vec<Tick>,
    /// What operators and monitoring ask of it.
    pub(crate) looks: Vec<Look>,
    pub(crate) after_kib: u64,
}

/// One kind of request to the register.
#[derive(Debug, Serialize)]
pub(crate) struct Look {
    pub(crate) what: &'static str,
    pub(crate) latency: Latency,
}

#[derive(Debug, Serialize)]
pub(crate) struct Tick {
    pub(crate) time_s: f64,
    /// Of the processor, in user and kernel mode.
    pub(crate) cpu_s: f64,
    pub(crate) most_kib: u64,
}

pub(crate) fn per_second(run: &Run) -> f64 {
    count(run.latencies.len()) / run.elapsed.as_secs_f64()
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Counts here are small.
fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}
