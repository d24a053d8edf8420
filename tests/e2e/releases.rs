//! What `scripts/release` makes, as whoever gets it sees it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use vault_plugin_secrets_aws::environment::{Environment as _, ProcessEnvironment};

use crate::fixture::directory;
use crate::host::sha256;
use crate::release::{Release, release};
use crate::settings::{checkout, settings};

fn check(directory: &Path) -> Output {
    Command::new(checkout("scripts/release"))
        .arg("--check")
        .arg("--output")
        .arg(directory)
        .output()
        .expect("the script starts")
}

/// Every file of a release, with its checksum.
fn files(release: &Release) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![release.directory.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it can be read") {
            let path = entry.expect("it stays").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(&release.directory).expect("it is in it");
                found.insert(name.display().to_string(), sha256(&path));
            }
        }
    }
    found
}

#[test]
fn the_same_program_gives_the_same_files_down_to_the_digest_of_the_image() {
    let directory = directory!();

    let one = Release::of(&settings().plugin, &directory.join("one"));
    let other = Release::of(&settings().plugin, &directory.join("other"));

    assert_eq!(files(&one), files(&other));
    assert_eq!(one.image, other.image);
}

#[test]
fn what_is_released_is_what_its_sums_say() {
    let release = release();
    let sums = fs::read_to_string(release.directory.join("SHA256SUMS")).expect("it is there");
    let listed: BTreeMap<_, _> = sums
        .lines()
        .map(|line| line.split_once("  ").expect("a sum and a name"))
        .map(|(sum, name)| (name, sum))
        .collect();

    assert_eq!(listed[&*release.command()], release.checksum());
    let files = files(release);
    for (name, sum) in listed {
        assert_eq!(files[name], sum, "{name}");
    }
}

#[test]
fn a_file_that_was_changed_is_found() {
    let directory = directory!();
    let release = Release::of(&settings().plugin, &directory.join("release"));
    for name in [
        "provenance.json",
        "LICENCES.txt",
        "plugin-catalog/openbao-image.hcl",
        &release.command(),
    ] {
        let path = release.directory.join(name);
        let before = fs::read(&path).expect("it is there");
        fs::write(&path, [before.as_slice(), b"\n"].concat()).expect("it can be written");

        let output = check(&release.directory);

        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(name), "{said}");
        fs::write(&path, before).expect("it can be written");
    }
    let blobs = release.directory.join("image/blobs/sha256");
    let blob = fs::read_dir(blobs)
        .expect("it has blobs")
        .map(|entry| entry.expect("it stays").path())
        .max_by_key(|path| path.metadata().map_or(0, |metadata| metadata.len()))
        .expect("it has blobs");
    fs::write(&blob, "something else").expect("it can be written");

    let output = check(&release.directory);

    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("is something else"), "{said}");
}

/// By those who know the formats: a YAML reader, a reader of Terraform's language, and the host itself.
#[test]
fn every_file_for_a_way_in_can_be_read_by_whom_it_is_for() {
    let catalog = release().directory.join("plugin-catalog");
    let output = Command::new(&settings().python)
        .arg(checkout("tests/e2e/ways_in.py"))
        .arg(&catalog)
        .output()
        .expect("Python starts");
    assert!(output.status.success(), "{output:?}");

    let mut names: Vec<_> = fs::read_dir(&catalog)
        .expect("it can be read")
        .map(|entry| entry.expect("it stays").file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "aws.json",
            "kubernetes-openbao.yaml",
            "kubernetes-vault.yaml",
            "openbao-command.hcl",
            "openbao-image.hcl",
            "policy.hcl",
            "systemd.conf",
            "vault_plugin.tf"
        ]
    );
    for name in names {
        let text = release().catalog(&name);
        assert!(!text.contains('@') || !text.contains("@VERSION@"), "{name}");
    }
}

#[test]
fn the_list_of_what_is_in_it_names_every_crate_with_its_licence() {
    let name = format!("vault-plugin-secrets-aws-{}.cdx.json", release().version());
    let bill = fs::read(release().directory.join(name)).expect("it is there");
    let bill: Value = serde_json::from_slice(&bill).expect("JSON");

    assert_eq!(bill["bomFormat"], "CycloneDX");
    let components = bill["components"].as_array().expect("a list");
    for component in components {
        let licence = &component["licenses"][0]["expression"];
        assert!(
            licence
                .as_str()
                .is_some_and(|licence| licence != "NOASSERTION"),
            "{component}"
        );
    }
    let names: Vec<_> = components
        .iter()
        .filter_map(|component| component["name"].as_str())
        .collect();
    for expected in ["aws-sdk-iam", "tonic", "rustls", "glibc"] {
        assert!(names.contains(&expected), "{expected}");
    }
    let main = &bill["metadata"]["component"]["components"][0];
    assert_eq!(main["hashes"][0]["content"], release().checksum());
}

#[test]
fn the_registration_is_what_the_host_wants() {
    let fixture = crate::fixture::fixture!(bare);
    fixture
        .host
        .install(&release().binary(), &release().command());
    let entry = serde_json::from_str(&release().catalog("aws.json")).expect("JSON");

    fixture
        .host
        .write("sys/plugins/catalog/secret/aws", &entry)
        .succeeded();

    fixture.host.enable("aws");
    let mount = fixture.host.read("sys/mounts/aws").succeeded();
    assert_eq!(mount["running_sha256"], release().checksum().as_str());
}

/// Signs with a stand-in for cosign, which says what it was asked for.
#[test]
fn signing_is_left_to_cosign_and_refused_at_once_without_it() {
    let directory = directory!();
    let tools = directory.join("tools");
    fs::create_dir(&tools).expect("it can be made");
    let sign = |path: &str| {
        Command::new(checkout("scripts/release"))
            .args(["--sign", "cosign.key", "--binary"])
            .arg(&settings().plugin)
            .arg("--output")
            .arg(directory.join("signed"))
            .env("PATH", path)
            .output()
            .expect("the script starts")
    };
    let path = ProcessEnvironment.var("PATH").unwrap_or_default();
    let without: Vec<_> = path
        .split(':')
        .filter(|folder| !Path::new(folder).join("cosign").exists())
        .collect();
    let without = without.join(":");

    let refused = sign(&without);

    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("cosign is not installed"), "{said}");
    assert!(!directory.join("signed").exists());

    let asked = directory.join("asked");
    let stand_in = format!(
        "#!/bin/sh\necho \"$@\" >>'{}'\nfor word; do case $word in --bundle=*) echo {{}} >\"${{word#*=}}\" ;; esac; done\n",
        asked.display()
    );
    fs::write(tools.join("cosign"), stand_in).expect("it can be written");
    let allowed = fs::Permissions::from_mode(0o755);
    fs::set_permissions(tools.join("cosign"), allowed).expect("it is ours");

    let signed = sign(&format!("{}:{without}", tools.display()));

    assert!(signed.status.success(), "{signed:?}");
    let asked = fs::read_to_string(asked).expect("it was asked");
    let asked: Vec<_> = asked.lines().collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].starts_with("sign-blob ") && asked[0].ends_with("/SHA256SUMS"));
    assert!(asked[1].starts_with("attest-blob ") && asked[1].contains("slsaprovenance1"));
    for line in asked {
        assert!(line.contains("--key cosign.key"), "{line}");
    }
    let signature = directory.join("signed/SHA256SUMS.sigstore.json");
    assert!(signature.exists());
}
