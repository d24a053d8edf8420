//! Mounts: how they are set up, told apart and given up.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use tonic::Code;
use vault_plugin_secrets_aws::pb::backend::{
    Empty, HandleExistenceCheckArgs, InitializeArgs, InvalidateKeyArgs, SetupArgs,
};

use crate::fake_host::{HANGS, HostServices, Mount, Product, request, send, setup_args, soon};
use crate::toy::ToyPlugin;

async fn data(mount: &mut Mount, path: &str) -> Value {
    let data = send(mount, "read", path, "").await.unwrap().unwrap();
    serde_json::from_str(&data).unwrap()
}

#[tokio::test]
async fn a_set_up_needs_nothing_of_a_host_that_offers_nothing_at_registration() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let services = HostServices::new(Product::Registration, Arc::clone(&host.storage));
    host.serve(1, services.clone()).await;

    let reply = host
        .mount(Some("a"))
        .setup(SetupArgs {
            broker_id: 1,
            ..SetupArgs::default()
        })
        .await
        .unwrap();

    assert_eq!(reply.into_inner().err, "");
    assert_eq!(services.calls(), 0);
}

#[tokio::test]
async fn a_set_up_may_come_before_the_address_of_the_hosts_services() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.mount(Some("a"));
    let setting_up = tokio::spawn(async move { mount.setup(setup_args(1)).await });
    // It has been sent before this call, which is answered.
    tokio::task::yield_now().await;
    let _ = host.mount(None).r#type(Empty {}).await;
    assert!(!setting_up.is_finished());

    let services = HostServices::new(Product::Vault, Arc::clone(&host.storage));
    host.serve(1, services).await;

    let reply = soon(setting_up).await.unwrap().unwrap();
    assert_eq!(reply.into_inner().err, "");
    assert_eq!(
        data(&mut host.mount(Some("a")), "count").await,
        json!({"count": 0})
    );
}

#[tokio::test]
async fn a_set_up_that_fails_says_why_and_harms_no_other_mount() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut good = host.set_up(1, "good").await;
    let mut bad = host.mount(Some("bad"));

    host.announce(2, "tcp", "127.0.0.1:10000").await;
    let network = bad.setup(setup_args(2)).await.unwrap().into_inner().err;
    host.announce(3, "unix", "/nowhere").await;
    let mut args = setup_args(3);
    args.config
        .insert("fail".to_owned(), "no such region".to_owned());
    let refused = bad.setup(args).await.unwrap().into_inner().err;
    host.announce(4, "unix", "/nowhere").await;
    let mut args = setup_args(4);
    args.config.insert("fail".to_owned(), "panic".to_owned());
    let panicked = bad.setup(args).await.unwrap().into_inner().err;

    assert!(network.contains("\"tcp\""), "{network}");
    assert_eq!(refused, "no such region");
    assert!(panicked.contains("bug"), "{panicked}");
    assert_eq!(data(&mut good, "count").await, json!({"count": 0}));
}

#[tokio::test]
async fn the_backend_is_told_the_mounts_configuration() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;

    assert_eq!(
        data(&mut mount, "config").await,
        json!({"uuid": "b8d6", "config": {"plugin_name": "toy", "plugin_type": "secret"}})
    );
}

#[tokio::test]
async fn the_type_is_that_of_a_secrets_engine() {
    let (_plugin, host) = ToyPlugin::with_host().await;

    let reply = host.mount(Some("a")).r#type(Empty {}).await.unwrap();

    assert_eq!(reply.into_inner().r#type, 1);
}

#[tokio::test]
async fn the_special_paths_are_the_backends() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;

    let paths = mount
        .special_paths(Empty {})
        .await
        .unwrap()
        .into_inner()
        .paths
        .unwrap();

    assert_eq!(paths.root, ["root/*"]);
    assert_eq!(paths.unauthenticated, ["open"]);
    assert_eq!(paths.local_storage, ["wal/"]);
    assert_eq!(paths.seal_wrap_storage, ["config/root"]);
}

#[tokio::test]
async fn the_initialization_may_write_to_storage() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;

    let reply = mount.initialize(InitializeArgs {}).await.unwrap();

    assert!(reply.into_inner().err.is_none());
    assert_eq!(host.storage.text("initialized").as_deref(), Some("yes"));
}

#[tokio::test]
async fn an_initialization_that_fails_says_why() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let services = HostServices::new(Product::Registration, Arc::clone(&host.storage));
    host.serve(1, services).await;
    let mut mount = host.mount(Some("a"));
    mount.setup(setup_args(1)).await.unwrap();

    let reply = mount.initialize(InitializeArgs {}).await.unwrap();

    let error = reply.into_inner().err.unwrap();
    assert_eq!(error.err_type, 0);
    assert!(
        error.err_msg.starts_with("missing storage implementation"),
        "{}",
        error.err_msg
    );
}

#[tokio::test]
async fn each_mount_keeps_its_own_state() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut first = host.set_up(1, "first").await;
    let mut second = host.set_up(2, "second").await;

    data(&mut first, "count").await;

    assert_eq!(data(&mut first, "count").await, json!({"count": 1}));
    assert_eq!(data(&mut second, "count").await, json!({"count": 0}));
}

#[tokio::test]
async fn a_host_that_sends_no_multiplex_id_has_the_one_mount() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let services = HostServices::new(Product::Vault, Arc::clone(&host.storage));
    host.serve(1, services).await;
    let mut mount = host.mount(None);
    mount.setup(setup_args(1)).await.unwrap();

    assert_eq!(data(&mut mount, "count").await, json!({"count": 0}));
    let mut unknown = host.mount(Some("unknown"));
    assert_eq!(data(&mut unknown, "count").await, json!({"count": 1}));
}

#[tokio::test]
async fn a_mount_that_was_never_set_up_is_a_failed_call() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.mount(Some("a"));
    let check = HandleExistenceCheckArgs {
        request: request("update", "x", "").request,
    };

    let codes = [
        mount.handle_request(request("read", "x", "")).await.err(),
        mount.handle_existence_check(check).await.err(),
        mount.special_paths(Empty {}).await.err(),
        mount.initialize(InitializeArgs {}).await.err(),
    ];

    for status in codes {
        assert_eq!(status.unwrap().code(), Code::Unknown);
    }
}

#[tokio::test]
async fn a_key_that_changed_elsewhere_reaches_the_backend() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;

    let key = "config/root".to_owned();
    mount
        .invalidate_key(InvalidateKeyArgs { key })
        .await
        .unwrap();

    assert_eq!(
        data(&mut mount, "invalidated").await,
        json!({"keys": ["config/root"]})
    );
}

#[tokio::test]
async fn cleaning_one_mount_up_leaves_the_others() {
    let (plugin, host) = ToyPlugin::with_host().await;
    let mut first = host.set_up(1, "first").await;
    let mut second = host.set_up(2, "second").await;

    first.cleanup(Empty {}).await.unwrap();

    assert_eq!(plugin.gates.cleaned_up.load(Ordering::SeqCst), 1);
    assert!(
        first
            .handle_request(request("read", "count", ""))
            .await
            .is_err()
    );
    assert_eq!(data(&mut second, "count").await, json!({"count": 0}));
}

#[tokio::test]
async fn cleaning_up_twice_or_before_the_set_up_is_no_failure() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;

    mount.cleanup(Empty {}).await.unwrap();
    mount.cleanup(Empty {}).await.unwrap();
    host.mount(Some("b")).cleanup(Empty {}).await.unwrap();
}

#[tokio::test]
async fn cleaning_up_cancels_a_storage_call_that_the_hosts_server_would_wait_for() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let services = HostServices::new(Product::Vault, Arc::clone(&host.storage));
    let server = host.serve(1, services.clone()).await;
    let mut mount = host.mount(Some("a"));
    mount.setup(setup_args(1)).await.unwrap();
    let mut hanging = mount.clone();
    let path = format!("store/{HANGS}");
    let hanging = tokio::spawn(async move { send(&mut hanging, "read", &path, "").await });
    while services.calls() == 0 {
        tokio::task::yield_now().await;
    }

    soon(mount.cleanup(Empty {})).await.unwrap();

    server.stop_gracefully().await;
    let (error_type, text) = soon(hanging).await.unwrap().unwrap_err();
    assert_eq!(
        (error_type, text.as_str()),
        (0, "the mount has been closed")
    );
}

#[tokio::test]
async fn cleaning_up_lets_a_running_request_write_down_what_it_did() {
    let (plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;
    let mut slow = mount.clone();
    let slow = tokio::spawn(async move { send(&mut slow, "update", "slow/key", "").await });
    plugin.gates.one_begins().await;
    let cleaning = tokio::spawn(async move { mount.cleanup(Empty {}).await });
    // It has been sent before this call, which is answered.
    tokio::task::yield_now().await;
    let _ = host.mount(None).r#type(Empty {}).await;

    plugin.gates.go_on.add_permits(1);

    soon(cleaning).await.unwrap().unwrap();
    assert_eq!(soon(slow).await.unwrap(), Ok(None));
    assert_eq!(host.storage.text("key").as_deref(), Some("done"));
}
