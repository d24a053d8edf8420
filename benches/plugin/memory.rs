//! Memory of the plugin's processes: with one mount and with many, before, under and after load.

use std::time::Duration;

use tokio::time::sleep;

use crate::Fallible;
use crate::host::{Host, revokes};
use crate::load::{self, Run};
use crate::progress::Progress;
use crate::report::{Memory, Report};
use crate::requests::lease_ids;
use crate::settings::{Plugin, Settings};
use crate::subject::{Role, Subject};
use crate::world::World;

const MOUNTS: [usize; 2] = [1, 100];
const CLIENTS: usize = 64;
const DELAY: Duration = Duration::from_millis(20);
/// Between two looks under load.
const PAUSE: Duration = Duration::from_millis(20);

pub(crate) async fn measure(settings: &Settings, world: &World, report: &mut Report) -> Fallible {
    let mut progress = Progress::new("memory", MOUNTS.len() * settings.plugins.len());
    for mounts in MOUNTS {
        for (plugin, report) in settings.plugins.iter().zip(&mut report.plugins) {
            let memory = of(settings, world, plugin, mounts).await?;
            progress.step(&format!(
                "{}, {mounts} mounts: idle {} KiB, loaded {} KiB, afterwards {} KiB",
                plugin.name, memory.idle_kib, memory.loaded_kib, memory.settled_kib
            ));
            report.memory.push(memory);
        }
    }
    Ok(())
}

async fn of(
    settings: &Settings,
    world: &World,
    plugin: &Plugin,
    mounts: usize,
) -> Fallible<Memory> {
    let host = Host::start(&settings.host).await?;
    let subject = Subject::install(&host, world, plugin, mounts).await?;
    subject.aws().set_delay(DELAY);
    sleep(settings.quiet()).await;
    let idle_kib = subject.memory()?;

    let operations = settings.operations(CLIENTS, DELAY);
    let issues = subject.issues(Role::Full, operations);
    let issuing = load::run(host.address, CLIENTS, issues);
    let (issued, while_issuing) = watched(&subject, issuing).await?;
    let leases = lease_ids(&issued.bodies)?;
    let revoking = load::run(host.address, CLIENTS, revokes(&leases));
    let (revoked, while_revoking) = watched(&subject, revoking).await?;
    if let Some(failure) = issued.failures.first().or(revoked.failures.first()) {
        return Err(format!("{}: {failure}", plugin.name).into());
    }
    sleep(settings.quiet()).await;
    Ok(Memory {
        mounts,
        idle_kib,
        loaded_kib: while_issuing.max(while_revoking),
        settled_kib: subject.memory()?,
    })
}

/// Lets a load run and says how much memory was in use at most.
async fn watched(
    subject: &Subject<'_>,
    load: impl Future<Output = Fallible<Run>>,
) -> Fallible<(Run, u64)> {
    let mut load = std::pin::pin!(load);
    let mut most = 0;
    loop {
        tokio::select! {
            run = &mut load => return Ok((run?, most.max(subject.memory()?))),
            () = sleep(PAUSE) => most = most.max(subject.memory()?),
        }
    }
}
