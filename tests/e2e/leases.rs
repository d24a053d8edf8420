//! How long credentials last.

use serde_json::json;

use crate::fixture::{Fixture, SOON, fixture};
use crate::process::wait_for;

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
    fixture.deploy_role();
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
    fixture.deploy_role();
    limit_leases(&fixture, "1h", "24h");
    let generated = fixture.generate("deploy");

    limit_leases(&fixture, "10m", "30m");

    let longest = renew(&fixture, &generated.lease, 24 * 3600);
    assert!((1740..=1800).contains(&longest), "{longest} seconds");
}

#[test]
fn a_lease_that_runs_out_takes_its_user_with_it() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
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
