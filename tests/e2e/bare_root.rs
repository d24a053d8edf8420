//! A host in a root that holds its static program, our image and nothing else of the machine, as in
//! an image from scratch.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::fixture::{Fixture, directory};
use crate::host::{World, certificate, copy};
use crate::product::Product;
use crate::registry::Registry;
use crate::release::release;
use crate::settings::settings;
use crate::terminator::Terminator;

/// A root with the host in it, which pulls the image, and no more.
fn bare(directory: &Path, registry: &Registry) -> World {
    registry.push(&release().directory.join("image"));
    let mut world = World::bare(directory, &settings().host);
    if Product::of(&settings().host) == Product::OpenBao {
        world.declare(&release().by_image(registry));
    } else {
        world.install(&release().binary(), &release().command());
    }
    for library in libraries() {
        let inside = world.outside(&library.display().to_string());
        fs::create_dir_all(inside.parent().expect("it is in a folder")).expect("it can be made");
        // Not a link where the library is one.
        let library = library.canonicalize().expect("it is there");
        copy(&library, &inside);
    }
    world
}

/// What the two programs need beside themselves. Of OpenBao and of a release that is nothing; of what
/// cargo builds for tests, and of a Vault that was built with cgo, the C library.
fn libraries() -> BTreeSet<PathBuf> {
    let output = Command::new("ldd")
        .args([&release().binary(), &settings().host])
        .output()
        .expect("ldd starts");
    String::from_utf8_lossy(&output.stdout)
        .split_whitespace()
        .filter(|word| word.starts_with('/') && !word.ends_with(':'))
        .map(PathBuf::from)
        .collect()
}

/// The host, with the plugin mounted.
fn started(directory: PathBuf, world: &World) -> Fixture {
    let fixture = Fixture::declared(directory, world).expect("the host starts");
    if fixture.host.product == Product::Vault {
        let entry = serde_json::from_str(&release().catalog("aws.json")).expect("JSON");
        fixture
            .host
            .write("sys/plugins/catalog/secret/aws", &entry)
            .succeeded();
    }
    fixture.host.enable("aws");
    fixture
}

fn issue_and_revoke(fixture: &Fixture) {
    fixture.deploy_role();
    let issued = fixture.generate("deploy");
    fixture.revoke(&issued.lease);
    assert!(!fixture.aws.has_user(&issued.user));
}

/// Points the mount at an endpoint that is not the proxy's own.
fn configure_at(fixture: &Fixture, endpoint: &str) {
    let root = &fixture.aws.root;
    fixture
        .host
        .write(
            "aws/config/root",
            &json!({
                "access_key": root.access_key,
                "secret_key": root.secret_key,
                "region": "us-east-1",
                "iam_endpoint": endpoint,
                "sts_endpoint": endpoint,
            }),
        )
        .succeeded();
}

#[test]
fn nothing_of_the_machine_is_needed() {
    let (registry, directory) = (Registry::start(), directory!());
    let world = bare(&directory, &registry);
    let fixture = started(directory, &world);
    fixture.configure("aws", &fixture.aws.root);

    issue_and_revoke(&fixture);

    let foreign: Vec<_> = world
        .files()
        .into_iter()
        .filter(|file| {
            let ours = ["/host", "/declared.hcl", "/plugins/", "/storage/", "/home/"];
            !ours.iter().any(|start| file.starts_with(start))
        })
        // A socket for each process of the plugin.
        .filter(|file| !file.starts_with("/tmp/plugin"))
        .filter(|file| !libraries().contains(Path::new(file)))
        .collect();
    assert_eq!(foreign, [""; 0]);
}

#[test]
fn names_are_resolved_by_the_files_of_the_root() {
    let (registry, directory) = (Registry::start(), directory!());
    let world = bare(&directory, &registry);
    fs::write(
        world.outside("/etc/hosts"),
        "127.0.0.1 aws.example.internal\n",
    )
    .expect("it can be written");
    let fixture = started(directory, &world);
    let (_, port) = fixture.proxy.address.split_once(':').expect("a port");

    configure_at(&fixture, &format!("http://aws.example.internal:{port}"));

    issue_and_revoke(&fixture);
}

#[test]
fn without_root_certificates_the_first_call_says_so_and_a_bundle_is_the_way_out() {
    let (registry, directory) = (Registry::start(), directory!());
    let mut world = bare(&directory, &registry);
    let mut fixture = started(directory.clone(), &world);
    let (known, key) = certificate(&directory);
    let secured = Terminator::start(&known, &key, &fixture.proxy.address);
    configure_at(&fixture, &secured.url());
    fixture.deploy_role();

    let refused = fixture.host.read("aws/creds/deploy").refused(400);

    for part in ["no root certificates", "AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert_eq!(fixture.proxy.calls_of("CreateUser").len(), 0);
    if fixture.host.product == Product::Vault {
        return;
    }
    copy(&known, &world.outside("/etc/roots.pem"));
    for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        let environment =
            format!("  env = [\"{variable}=/etc/roots.pem\", \"NO_PROXY=127.0.0.1\"]\n}}");
        let stanza = release().by_image(&registry);
        let (stanza, _) = stanza.rsplit_once('}').expect("it ends");
        world.declare(&(stanza.to_owned() + &environment));
        fixture.host.restart(&world).expect("it starts");
        issue_and_revoke(&fixture);
    }
}
