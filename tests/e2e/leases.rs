//! How long credentials last.

use serde_json::json;

use crate::aws::{KeyPair, READ_ONLY_ACCESS};
use crate::fixture::{Fixture, SOON, fixture};
use crate::host::text;
use crate::process::wait_for;

fn write_role(fixture: &Fixture) {
    fixture.role(
        "deploy",
        &json!({ "credential_type": "iam_user", "policy_arns": READ_ONLY_ACCESS }),
    );
}

fn limit_leases(fixture: &Fixture, lease: &str, lease_max: &str) {
    fixture
        .host
        .write(
            "aws/config/lease",
            &json!({ "lease": lease, "lease_max": lease_max }),
        )
        .succeeded();
}

fn renew(fixture: &Fixture, lease: &str, increment: u32) -> i64 {
    let renewed = fixture
        .host
        .write(
            "sys/leases/renew",
            &json!({ "lease_id": lease, "increment": increment }),
        )
        .body();
    renewed["lease_duration"].as_i64().expect("seconds")
}

#[test]
fn the_lease_configuration_reads_back_as_durations() {
    let fixture = fixture!(configured);

    limit_leases(&fixture, "30m", "43200");

    let lease = fixture.host.read("aws/config/lease").succeeded();
    assert_eq!(lease, json!({ "lease": "30m0s", "lease_max": "12h0m0s" }));
}

#[test]
fn a_lease_is_renewed_up_to_its_maximum_and_no_further() {
    const HOUR: i64 = 3600;
    let fixture = fixture!(configured);
    write_role(&fixture);
    limit_leases(&fixture, "1h", "2h");

    let generated = fixture.generate("deploy");

    assert_eq!(generated.body["lease_duration"], HOUR);
    assert_eq!(generated.body["renewable"], true);
    assert_eq!(renew(&fixture, &generated.lease, 5400), 5400);
    let longest = renew(&fixture, &generated.lease, 24 * 3600);
    assert!(
        (2 * HOUR - 60..=2 * HOUR).contains(&longest),
        "{longest} seconds"
    );
    assert_eq!(generated.keys.list_users(), Ok(()));
}

#[test]
fn a_renewal_follows_the_lease_configuration_of_the_day() {
    let fixture = fixture!(configured);
    write_role(&fixture);
    limit_leases(&fixture, "1h", "24h");
    let generated = fixture.generate("deploy");

    limit_leases(&fixture, "10m", "30m");

    let longest = renew(&fixture, &generated.lease, 24 * 3600);
    assert!((1740..=1800).contains(&longest), "{longest} seconds");
}

#[test]
fn a_lease_that_runs_out_takes_its_user_with_it() {
    let fixture = fixture!(configured);
    write_role(&fixture);
    limit_leases(&fixture, "2s", "4s");

    let generated = fixture.generate("deploy");

    wait_for("the lease to run out", SOON, || {
        (!fixture.aws.has_user(&generated.user)).then_some(())
    });
    assert_eq!(
        generated.keys.identity(),
        Err("InvalidClientTokenId".to_owned())
    );
}

#[test]
fn assumed_role_credentials_work_and_their_lease_cannot_be_renewed() {
    let fixture = fixture!(configured);
    let name = fixture.aws.unique("assumable");
    let arn = fixture
        .aws
        .assumable_role(&name, &fixture.aws.root_user, READ_ONLY_ACCESS);
    fixture.role(
        "session",
        &json!({ "credential_type": "assumed_role", "role_arns": arn }),
    );

    let body = fixture
        .host
        .write("aws/sts/session", &json!({ "ttl": "15m" }))
        .body();

    let keys = KeyPair {
        access_key: text(&body["data"]["access_key"]),
        secret_key: text(&body["data"]["secret_key"]),
        session_token: Some(text(&body["data"]["security_token"])),
    };
    assert_eq!(
        body["data"]["session_token"],
        body["data"]["security_token"]
    );
    let identity = keys.identity().expect("AWS knows the session");
    assert!(
        identity.contains(&format!("assumed-role/{name}/")),
        "{identity}"
    );
    assert_eq!(keys.list_users(), Ok(()));
    assert_eq!(keys.create_user("nobody"), Err("AccessDenied".to_owned()));

    assert_eq!(body["renewable"], false);
    let lease = body["lease_duration"].as_i64().expect("seconds");
    assert!((840..=900).contains(&lease), "{lease} seconds");
    let refusal = fixture
        .host
        .write("sys/leases/renew", &json!({ "lease_id": body["lease_id"] }))
        .refused(400);
    assert!(refusal.contains("not renewable"), "{refusal}");

    // There is nothing in AWS to take back.
    let calls = fixture
        .proxy
        .actions_while(|| fixture.revoke(&text(&body["lease_id"])));
    assert_eq!(calls.into_iter().collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn federation_and_session_tokens_come_with_both_names_of_the_token() {
    let fixture = fixture!(configured);
    fixture.role(
        "federation",
        &json!({ "credential_type": "federation_token", "policy_arns": READ_ONLY_ACCESS }),
    );
    fixture.role("session", &json!({ "credential_type": "session_token" }));

    for role in ["federation", "session"] {
        let data = fixture.host.read(&format!("aws/sts/{role}")).succeeded();

        assert!(text(&data["access_key"]).starts_with("AKIA"), "{role}");
        assert!(!text(&data["secret_key"]).is_empty(), "{role}");
        assert!(!text(&data["session_token"]).is_empty(), "{role}");
        assert_eq!(data["security_token"], data["session_token"], "{role}");
    }
}
