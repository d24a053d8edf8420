//! The host's system view, seen from a backend.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::fake_host::{HostServices, Mount, Product, send, setup_args};
use crate::toy::ToyPlugin;

async fn mount_of(product: Product) -> (ToyPlugin, crate::fake_host::FakeHost, Mount) {
    let (plugin, host) = ToyPlugin::with_host().await;
    host.serve(1, HostServices::new(product, Arc::default()))
        .await;
    let mut mount = host.mount(Some("a"));
    mount.setup(setup_args(1)).await.unwrap();
    (plugin, host, mount)
}

async fn ask(mount: &mut Mount, call: &str) -> Result<Value, String> {
    let answer = send(mount, "read", &format!("system/{call}"), "").await;
    let data = answer.map_err(|(_, text)| text)?.unwrap();
    let data: Value = serde_json::from_str(&data).unwrap();
    Ok(data["value"].clone())
}

#[tokio::test]
async fn every_answer_arrives_in_its_unit() {
    let (_plugin, _host, mut mount) = mount_of(Product::Vault).await;

    for (call, value) in [
        ("default_lease_ttl", json!(3600)),
        ("max_lease_ttl", json!(24 * 3600)),
        ("tainted", json!(true)),
        ("standby", json!(true)),
        ("local_mount", json!(true)),
        ("version", json!("1.21.1")),
        ("identity_token", json!(["jwt for sts", 300])),
        ("rotation_job", json!("toy/config/root every 86400 s")),
        ("config/root", json!(null)),
    ] {
        assert_eq!(ask(&mut mount, call).await, Ok(value), "{call}");
    }
}

#[tokio::test]
async fn a_call_that_the_host_does_not_have_is_unsupported_by_name() {
    let (_plugin, _host, mut mount) = mount_of(Product::OpenBao).await;

    for (call, method) in [
        ("identity_token", "GenerateIdentityToken"),
        ("rotation_job", "RegisterRotationJob"),
        ("config/root", "DeregisterRotationJob"),
    ] {
        let text = format!("this host does not offer {method}");
        assert_eq!(ask(&mut mount, call).await, Err(text));
    }
}

#[tokio::test]
async fn an_error_of_the_host_keeps_its_text_by_either_way() {
    let (_plugin, _host, mut vault) = mount_of(Product::Vault).await;
    let (_plugin, _host, mut openbao) = mount_of(Product::OpenBao).await;

    assert_eq!(
        ask(&mut vault, "bad_rotation_job").await,
        Err("no schedule".to_owned())
    );
    assert_eq!(
        ask(&mut vault, "other/path").await,
        Err("no job at other/path".to_owned())
    );
    assert_eq!(
        ask(&mut openbao, "version").await,
        Err("no environment for you".to_owned())
    );
}

#[tokio::test]
async fn at_registration_every_question_fails_and_none_of_them_the_process() {
    let (_plugin, _host, mut mount) = mount_of(Product::Registration).await;

    for call in ["default_lease_ttl", "version", "identity_token"] {
        let text = "missing system view implementation".to_owned();
        assert_eq!(ask(&mut mount, call).await, Err(text), "{call}");
    }
}
