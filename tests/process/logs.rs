//! The real binary under a host that does not read its stderr.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::fake_host::certificate::Identity;
use crate::fake_host::{FakeHost, Mount, send, soon};
use crate::launch::Plugin;

/// With the log lines of so many requests neither the pipe nor the queue has room left.
const TOO_MANY: usize = 300;

async fn start() -> (Plugin, FakeHost, Mount) {
    let identity = Identity::new();
    let plugin = Plugin::start(&identity, &[("BAO_LOG_LEVEL", "debug")]);
    let host = FakeHost::connect(identity, &plugin.handshake()).await;
    let mount = host.set_up(1, "a").await;
    (plugin, host, mount)
}

/// Each is answered, and makes a line of several kilobytes.
async fn ask(mount: &mut Mount, times: usize) {
    let path = format!("no/such/{}", "path".repeat(1800));
    for _ in 0..times {
        let answer = send(mount, "read", &path, "").await;
        assert_eq!(answer, Err((6, "unsupported path".to_owned())));
    }
}

#[tokio::test]
async fn a_host_that_does_not_read_the_logs_is_answered_and_can_end_the_process() {
    let (plugin, host, mut mount) = start().await;

    ask(&mut mount, TOO_MANY).await;
    let mut health = HealthClient::new(host.channel.clone());
    let ping = HealthCheckRequest {
        service: "plugin".to_owned(),
    };
    soon(health.check(ping)).await.unwrap();
    plugin.signal("-TERM");

    let ends = tokio::task::spawn_blocking(|| plugin.ends_unheard());
    let ended = tokio::time::timeout(Duration::from_secs(2), ends).await;
    let status = ended.expect("it takes until the host kills").unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn what_was_lost_is_told_when_the_host_reads_again() {
    let (plugin, host, mut mount) = start().await;
    ask(&mut mount, TOO_MANY).await;

    let ends = tokio::task::spawn_blocking(|| plugin.ends());
    ask(&mut mount, TOO_MANY).await;
    host.shut_down().await;

    let (status, _, log) = ends.await.unwrap();
    assert_eq!(status.code(), Some(0));
    let lost: Vec<_> = log
        .iter()
        .filter_map(|line| line["dropped"].as_u64())
        .collect();
    let refusals = log
        .iter()
        .filter(|line| line["@message"] == "request refused");
    let told = refusals.count() as u64 + lost.iter().sum::<u64>();
    assert!(lost.iter().any(|lines| *lines > 0), "{lost:?}");
    assert_eq!(told, 2 * TOO_MANY as u64);
}

#[test]
fn a_handshake_that_fails_is_told_with_its_reason() {
    let plugin = Plugin::start(&Identity::new(), &[]);
    let mut stranger = UnixStream::connect(plugin.handshake().socket).unwrap();

    stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    // Until it hangs up.
    let _ = stranger.read_to_end(&mut Vec::new());
    plugin.signal("-TERM");

    let (_, _, log) = plugin.ends();
    assert_eq!(log[0]["@level"], "warn");
    assert_eq!(log[0]["@message"], "TLS handshake failed");
    let reason = log[0]["error"].as_str().unwrap();
    assert!(reason.contains("InvalidContentType"), "{reason}");
}
