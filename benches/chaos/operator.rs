//! The operator on call: what a host does not mend by itself.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::Fallible;
use crate::cluster::Cluster;
use crate::hand::ACTS;
use crate::ledger::Ledger;
use crate::node::Node;
use crate::scene::{MOUNT, USER_ROLES};

const PAUSE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(4);
/// For how long all looks are in vain before that.
const RELOADED_AFTER: Duration = Duration::from_secs(5);
const RESTARTED_AFTER: Duration = Duration::from_secs(12);
/// For the mount to answer again when all is mended.
const SOON: Duration = Duration::from_mins(1);

/// Starts hosts again that ended by themselves. Looks whether the mount serves, and brings it back if
/// it does not.
///
/// A plugin that dies just when a host sets it up can leave that without: with no mount until somebody
/// reloads it, or asking the dead process again and again until the host starts anew.
pub(crate) async fn be_on_call(cluster: Arc<Cluster>, ledger: Arc<Ledger>) {
    // Since when all looks are in vain, and whether that was answered with a reload.
    let mut failing: Option<(Instant, bool)> = None;
    loop {
        sleep(PAUSE).await;
        for node in cluster.nodes.iter().filter(|node| node.has_ended()) {
            ledger.count(ACTS, "host ended by itself");
            ledger.note(format!(
                "operator: {} has ended, starting it again",
                node.name
            ));
            start(node, &ledger);
        }
        if !cluster.has_active() {
            failing = None;
            continue;
        }
        let looked = Instant::now();
        let Err(error) = answers(&cluster).await else {
            failing = None;
            continue;
        };
        let (since, is_reloaded) = failing.unwrap_or((looked, false));
        failing = Some((since, is_reloaded));
        let node = cluster.active();
        let is_late = since.elapsed() > RESTARTED_AFTER;
        let reloads = error.contains("no handler for route") && !is_late
            || since.elapsed() > RELOADED_AFTER && !is_reloaded;
        if reloads {
            failing = Some((since, true));
            ledger.count(ACTS, "plugin reloaded by the operator");
            ledger.note(format!(
                "operator: reloads the plugin of {}: {error}",
                node.name
            ));
            let body = json!({ "plugin": "aws" });
            let path = "sys/plugins/reload/backend";
            // Told again if it was in vain.
            let _ = cluster
                .send(node.address, "PUT", path, &body, PATIENCE)
                .await;
        } else if is_late {
            failing = None;
            ledger.count(ACTS, "host started anew by the operator");
            ledger.note(format!("operator: starts {} anew: {error}", node.name));
            if let Some(server) = node.stop() {
                // It has time to end by itself.
                let _ = spawn_blocking(|| drop(server)).await;
                start(node, &ledger);
            }
        }
    }
}

fn start(node: &Node, ledger: &Ledger) {
    if let Err(error) = node.restart() {
        ledger.note(format!("operator: {} does not start: {error}", node.name));
    }
}

/// Waits until the mount serves.
pub(crate) async fn wait_for_mount(cluster: &Cluster) -> Fallible {
    let began = Instant::now();
    loop {
        match answers(cluster).await {
            Ok(()) => return Ok(()),
            Err(error) if began.elapsed() > SOON => {
                return Err(format!("the mount does not answer: {error}").into());
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

async fn answers(cluster: &Cluster) -> Result<(), String> {
    let path = format!("{MOUNT}/roles/{}", USER_ROLES[0]);
    let node = cluster.active().address;
    match cluster
        .send(node, "GET", &path, &Value::Null, PATIENCE)
        .await
    {
        Ok(answer) if answer.is_success() => Ok(()),
        Ok(answer) => Err(answer.errors()),
        Err(lost) => Err(lost.name().to_owned()),
    }
}
