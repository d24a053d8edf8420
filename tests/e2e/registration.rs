//! `scripts/register`, and new builds under a running host.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::fixture::{Fixture, SOON, fixture};
use crate::host::{Printed, sha256};
use crate::process::wait_for;
use crate::settings::{checkout, settings};

fn register(fixture: &Fixture, binary: &Path, arguments: &[&str]) -> Printed {
    let mut command = Command::new(checkout("scripts/register"));
    command.arg("--binary").arg(binary).args(arguments);
    fixture.host.run(&mut command)
}

/// Registers, as an operator would, with the host's own plugin directory.
fn register_in_place(fixture: &Fixture, binary: &Path) -> Printed {
    let directory = fixture.host.plugin_directory.display().to_string();
    register(fixture, binary, &["--plugin-dir", &directory, "--enable"])
}

/// Another build of the same version, as far as a checksum can tell.
fn another_build(fixture: &Fixture) -> PathBuf {
    let path = fixture.scratch("another-build");
    // Not written from here, for the reason that `Host::install` has.
    let printed = fixture.host.run(
        Command::new("/bin/sh")
            .args(["-ec", r#"cp "$1" "$2"; echo >>"$2""#, "build"])
            .arg(&settings().plugin)
            .arg(&path),
    );
    printed.succeeded();
    path
}

fn write_role(fixture: &Fixture) {
    fixture.configure("aws", &fixture.aws.root);
    fixture.deploy_role();
}

fn running_checksum(fixture: &Fixture) -> serde_json::Value {
    fixture.host.read("sys/mounts").succeeded()["aws/"]["running_sha256"].take()
}

#[test]
fn one_command_installs_registers_and_enables_and_does_no_more_the_second_time() {
    let fixture = fixture!(bare);

    register_in_place(&fixture, &settings().plugin).succeeded();

    assert_eq!(
        running_checksum(&fixture),
        json!(sha256(&settings().plugin))
    );
    write_role(&fixture);
    fixture.generate("deploy");
    let processes = fixture.host.plugin_processes();

    let printed = register_in_place(&fixture, &settings().plugin).succeeded();

    assert!(printed.contains("already"), "{printed}");
    assert_eq!(fixture.host.plugin_processes(), processes);
}

#[test]
fn one_command_upgrades_a_mount_that_keeps_its_roles_and_leases() {
    let fixture = fixture!(bare);
    register_in_place(&fixture, &settings().plugin).succeeded();
    write_role(&fixture);
    let before = fixture.generate("deploy");
    let new = another_build(&fixture);

    register_in_place(&fixture, &new).succeeded();

    assert_eq!(running_checksum(&fixture), json!(sha256(&new)));
    fixture.generate("deploy");
    fixture.revoke(&before.lease);
    assert!(!fixture.aws.has_user(&before.user));
}

#[test]
fn registering_a_new_build_by_hand_and_reloading_runs_it() {
    let fixture = fixture!(configured);
    let processes = fixture.host.plugin_processes();
    let new = another_build(&fixture);
    fixture.host.install(&new, "vault-plugin-secrets-aws");

    fixture
        .host
        .cli(&[
            "plugin",
            "register",
            &format!("-sha256={}", sha256(&new)),
            "-command=vault-plugin-secrets-aws",
            "secret",
            "aws",
        ])
        .succeeded();
    fixture
        .host
        .cli(&["plugin", "reload", "-plugin=aws"])
        .succeeded();

    wait_for("a new process", SOON, || {
        let now = fixture.host.plugin_processes();
        (now.len() == 1 && now != processes).then_some(())
    });
    fixture.deploy_role();
    fixture.generate("deploy");
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let mut fixture = fixture!(bare);
    let plugin = &settings().plugin;

    let missing = register(&fixture, Path::new("/nowhere/plugin"), &[]).failed();
    assert!(missing.contains("cargo build --release"), "{missing}");

    let elsewhere = register(&fixture, plugin, &["--enable"]).failed();
    assert!(elsewhere.contains("--plugin-dir"), "{elsewhere}");

    let link = fixture.scratch("link-to-plugins");
    std::os::unix::fs::symlink(&fixture.host.plugin_directory, &link).expect("a link");
    let link = link.display().to_string();
    let behind = register(&fixture, plugin, &["--plugin-dir", &link]).failed();
    assert!(behind.contains("symbolic link"), "{behind}");

    let no_plugin = register_in_place(&fixture, Path::new("/bin/true")).failed();
    assert!(no_plugin.contains("could not start it"), "{no_plugin}");

    let taken = {
        let directory = fixture.host.plugin_directory.display().to_string();
        register(
            &fixture,
            plugin,
            &["--plugin-dir", &directory, "--path", "cubbyhole"],
        )
        .failed()
    };
    assert!(taken.contains("another --path"), "{taken}");

    let token = std::mem::replace(&mut fixture.host.token, "nobody".to_owned());
    let stranger = register_in_place(&fixture, plugin).failed();
    assert!(stranger.contains("token is not valid"), "{stranger}");
    fixture.host.token = token;
}
