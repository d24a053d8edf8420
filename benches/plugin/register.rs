//! The register of issued users with very many in it: what reading it all costs, and keeps in memory.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::Fallible;
use crate::driver::connection::Ask;
use crate::driver::progress::say;
use crate::host::{self, Host};
use crate::load;
use crate::progress::Progress;
use crate::report::{Latency, Look, Report, Sweep, Tick};
use crate::settings::Settings;
use crate::subject::Subject;
use crate::world::World;

const CLIENTS: usize = 64;
/// How many ticks of the host's timer are measured; it lists all names in the first.
const TICKS: usize = 3;
/// How many kinds of requests are measured after that.
const LOOKS: usize = 5;
/// Between two looks at the process.
const PAUSE: Duration = Duration::from_millis(50);
/// A tick is over when the process has done nothing for so long.
const QUIET: Duration = Duration::from_secs(1);
/// What takes less than this is not the sweep.
const SOMETHING: Duration = Duration::from_millis(30);
/// The host's timer comes once a minute.
const LONGEST: Duration = Duration::from_mins(5);

pub(crate) async fn measure(settings: &Settings, world: &World, report: &mut Report) -> Fallible {
    // Only this plugin has such a register.
    let (plugin, report) = (&settings.plugins[0], &mut report.plugins[0]);
    let mut progress = Progress::new("register", 1 + TICKS + LOOKS);
    let records = if settings.quick { 10_000 } else { 100_000 };
    let host = Host::start(&settings.host).await?;
    let subject = Subject::install(&host, world, plugin, 1).await?;
    let storage = host.storage(&subject.mount_path(0)).await?;
    let filled = load::run(host.address, CLIENTS, entries(&storage, records)).await?;
    if let Some(failure) = filled.failures.first() {
        return Err(failure.clone().into());
    }
    if filled.latencies.len() < records {
        return Err("the records could not be stored in time".into());
    }
    progress.step(&format!("{records} records stored"));
    // The names are listed by the first tick of a life.
    host.reload(&subject.mount_path(0)).await?;
    sleep(QUIET).await;
    let mut sweep = Sweep {
        records,
        before_kib: subject.memory()?,
        ticks: Vec::new(),
        looks: Vec::new(),
        after_kib: 0,
    };
    for _ in 0..TICKS {
        let tick = tick(&subject).await?;
        progress.step(&format!(
            "{:.2} s, {:.2} s of the processor, at most {} KiB",
            tick.time_s, tick.cpu_s, tick.most_kib
        ));
        sweep.ticks.push(tick);
    }
    for (what, times, ask) in asks(&subject.mount_path(0), records) {
        let run = load::run(host.address, 1, (0..times).map(|_| ask.clone())).await?;
        if let Some(failure) = run.failures.first() {
            return Err(format!("{what}: {failure}").into());
        }
        let latency = Latency::of(&run.latencies);
        progress.step(&format!("{what}: {:.1} ms", latency.p50_ms));
        sweep.looks.push(Look { what, latency });
    }
    sweep.after_kib = subject.memory()?;
    report.sweep = Some(sweep);
    Ok(())
}

/// Requests that store a record each, of users whose leases live for a long time yet.
fn entries(storage: &str, records: usize) -> impl Iterator<Item = Ask> {
    (0..records).map(move |number| {
        let record = json!({
            "making": format!("6f9619ff-8b86-d011-b42d-{number:012}"),
            "user_id": format!("AIDA{number:017}"),
            "access_key_id": format!("AKIA{number:016}"),
            "account": "111122223333",
            "role": "full",
            "display_name": "approle",
            "entity_id": "7d2e3179-f69b-450c-7179-ac8ee8bd8ca9",
            "issued_at": 1_700_000_000_i64,
            "expires_at": 4_000_000_000_i64,
            "stored_at": 1_700_000_000_i64,
        });
        let path = format!("sys/raw/{storage}/issued/{}", user(number));
        host::ask("PUT", &path, &json!({ "value": record.to_string() }))
    })
}

fn user(number: usize) -> String {
    format!("vault-approle-full-1700000000-{number:020}")
}

/// What is asked of the register, how often each.
fn asks(mount: &str, records: usize) -> [(&'static str, usize, Ask); LOOKS] {
    let middle = user(records / 2);
    let get = |path: &str| host::ask("GET", &format!("{mount}/{path}"), &json!(null));
    let dry_run = json!({ "dry_run": true });
    [
        (
            "a page of 100 users",
            20,
            get(&format!("issued?list=true&limit=100&after={middle}")),
        ),
        ("one user by name", 100, get(&format!("issued/{middle}"))),
        (
            "one user by access key",
            5,
            get(&format!("issued/AKIA{:016}", records / 2)),
        ),
        (
            "contain, dry run",
            3,
            host::ask("PUT", &format!("{mount}/contain/full"), &dry_run),
        ),
        ("metrics", 100, get("metrics")),
    ]
}

/// Waits for the process to do something, and for that to end.
async fn tick(subject: &Subject<'_>) -> Fallible<Tick> {
    let began = Instant::now();
    let mut before = subject.cpu()?;
    let mut used = before;
    // When it was first and last seen to work.
    let mut busy: Option<(Instant, Instant)> = None;
    let mut most_kib = 0;
    loop {
        if began.elapsed() > LONGEST {
            return Err("the host's timer does not come".into());
        }
        sleep(PAUSE).await;
        let (cpu, now) = (subject.cpu()?, Instant::now());
        most_kib = most_kib.max(subject.memory()?);
        if cpu > used {
            used = cpu;
            let (first, _) = busy.unwrap_or((now - PAUSE, now));
            busy = Some((first, now));
        }
        let Some((first, last)) = busy else { continue };
        if last.elapsed() < QUIET {
            continue;
        }
        if used.saturating_sub(before) > SOMETHING {
            return Ok(Tick {
                time_s: (last - first).as_secs_f64(),
                cpu_s: used.saturating_sub(before).as_secs_f64(),
                most_kib,
            });
        }
        (before, busy, most_kib) = (used, None, 0);
        say("… a moment of work that was no sweep");
    }
}
