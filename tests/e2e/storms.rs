//! Storms: hosts revoke many leases at once, and AWS throttles.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::fixture::{Fixture, SOON, fixture};
use crate::process::wait_for;
use crate::proxy::Call;

/// How long a storm may take; the slowest is of 240 calls at 20 a second.
const A_STORM: Duration = Duration::from_mins(1);
/// Calls that remove one user: its policy, its key, itself.
const CALLS: usize = 3;

/// Leases of a role with one policy, so many.
fn with_leases(fixture: &Fixture, count: usize) {
    fixture.deploy_role();
    let clients = 8;
    thread::scope(|scope| {
        for _ in 0..clients {
            scope.spawn(|| {
                for _ in 0..count / clients {
                    fixture.host.read("aws/creds/deploy").succeeded();
                }
            });
        }
    });
    assert_eq!(fixture.left_in_aws().len(), count);
}

/// Lets the host revoke all leases of the role, as many at once as it does, and waits for the end.
fn revoke_all(fixture: &Fixture) {
    begin_to_revoke_all(fixture);
    wait_for("all users to be removed", A_STORM, || {
        fixture.left_in_aws().is_empty().then_some(())
    });
}

fn begin_to_revoke_all(fixture: &Fixture) {
    fixture
        .host
        .write(
            "sys/leases/revoke-prefix/aws/creds/deploy",
            &json!({ "sync": false }),
        )
        .succeeded();
}

/// The calls since there were so many.
fn calls_since(fixture: &Fixture, before: usize) -> Vec<Call> {
    fixture.proxy.calls().split_off(before)
}

#[test]
fn revoking_many_leases_at_once_wastes_no_call_and_leaves_no_user() {
    let fixture = fixture!(configured);
    with_leases(&fixture, 96);
    let before = fixture.proxy.calls().len();

    revoke_all(&fixture);

    assert_eq!(fixture.left_in_aws(), [""; 0]);
    assert_eq!(calls_since(&fixture, before).len(), 96 * CALLS);
}

#[test]
fn under_throttling_keys_die_first_and_no_user_is_left() {
    let fixture = fixture!(configured);
    with_leases(&fixture, 80);
    let before = fixture.proxy.calls().len();
    fixture.proxy.throttle(30, 10);

    revoke_all(&fixture);

    assert_eq!(fixture.left_in_aws(), [""; 0]);
    let mut calls = calls_since(&fixture, before);
    let sent = calls.len();
    calls.retain(|call| !call.throttled);
    assert_eq!(calls.len(), 80 * CALLS, "each call is done once");
    let wasted = sent - calls.len();
    assert!(wasted > 0, "AWS did not throttle");
    assert!(wasted * 4 < sent, "{wasted} of {sent} calls were refused");
    let last_key = calls
        .iter()
        .rposition(|call| call.action == "DeleteAccessKey")
        .expect("keys were deleted");
    assert!(
        last_key < 80 * 2,
        "the last of 80 keys was deleted by call {last_key}"
    );
}

#[test]
fn under_throttling_a_client_gets_credentials_before_the_storm_is_over() {
    let fixture = fixture!(configured);
    with_leases(&fixture, 80);
    let before = fixture.proxy.calls().len();
    fixture.proxy.throttle(20, 10);

    begin_to_revoke_all(&fixture);
    wait_for("AWS to throttle", SOON, || {
        let calls = calls_since(&fixture, before);
        calls.iter().any(|call| call.throttled).then_some(())
    });
    let generated = fixture.generate("deploy");

    let left = fixture.left_in_aws();
    assert!(left.contains(&generated.user), "{left:?}");
    assert!(left.len() > 1, "the storm was over before");
    fixture.proxy.let_pass();
}
