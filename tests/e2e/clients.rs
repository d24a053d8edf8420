//! Programs that speak to this engine every day.

use std::process::Command;

use crate::aws::READ_ONLY_ACCESS;
use crate::fixture::fixture;
use crate::settings::{checkout, settings};

#[test]
fn hvac_does_all_that_it_knows_of_this_engine() {
    let fixture = fixture!(registered);
    fixture.host.enable("aws");
    let role = fixture.aws.unique("assumable");
    let role_arn = fixture
        .aws
        .assumable_role(&role, &fixture.aws.root_user, READ_ONLY_ACCESS);

    let mut hvac = Command::new(&settings().python);
    hvac.arg(checkout("tests/e2e/hvac_client.py")).args([
        &fixture.host.address,
        &fixture.host.token,
        "aws",
        &fixture.aws.root.access_key,
        &fixture.aws.root.secret_key,
        &fixture.proxy.url(),
        &role_arn,
    ]);
    let leases = fixture.host.run(&mut hvac).succeeded();

    assert_eq!(leases.lines().count(), 7);
    assert_eq!(fixture.left_in_aws().len(), 3, "one by each iam_user");
    for lease in leases.lines() {
        fixture.revoke(lease);
    }
    assert_eq!(fixture.left_in_aws(), [""; 0]);
}
