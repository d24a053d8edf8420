//! A host that wants all connections in one, as Vault does for a plugin in a container: what reaches
//! which mount hangs on the order of knocks, answers and streams.

use std::sync::Arc;

use tokio::io::AsyncReadExt as _;
use tokio_rustls::TlsConnector;
use vault_plugin_secrets_aws::logical::testing::InMemoryStorage;
use vault_plugin_secrets_aws::pb::plugin::Empty;
use vault_plugin_secrets_aws::pb::plugin::grpc_controller_client::GrpcControllerClient;

use crate::fake_host::certificate::Identity;
use crate::fake_host::session::{SessionHost, open_session};
use crate::fake_host::{HostServices, Product, send, soon};
use crate::toy::ToyPlugin;

async fn plugin_and_host() -> (ToyPlugin, SessionHost) {
    let identity = Identity::new();
    let plugin = ToyPlugin::start_for_session(&identity).await;
    let host = SessionHost::connect(&identity, &plugin.handshake).await;
    (plugin, host)
}

/// The services of a mount in whose storage its name stands.
fn of(mount: &str) -> HostServices {
    let storage = Arc::new(InMemoryStorage::default());
    storage.set_text("name", mount);
    HostServices::new(Product::Vault, storage)
}

/// What a mount that reads its name in its storage finds there.
fn name(mount: &str) -> String {
    format!(r#"{{"value":{mount:?}}}"#)
}

#[tokio::test]
async fn a_mount_reaches_its_storage_after_one_knock_and_keeps_the_stream() {
    let (_plugin, mut host) = plugin_and_host().await;
    let mut mount = host.set_up(3, "a").await;
    assert!(host.is_quiet(), "nothing is opened before it is needed");

    let (answer, ()) = tokio::join!(send(&mut mount, "read", "store/name", ""), async {
        assert_eq!(host.knock().await, 3);
        assert!(host.is_quiet(), "no stream comes before the answer");
        host.answer(3, "").await;
        host.let_in(of("a")).await;
    });

    assert_eq!(answer, Ok(Some(name("a"))));
    let answer = send(&mut mount, "read", "store/name", "").await;
    assert_eq!(answer, Ok(Some(name("a"))));
    assert!(host.is_quiet());
}

#[tokio::test]
async fn mounts_knock_one_after_the_other_and_each_reaches_its_own_storage() {
    let (_plugin, mut host) = plugin_and_host().await;
    let (mut a, mut b) = (host.set_up(1, "a").await, host.set_up(2, "b").await);

    let asked = async {
        tokio::join!(
            send(&mut a, "read", "store/name", ""),
            send(&mut b, "read", "store/name", "")
        )
    };
    let (answers, ()) = tokio::join!(asked, async {
        for _ in 0..2 {
            let service = host.knock().await;
            host.answer(service, "").await;
            assert!(host.is_quiet(), "the next one waits");
            host.let_in(of(["", "a", "b"][service as usize])).await;
        }
    });

    assert_eq!(answers, (Ok(Some(name("a"))), Ok(Some(name("b")))));
}

#[tokio::test]
async fn a_door_that_stays_closed_is_told_with_the_hosts_reason_and_tried_again() {
    let (_plugin, mut host) = plugin_and_host().await;
    let mut mount = host.set_up(7, "a").await;

    let (answer, ()) = tokio::join!(send(&mut mount, "read", "store/name", ""), async {
        let service = host.knock().await;
        host.answer(service, "no listener for id 7").await;
    });
    let (_, told) = answer.unwrap_err();
    assert!(told.contains("no listener for id 7"), "{told}");

    let (answer, ()) = tokio::join!(send(&mut mount, "read", "store/name", ""), async {
        let service = host.knock().await;
        host.answer(service, "").await;
        host.let_in(of("a")).await;
    });
    assert_eq!(answer, Ok(Some(name("a"))));
}

#[tokio::test]
async fn a_door_that_opens_for_nobody_ends_the_process_before_a_mount_comes_to_a_wrong_one() {
    let (plugin, host) = plugin_and_host().await;

    host.answer(5, "").await;

    plugin.ends().await;
}

#[tokio::test]
async fn whoever_else_connects_gets_no_mounts_streams() {
    let (plugin, mut host) = plugin_and_host().await;
    let (stream, mut strange) = open_session(&plugin.handshake).await;
    let config = Identity::new().client_config(&plugin.handshake.certificate);
    let tls = TlsConnector::from(Arc::new(config));
    let tls = soon(tls.connect("localhost".try_into().unwrap(), stream)).await;
    // In TLS 1.3 a client learns only from what comes next whether it was let in.
    let told = soon(tls.unwrap().read_u8()).await;
    assert!(told.is_err(), "{told:?}");
    let mut mount = host.set_up(1, "a").await;

    let (answer, ()) = tokio::join!(send(&mut mount, "read", "store/name", ""), async {
        let service = host.knock().await;
        host.answer(service, "").await;
        host.let_in(of("a")).await;
    });

    assert_eq!(answer, Ok(Some(name("a"))));
    assert!(strange.try_recv().is_err());
}

#[tokio::test]
async fn the_host_ends_the_process_through_the_session() {
    let (plugin, host) = plugin_and_host().await;

    let mut controller = GrpcControllerClient::new(host.channel.clone());
    soon(controller.shutdown(Empty {})).await.unwrap();

    plugin.ends().await;
}
