//! `scripts/register`: installing, upgrading and going back, under hosts that go on serving.

mod messages;
mod refused;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::aws::READ_ONLY_ACCESS;
use crate::fixture::{Fixture, SOON, fixture};
use crate::host::{Host, Printed, sha256};
use crate::process::{kill, wait_for};
use crate::product::Product;
use crate::settings::{checkout, settings};

/// A mount, with the namespace it is in.
type Mount = (&'static str, &'static str);

const AWS: Mount = ("", "aws");
const OTHER: Mount = ("", "other");
const ABROAD: Mount = ("abroad", "cloud");

/// A build of the plugin and its version.
pub(crate) struct Build {
    pub(crate) path: PathBuf,
    pub(crate) version: String,
}

/// The one under test.
fn new_build() -> Build {
    Build {
        path: settings().plugin.clone(),
        version: concat!("v", env!("CARGO_PKG_VERSION")).to_owned(),
    }
}

fn old_build(fixture: &Fixture) -> Build {
    earlier_build(&fixture.scratch("old-build"))
}

/// A program with another text for its version, as an earlier release would be: the one that cargo
/// built for testing, since a release holds the text in pieces.
pub(crate) fn earlier_build(path: &Path) -> Build {
    let build = Build {
        path: path.to_owned(),
        version: "v0.0.9".to_owned(),
    };
    let rename = format!("s/{}/{}/g", new_build().version, build.version);
    write_build(
        Path::new(env!("CARGO_BIN_EXE_vault-plugin-secrets-aws")),
        &build,
        r#"LC_ALL=C sed "$3" "$1" >"$2"; chmod 755 "$2""#,
        &rename,
    );
    build
}

/// Another build of the same version, as far as a checksum can tell.
fn another_build(fixture: &Fixture) -> Build {
    let build = Build {
        path: fixture.scratch("another-build"),
        ..new_build()
    };
    write_build(
        &settings().plugin,
        &build,
        r#"cp "$1" "$2"; echo >>"$2""#,
        "",
    );
    build
}

/// Not written from here, for the reason that `Host::install` has.
fn write_build(base: &Path, build: &Build, script: &str, argument: &str) {
    let mut command = Command::new("/bin/sh");
    command.args(["-ec", script, "build"]);
    command.args([base, &build.path]);
    let output = command.arg(argument).output().expect("/bin/sh starts");
    assert!(output.status.success(), "{output:?}");
}

/// `scripts/register`, for the host's own plugin directory.
fn register(fixture: &Fixture, build: &Build, arguments: &[&str]) -> Command {
    let mut command = Command::new(checkout("scripts/register"));
    command
        .arg("--binary")
        .arg(&build.path)
        .arg("--plugin-dir")
        .arg(&fixture.host.plugin_directory)
        .args(arguments);
    command
}

fn run(fixture: &Fixture, mut command: Command) -> Printed {
    fixture.host.run(&mut command)
}

/// Does something in a namespace, which the host's clients name by a path.
fn path_in((namespace, path): Mount, before: &str, after: &str) -> String {
    let namespace = if namespace.is_empty() {
        String::new()
    } else {
        format!("{namespace}/")
    };
    format!("{namespace}{before}{path}{after}")
}

/// The mounts that a test has: those in namespaces only where there are namespaces.
fn mounts(fixture: &Fixture) -> &'static [Mount] {
    match fixture.host.product {
        Product::OpenBao => &[AWS, OTHER, ABROAD],
        Product::Vault => &[AWS, OTHER],
    }
}

/// Installs a build and mounts it everywhere.
fn install(fixture: &Fixture, build: &Build) {
    let enable = ["--enable", "--path=aws", "--path=other"];
    run(fixture, register(fixture, build, &enable)).succeeded();
    if fixture.host.product == Product::OpenBao {
        install_in(fixture, build, ABROAD);
    }
    for mount in mounts(fixture) {
        fixture.configure(&path_in(*mount, "", ""), &fixture.aws.root);
        let role = json!({ "credential_type": "iam_user", "policy_arns": READ_ONLY_ACCESS });
        let host = &fixture.host;
        host.write(&path_in(*mount, "", "/roles/deploy"), &role)
            .succeeded();
    }
}

/// Mounts a build in a new namespace.
fn install_in(fixture: &Fixture, build: &Build, (namespace, path): Mount) {
    let (parent, name) = namespace.rsplit_once('/').unwrap_or(("", namespace));
    let namespaces = path_in((parent, name), "sys/namespaces/", "");
    fixture.host.write(&namespaces, &json!({})).succeeded();
    let path = format!("--path={path}");
    let mut command = register(fixture, build, &["--enable", &path]);
    command.env("BAO_NAMESPACE", namespace);
    run(fixture, command).succeeded();
}

fn mounted(host: &Host, mount: Mount) -> Value {
    host.read(&path_in(mount, "sys/mounts/", "")).succeeded()
}

#[track_caller]
fn assert_runs(fixture: &Fixture, mount: Mount, build: &Build) {
    let entry = mounted(&fixture.host, mount);
    assert_eq!(entry["running_sha256"], json!(sha256(&build.path)));
    assert_eq!(entry["plugin_version"], json!(build.version));
}

/// Every mount answers: now, by a process that is started anew, and after the host was.
#[track_caller]
fn assert_all_answer(fixture: &Fixture) {
    let issue = || {
        for mount in mounts(fixture) {
            // Of a process that was killed the host learns by the first request that fails.
            wait_for("the mount to answer", SOON, || {
                let role = fixture.host.read(&path_in(*mount, "", "/roles/deploy"));
                role.is_success().then_some(())
            });
            let issued = fixture.generate_from(&path_in(*mount, "", "/creds/deploy"));
            let (namespace, _) = mount;
            let revoke = path_in((namespace, ""), "sys/leases/revoke", "");
            let lease = json!({ "lease_id": issued.lease, "sync": true });
            fixture.host.write(&revoke, &lease).succeeded();
            assert!(!fixture.aws.has_user(&issued.user));
        }
    };
    issue();
    for process in fixture.host.plugin_processes() {
        kill(process);
    }
    wait_for("the processes to be gone", SOON, || {
        fixture.host.plugin_processes().is_empty().then_some(())
    });
    issue();
    fixture.host.seal();
    fixture.host.unseal();
    issue();
}

#[test]
fn one_command_installs_registers_and_enables_and_does_no_more_the_second_time() {
    let fixture = fixture!(bare);

    run(&fixture, register(&fixture, &new_build(), &["--enable"])).succeeded();

    assert_runs(&fixture, AWS, &new_build());
    fixture.configure("aws", &fixture.aws.root);
    fixture.deploy_role();
    fixture.generate("deploy");
    let processes = fixture.host.plugin_processes();

    let printed = run(&fixture, register(&fixture, &new_build(), &["--enable"])).succeeded();

    assert!(printed.contains("already"), "{printed}");
    assert_eq!(fixture.host.plugin_processes(), processes);
}

#[test]
fn all_mounts_move_to_an_upgrade_and_back_and_answer_all_the_time() {
    const FAR_ABROAD: Mount = ("abroad/far", "aws");
    let fixture = fixture!(secured);
    let (old, new) = (old_build(&fixture), new_build());
    install(&fixture, &old);
    for mount in mounts(&fixture) {
        assert_runs(&fixture, *mount, &old);
    }
    let before = fixture.generate("deploy");
    let has_namespaces = fixture.host.product == Product::OpenBao;
    if has_namespaces {
        install_in(&fixture, &old, FAR_ABROAD);
    }

    run(&fixture, register(&fixture, &new, &[])).succeeded();

    if has_namespaces {
        assert_runs(&fixture, FAR_ABROAD, &new);
    }

    for mount in mounts(&fixture) {
        assert_runs(&fixture, *mount, &new);
    }
    fixture.revoke(&before.lease);
    assert!(!fixture.aws.has_user(&before.user));
    assert_all_answer(&fixture);

    let back = register(&fixture, &new, &["--back"]);
    let printed = run(&fixture, back).succeeded();

    assert!(printed.contains("v0.0.9"), "{printed}");
    for mount in mounts(&fixture) {
        assert_runs(&fixture, *mount, &old);
    }
    assert_all_answer(&fixture);

    run(&fixture, register(&fixture, &new, &["--back"])).succeeded();

    assert_runs(&fixture, OTHER, &new);
}

#[test]
fn mounts_that_stay_keep_a_file_and_an_entry_of_their_own() {
    let fixture = fixture!(secured);
    let (old, new) = (old_build(&fixture), new_build());
    install(&fixture, &old);

    let only = register(&fixture, &new, &["--only", "--path=other"]);
    run(&fixture, only).succeeded();

    for mount in mounts(&fixture) {
        let build = if *mount == OTHER { &new } else { &old };
        assert_runs(&fixture, *mount, build);
    }
    assert_all_answer(&fixture);
}

#[test]
fn another_build_of_the_same_version_moves_all_mounts_and_goes_back() {
    let fixture = fixture!(secured);
    let (first, second) = (new_build(), another_build(&fixture));
    install(&fixture, &first);

    let only = register(&fixture, &second, &["--only", "--path=other"]);
    let refused = run(&fixture, only).failed();
    assert!(refused.contains("leave --only out"), "{refused}");
    run(&fixture, register(&fixture, &second, &[])).succeeded();

    for mount in mounts(&fixture) {
        assert_runs(&fixture, *mount, &second);
    }
    assert_all_answer(&fixture);

    run(&fixture, register(&fixture, &second, &["--back"])).succeeded();

    for mount in mounts(&fixture) {
        assert_runs(&fixture, *mount, &first);
    }
    assert_all_answer(&fixture);
}

#[test]
fn what_was_registered_by_hand_under_a_plain_name_is_upgraded_and_gone_back_to() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let second = another_build(&fixture);

    run(&fixture, register(&fixture, &second, &[])).succeeded();
    assert_runs(&fixture, AWS, &second);
    run(&fixture, register(&fixture, &second, &["--back"])).succeeded();

    assert_runs(&fixture, AWS, &new_build());
    fixture.generate("deploy");
}

#[test]
fn one_command_upgrades_every_node_of_a_cluster() {
    let fixture = fixture!(clustered);
    fixture.deploy_role();
    let new = another_build(&fixture);
    let other = fixture.others[0].plugin_directory.display().to_string();

    run(
        &fixture,
        register(&fixture, &new, &["--plugin-dir", &other]),
    )
    .succeeded();

    assert_runs(&fixture, AWS, &new);
    fixture.generate("deploy");
    fixture.host.step_down();
    wait_for("the other node to take over", SOON, || {
        let node = &fixture.others[0];
        (node.is_active() && node.read("aws/roles/deploy").is_success()).then_some(())
    });
    let entry = mounted(&fixture.others[0], AWS);
    assert_eq!(entry["running_sha256"], json!(sha256(&new.path)));
    fixture.others[0].read("aws/creds/deploy").succeeded();
}

#[test]
fn a_mount_of_another_engine_of_that_name_stays_until_it_is_named() {
    let fixture = fixture!(bare);
    if fixture.host.product == Product::OpenBao {
        // The same program stands in for OpenBao's plugin: what tells them apart is the file's name.
        fixture
            .host
            .install(&old_build(&fixture).path, "another-engine");
        let entry = json!({
            "command": "another-engine", "sha256": sha256(&old_build(&fixture).path),
        });
        let catalog = "sys/plugins/catalog/secret/aws";
        fixture.host.write(catalog, &entry).succeeded();
    }
    fixture.host.enable("aws");
    let before = mounted(&fixture.host, AWS);

    let printed = run(&fixture, register(&fixture, &new_build(), &["--enable"])).succeeded();

    assert!(printed.contains("runs another engine"), "{printed}");
    assert_eq!(mounted(&fixture.host, AWS), before);

    run(&fixture, register(&fixture, &new_build(), &["--path=aws"])).succeeded();

    assert_runs(&fixture, AWS, &new_build());
}
