//! The real binary where files that it needs for AWS are on a file system that hangs: pipes that have a
//! writer, who writes nothing.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use vault_plugin_secrets_aws::pb::backend::InitializeArgs;

use crate::fake_host::certificate::Identity;
use crate::fake_host::{FakeHost, Mount, request, send, soon};
use crate::launch::Plugin;

fn pipe(directory: &TempDir) -> String {
    let path = directory.path().join("file");
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    path.to_str().unwrap().to_owned()
}

async fn configured(host: &FakeHost, root: Value) -> Mount {
    let mut mount = host.set_up(1, "a").await;
    mount.initialize(InitializeArgs {}).await.unwrap();
    let role = json!({
        "credential_type": "assumed_role",
        "role_arns": "arn:aws:iam::111122223333:role/deploy",
    });
    for (path, data) in [("config/root", root), ("roles/deploy", role)] {
        let written = send(&mut mount, "create", path, &data.to_string()).await;
        assert!(!written.unwrap().unwrap_or_default().contains("error"));
    }
    mount
}

/// A request for credentials has the plugin read the file; meanwhile all else is answered, and the
/// process ends when it is told to.
async fn holds_nobody_up(environment: &[(&str, &str)], root: Value, file: &str) {
    let identity = Identity::new();
    let plugin = Plugin::start(&identity, environment);
    let host = FakeHost::connect(identity, &plugin.handshake()).await;
    let mount = configured(&host, root).await;
    for _ in 0..3 {
        let mut mount = mount.clone();
        tokio::spawn(async move {
            let read = request("read", "creds/deploy", "");
            mount.handle_request(read).await
        });
    }
    let file = Path::new(file).to_owned();
    let open = move || OpenOptions::new().write(true).open(file).unwrap();
    let _opened_by_both = soon(tokio::task::spawn_blocking(open)).await.unwrap();

    let mut mount = mount;
    for _ in 0..3 {
        let role = send(&mut mount, "read", "roles/deploy", "").await;
        assert!(role.unwrap().unwrap().contains("assumed_role"));
    }

    host.shut_down().await;
    let status = tokio::task::spawn_blocking(|| plugin.ends_unheard());
    assert_eq!(status.await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_web_identity_token_that_hangs_holds_nobody_else_up() {
    let directory = tempfile::tempdir().unwrap();
    let file = pipe(&directory);
    let environment = [
        ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/vault"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &file),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];

    holds_nobody_up(&environment, json!({ "region": "us-east-1" }), &file).await;
}

#[tokio::test]
async fn a_profile_that_hangs_holds_nobody_else_up() {
    let directory = tempfile::tempdir().unwrap();
    let file = pipe(&directory);
    let environment = [
        ("AWS_SHARED_CREDENTIALS_FILE", file.as_str()),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];

    holds_nobody_up(&environment, json!({ "region": "us-east-1" }), &file).await;
}

#[tokio::test]
async fn root_certificates_that_hang_hold_nobody_else_up() {
    let directory = tempfile::tempdir().unwrap();
    let file = pipe(&directory);
    let root = json!({
        "access_key": "AKIAABCDEFGHIJKLMNOP",
        "secret_key": "hunter2",
        "sts_endpoint": "https://127.0.0.1:1",
        "iam_endpoint": "https://127.0.0.1:1",
    });

    holds_nobody_up(&[("AWS_CA_BUNDLE", &file)], root, &file).await;
}
