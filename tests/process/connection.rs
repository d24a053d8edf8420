//! Who may connect, and what is there for those who may.

use std::sync::Arc;
use std::time::Duration;

use rustls::version::TLS12;
use rustls::{ALL_VERSIONS, ProtocolVersion};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use vault_plugin_secrets_aws::pb::logical::Empty;
use vault_plugin_secrets_aws::pb::logical::plugin_version_client::PluginVersionClient;
use vault_plugin_secrets_aws::pb::multiplexing::MultiplexingSupportRequest;
use vault_plugin_secrets_aws::pb::multiplexing::plugin_multiplexing_client::PluginMultiplexingClient;

use crate::fake_host::certificate::{Identity, Versions, anonymous};
use crate::fake_host::{FakeHost, HostServices, Product, request, send, setup_args, soon};
use crate::toy::ToyPlugin;

/// Shakes hands and reads what the plugin sends first. In TLS 1.3 a client learns only then whether
/// the server took its certificate.
async fn first_bytes(
    plugin: &ToyPlugin,
    config: rustls::ClientConfig,
) -> std::io::Result<ProtocolVersion> {
    let stream = UnixStream::connect(&plugin.handshake.socket).await?;
    let connector = TlsConnector::from(Arc::new(config));
    let mut tls = connector
        .connect("localhost".try_into().unwrap(), stream)
        .await?;
    let mut settings_frame = [0; 9];
    soon(tls.read_exact(&mut settings_frame)).await?;
    Ok(tls.get_ref().1.protocol_version().unwrap())
}

/// What a host may offer: both versions, or the older one only, as FIPS modules do.
const OFFERED: [Versions; 2] = [ALL_VERSIONS, &[&TLS12]];

#[tokio::test]
async fn the_host_with_its_p521_certificate_is_let_in_over_the_best_version_that_it_offers() {
    for (versions, best) in [
        (OFFERED[0], ProtocolVersion::TLSv1_3),
        (OFFERED[1], ProtocolVersion::TLSv1_2),
    ] {
        let host = Identity::new().over(versions);
        let plugin = ToyPlugin::start(&host).await;

        let config = host.client_config(&plugin.handshake.certificate);

        assert_eq!(first_bytes(&plugin, config).await.unwrap(), best);
    }
}

#[tokio::test]
async fn a_host_that_offers_tls_1_2_only_is_served_and_serves_us() {
    let identity = Identity::new().over(OFFERED[1]);
    let plugin = ToyPlugin::start(&identity).await;
    let host = FakeHost::connect(identity, &plugin.handshake).await;
    let mut mount = host.set_up(1, "a").await;
    host.storage.set_text("old", "1");

    let answer = send(&mut mount, "read", "store/old", "").await;

    assert_eq!(answer, Ok(Some(r#"{"value":"1"}"#.to_owned())));
}

#[tokio::test]
async fn a_client_without_certificate_is_turned_away() {
    for versions in OFFERED {
        let plugin = ToyPlugin::start(&Identity::new()).await;

        let config = anonymous(&plugin.handshake.certificate, versions);

        assert!(first_bytes(&plugin, config).await.is_err());
    }
}

#[tokio::test]
async fn a_client_with_another_certificate_is_turned_away() {
    for versions in OFFERED {
        let plugin = ToyPlugin::start(&Identity::new()).await;

        let other = Identity::new().over(versions);
        let config = other.client_config(&plugin.handshake.certificate);

        assert!(first_bytes(&plugin, config).await.is_err());
    }
}

#[tokio::test]
async fn the_hosts_certificate_without_its_key_is_turned_away() {
    for versions in OFFERED {
        let host = Identity::new().over(versions);
        let plugin = ToyPlugin::start(&host).await;

        let config = Identity::impostor(&host).client_config(&plugin.handshake.certificate);

        assert!(first_bytes(&plugin, config).await.is_err());
    }
}

#[tokio::test]
async fn a_peer_that_says_nothing_keeps_the_host_from_nothing() {
    let host = Identity::new();
    let plugin = ToyPlugin::start(&host).await;
    let _silent = UnixStream::connect(&plugin.handshake.socket).await.unwrap();

    let config = host.client_config(&plugin.handshake.certificate);

    assert!(first_bytes(&plugin, config).await.is_ok());
}

#[tokio::test]
async fn the_host_may_connect_again() {
    let host = Identity::new();
    let plugin = ToyPlugin::start(&host).await;

    for _ in 0..3 {
        let config = host.client_config(&plugin.handshake.certificate);
        assert!(first_bytes(&plugin, config).await.is_ok());
    }
}

#[tokio::test]
async fn the_service_named_plugin_is_healthy() {
    let (_plugin, host) = ToyPlugin::with_host().await;

    let reply = HealthClient::new(host.channel)
        .check(HealthCheckRequest {
            service: "plugin".to_owned(),
        })
        .await
        .unwrap();

    assert_eq!(reply.into_inner().status(), ServingStatus::Serving);
}

#[tokio::test]
async fn several_mounts_may_share_the_process() {
    let (_plugin, host) = ToyPlugin::with_host().await;

    let reply = PluginMultiplexingClient::new(host.channel)
        .multiplexing_support(MultiplexingSupportRequest {})
        .await
        .unwrap();

    assert!(reply.into_inner().supported);
}

#[tokio::test]
async fn the_version_is_the_crates_with_a_leading_v() {
    let (_plugin, host) = ToyPlugin::with_host().await;

    let reply = PluginVersionClient::new(host.channel)
        .version(Empty {})
        .await
        .unwrap();

    let version = reply.into_inner().plugin_version;
    assert_eq!(version, format!("v{}", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_service_that_is_not_there_is_unimplemented() {
    let (_plugin, host) = ToyPlugin::with_host().await;

    let mut client = tonic::client::Grpc::new(host.channel);
    client.ready().await.unwrap();
    let status = client
        .unary::<(), (), _>(
            Request::new(()),
            tonic::codegen::http::uri::PathAndQuery::from_static("/pb.Unknown/Call"),
            tonic_prost::ProstCodec::default(),
        )
        .await
        .unwrap_err();

    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_shutdown_is_answered_and_ends_the_process_with_both_streams_open() {
    let (plugin, mut host) = ToyPlugin::with_host().await;

    host.shut_down().await;

    plugin.ends().await;
    let stdio = soon(host.stdio.message()).await;
    assert!(matches!(stdio, Ok(None)), "nothing was ever printed");
}

#[tokio::test]
async fn a_shutdown_is_answered_while_very_many_requests_hang() {
    let (plugin, host) = ToyPlugin::with_host().await;
    let mount = host.set_up(1, "a").await;
    for _ in 0..1000 {
        let mut mount = mount.clone();
        tokio::spawn(async move { mount.handle_request(request("read", "slow/x", "")).await });
    }
    for _ in 0..1000 {
        plugin.gates.one_begins().await;
    }

    host.shut_down().await;

    plugin.ends().await;
}

#[tokio::test]
async fn requests_that_the_host_abandons_in_masses_do_not_cost_it_the_connection() {
    let (plugin, mut host) = ToyPlugin::with_host().await;
    let mount = host.set_up(1, "a").await;
    let call = |path| {
        let mut mount = mount.clone();
        tokio::spawn(async move { mount.handle_request(request("read", path, "")).await })
    };
    // The plugin learns of the requests only when they have been abandoned already.
    let blocking = call("block");
    plugin.gates.one_begins().await;
    let requests: Vec<_> = (0..500).map(|_| call("echo")).collect();
    settle().await;
    for request in requests {
        request.abort();
    }
    settle().await;
    plugin.gates.unblock.wait();

    soon(blocking).await.unwrap().unwrap();

    host.set_up(2, "b").await;
    let silence = tokio::time::timeout(Duration::ZERO, host.stdio.message()).await;
    assert!(silence.is_err(), "the first connection is still there");
}

/// Lets every task of this runtime do what it can.
async fn settle() {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_host_that_serves_with_another_certificate_or_without_its_key_is_not_trusted() {
    for versions in OFFERED {
        let (_plugin, host) = ToyPlugin::with_host().await;
        let other = Identity::new().over(versions);
        let without_key = Identity::impostor(&host.identity).over(versions);
        for (id, multiplex_id, identity) in [(1, "a", other), (2, "b", without_key)] {
            let services = HostServices::new(Product::Vault, Arc::clone(&host.storage));
            let server = host.listen(id, services.clone(), &identity);
            host.announce(id, "unix", server.socket().to_str().unwrap())
                .await;
            let mut mount = host.mount(Some(multiplex_id));
            mount.setup(setup_args(id)).await.unwrap();

            let answer = send(&mut mount, "read", "store/x", "").await;

            let (error_type, text) = answer.unwrap_err();
            assert_eq!(error_type, 0);
            assert!(text.contains("certificate"), "{text}");
            assert_eq!(services.calls(), 0);
        }
    }
}

#[tokio::test]
async fn a_connection_to_the_host_that_breaks_is_made_again() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let services = HostServices::new(Product::Vault, Arc::clone(&host.storage));
    let server = host.serve(1, services.clone()).await;
    let mut mount = host.mount(Some("a"));
    mount.setup(setup_args(1)).await.unwrap();
    let before = send(&mut mount, "read", "store/x", "").await;
    assert_eq!(before, Ok(None));
    server.stop_gracefully().await;

    let during = send(&mut mount, "read", "store/x", "").await;
    let _server = host.listen(1, services, &host.identity);
    let after = send(&mut mount, "read", "store/x", "").await;

    assert!(during.is_err());
    assert_eq!(after, Ok(None));
}
