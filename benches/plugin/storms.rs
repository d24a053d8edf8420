//! Many leases revoked at once, as when an operator revokes a whole role.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use vault_plugin_secrets_aws::aws::AccessKeyStatus;
use vault_plugin_secrets_aws::aws::fake::{Call, FakeUser, Outcome, RateLimit};

use crate::Fallible;
use crate::driver::progress::say;
use crate::host::Host;
use crate::load;
use crate::progress::{Progress, pulse};
use crate::report::{Report, Storm};
use crate::settings::{Plugin, Settings};
use crate::subject::{Role, Subject};
use crate::world::World;

const CLIENTS: usize = 64;
/// Of one call to AWS.
const DELAY: Duration = Duration::from_millis(50);
/// Between two looks at the host's leases, for which it does some work.
const PAUSE: Duration = Duration::from_millis(250);
/// A host tries six times to revoke a lease, at growing distances, and then gives it up.
const LONGEST: Duration = Duration::from_mins(12);
/// Before a storm with a limit: its leases were issued faster than an AWS with that limit could have
/// issued them, and what a plugin learnt from that must be forgotten.
const REST: Duration = Duration::from_secs(15);
/// What the journal adds to the name of a key that is made inactive.
const INACTIVE: &str = " Inactive";

/// How many leases, and how many calls a second IAM takes.
fn storms(settings: &Settings) -> [(usize, Option<u32>); 2] {
    if settings.quick {
        [(100, None), (20, Some(20))]
    } else {
        [(400, None), (120, Some(20))]
    }
}

pub(crate) async fn measure(settings: &Settings, world: &World, report: &mut Report) -> Fallible {
    let storms = storms(settings);
    let mut progress = Progress::new("storms", storms.len() * settings.plugins.len());
    for (leases, limit) in storms {
        for (plugin, report) in settings.plugins.iter().zip(&mut report.plugins) {
            let storm = of(settings, world, plugin, leases, limit).await?;
            let limit = limit.map_or("no limit".to_owned(), |limit| format!("{limit} calls/s"));
            progress.step(&format!(
                "{}, {leases} leases, {limit}: done in {:.1} s, keys dead in {:.1} s, {} calls, {} \
                 refused, {} leases and {} users left",
                plugin.name,
                storm.done_s,
                storm.keys_dead_s,
                storm.calls,
                storm.refused,
                storm.lost,
                storm.users_left
            ));
            report.storms.push(storm);
        }
    }
    Ok(())
}

async fn of(
    settings: &Settings,
    world: &World,
    plugin: &Plugin,
    leases: usize,
    limit: Option<u32>,
) -> Fallible<Storm> {
    let host = Host::start(&settings.host).await?;
    let subject = Subject::install(&host, world, plugin, 1).await?;
    let aws = subject.aws();
    aws.set_delay(Duration::ZERO);
    let issues = subject.issues(Role::Full, leases);
    let issued = load::run(host.address, CLIENTS, issues).await?;
    if let Some(failure) = issued.failures.first() {
        return Err(format!("{}: {failure}", plugin.name).into());
    }

    if limit.is_some() {
        sleep(REST).await;
    }
    aws.set_delay(DELAY);
    aws.limit_iam(limit.map(|per_second| RateLimit {
        per_second,
        burst: per_second,
    }));
    aws.forget_calls();
    let cpu = subject.cpu()?;
    let prefix = subject.lease_prefix(Role::Full);
    let began = aws.age();
    host.revoke_prefix(&prefix, false).await?;
    let lost = lost(&host, &prefix).await?;
    aws.limit_iam(None);

    let calls = aws.calls();
    let users = aws.iam_users();
    let storm = Storm {
        leases,
        limit,
        delay_ms: DELAY.as_millis(),
        done_s: last(&calls, is_removal).saturating_sub(began).as_secs_f64(),
        keys_dead_s: last(&calls, is_death).saturating_sub(began).as_secs_f64(),
        calls: calls.len(),
        refused: calls.iter().filter(|call| is_throttled(call)).count(),
        lost,
        users_left: users.len(),
        keys_left: users.iter().filter(|user| has_key(user)).count(),
        cpu_s: subject.cpu()?.saturating_sub(cpu).as_secs_f64(),
    };
    for user in users {
        aws.remove_user(user.user_name.as_str());
    }
    Ok(storm)
}

/// Waits until the host has revoked every lease or given it up, and says how many are left.
pub(crate) async fn lost(host: &Host, prefix: &str) -> Fallible<usize> {
    let began = Instant::now();
    let mut pulse = pulse();
    loop {
        let left = host.leases(prefix).await?;
        if left == 0 || left == host.given_up_leases().await? || began.elapsed() > LONGEST {
            return Ok(left);
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            _ = pulse.tick() => say(&format!("… {left} leases to go")),
        }
    }
}

fn is_throttled(call: &Call) -> bool {
    call.outcome == Some(Outcome::Refused("Throttling".to_owned()))
}

fn is_removal(call: &Call) -> bool {
    call.operation == "iam:DeleteUser"
}

/// Whether it ends a key. A key that was made inactive before it is deleted dies once.
fn is_death(call: &Call) -> bool {
    call.operation == "iam:DeleteAccessKey"
        || call.operation == "iam:UpdateAccessKey" && call.target.ends_with(INACTIVE)
}

/// When the last thing happened that such a call did first.
fn last(calls: &[Call], does: fn(&Call) -> bool) -> Duration {
    let mut first: BTreeMap<&str, Duration> = BTreeMap::new();
    for call in calls.iter().filter(|call| does(call)) {
        if let (Some(Outcome::Done), Some(ended)) = (&call.outcome, call.ended) {
            let what = call.target.trim_end_matches(INACTIVE);
            let earliest = first.entry(what).or_insert(ended);
            *earliest = ended.min(*earliest);
        }
    }
    first.into_values().max().unwrap_or_default()
}

pub(crate) fn has_key(user: &FakeUser) -> bool {
    let mut keys = user.access_keys.iter();
    keys.any(|key| key.status == AccessKeyStatus::Active)
}
