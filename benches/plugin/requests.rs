//! Latency, throughput, processor time and calls to AWS of each operation, under each load.

use std::time::Duration;

use hyper::body::Bytes;
use serde_json::Value;

use crate::Fallible;
use crate::driver::connection::Ask;
use crate::driver::progress::say;
use crate::host::{Host, revokes};
use crate::load::{self, Run};
use crate::progress::Progress;
use crate::report::{self, Case, Cpu, Latency, Report, StandIn};
use crate::settings::Settings;
use crate::subject::{Role, Subject};
use crate::world::World;

/// How many requests nobody counts at first.
const WARM_UP: usize = 128;

pub(crate) async fn measure(settings: &Settings, world: &World, report: &mut Report) -> Fallible {
    report.stand_in = stand_in(settings, world).await?;

    let host = Host::start(&settings.host).await?;
    let mut subjects = Vec::new();
    for plugin in &settings.plugins {
        let subject = Subject::install(&host, world, plugin, 1).await?;
        warm_up(&host, &subject).await?;
        subjects.push(subject);
    }
    let roles = [Role::Full, Role::OnePolicy, Role::Assumed];
    let loads = roles.map(|role| settings.loads(role).len());
    let rounds = settings.clients().len() + loads.iter().sum::<usize>();
    let mut progress = Progress::new("requests", rounds * subjects.len());
    let mut cases: Vec<(usize, Vec<Case>)> = Vec::new();
    for &clients in settings.clients() {
        let operations = 8 * settings.operations(clients, Duration::ZERO);
        for (index, subject) in subjects.iter().enumerate() {
            let bench = Bench::new(&host, subject, Duration::ZERO, clients);
            let reads = subject.role_reads(Role::Full, operations);
            let (case, _) = bench.run("read role", reads).await?;
            progress.step(&describe(subject, std::slice::from_ref(&case)));
            cases.push((index, vec![case]));
        }
    }
    for role in roles {
        for (delay, clients) in settings.loads(role) {
            let operations = settings.operations(clients, delay);
            for (index, subject) in subjects.iter().enumerate() {
                let bench = Bench::new(&host, subject, delay, clients);
                let done = bench.credentials(role, operations).await?;
                progress.step(&describe(subject, &done));
                cases.push((index, done));
            }
        }
    }
    for (index, done) in cases {
        report.plugins[index].cases.extend(done);
    }
    Ok(())
}

/// What the simulated AWS can do by itself, asked by the same clients.
async fn stand_in(settings: &Settings, world: &World) -> Fallible<Vec<StandIn>> {
    let account = world.account(&settings.plugins[0]);
    account.aws.set_delay(Duration::ZERO);
    let id = account.key.access_key_id.as_str();
    let ask = Ask {
        method: "POST",
        path: "/".to_owned(),
        headers: vec![(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={id}/20260102/us-east-1/iam/aws4_request"),
        )],
        body: "Action=GetUser&Version=2010-05-08".to_owned(),
    };
    let calls = if settings.quick { 4_000 } else { 40_000 };
    let mut found = Vec::new();
    for (clients, calls) in [(1, calls / 4), (64, calls)] {
        let run = load::run(world.address, clients, vec![ask.clone(); calls]).await?;
        if let Some(failure) = run.failures.first() {
            return Err(format!("the simulated AWS does not work: {failure}").into());
        }
        let alone = StandIn {
            clients,
            latency: Latency::of(&run.latencies),
            per_second: report::per_second(&run),
        };
        say(&format!(
            "the simulated AWS by itself, {clients} clients: {:.2} ms, {:.0} calls/s",
            alone.latency.p50_ms, alone.per_second
        ));
        found.push(alone);
    }
    account.aws.forget_calls();
    Ok(found)
}

/// Opens connections and grows what grows at first.
async fn warm_up(host: &Host, subject: &Subject<'_>) -> Fallible {
    for role in [Role::Full, Role::Assumed] {
        let bench = Bench::new(host, subject, Duration::ZERO, 16);
        for case in bench.credentials(role, WARM_UP).await? {
            if let Some(failure) = case.failure {
                return Err(format!("{}, {}: {failure}", subject.name(), case.operation).into());
            }
        }
    }
    Ok(())
}

/// One load on one plugin.
struct Bench<'a> {
    host: &'a Host,
    subject: &'a Subject<'a>,
    delay: Duration,
    clients: usize,
}

impl<'a> Bench<'a> {
    fn new(host: &'a Host, subject: &'a Subject<'a>, delay: Duration, clients: usize) -> Self {
        Self {
            host,
            subject,
            delay,
            clients,
        }
    }

    async fn run(
        &self,
        operation: &'static str,
        asks: impl Iterator<Item = Ask>,
    ) -> Fallible<(Case, Run)> {
        let aws = self.subject.aws();
        aws.set_delay(self.delay);
        aws.forget_calls();
        let before = self.cpu()?;
        let run = load::run(self.host.address, self.clients, asks).await?;
        let cpu = self.cpu()?.since(before);
        let case = Case::of(operation, self.delay, self.clients, &run, cpu, &aws.calls());
        Ok((case, run))
    }

    fn cpu(&self) -> Fallible<Cpu> {
        Ok(Cpu {
            plugin: self.subject.cpu()?,
            host: self.host.cpu(),
        })
    }

    /// Issues credentials and revokes them.
    async fn credentials(&self, role: Role, operations: usize) -> Fallible<Vec<Case>> {
        let issues = self.subject.issues(role, operations);
        let (issue, revoke) = match role {
            Role::Full => ("issue full role", "revoke full role"),
            Role::OnePolicy => ("issue one-policy role", "revoke one-policy role"),
            Role::Assumed => {
                let (issued, _) = self.run("issue assumed role", issues).await?;
                // AWS has nothing to do for that.
                let prefix = self.subject.lease_prefix(role);
                self.host.revoke_prefix(&prefix, true).await?;
                return Ok(vec![issued]);
            }
        };
        let (issued, run) = self.run(issue, issues).await?;
        let leases = lease_ids(&run.bodies)?;
        let (revoked, _) = self.run(revoke, revokes(&leases)).await?;
        Ok(vec![issued, revoked])
    }
}

/// The leases of answers.
pub(crate) fn lease_ids(bodies: &[Bytes]) -> Fallible<Vec<String>> {
    let id = |body: &Bytes| -> Fallible<String> {
        let answer: Value = serde_json::from_slice(body)?;
        let id = answer["lease_id"].as_str().filter(|id| !id.is_empty());
        Ok(id.ok_or("an answer has no lease")?.to_owned())
    };
    bodies.iter().map(id).collect()
}

fn describe(subject: &Subject<'_>, cases: &[Case]) -> String {
    let mut text = subject.name().to_owned();
    if let Some(case) = cases.first() {
        text.push_str(&format!(", {} ms, {} clients", case.delay_ms, case.clients));
    }
    for case in cases {
        text.push_str(&format!(
            "; {}: p50 {:.1} ms, p99 {:.1} ms, {:.0}/s",
            case.operation, case.latency.p50_ms, case.latency.p99_ms, case.per_second
        ));
        if let Some(failure) = &case.failure {
            text.push_str(&format!(", {} FAILED: {failure}", case.failures));
        }
    }
    text
}
