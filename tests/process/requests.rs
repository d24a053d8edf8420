//! Requests: what goes in, what comes out, and what happens when the host stops waiting.

use std::time::Duration;

use prost_types::Timestamp;
use serde_json::{Value, json};
use vault_plugin_secrets_aws::pb::backend::{
    HandleExistenceCheckArgs, HandleExistenceCheckReply, Response, Secret,
};

use crate::fake_host::{Mount, PATIENCE, request, send, soon};
use crate::toy::ToyPlugin;

const EIGHT_MIB: usize = 8 << 20;

async fn exists(mount: &mut Mount, path: &str) -> HandleExistenceCheckReply {
    let request = request("update", path, "{}").request;
    let reply = mount
        .handle_existence_check(HandleExistenceCheckArgs { request })
        .await;
    reply.unwrap().into_inner()
}

async fn response(
    mount: &mut Mount,
    operation: &str,
    path: &str,
    secret: Option<Secret>,
) -> Response {
    let mut args = request(operation, path, "null");
    args.request.as_mut().unwrap().secret = secret;
    let reply = soon(mount.handle_request(args)).await.unwrap().into_inner();
    assert!(reply.err.is_none());
    reply.response.unwrap()
}

#[tokio::test]
async fn what_a_host_means_by_no_data_is_an_empty_object() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;

    for nothing in ["null", ""] {
        let data = send(&mut mount, "read", "echo", nothing)
            .await
            .unwrap()
            .unwrap();
        let data: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(data["data"], json!({}));
    }
}

#[tokio::test]
async fn a_response_without_data_is_still_json() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;

    let data = send(&mut mount, "read", "nothing", "").await;

    assert_eq!(data, Ok(Some("null".to_owned())));
}

#[tokio::test]
async fn each_kind_of_error_has_its_own_form() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;
    let error = |error_type, text: &str| Err((error_type, text.to_owned()));

    for (kind, answer) in [
        (
            "invalid",
            Ok(Some(r#"{"error":"this is your mistake"}"#.to_owned())),
        ),
        ("operation", error(5, "unsupported operation")),
        ("path", error(6, "unsupported path")),
        ("permission", error(8, "permission denied")),
        ("slow", error(0, "upstream rate limited")),
        ("coded", error(3, "teapot")),
        ("internal", error(0, "this is our fault")),
    ] {
        assert_eq!(
            send(&mut mount, "read", &format!("error/{kind}"), "").await,
            answer
        );
    }
}

#[tokio::test]
async fn an_operation_that_only_one_of_the_hosts_knows_is_answered() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;

    for operation in ["scan", "header", "recover", "resolve-path"] {
        let answer = send(&mut mount, operation, "store/x", "").await;
        assert_eq!(
            answer,
            Err((5, "unsupported operation".to_owned())),
            "{operation}"
        );
    }
}

#[tokio::test]
async fn an_existence_check_tells_create_from_update() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;
    host.storage.set_text("old", "1");

    let old = exists(&mut mount, "store/old").await;
    let new = exists(&mut mount, "store/new").await;
    let unchecked = exists(&mut mount, "echo").await;

    assert_eq!((old.check_found, old.exists), (true, true));
    assert_eq!((new.check_found, new.exists), (true, false));
    assert_eq!((unchecked.check_found, unchecked.exists), (false, false));
}

#[tokio::test]
async fn an_existence_check_that_fails_says_whose_fault_it_is() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;

    for (kind, error_type) in [("invalid", 1), ("path", 6), ("internal", 0)] {
        let reply = exists(&mut mount, &format!("error/{kind}")).await;
        assert_eq!(reply.err.unwrap().err_type, error_type, "{kind}");
    }
}

#[tokio::test]
async fn a_lease_comes_back_for_its_renewal_as_it_went() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;

    let mut secret = response(&mut mount, "read", "lease", None)
        .await
        .secret
        .unwrap();

    assert_eq!(secret.internal_data, r#"{"secret_type":"toy","user":"u1"}"#);
    let lease = secret.lease_options.as_mut().unwrap();
    assert_eq!(lease.ttl, 3_600_000_000_000);
    assert!(lease.renewable);
    assert!(lease.issue_time.is_some());

    let issued = Timestamp {
        seconds: 1_767_323_045,
        nanos: 1,
    };
    lease.issue_time = Some(issued);
    let renewed = response(&mut mount, "renew", "lease", Some(secret.clone())).await;
    let renewed = renewed.secret.unwrap();

    assert_eq!(renewed.internal_data, secret.internal_data);
    let lease = renewed.lease_options.unwrap();
    assert_eq!(lease.ttl, 3_600_000_000_000);
    assert!(lease.renewable);
    assert_eq!(lease.issue_time, Some(issued));
}

#[tokio::test]
async fn eight_mebibytes_pass_in_every_direction_of_ours() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;
    let value = "x".repeat(EIGHT_MIB);
    let data = json!({ "value": value }).to_string();

    let repeated = json!({ "value": "x", "times": EIGHT_MIB }).to_string();
    let written = send(&mut mount, "update", "store/big", &repeated).await;
    let read = send(&mut mount, "read", "store/big", "").await;

    assert_eq!(written, Ok(None));
    assert!(host.storage.text("big").unwrap() == value);
    assert!(read == Ok(Some(data)));
}

#[tokio::test]
async fn a_body_that_no_fields_can_need_is_refused_and_not_seen_by_the_engine() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;
    let data = json!({ "value": "x".repeat(EIGHT_MIB) }).to_string();

    let written = send(&mut mount, "update", "store/big", &data).await;
    let request = request("update", "store/big", &data).request;
    let checked = mount
        .handle_existence_check(HandleExistenceCheckArgs { request })
        .await;

    let refusal = written.unwrap().unwrap();
    assert!(refusal.starts_with(r#"{"error":"#), "{refusal}");
    let error = checked.unwrap().into_inner().err.unwrap();
    for text in [refusal, error.err_msg] {
        assert!(text.contains(&format!("{} bytes", data.len())), "{text}");
    }
    assert!(host.storage.text("big").is_none());
}

#[tokio::test]
async fn a_panic_is_an_error_of_its_request_alone_and_does_not_say_what_it_said() {
    let (_plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;

    let (error_type, text) = send(&mut mount, "read", "panic", "").await.unwrap_err();

    assert_eq!(error_type, 0);
    assert!(text.contains("bug") && !text.contains("hunter2"), "{text}");
    assert!(send(&mut mount, "read", "count", "").await.is_ok());
}

/// Cancels a request that has begun.
async fn abandon(
    plugin: &ToyPlugin,
    mount: &mut Mount,
    operation: &'static str,
    path: &'static str,
) {
    let mut abandoned = mount.clone();
    let abandoned = tokio::spawn(async move { send(&mut abandoned, operation, path, "").await });
    plugin.gates.one_begins().await;
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    // The cancellation has been sent before this.
    send(mount, "read", "count", "").await.unwrap();
}

#[tokio::test]
async fn a_request_that_the_host_cancels_still_writes_down_what_it_did() {
    let (plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;
    abandon(&plugin, &mut mount, "update", "slow/key").await;

    plugin.gates.go_on.add_permits(1);

    wait_for(|| host.storage.text("key").is_some()).await;
}

#[tokio::test]
async fn a_request_whose_deadline_passes_still_writes_down_what_it_did() {
    let (plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;
    let mut late = tonic::Request::new(request("update", "slow/key", ""));
    late.set_timeout(Duration::from_millis(50));

    let answer = soon(mount.handle_request(late)).await;
    plugin.gates.one_begins().await;
    plugin.gates.go_on.add_permits(1);

    // The plugin says so itself, just before the time is over; a busy machine may be later than that.
    let failed = answer.map_or(true, |reply| reply.into_inner().err.is_some());
    assert!(failed);
    wait_for(|| host.storage.text("key").is_some()).await;
}

#[tokio::test]
async fn a_lease_that_nobody_waits_for_any_more_is_revoked() {
    let (plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;
    abandon(&plugin, &mut mount, "read", "slow-lease").await;

    plugin.gates.go_on.add_permits(1);

    wait_for(|| host.storage.text("revoked").is_some()).await;
    assert_eq!(host.storage.text("revoked").as_deref(), Some("u1"));
}

#[tokio::test]
async fn a_renewal_that_nobody_waits_for_any_more_revokes_nothing() {
    let (plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;
    let lease = response(&mut mount, "read", "lease", None).await.secret;
    let mut renewal = request("renew", "slow-lease", "");
    renewal.request.as_mut().unwrap().secret = lease;
    let mut late = tonic::Request::new(renewal);
    late.set_timeout(Duration::from_millis(50));

    let answer = soon(mount.handle_request(late)).await;
    plugin.gates.one_begins().await;
    plugin.gates.go_on.add_permits(1);

    // The plugin says so itself, just before the time is over; a busy machine may be later than that.
    let failed = answer.map_or(true, |reply| reply.into_inner().err.is_some());
    assert!(failed);
    // All that is under way is finished before the end.
    host.shut_down().await;
    let storage = host.storage.clone();
    plugin.ends().await;
    assert_eq!(storage.text("revoked"), None);
}

#[tokio::test]
async fn a_shutdown_lets_a_request_write_down_what_it_did() {
    let (plugin, host) = ToyPlugin::with_host().await;
    let mut mount = host.set_up(1, "a").await;
    let abandoned = tokio::spawn(async move { send(&mut mount, "update", "slow/key", "").await });
    plugin.gates.one_begins().await;
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    host.shut_down().await;

    plugin.gates.go_on.add_permits(1);

    plugin.ends().await;
    assert_eq!(host.storage.text("key").as_deref(), Some("done"));
}

async fn wait_for(condition: impl Fn() -> bool) {
    tokio::time::timeout(PATIENCE, async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("what the test waits for never happened");
}
