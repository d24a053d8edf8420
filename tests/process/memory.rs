//! What the real binary does with memory that it does not need any more.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::fake_host::certificate::Identity;
use crate::fake_host::{FakeHost, Mount, send};
use crate::launch::Plugin;

const BODY: usize = 24 << 20;

/// In KiB: a body as it arrives, and as it is read.
const FEW_COPIES: u64 = 4 * (BODY as u64) / 1024;

/// Beside what the first requests need for good, and what a busy machine has not cleared away.
const A_LITTLE: u64 = 8 * 1024;

async fn start() -> (Plugin, FakeHost, Mount) {
    let identity = Identity::new();
    let plugin = Plugin::start(&identity, &[("BAO_LOG_LEVEL", "trace")]);
    let host = FakeHost::connect(identity, &plugin.handshake()).await;
    let mount = host.set_up(1, "a").await;
    (plugin, host, mount)
}

/// A body that takes sixteen times as much memory when it is parsed.
fn of_numbers() -> String {
    format!(r#"{{"policy_document":[{}1]}}"#, "1,".repeat(BODY / 2))
}

#[tokio::test]
async fn however_many_mounts_have_their_tick_memory_is_given_back_once_and_beside_the_requests() {
    let (plugin, host, mut first) = start().await;
    let mut second = host.set_up(2, "b").await;

    for _ in 0..3 {
        for mount in [&mut first, &mut second] {
            assert_eq!(send(mount, "rollback", "", "").await, Ok(None));
        }
    }
    while plugin.has_thread("memory") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    host.shut_down().await;

    let (_, _, log) = tokio::task::spawn_blocking(|| plugin.ends()).await.unwrap();
    let given_back: Vec<_> = log
        .iter()
        .filter(|line| line["@message"] == "free memory")
        .collect();
    assert_eq!(given_back.len(), 1, "{log:?}");
    assert!(given_back[0].get("operation").is_none(), "{given_back:?}");
}

#[tokio::test]
async fn what_large_bodies_need_is_little_more_than_they_are_and_given_back() {
    let (plugin, host, mut mount) = start().await;
    let body = of_numbers();
    send(&mut mount, "read", "roles/large", "").await.unwrap();
    let (before, _) = plugin.memory();

    for _ in 0..4 {
        let _ = send(&mut mount, "update", "roles/large", &body).await;
    }
    send(&mut mount, "rollback", "", "").await.unwrap();

    let (after, most) = plugin.memory();
    assert!(after < before + A_LITTLE, "{before} KiB, then {after} KiB");
    assert!(most < before + FEW_COPIES, "{before} KiB, {most} at most");
    host.shut_down().await;
    tokio::task::spawn_blocking(|| plugin.ends()).await.unwrap();
}

#[tokio::test]
async fn large_bodies_at_once_hold_nobody_up() {
    let (plugin, host, mut mount) = start().await;
    let body = Arc::new(of_numbers());
    let bodies: Vec<_> = (0..4)
        .map(|_| {
            let (mut mount, body) = (mount.clone(), Arc::clone(&body));
            tokio::spawn(async move { send(&mut mount, "update", "roles/large", &body).await })
        })
        .collect();

    let mut longest = Duration::ZERO;
    while !bodies.iter().all(JoinHandle::is_finished) {
        let asked = Instant::now();
        send(&mut mount, "read", "roles/small", "").await.unwrap();
        longest = longest.max(asked.elapsed());
    }

    assert!(longest < Duration::from_secs(5), "{longest:?}");
    host.shut_down().await;
    tokio::task::spawn_blocking(|| plugin.ends()).await.unwrap();
}
