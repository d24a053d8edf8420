//! What `scripts/register` says when something is wrong: what is, and what to do.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use super::{Build, new_build, register, run};
use crate::fixture::{Fixture, fixture};
use crate::host::sha256;
use crate::settings::checkout;

fn script(arguments: &[&str]) -> Command {
    let mut command = Command::new(checkout("scripts/register"));
    command
        .arg("--binary")
        .arg(new_build().path)
        .args(arguments);
    command
}

#[track_caller]
fn assert_says(fixture: &Fixture, command: Command, expected: &[&str]) {
    let said = run(fixture, command).failed();
    for part in expected {
        assert!(said.contains(part), "{part:?} is missing: {said}");
    }
}

/// An executable script in the scratch directory.
fn program(fixture: &Fixture, name: &str, text: &str) -> Build {
    let path = fixture.scratch(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("it can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    Build {
        path,
        ..new_build()
    }
}

#[test]
fn a_build_that_cannot_be_used_is_refused_before_anything_is_asked() {
    let fixture = fixture!(bare);

    let nowhere = Build {
        path: "/nowhere/plugin".into(),
        ..new_build()
    };
    let missing = register(&fixture, &nowhere, &[]);
    assert_says(
        &fixture,
        missing,
        &["--binary", "scripts/release", "cargo build"],
    );

    let truth = Build {
        path: "/bin/true".into(),
        ..new_build()
    };
    let stranger = register(&fixture, &truth, &[]);
    assert_says(&fixture, stranger, &["is not this plugin"]);

    let says_so = format!("echo vault-plugin-secrets-aws {}", new_build().version);
    let pretender = program(&fixture, "pretender", &says_so);
    let broken = register(&fixture, &pretender, &[]);
    assert_says(&fixture, broken, &["cannot start", "nothing is registered"]);

    let built = fixture.scratch("built");
    fs::create_dir_all(built.join("release")).expect("it can be made");
    let file = built.join("release/vault-plugin-secrets-aws");
    fs::copy(&program(&fixture, "x", "exit 1").path, file).expect("it can be copied");
    let mut command = Command::new(checkout("scripts/register"));
    command.env("CARGO_TARGET_DIR", &built);
    if !checkout("dist").exists() {
        assert_says(&fixture, command, &["built/release", "is not this plugin"]);
    }

    // Named beside the file, as a release does.
    let sums = format!("{}  pretender\n", sha256(&new_build().path));
    fs::write(fixture.scratch("SHA256SUMS"), sums).expect("it can be written");
    let other = register(&fixture, &pretender, &[]);
    assert_says(&fixture, other, &["is not what it should be"]);
}

#[test]
fn a_directory_that_is_not_the_hosts_is_named() {
    let fixture = fixture!(bare);

    let elsewhere = fixture.scratch("elsewhere");
    fs::create_dir(&elsewhere).expect("it can be made");
    let elsewhere = elsewhere.display().to_string();
    let copied = script(&["--plugin-dir", &elsewhere]);
    assert_says(
        &fixture,
        copied,
        &["is not the plugin_directory", &elsewhere],
    );

    let none = script(&["--enable"]);
    assert_says(&fixture, none, &["install -m 755", "--plugin-dir"]);

    let link = fixture.scratch("link-to-plugins");
    symlink(&fixture.host.plugin_directory, &link).expect("a link");
    let link = link.display().to_string();
    let behind = script(&["--plugin-dir", &link]);
    assert_says(&fixture, behind, &["symbolic link"]);

    let missing = script(&["--plugin-dir", "/nowhere"]);
    assert_says(&fixture, missing, &["/nowhere is no directory"]);

    let taken = script(&["--path=cubbyhole"]);
    assert_says(&fixture, taken, &["another --path"]);

    let round_about = fixture.host.plugin_directory.join("../plugins");
    let round_about = round_about.display().to_string();
    run(&fixture, script(&["--plugin-dir", &round_about])).succeeded();
}

#[test]
fn a_host_that_cannot_be_reached_is_told_from_one_that_refuses() {
    let fixture = fixture!(secured);
    let prefix = fixture.host.product.variables();
    let variable = |name: &str| format!("{prefix}_{name}");
    let with = |name: &str, value: &Path| {
        let mut command = script(&["--enable"]);
        command.env(variable(name), value);
        command
    };
    let tls = fixture.host.operators.clone().expect("it has TLS").0;
    let port = tls.trim_start_matches("https://");
    let plain = fixture.host.address.trim_start_matches("http://");

    let stranger = with("TOKEN", Path::new("nobody"));
    assert_says(&fixture, stranger, &["token is not valid", "login"]);
    let nobody = with("TOKEN", Path::new(""));
    assert_says(&fixture, nobody, &["not logged in", &variable("TOKEN")]);
    let silent = with("ADDR", Path::new("http://127.0.0.1:9"));
    assert_says(&fixture, silent, &["no host answers", &variable("ADDR")]);
    let other = fixture.scratch("other");
    fs::create_dir(&other).expect("it can be made");
    let own = crate::host::certificate(&other).0;
    let untrusted = with("CACERT", &own);
    assert_says(
        &fixture,
        untrusted,
        &["is not trusted", &variable("CACERT")],
    );
    let http = format!("http://{port}");
    let http = with("ADDR", Path::new(&http));
    assert_says(&fixture, http, &["takes https only", &variable("ADDR")]);
    let https = format!("https://{plain}");
    let https = with("ADDR", Path::new(&https));
    assert_says(&fixture, https, &["is no https address", &variable("ADDR")]);

    fixture.host.seal();
    assert_says(&fixture, script(&[]), &["is sealed", "operator unseal"]);
    fixture.host.unseal();
}

#[test]
fn a_host_without_keys_is_not_taken_for_a_sealed_one() {
    let mut fixture = fixture!(empty);

    assert_says(&fixture, script(&[]), &["no keys yet", "operator init"]);

    fixture.host.initialize();
}
