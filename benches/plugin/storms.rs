//! Many leases revoked at once, as when an operator revokes a whole role.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use vault_plugin_secrets_aws::aws::fake::{Call, Outcome, RateLimit};

use crate::Fallible;
use crate::host::Host;
use crate::load;
use crate::progress::Progress;
use crate::report::{Report, Storm};
use crate::settings::{Plugin, Settings};
use crate::subject::{Role, Subject};
use crate::world::World;

const CLIENTS: usize = 64;
/// Of one call to AWS.
const DELAY: Duration = Duration::from_millis(50);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// A host tries six times to revoke a lease, at growing distances, and then gives it up.
const LONGEST: Duration = Duration::from_mins(20);

/// How many leases, and how many calls a second IAM takes.
fn storms(settings: &Settings) -> [(usize, Option<u32>); 2] {
    if settings.quick {
        [(100, None), (24, Some(20))]
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
                 refused, {} leases lost",
                plugin.name,
                storm.done_s,
                storm.keys_dead_s,
                storm.calls,
                storm.refused,
                storm.lost
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

    aws.set_delay(DELAY);
    aws.limit_iam(limit.map(|per_second| RateLimit {
        per_second,
        burst: per_second,
    }));
    aws.forget_calls();
    let cpu = subject.cpu()?;
    let prefix = subject.lease_prefix(Role::Full);
    let began = Instant::now();
    host.revoke_prefix(&prefix, false).await?;
    let lost = loop {
        let left = host.leases(&prefix).await?;
        let given_up = if left == 0 {
            0
        } else {
            host.given_up_leases().await?
        };
        if left == given_up {
            break given_up;
        }
        if began.elapsed() > LONGEST {
            return Err(format!("{}: {left} leases are left", plugin.name).into());
        }
        sleep(PAUSE).await;
    };
    let done = began.elapsed();
    aws.limit_iam(None);

    let calls = aws.calls();
    let storm = Storm {
        leases,
        limit,
        delay_ms: DELAY.as_millis(),
        done_s: done.as_secs_f64(),
        keys_dead_s: keys_dead(&calls).as_secs_f64(),
        calls: calls.len(),
        refused: calls.iter().filter(|call| is_throttled(call)).count(),
        lost,
        users_left: aws.iam_users().len(),
        cpu_s: subject.cpu()?.saturating_sub(cpu).as_secs_f64(),
    };
    for user in aws.iam_users() {
        aws.remove_user(user.user_name.as_str());
    }
    Ok(storm)
}

fn is_throttled(call: &Call) -> bool {
    call.outcome == Some(Outcome::Refused("Throttling".to_owned()))
}

/// From the first call to the moment when the last key was deleted or made inactive.
fn keys_dead(calls: &[Call]) -> Duration {
    let began = calls.iter().map(|call| call.began).min();
    let mut deaths: BTreeMap<&str, Duration> = BTreeMap::new();
    for call in calls {
        let dies = call.operation == "iam:DeleteAccessKey"
            || call.operation == "iam:UpdateAccessKey" && call.target.ends_with(" Inactive");
        if let (true, Some(Outcome::Done), Some(ended)) = (dies, &call.outcome, call.ended) {
            let key = call.target.trim_end_matches(" Inactive");
            let death = deaths.entry(key).or_insert(ended);
            *death = ended.min(*death);
        }
    }
    let last = deaths.into_values().max();
    last.unwrap_or_default()
        .saturating_sub(began.unwrap_or_default())
}
