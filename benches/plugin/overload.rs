//! More requests than AWS takes, for minutes, by clients who do not wait for ever: who is served in time,
//! and what is left.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};
use vault_plugin_secrets_aws::aws::fake::RateLimit;

use crate::Fallible;
use crate::driver::connection::{Ask, Connection};
use crate::driver::progress::say;
use crate::host::Host;
use crate::progress::{Progress, pulse};
use crate::report::{Latency, Overload, Report};
use crate::settings::{Plugin, Settings};
use crate::storms;
use crate::subject::{Role, Subject};
use crate::world::World;

/// How many calls a second IAM takes.
const LIMIT: u32 = 20;
/// Of one call to AWS.
const DELAY: Duration = Duration::from_millis(50);
/// Calls that the full role needs at the least.
const CALLS: u32 = 7;
/// How many times more than AWS takes is asked for.
const TIMES: u32 = 2;
/// How long a client waits before it hangs up.
const PATIENCE: Duration = Duration::from_secs(10);
/// For what nobody waited for to be undone: the host's timer comes once a minute.
const HEALING: Duration = Duration::from_mins(3);
const PAUSE: Duration = Duration::from_millis(250);

/// What became of a request.
enum Outcome {
    Served(Duration),
    Refused(Duration),
    GaveUp,
}

pub(crate) async fn measure(settings: &Settings, world: &World, report: &mut Report) -> Fallible {
    let mut progress = Progress::new("overload", settings.plugins.len());
    for (plugin, report) in settings.plugins.iter().zip(&mut report.plugins) {
        let overload = of(settings, world, plugin).await?;
        progress.step(&format!(
            "{}: of {} requests {} served, {} refused, {} given up; {} users and {} leases left",
            plugin.name,
            overload.asked,
            overload.served,
            overload.refused,
            overload.given_up,
            overload.users_left,
            overload.lost,
        ));
        report.overload = Some(overload);
    }
    Ok(())
}

async fn of(settings: &Settings, world: &World, plugin: &Plugin) -> Fallible<Overload> {
    let time = Duration::from_secs(if settings.quick { 30 } else { 300 });
    let host = Host::start(&settings.host).await?;
    let subject = Subject::install(&host, world, plugin, 1).await?;
    let aws = subject.aws();
    aws.set_delay(DELAY);
    aws.limit_iam(Some(RateLimit {
        per_second: LIMIT,
        burst: LIMIT,
    }));
    let cpu = subject.cpu()?;
    let outcomes = crowd(&host, &subject, time).await?;
    let cpu = subject.cpu()?.saturating_sub(cpu);

    aws.limit_iam(None);
    let prefix = subject.lease_prefix(Role::Full);
    host.revoke_prefix(&prefix, false).await?;
    let lost = storms::lost(&host, &prefix).await?;
    let healing = Instant::now();
    while !aws.iam_users().is_empty() && healing.elapsed() < HEALING {
        sleep(PAUSE).await;
    }
    let users = aws.iam_users();

    let mut served = Vec::new();
    let mut refused = Vec::new();
    for outcome in &outcomes {
        match outcome {
            Outcome::Served(after) => served.push(*after),
            Outcome::Refused(after) => refused.push(*after),
            Outcome::GaveUp => {}
        }
    }
    let overload = Overload {
        limit: LIMIT,
        delay_ms: DELAY.as_millis(),
        times: TIMES,
        patience_s: PATIENCE.as_secs(),
        time_s: time.as_secs(),
        asked: outcomes.len(),
        served: served.len(),
        refused: refused.len(),
        given_up: outcomes.len() - served.len() - refused.len(),
        calls_of_an_issue: CALLS,
        served_after: Latency::of(&served),
        refused_after: Latency::of(&refused),
        lost,
        users_left: users.len(),
        keys_left: users.iter().filter(|user| storms::has_key(user)).count(),
        cpu_s: cpu.as_secs_f64(),
    };
    for user in users {
        aws.remove_user(user.user_name.as_str());
    }
    Ok(overload)
}

/// Asks at an even pace, whatever is answered.
async fn crowd(host: &Host, subject: &Subject<'_>, time: Duration) -> Fallible<Vec<Outcome>> {
    let mut pace = interval(Duration::from_secs(1) * CALLS / (LIMIT * TIMES));
    let mut pulse = pulse();
    let mut clients = JoinSet::new();
    let mut outcomes = Vec::new();
    let began = Instant::now();
    loop {
        let is_over = began.elapsed() >= time;
        if is_over && clients.is_empty() {
            return Ok(outcomes);
        }
        tokio::select! {
            _ = pace.tick(), if !is_over => {
                for ask in subject.issues(Role::Full, 1) {
                    clients.spawn(send(host.address, ask));
                }
            }
            Some(outcome) = clients.join_next() => outcomes.push(outcome??),
            _ = pulse.tick() => say(&format!(
                "… {} answered, {} wait, after {} s",
                outcomes.len(),
                clients.len(),
                began.elapsed().as_secs()
            )),
        }
    }
}

async fn send(address: SocketAddr, ask: Ask) -> Fallible<Outcome> {
    let mut connection = Connection::open(address).await?;
    let sent = Instant::now();
    // The connection closes with the request that is under way.
    let Ok(answer) = timeout(PATIENCE, connection.send(&ask)).await else {
        return Ok(Outcome::GaveUp);
    };
    Ok(if answer?.status().is_success() {
        Outcome::Served(sent.elapsed())
    } else {
        Outcome::Refused(sent.elapsed())
    })
}
