//! Taking a mount over from the host's own AWS engine, and handing it back.

mod incident;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::aws::{KeyPair, READ_ONLY_ACCESS};
use crate::fixture::{A_ROLLBACK, Fixture, Generated, SOON, fixture};
use crate::host::{strings, text};
use crate::process::wait_for;
use crate::product::Product;

/// All that is configured, as clients read it.
fn configuration(fixture: &Fixture) -> BTreeMap<&'static str, Value> {
    [
        "aws/config/root",
        "aws/config/lease",
        "aws/roles?list=true",
        "aws/roles/deploy",
        "aws/roles/session",
        "aws/roles/federated",
        "aws/roles/assumed",
        "aws/static-roles?list=true",
        "aws/static-roles/service",
        "aws/static-creds/service",
    ]
    .map(|path| (path, fixture.host.read(path).succeeded()))
    .into()
}

/// Every value that was shown before is shown now; what is shown beside them is none of a client's
/// business.
fn assert_still_shown(before: &BTreeMap<&'static str, Value>, now: &BTreeMap<&'static str, Value>) {
    for (path, values) in before {
        for (field, value) in values.as_object().expect("an object") {
            assert_eq!(&now[path][field], value, "{path} {field}");
        }
    }
}

fn static_key(fixture: &Fixture) -> KeyPair {
    let data = fixture.host.read("aws/static-creds/service").succeeded();
    KeyPair {
        access_key: text(&data["access_key"]),
        secret_key: text(&data["secret_key"]),
        session_token: None,
    }
}

fn renew(fixture: &Fixture, generated: &Generated) -> i64 {
    let body = json!({ "lease_id": generated.lease, "increment": 1500 });
    let renewed = fixture.host.write("sys/leases/renew", &body).body();
    renewed["lease_duration"].as_i64().expect("seconds")
}

fn revoke(fixture: &Fixture, generated: &Generated) {
    fixture.revoke(&generated.lease);
    assert!(!fixture.aws.has_user(&generated.user), "{}", generated.user);
    assert!(generated.keys.identity().is_err());
}

/// Has the mount served by that version of the engine.
fn move_to(fixture: &Fixture, version: &str) {
    fixture
        .host
        .cli(&[
            "secrets",
            "tune",
            &format!("-plugin-version={version}"),
            "aws",
        ])
        .succeeded();
    fixture
        .host
        .cli(&["write", "sys/plugins/reload/backend", "mounts=aws/"])
        .succeeded();
    wait_for("the other engine to serve", SOON, || {
        (running_version(fixture) == version).then_some(())
    });
}

fn running_version(fixture: &Fixture) -> String {
    let mounts = fixture.host.read("sys/mounts").succeeded();
    text(&mounts["aws/"]["running_plugin_version"])
}

/// A mount of the host's own engine with one of everything.
fn fill(fixture: &Fixture) {
    fixture.host.enable("aws");
    fixture.configure("aws", &fixture.aws.root);
    let group = fixture.aws.unique("readers");
    fixture.aws.group(&group, READ_ONLY_ACCESS);
    let assumable = fixture.aws.unique("assumable");
    let assumable =
        fixture
            .aws
            .assumable_role(&assumable, &fixture.aws.root_user, READ_ONLY_ACCESS);
    let service = fixture.aws.unique("service");
    fixture.aws.person(&service);
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
    for (path, body) in [
        (
            "aws/config/lease",
            json!({ "lease": "20m", "lease_max": "1h" }),
        ),
        (
            "aws/roles/deploy",
            json!({
                "credential_type": "iam_user",
                "policy_arns": READ_ONLY_ACCESS,
                "policy_document": document,
                "iam_groups": group,
                "iam_tags": { "team": "storage" },
                "user_path": "/people/",
            }),
        ),
        (
            "aws/roles/assumed",
            json!({
                "credential_type": "assumed_role",
                "role_arns": assumable,
                "external_id": "from-outside",
                "default_sts_ttl": "15m",
            }),
        ),
        (
            "aws/roles/federated",
            json!({ "credential_type": "federation_token", "policy_document": document }),
        ),
        (
            "aws/roles/session",
            json!({ "credential_type": "session_token" }),
        ),
        (
            "aws/static-roles/service",
            json!({ "username": service, "rotation_period": "24h" }),
        ),
    ] {
        fixture.host.write(path, &body).succeeded();
    }
}

/// OpenBao has no engine of its own that a mount could come from: its AWS engine is a plugin, too.
/// That much is shown; the records that it leaves are read in `stored`.
fn assert_that_the_host_has_no_engine_of_its_own(fixture: &Fixture) {
    let catalog = fixture.host.list("sys/plugins/catalog/secret").succeeded();
    assert!(!strings(&catalog["keys"]).contains(&"aws".to_owned()));
    let mount = json!({ "type": "aws" });
    let refusal = fixture.host.write("sys/mounts/aws", &mount).failed();
    assert!(refusal.contains("not found in the catalog"), "{refusal}");
}

#[test]
fn a_mount_of_the_hosts_own_engine_comes_over_and_goes_back_with_all_that_is_open() {
    let fixture = fixture!(bare);
    if fixture.host.product == Product::OpenBao {
        assert_that_the_host_has_no_engine_of_its_own(&fixture);
        return;
    }
    fill(&fixture);
    let own = running_version(&fixture);
    assert!(own.ends_with("+builtin.vault"), "{own}");
    let theirs: [Generated; 4] = std::array::from_fn(|_| fixture.generate("deploy"));
    let session = fixture.host.read("aws/sts/assumed").body();
    let before = configuration(&fixture);

    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    fixture.host.register_plugin_as(Some(version));
    assert_eq!(running_version(&fixture), own, "registering moves nothing");
    move_to(&fixture, version);

    assert_eq!(fixture.host.plugin_processes().len(), 1);
    let taken_over = configuration(&fixture);
    assert_still_shown(&before, &taken_over);
    let [renewed, revoked, kept, stripped] = &theirs;
    assert_eq!(renew(&fixture, renewed), 1500);
    revoke(&fixture, renewed);
    revoke(&fixture, revoked);
    // Of a lease of another engine it is not known what is on its user.
    fixture.aws.tamper_with(&stripped.user);
    revoke(&fixture, stripped);
    fixture.revoke(&text(&session["lease_id"]));
    for path in ["aws/sts/assumed", "aws/sts/federated", "aws/sts/session"] {
        fixture.host.read(path).succeeded();
    }
    let ours: [Generated; 3] = std::array::from_fn(|_| fixture.generate("deploy"));
    assert_eq!(renew(&fixture, &ours[0]), 1500);
    let first = static_key(&fixture);
    fixture
        .host
        .write("aws/static-roles/service/rotate", &json!({}))
        .succeeded();
    let second = static_key(&fixture);
    assert_ne!(first.access_key, second.access_key);
    fixture
        .host
        .write("aws/config/rotate-root", &json!({}))
        .succeeded();
    let moved = configuration(&fixture);

    move_to(&fixture, &own);

    wait_for("our process to end", SOON, || {
        fixture.host.plugin_processes().is_empty().then_some(())
    });
    let mut handed_back = configuration(&fixture);
    // What only ours shows goes again.
    for (path, values) in &mut handed_back {
        let ours = moved[path].as_object().expect("an object");
        for (field, value) in values.as_object_mut().expect("an object") {
            assert_eq!(&ours[field], value, "{path} {field}");
        }
    }
    assert_eq!(static_key(&fixture).access_key, second.access_key);
    assert_eq!(
        fixture.aws.keys_of(&fixture.aws.unique("service")),
        BTreeSet::from([first.access_key, second.access_key])
    );
    assert_eq!(renew(&fixture, &ours[0]), 1500);
    assert_eq!(renew(&fixture, kept), 1500);
    for generated in ours.iter().chain([kept]) {
        revoke(&fixture, generated);
    }
    let after = fixture.generate("deploy");
    assert_eq!(renew(&fixture, &after), 1500);
    assert_eq!(fixture.left_in_aws(), [after.user.as_str()]);

    // And once more, over and on.
    move_to(&fixture, version);
    revoke(&fixture, &after);
    let lives_on = fixture.generate("deploy");

    move_to(&fixture, &own);
    assert_eq!(renew(&fixture, &lives_on), 1500);
    move_to(&fixture, version);

    assert_that_the_unseen_renewal_counts(&fixture, &lives_on);
}

#[test]
fn a_mount_that_rotates_its_key_by_itself_goes_back_and_can_be_written_there() {
    let fixture = fixture!(bare);
    if fixture.host.product == Product::OpenBao {
        assert_that_the_host_has_no_engine_of_its_own(&fixture);
        return;
    }
    fixture.host.enable("aws");
    let own = running_version(&fixture);
    fixture.configure("aws", &fixture.aws.root);
    fixture.deploy_role();
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    fixture.host.register_plugin_as(Some(version));
    move_to(&fixture, version);
    let times = json!({ "rotation_schedule": "0 3 * * SAT", "rotation_window": "2h" });
    fixture.host.write("aws/config/root", &times).succeeded();
    fixture
        .host
        .write("aws/config/rotate-root", &json!({}))
        .succeeded();
    let ours = fixture.host.read("aws/config/root").succeeded();

    move_to(&fixture, &own);

    // That engine would ask a rotation manager, which this server has not.
    let template = json!({ "username_template": "theirs-{{ random 12 }}" });
    fixture.host.write("aws/config/root", &template).succeeded();
    let theirs = fixture.host.read("aws/config/root").succeeded();
    assert_eq!(theirs["access_key"], ours["access_key"]);
    let generated = fixture.generate("deploy");
    revoke(&fixture, &generated);
    move_to(&fixture, version);
    assert_eq!(
        fixture.host.read("aws/config/root").succeeded()["access_key"],
        ours["access_key"]
    );
}

/// The host's own engine renewed the lease, which ours knows as one that is over by now.
fn assert_that_the_unseen_renewal_counts(fixture: &Fixture, renewed: &Generated) {
    let key = format!("issued/{}", renewed.user);
    let mut record = fixture.host.stored("aws", &key);
    record["expires_at"] = json!(record["issued_at"].as_i64().expect("seconds") - 600);
    fixture.host.store("aws", &key, &record);
    let noted = || fixture.host.find_stored("aws", "issued-watch");
    let held = wait_for("the gap to be noticed", A_ROLLBACK, || {
        noted().filter(|noted| !noted["held"].is_null())
    });
    wait_for("further ticks of the timer", 2 * A_ROLLBACK, || {
        noted().filter(|noted| noted["seen"] != held["seen"])
    });

    assert!(renewed.keys.identity().is_ok());
}
