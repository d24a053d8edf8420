//! Whatever stops `scripts/register` half-way, the mounts run what they ran, and go on.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::{
    AWS, Build, assert_all_answer, assert_runs, install, mounts, new_build, old_build, register,
    run,
};
use crate::fixture::{Fixture, fixture};
use crate::host::{sha256, text};
use crate::product::Product;
use crate::settings::checkout;

/// What `scripts/register` is documented to need.
fn documented() -> String {
    fs::read_to_string(checkout("plugin-catalog/policy.hcl")).expect("the policy is kept")
}

/// A token of that policy alone.
fn token(fixture: &Fixture, policy: &str) -> String {
    let policy = json!({ "policy": policy });
    let host = &fixture.host;
    host.write("sys/policies/acl/registrar", &policy)
        .succeeded();
    let request = json!({ "policies": ["registrar"], "no_default_policy": true });
    text(&host.write("auth/token/create", &request).body()["auth"]["client_token"])
}

fn as_registrar(fixture: &Fixture, policy: &str, build: &Build, arguments: &[&str]) -> Command {
    let token = token(fixture, policy);
    let mut command = register(fixture, build, arguments);
    let name = format!("{}_TOKEN", fixture.host.product.variables());
    command.env(name, token);
    command
}

/// The policy without one capability of one path.
fn without(path: &str, capability: &str) -> String {
    let policy = documented();
    let start = policy
        .find(&format!("path \"{path}\""))
        .expect("the path is documented");
    let end = start + policy[start..].find('}').expect("it ends");
    let lacking = policy[start..end].replace(&format!("\"{capability}\""), "\"deny-nothing\"");
    assert_ne!(lacking, policy[start..end], "{path} {capability}");
    let lacking = lacking.replace(", \"deny-nothing\"", "");
    let lacking = lacking.replace("\"deny-nothing\", ", "");
    let lacking = lacking.replace("[\"deny-nothing\"]", "[]");
    format!("{}{lacking}{}", &policy[..start], &policy[end..])
}

#[test]
fn the_documented_policy_is_all_that_it_takes() {
    let fixture = fixture!(secured);
    let old = old_build(&fixture);
    let enable = ["--enable", "--path=aws", "--path=other"];
    let command = as_registrar(&fixture, &documented(), &old, &enable);
    run(&fixture, command).succeeded();
    assert_runs(&fixture, AWS, &old);
    // The rest of the mounts.
    install(&fixture, &old);

    let command = as_registrar(&fixture, &documented(), &new_build(), &[]);
    run(&fixture, command).succeeded();
    for mount in mounts(&fixture) {
        assert_runs(&fixture, *mount, &new_build());
    }
    let command = as_registrar(&fixture, &documented(), &new_build(), &["--back"]);
    run(&fixture, command).succeeded();

    assert_runs(&fixture, AWS, &old);
    assert_all_answer(&fixture);
}

#[test]
fn whatever_right_is_missing_the_mounts_run_what_they_ran() {
    let fixture = fixture!(secured);
    let (old, new) = (old_build(&fixture), new_build());
    install(&fixture, &old);
    let catalog = "sys/plugins/catalog/secret/aws";

    for (path, capability) in [
        ("sys/plugins/catalog", "read"),
        (catalog, "read"),
        (catalog, "update"),
        (catalog, "sudo"),
        ("sys/mounts", "read"),
        ("sys/mounts/*", "update"),
        ("sys/plugins/reload/backend", "update"),
    ] {
        let policy = without(path, capability);
        let command = as_registrar(&fixture, &policy, &new, &["--only", "--path=aws"]);

        let refused = run(&fixture, command).failed();

        assert!(refused.contains("policy.hcl"), "{path}: {refused}");
        for mount in mounts(&fixture) {
            assert_runs(&fixture, *mount, &old);
        }
    }
    assert_all_answer(&fixture);
}

#[test]
fn a_mount_that_may_not_be_moved_stays_and_the_others_move() {
    let fixture = fixture!(secured);
    let (old, new) = (old_build(&fixture), new_build());
    install(&fixture, &old);
    let policy = format!(
        "{}\npath \"sys/mounts/other/tune\" {{ capabilities = [\"deny\"] }}\n",
        documented()
    );

    let refused = run(&fixture, as_registrar(&fixture, &policy, &new, &[])).failed();

    assert!(refused.contains("other/"), "{refused}");
    assert_runs(&fixture, AWS, &new);
    assert_runs(&fixture, super::OTHER, &old);
    assert_all_answer(&fixture);
}

#[test]
fn a_full_disk_changes_nothing() {
    let fixture = fixture!(secured);
    let (old, new) = (old_build(&fixture), new_build());
    install(&fixture, &old);
    let before = files(&fixture);

    // A disk of its own for the script alone, so that the host's directory is full only to it.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--map-root-user", "/bin/sh", "-ec"]);
    command.arg(r#"mount -t tmpfs -o size=1m full "$1"; shift; exec "$@""#);
    command.arg("full").arg(&fixture.host.plugin_directory);
    let script = register(&fixture, &new, &[]);
    command.arg(script.get_program()).args(script.get_args());
    let refused = run(&fixture, command).failed();

    assert!(refused.contains("No space left on device"), "{refused}");
    assert_eq!(files(&fixture), before);

    // The same where a quota ends the file.
    let mut command = Command::new("/bin/sh");
    command.args(["-ec", r#"ulimit -f 100; exec "$@""#, "quota"]);
    command.arg(script.get_program()).args(script.get_args());
    let refused = run(&fixture, command).failed();

    assert!(refused.contains("nothing is changed"), "{refused}");
    assert_eq!(files(&fixture), before);
    assert_runs(&fixture, AWS, &old);
    assert_all_answer(&fixture);
}

#[test]
fn a_wrong_checksum_is_found_before_anything_is_registered() {
    let fixture = fixture!(secured);
    let (old, new) = (old_build(&fixture), new_build());
    install(&fixture, &old);
    let name = format!(
        "vault-plugin-secrets-aws-{}-{}",
        new.version,
        &sha256(&new.path)[..8]
    );
    // What was copied by hand is another file than what is to be registered.
    fixture.host.install(&old.path, &name);
    let mut command = Command::new(checkout("scripts/register"));
    command.arg("--binary").arg(&new.path);

    let refused = run(&fixture, command).failed();

    assert!(refused.contains("cannot start"), "{refused}");
    let wrong = register(&fixture, &new, &["--sha256", &sha256(&old.path)]);
    let refused = run(&fixture, wrong).failed();
    assert!(refused.contains("not what it should be"), "{refused}");
    let catalog = fixture.host.read("sys/plugins/catalog").succeeded();
    let ours = catalog["detailed"].as_array().expect("a list");
    let versions: Vec<_> = ours
        .iter()
        .filter(|entry| entry["name"] == "aws" && entry["builtin"] == false)
        .map(|entry| text(&entry["version"]))
        .collect();
    assert_eq!(versions, [old.version.as_str()]);
    for mount in mounts(&fixture) {
        assert_runs(&fixture, *mount, &old);
    }
    assert_all_answer(&fixture);
}

#[test]
fn what_a_pin_decides_is_said_and_left_alone() {
    let fixture = fixture!(secured);
    if fixture.host.product == Product::OpenBao {
        // It has no pins; asked for one, it says so.
        let pin = json!({ "version": "v0.0.9" });
        let answer = fixture.host.write("sys/plugins/pins/secret/aws", &pin);
        assert!(!answer.is_success());
        return;
    }
    let (old, new) = (old_build(&fixture), new_build());
    install(&fixture, &old);
    let pin = json!({ "version": old.version });
    let pins = "sys/plugins/pins/secret/aws";
    fixture.host.write(pins, &pin).succeeded();

    let refused = run(&fixture, register(&fixture, &new, &[])).failed();

    assert!(refused.contains("sys/plugins/pins/secret/aws"), "{refused}");
    assert_runs(&fixture, AWS, &old);
    assert_all_answer(&fixture);
}

fn files(fixture: &Fixture) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(&fixture.host.plugin_directory)
        .expect("it can be read")
        .map(|entry| entry.expect("it stays").file_name().display().to_string())
        .collect();
    names.sort();
    names
}
