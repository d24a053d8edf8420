//! What the real binary does with memory that it does not need any more.

use std::time::Duration;

use crate::fake_host::certificate::Identity;
use crate::fake_host::{FakeHost, Mount, send};
use crate::launch::Plugin;

/// Beside what the first requests need for good, and what a busy machine has not cleared away.
const A_LITTLE: u64 = 8 * 1024;

async fn start() -> (Plugin, FakeHost, Mount) {
    let identity = Identity::new();
    let plugin = Plugin::start(&identity, &[("BAO_LOG_LEVEL", "trace")]);
    let host = FakeHost::connect(identity, &plugin.handshake()).await;
    let mount = host.set_up(1, "a").await;
    (plugin, host, mount)
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
async fn what_large_bodies_needed_is_given_back() {
    let (plugin, host, mut mount) = start().await;
    let body = format!(r#"{{"policy_document":"{}"}}"#, "x".repeat(24 << 20));
    send(&mut mount, "read", "roles/large", "").await.unwrap();
    let (before, _) = plugin.memory();

    for _ in 0..4 {
        let _ = send(&mut mount, "update", "roles/large", &body).await;
    }
    send(&mut mount, "rollback", "", "").await.unwrap();

    let (after, _) = plugin.memory();
    assert!(after < before + A_LITTLE, "{before} KiB, then {after} KiB");
    host.shut_down().await;
    tokio::task::spawn_blocking(|| plugin.ends()).await.unwrap();
}
