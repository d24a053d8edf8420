//! Changes count from the next request on, whichever way they came, and reloading loses none.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::aws::{Aws, READ_ONLY_ACCESS};
use crate::fixture::{Fixture, fixture};

const S3_READ_ONLY: &str = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";

/// The managed policies of the user of new credentials.
fn policies(fixture: &Fixture) -> Vec<String> {
    let user = fixture.generate("deploy").user;
    let user = fixture.aws.user(&user).expect("the user is there");
    user.attached.into_iter().collect()
}

#[test]
fn a_role_is_used_as_it_is_now() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    assert_eq!(policies(&fixture), [READ_ONLY_ACCESS]);

    fixture
        .host
        .cli(&[
            "write",
            "aws/roles/deploy",
            &format!("policy_arns={S3_READ_ONLY}"),
        ])
        .succeeded();
    assert_eq!(policies(&fixture), [S3_READ_ONLY]);

    // What an operator's hand puts into storage nobody tells the plugin of.
    let mut stored = fixture.host.stored("aws", "role/deploy");
    stored["policy_arns"] = json!([READ_ONLY_ACCESS]);
    fixture.host.store("aws", "role/deploy", &stored);
    fixture.reload();
    assert_eq!(policies(&fixture), [READ_ONLY_ACCESS]);

    fixture.host.delete("aws/roles/deploy").succeeded();
    fixture.host.read("aws/creds/deploy").refused(400);
}

#[test]
fn lease_times_count_for_the_next_lease() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    for (lease, seconds) in [("20m", 1200), ("40m", 2400)] {
        fixture
            .host
            .write(
                "aws/config/lease",
                &json!({ "lease": lease, "lease_max": "1h" }),
            )
            .succeeded();

        assert_eq!(fixture.generate("deploy").body["lease_duration"], seconds);
    }

    let stored = json!({ "Lease": 60_000_000_000_u64, "LeaseMax": 120_000_000_000_u64 });
    fixture.host.store("aws", "config/lease", &stored);
    fixture.reload();

    assert_eq!(fixture.generate("deploy").body["lease_duration"], 60);
}

#[test]
fn other_root_credentials_sign_the_next_call() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let signer = || {
        fixture.generate("deploy");
        let last = fixture.proxy.calls_of("CreateUser").pop();
        last.expect("it was called").access_key
    };
    assert_eq!(signer(), fixture.aws.root.access_key);
    let other = Aws::new();

    fixture
        .host
        .write(
            "aws/config/root",
            &json!({
                "access_key": other.root.access_key,
                "secret_key": other.root.secret_key,
            }),
        )
        .succeeded();

    assert_eq!(signer(), other.root.access_key);
    let rotated = fixture
        .host
        .write("aws/config/rotate-root", &json!({}))
        .succeeded();
    assert_eq!(json!(signer()), rotated["access_key"]);
}

#[test]
fn a_reloaded_plugin_shows_and_does_the_same() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let service = fixture.aws.unique("service");
    fixture.aws.person(&service);
    for (path, body) in [
        (
            "aws/config/lease",
            json!({ "lease": "20m", "lease_max": "1h" }),
        ),
        (
            "aws/config/root",
            json!({ "username_template": "ours-{{ random 8 }}" }),
        ),
        (
            "aws/roles/federated",
            json!({ "credential_type": "federation_token", "policy_arns": READ_ONLY_ACCESS }),
        ),
        (
            "aws/static-roles/service",
            json!({ "username": service, "rotation_period": "24h" }),
        ),
    ] {
        fixture.host.write(path, &body).succeeded();
    }
    let lease = fixture.generate("deploy");
    let all = || -> BTreeMap<&str, Value> {
        [
            "aws/config/root",
            "aws/config/lease",
            "aws/roles?list=true",
            "aws/roles/deploy",
            "aws/roles/federated",
            "aws/static-roles?list=true",
            "aws/static-roles/service",
            "aws/static-creds/service",
        ]
        .map(|path| {
            let mut data = fixture.host.read(path).succeeded();
            // It counts down.
            data.as_object_mut().expect("an object").remove("ttl");
            (path, data)
        })
        .into()
    };
    let before = all();

    fixture.reload();

    assert_eq!(all(), before);
    assert!(fixture.generate("deploy").user.starts_with("ours-"));
    fixture.revoke(&lease.lease);
    assert!(!fixture.aws.has_user(&lease.user));
}
