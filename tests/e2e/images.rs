//! OpenBao's own way in: a stanza of its configuration pulls the image, checks it and registers it.

use std::path::Path;

use serde_json::{Value, json};

use crate::fixture::{Fixture, directory};
use crate::host::{Host, World, text};
use crate::product::Product;
use crate::registration::earlier_build;
use crate::registry::Registry;
use crate::release::{Release, release};
use crate::settings::settings;

/// HashiCorp Vault has no such stanza. It reads over what it does not know, and registers nothing.
fn is_told_by_vault(directory: &Path, declared: &str) -> bool {
    if Product::of(&settings().host) == Product::OpenBao {
        return false;
    }
    let world = World::of(directory).declaring(declared);
    let started = Host::declared(&world);
    let registers = |host: Host| {
        let entry = host.read("sys/plugins/catalog/secret/aws").succeeded();
        entry["builtin"] == false
    };
    assert!(!started.is_ok_and(registers));
    true
}

/// A registry with the image of the build under test.
fn registry() -> Registry {
    let registry = Registry::start();
    let pushed = registry.push(&release().directory.join("image"));
    assert_eq!(pushed, release().image);
    registry
}

/// An earlier release, as another image of the same registry.
fn earlier_release(directory: &Path, registry: &Registry) -> Release {
    let build = earlier_build(&directory.join("earlier-build"));
    let released = Release::of(&build.path, &directory.join("earlier-release"));
    assert_eq!(released.version(), build.version);
    registry.push(&released.directory.join("image"));
    released
}

/// Configures the mount, issues a credential there, uses it and revokes it.
fn issue_and_revoke(fixture: &Fixture) {
    fixture.configure("aws", &fixture.aws.root);
    fixture.deploy_role();
    let issued = fixture.generate("deploy");
    assert_eq!(issued.keys.list_users(), Ok(()));
    fixture.revoke(&issued.lease);
    assert!(!fixture.aws.has_user(&issued.user));
}

#[track_caller]
fn assert_runs(host: &Host, release: &Release) {
    let mount = host.read("sys/mounts/aws").succeeded();
    assert_eq!(mount["running_plugin_version"], json!(release.version()));
    assert_eq!(mount["running_sha256"], json!(release.checksum()));
}

#[test]
fn one_stanza_with_the_digest_of_an_image_is_all_that_it_takes() {
    let registry = registry();
    let stanza = release().by_image(&registry);
    if is_told_by_vault(&directory!(), &stanza) {
        return;
    }
    let directory = directory!();
    let world = World::of(&directory).declaring(&stanza);

    let fixture = Fixture::declared(directory, &world).expect("the host starts");
    fixture.host.enable("aws");

    issue_and_revoke(&fixture);
    assert_runs(&fixture.host, release());
    assert_eq!(fixture.host.plugin_processes().len(), 1);
    assert!(registry.pulled().contains(&release().image));
}

#[test]
fn a_stanza_with_a_command_registers_the_file_that_is_there() {
    let stanza = release().by_command();
    if is_told_by_vault(&directory!(), &stanza) {
        return;
    }
    let directory = directory!();
    let world = World::of(&directory).declaring(&stanza);
    world.install(&release().binary(), &release().command());

    let fixture = Fixture::declared(directory, &world).expect("the host starts");
    fixture.host.enable("aws");

    issue_and_revoke(&fixture);
    assert_runs(&fixture.host, release());
}

#[test]
fn a_program_with_another_checksum_does_not_get_in() {
    let registry = registry();
    let other = "0".repeat(64);
    let stanza = release()
        .by_image(&registry)
        .replace(&release().checksum(), &other);
    if is_told_by_vault(&directory!(), &stanza) {
        return;
    }
    let directory = directory!();
    let world = World::of(&directory).declaring(&stanza);

    let refused = Fixture::declared(directory, &world).map(drop).unwrap_err();

    assert!(refused.contains("plugin hash mismatch"), "{refused}");
    assert!(refused.contains(&other), "{refused}");
}

/// What docs/install.md warns of, so that it goes on being true.
#[test]
fn without_a_checksum_or_with_it_misspelt_nobody_checks_the_program() {
    let registry = registry();
    let without = |stanza: &str, replacement: &str| {
        let line = stanza
            .lines()
            .find(|line| line.trim_start().starts_with("sha256sum"))
            .expect("it has a checksum");
        stanza.replace(line, replacement)
    };
    let misspelt = format!("  sha256 = \"{}\"", release().checksum());
    let by_image = without(&release().by_image(&registry), "");
    if is_told_by_vault(&directory!(), &by_image) {
        return;
    }
    for stanza in [by_image, without(&release().by_command(), &misspelt)] {
        let directory = directory!();
        let world = World::of(&directory).declaring(&stanza);
        world.install(&release().binary(), &release().command());

        let fixture = Fixture::declared(directory, &world).expect("the host starts");
        fixture.host.enable("aws");

        let mount = fixture.host.read("sys/mounts/aws").succeeded();
        assert_eq!(mount["running_sha256"], json!(""), "{mount}");
        assert_eq!(mount["running_plugin_version"], json!(release().version()));
    }

    // Where there is an image, the host at least notices the word that it does not know.
    let directory = directory!();
    let stanza = without(&release().by_image(&registry), &misspelt);
    let world = World::of(&directory).declaring(&stanza);
    let refused = Fixture::declared(directory, &world).map(drop).unwrap_err();
    assert!(refused.contains("unsupported field sha256"), "{refused}");
}

#[test]
fn a_registry_that_is_down_stops_a_host_that_has_no_copy_and_no_other() {
    let registry = registry();
    let stanza = release().by_image(&registry);
    if is_told_by_vault(&directory!(), &stanza) {
        return;
    }
    registry.set_down(true);
    let directory = directory!();
    let world = World::of(&directory).declaring(&stanza);

    let refused = Fixture::declared(directory.clone(), &world)
        .map(drop)
        .unwrap_err();

    assert!(refused.contains("failed to download plugin"), "{refused}");
    registry.set_down(false);
    let mut fixture = Fixture::declared(directory, &world).expect("the host starts");
    fixture.host.enable("aws");
    registry.set_down(true);

    fixture.host.restart(&world).expect("it has a copy");

    issue_and_revoke(&fixture);
}

#[test]
fn an_upgrade_is_another_stanza_and_the_file_before_is_pruned() {
    let registry = registry();
    let new = release();
    if is_told_by_vault(&directory!(), &new.by_image(&registry)) {
        return;
    }
    let directory = directory!();
    let old = earlier_release(&directory, &registry);
    let mut world = World::of(&directory).declaring(&old.by_image(&registry));
    let mut fixture = Fixture::declared(directory, &world).expect("the host starts");
    let latest = json!({ "type": "aws", "config": { "plugin_version": "latest" } });
    fixture.host.write("sys/mounts/aws", &latest).succeeded();
    fixture.configure("aws", &fixture.aws.root);
    fixture.deploy_role();
    assert_runs(&fixture.host, &old);
    let before = fixture.generate("deploy");

    let both = old.by_image(&registry) + &second(&new.by_image(&registry));
    world.declare(&both);
    fixture.host.restart(&world).expect("both can be had");

    assert_runs(&fixture.host, new);
    fixture.revoke(&before.lease);
    issue_and_revoke(&fixture);
    let plugins = fixture.host.plugin_directory.clone();
    let there = || {
        let mut names = std::fs::read_dir(&plugins)
            .expect("it can be read")
            .map(|entry| entry.expect("it stays").file_name().into_string().unwrap())
            .filter(|name| name.starts_with("secret-aws-"))
            .collect::<Vec<_>>();
        names.sort();
        names
    };
    let link = |release: &Release| format!("secret-aws-{}", release.version());
    assert_eq!(there(), [link(&old), link(new)]);

    world.declare(&new.by_image(&registry));
    fixture.host.restart(&world).expect("it can be had");
    let configuration = |name| format!("-config={}", world.inside(name));
    let configurations = [configuration("/host.hcl"), configuration("/declared.hcl")];
    let [first, second] = &configurations;
    fixture
        .host
        .cli(&["plugin", "prune", first, second])
        .succeeded();

    assert_eq!(there(), [link(new)]);
    issue_and_revoke(&fixture);
}

/// The stanza alone: what stands around it is there already.
fn second(stanza: &str) -> String {
    let at = stanza.find("plugin \"secret\"").expect("a stanza");
    stanza[at..].to_owned()
}

#[test]
fn a_namespace_with_a_seal_of_its_own_finds_everything_again() {
    let registry = registry();
    let stanza = release().by_image(&registry);
    if is_told_by_vault(&directory!(), &stanza) {
        return;
    }
    let directory = directory!();
    let world = World::of(&directory).declaring(&stanza);
    let fixture = Fixture::declared(directory, &world).expect("the host starts");
    let host = &fixture.host;
    let shares = ["-key-shares=1", "-key-threshold=1"];
    let made = host.cli(&[
        "namespace",
        "create",
        "-format=json",
        shares[0],
        shares[1],
        "own",
    ]);
    let made: Value = serde_json::from_str(&made.succeeded()).expect("JSON");
    let key = text(&made["key_shares"][0]);
    let unseal = || {
        host.cli(&["namespace", "unseal", "own", &key]).succeeded();
    };
    unseal();
    host.write("own/sys/mounts/aws", &json!({ "type": "aws" }))
        .succeeded();
    fixture.configure("own/aws", &fixture.aws.root);
    let role = json!({
        "credential_type": "iam_user",
        "policy_arns": crate::aws::READ_ONLY_ACCESS,
    });
    host.write("own/aws/roles/deploy", &role).succeeded();
    let before = fixture.generate_from("own/aws/creds/deploy");

    host.cli(&["namespace", "seal", "own"]).succeeded();

    assert!(!host.read("own/aws/creds/deploy").is_success());
    assert_eq!(before.keys.list_users(), Ok(()));
    unseal();
    let after = fixture.generate_from("own/aws/creds/deploy");
    for lease in [before.lease, after.lease] {
        let revoke = json!({ "lease_id": lease, "sync": true });
        host.write("own/sys/leases/revoke", &revoke).succeeded();
    }
    assert_eq!(fixture.left_in_aws(), [""; 0]);
}

#[test]
fn what_is_declared_belongs_to_the_configuration() {
    let registry = registry();
    let stanza = release().by_image(&registry);
    if is_told_by_vault(&directory!(), &stanza) {
        return;
    }
    let directory = directory!();
    let world = World::of(&directory).declaring(&stanza);
    let mut fixture = Fixture::declared(directory, &world).expect("the host starts");
    fixture.host.enable("aws");
    let entry = "sys/plugins/catalog/secret/aws?version=";
    let entry = format!("{entry}{}", release().version());

    // The host does as it is told.
    fixture.host.delete(&entry).succeeded();

    fixture.host.restart(&world).expect("it starts");
    issue_and_revoke(&fixture);
    assert_runs(&fixture.host, release());
}
