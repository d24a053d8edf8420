//! The real binary: how it starts, what it prints, and how it ends.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use vault_plugin_secrets_aws::pb::backend::InitializeArgs;
use vault_plugin_secrets_aws::rpc::PROTOCOL;

use crate::fake_host::certificate::Identity;
use crate::fake_host::{FakeHost, Handshake, send, soon};
use crate::launch::{BINARY, COOKIE, Plugin, one_log_line, run, sockets, text};

#[test]
fn without_the_exact_cookie_it_says_what_it_is_and_fails_with_empty_stdout() {
    for environment in [
        &[][..],
        &[(PROTOCOL.cookie_key, "6669DA05-B1C8-4F49-97D9-C8E5BED98E20")],
        &[(PROTOCOL.cookie_key, "")],
        &[(
            "VAULT_DATABASE_PLUGIN",
            "926a0820-aea2-be28-51d6-83cdf00e8edb",
        )],
    ] {
        let output = run(&[], environment);

        assert_eq!(output.status.code(), Some(1), "{environment:?}");
        assert_eq!(text(&output.stdout), "");
        let stderr = text(&output.stderr);
        assert!(
            stderr.contains("plugin of HashiCorp Vault or OpenBao"),
            "{stderr}"
        );
    }
}

#[test]
fn a_person_may_ask_for_version_and_help() {
    let version = run(&["--version"], &[]);
    let help = run(&["--help"], &[]);

    assert!(version.status.success() && help.status.success());
    assert_eq!(
        text(&version.stdout),
        format!("vault-plugin-secrets-aws v{}\n", env!("CARGO_PKG_VERSION"))
    );
    for word in [
        "plugin register",
        "-sha256",
        "secrets enable",
        "BAO_LOG_LEVEL",
    ] {
        assert!(text(&help.stdout).contains(word), "{word}");
    }
}

#[test]
fn a_host_that_offers_older_protocols_only_is_told_so() {
    let host = Identity::new().pem();
    for versions in ["3,4", "4,3", ""] {
        let output = run(
            &[],
            &[
                COOKIE,
                ("PLUGIN_PROTOCOL_VERSIONS", versions),
                ("PLUGIN_CLIENT_CERT", &host),
            ],
        );

        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stdout), "");
        let line = one_log_line(&output.stderr);
        assert_eq!(line["@level"], "error");
        assert!(
            line["error"].as_str().unwrap().contains("version 5 only"),
            "{line}"
        );
    }
}

#[test]
fn without_the_hosts_certificate_it_serves_nothing() {
    for certificate in [
        "",
        "-----BEGIN CERTIFICATE-----\nAAAA\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "not PEM",
    ] {
        let output = run(
            &[],
            &[
                COOKIE,
                ("PLUGIN_PROTOCOL_VERSIONS", "5"),
                ("PLUGIN_CLIENT_CERT", certificate),
            ],
        );

        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stdout), "");
        let line = one_log_line(&output.stderr);
        assert!(
            line["error"]
                .as_str()
                .unwrap()
                .contains("PLUGIN_CLIENT_CERT"),
            "{line}"
        );
    }
}

#[test]
fn metadata_mode_is_refused() {
    let host = Identity::new().pem();
    let output = run(
        &[],
        &[
            COOKIE,
            ("PLUGIN_PROTOCOL_VERSIONS", "5"),
            ("PLUGIN_CLIENT_CERT", &host),
            ("VAULT_PLUGIN_METADATA_MODE", "true"),
        ],
    );

    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text(&output.stdout), "");
    assert!(
        one_log_line(&output.stderr)["error"]
            .as_str()
            .unwrap()
            .contains("metadata")
    );
}

#[test]
fn the_handshake_line_has_six_fields_and_its_socket_is_there() {
    let plugin = Plugin::start(&Identity::new(), &[]);

    let handshake = plugin.handshake();

    assert!(plugin.line.ends_with('\n'));
    assert_eq!(plugin.sockets(), [handshake.socket]);
    plugin.signal("-TERM");
    plugin.ends();
}

#[test]
fn a_host_that_wants_one_session_reads_so_in_a_seventh_field() {
    let plugin = Plugin::start(&Identity::new(), &[("PLUGIN_MULTIPLEX_GRPC", "true")]);

    let handshake = Handshake::parse_with_session(&plugin.line);

    assert_eq!(plugin.sockets(), [handshake.socket]);
    plugin.signal("-TERM");
    plugin.ends();
}

#[test]
fn the_hosts_directory_for_sockets_comes_before_the_temporary_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let plugin = Plugin::start(&Identity::new(), &[("PLUGIN_UNIX_SOCKET_DIR", path)]);

    assert_eq!(plugin.handshake().socket.parent(), Some(directory.path()));
    assert_eq!(sockets(directory.path()).len(), 1);
    plugin.signal("-TERM");
    plugin.ends();
    assert_eq!(sockets(directory.path()).len(), 0);
}

#[test]
fn arguments_that_another_plugin_took_are_ignored() {
    let mut command = Command::new(BINARY);
    command.args(["-tls-skip-verify=true", "--version", "--help", "serve"]);
    let plugin = Plugin::spawn(command, &Identity::new(), &[]);

    Handshake::parse(&plugin.line);
    plugin.signal("-TERM");
    plugin.ends();
}

#[test]
fn it_opens_as_many_files_as_its_hard_limit_allows() {
    let mut limited = Command::new("/bin/sh");
    limited.args(["-c", "ulimit -Sn 64 && exec \"$0\"", BINARY]);
    let plugin = Plugin::spawn(limited, &Identity::new(), &[]);

    let (allowed, most) = plugin.open_files_limits();

    assert_eq!(allowed, most);
    assert_ne!(allowed, "64");
    plugin.signal("-TERM");
    plugin.ends();
}

#[tokio::test]
async fn a_shutdown_ends_it_with_success_well_before_the_host_kills() {
    let identity = Identity::new();
    let plugin = Plugin::start(&identity, &[]);
    let mut host = FakeHost::connect(identity, &plugin.handshake()).await;
    let mut mount = host.set_up(1, "a").await;
    mount.initialize(InitializeArgs {}).await.unwrap();

    host.shut_down().await;
    let ends = tokio::task::spawn_blocking(|| plugin.ends());
    let ended = tokio::time::timeout(Duration::from_secs(1), ends).await;

    let (status, stdout, _) = ended.expect("it takes longer than a second").unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(stdout, "");
    assert!(matches!(soon(host.stdio.message()).await, Ok(None)));
}

#[tokio::test]
async fn an_interrupt_is_ignored() {
    let identity = Identity::new();
    let plugin = Plugin::start(&identity, &[]);
    let host = FakeHost::connect(identity, &plugin.handshake()).await;
    let mut mount = host.set_up(1, "a").await;

    for _ in 0..3 {
        plugin.signal("-INT");
    }

    // Answered by an engine that knows no such path.
    let answer = send(&mut mount, "read", "no/such/path", "").await;
    assert_eq!(answer, Err((6, "unsupported path".to_owned())));
    host.shut_down().await;
    let ends = tokio::task::spawn_blocking(|| plugin.ends());
    assert_eq!(ends.await.unwrap().0.code(), Some(0));
}

#[test]
fn a_termination_ends_it_in_order() {
    let plugin = Plugin::start(&Identity::new(), &[]);

    plugin.signal("-TERM");

    let (status, stdout, log) = plugin.ends();
    assert_eq!((status.code(), status.signal()), (Some(0), None));
    assert_eq!(stdout, "");
    assert_eq!(log, Vec::<Value>::new());
}

#[test]
fn it_ends_when_its_host_is_killed() {
    let mut host = Command::new("/bin/sh");
    host.args(["-c", "\"$0\" & wait", BINARY]);
    let plugin = Plugin::spawn(host, &Identity::new(), &[]);
    assert_eq!(plugin.sockets().len(), 1);

    plugin.signal("-KILL");

    // Its outputs end with it, not with the host, and it has removed its socket.
    let (status, _, log) = plugin.ends();
    assert_eq!(status.signal(), Some(9));
    assert_eq!(log[0]["@message"], "the host is gone, ending");
}

#[tokio::test]
async fn it_sends_what_the_hosts_level_lets_through() {
    for (level, expected) in [("debug", true), ("info", false)] {
        let identity = Identity::new();
        let plugin = Plugin::start(&identity, &[("BAO_LOG_LEVEL", level)]);
        let host = FakeHost::connect(identity, &plugin.handshake()).await;
        let mut mount = host.set_up(1, "a").await;
        send(&mut mount, "read", "no/such/path", "")
            .await
            .unwrap_err();
        host.shut_down().await;

        let ends = tokio::task::spawn_blocking(|| plugin.ends());

        let log = ends.await.unwrap().2;
        let refused = log
            .iter()
            .find(|line| line["@message"] == "request refused");
        assert_eq!(refused.is_some(), expected, "{log:?}");
        if let Some(line) = refused {
            assert_eq!(line["@level"], "debug");
            assert_eq!(line["path"], "no/such/path");
            assert_eq!(line["operation"], "read");
            assert_eq!(line["mount"], "toy/");
            assert_eq!(line["request_id"], "5b2c4c1c-a338-15fd-698b-c83709849b1c");
        }
    }
}
