//! The host's storage, seen from a backend.

use std::sync::Arc;

use vault_plugin_secrets_aws::logical::READ_ONLY_STORAGE;
use vault_plugin_secrets_aws::logical::testing::StorageFault;

use crate::fake_host::{FAILS, HostServices, Product, request, send, setup_args, soon};
use crate::toy::ToyPlugin;

#[tokio::test]
async fn entries_are_written_read_listed_and_deleted() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;

    let written = send(&mut mount, "create", "store/role/a", r#"{"value":"1"}"#).await;
    host.storage.set_text("role/b/c", "2");
    let read = send(&mut mount, "read", "store/role/a", "").await;
    let listed = send(&mut mount, "list", "store/role/", "").await;
    let deleted = send(&mut mount, "delete", "store/role/a", "").await;
    let missing = send(&mut mount, "read", "store/role/a", "").await;
    let deleted_again = send(&mut mount, "delete", "store/role/a", "").await;

    assert_eq!(written, Ok(None));
    assert_eq!(read, Ok(Some(r#"{"value":"1"}"#.to_owned())));
    assert_eq!(listed, Ok(Some(r#"{"keys":["a","b/"]}"#.to_owned())));
    assert_eq!(deleted, Ok(None));
    assert_eq!(missing, Ok(None));
    assert_eq!(deleted_again, Ok(None));
}

#[tokio::test]
async fn an_error_in_the_hosts_answer_fails_the_request() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;

    for (fault, operation) in [
        (StorageFault::Get, "read"),
        (StorageFault::Put, "update"),
        (StorageFault::Delete, "delete"),
        (StorageFault::List, "list"),
    ] {
        host.storage.fail(fault, "x");
        let answer = send(&mut mount, operation, "store/x", r#"{"value":"1"}"#).await;
        let text = format!("storage told to fail: {fault:?}");
        assert_eq!(answer, Err((0, text)), "{operation}");
    }
}

#[tokio::test]
async fn the_read_only_text_reaches_the_host_unchanged_by_either_way() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;
    host.storage.fail(StorageFault::ReadOnly, "x");
    let value = r#"{"value":"1"}"#;

    let in_the_answer = send(&mut mount, "update", "store/x", value).await;
    let as_failed_call = send(&mut mount, "update", &format!("store/{FAILS}"), value).await;

    assert_eq!(in_the_answer, Err((0, READ_ONLY_STORAGE.to_owned())));
    assert_eq!(as_failed_call, Err((0, READ_ONLY_STORAGE.to_owned())));
}

#[tokio::test]
async fn mounts_have_different_storages() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut first = host.set_up(1, "first").await;
    host.serve(2, HostServices::new(Product::Vault, Arc::default()))
        .await;
    let mut second = host.mount(Some("second"));
    second.setup(setup_args(2)).await.unwrap();

    send(&mut first, "create", "store/x", r#"{"value":"1"}"#)
        .await
        .unwrap();

    assert_eq!(send(&mut second, "read", "store/x", "").await, Ok(None));
}

#[tokio::test]
async fn a_request_about_a_snapshot_asks_the_storage_for_that_snapshot_and_the_next_one_does_not() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let services = HostServices::new(Product::Vault, Arc::default());
    host.serve(1, services.clone()).await;
    let mut mount = host.mount(Some("a"));
    mount.setup(setup_args(1)).await.unwrap();
    for (operation, path) in [("read", "store/x"), ("list", "store/")] {
        let mut about_a_snapshot = tonic::Request::new(request(operation, path, ""));
        let id = "0b8f5a5e".parse().unwrap();
        about_a_snapshot.metadata_mut().insert("snapshot_id", id);
        soon(mount.handle_request(about_a_snapshot)).await.unwrap();
    }

    send(&mut mount, "read", "store/x", "").await.unwrap();

    assert_eq!(services.snapshots(), ["0b8f5a5e", "0b8f5a5e", ""]);
}
