//! Who has no lease: callers who hang up, leases that the host gave up or was told to forget.

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::fixture::{A_ROLLBACK, Fixture, SOON, fixture};
use crate::process::{kill, wait_for, wait_for_none};

const CALLERS: usize = 8;
const IMPATIENT: Duration = Duration::from_secs(3);

/// Lets many callers hang up while AWS works on their users, and AWS then refuses to remove them.
fn hang_up(fixture: &Fixture) {
    let held: Vec<_> = (0..CALLERS)
        .map(|_| fixture.proxy.on("CreateAccessKey").hold_after())
        .collect();
    thread::scope(|scope| {
        for _ in 0..CALLERS {
            scope.spawn(|| {
                fixture.host.read_and_hang_up("aws/creds/deploy", IMPATIENT);
            });
        }
    });
    for action in ["DeleteAccessKey", "DeleteUser"] {
        fixture.proxy.on(action).fail(503, "ServiceUnavailable");
    }
    // By the same connection, so the plugin knows of each hang-up when it answers this. Who is not known
    // to have hung up is answered, and then time has to settle whether that arrived.
    fixture.host.read("aws/config/root").succeeded();
    drop(held);
}

/// Puts the end of every user's lease into the past, as far as the register is concerned.
fn let_leases_end(fixture: &Fixture) {
    for user in fixture.host.stored_keys("aws", "issued") {
        let key = format!("issued/{user}");
        let mut record = fixture.host.stored("aws", &key);
        record["expires_at"] = json!(record["issued_at"].as_i64().expect("seconds") - 600);
        fixture.host.store("aws", &key, &record);
    }
}

fn assert_that_nothing_is_left(fixture: &Fixture) {
    let users = || fixture.left_in_aws();
    wait_for_none("a user at AWS", A_ROLLBACK, users);
    let stored = |folder| fixture.host.stored_keys("aws", folder);
    wait_for_none("a record", SOON, || stored("issued"));
    wait_for_none("an entry of the write-ahead log", SOON, || stored("wal"));
}

#[test]
fn callers_who_hang_up_leave_no_user_when_the_plugin_is_killed_before_it_can_undo() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    hang_up(&fixture);
    wait_for("every user to be made", SOON, || {
        (fixture.left_in_aws().len() == CALLERS).then_some(())
    });

    kill(fixture.host.plugin_processes()[0]);
    fixture.proxy.let_pass();

    assert_that_nothing_is_left(&fixture);
}

#[test]
fn callers_who_hang_up_leave_no_user_when_the_plugin_is_reloaded_before_it_can_undo() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    hang_up(&fixture);
    wait_for("every user to be made", SOON, || {
        (fixture.left_in_aws().len() == CALLERS).then_some(())
    });

    fixture.reload();
    fixture.proxy.let_pass();

    assert_that_nothing_is_left(&fixture);
}

#[test]
fn for_a_caller_who_hangs_up_while_the_user_is_made_no_key_is_made() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    fixture.generate("deploy");
    let held = fixture.proxy.on("CreateUser").hold_before();
    fixture.host.read_and_hang_up("aws/creds/deploy", IMPATIENT);
    held.wait();
    let before = fixture.proxy.calls_of("CreateAccessKey").len();

    drop(held);

    wait_for("the user to be undone", SOON, || {
        (fixture.left_in_aws().len() == 1).then_some(())
    });
    assert_eq!(
        fixture.proxy.calls_of("CreateAccessKey").len(),
        before,
        "nobody waits for the key"
    );
}

#[test]
fn a_lease_that_the_host_was_told_to_forget_takes_its_user_with_it_and_a_renewed_one_lives_on() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let forgotten = fixture.generate("deploy");
    let renewed = fixture.generate("deploy");
    for action in ["DeleteAccessKey", "DeleteUser"] {
        fixture.proxy.on(action).fail(503, "ServiceUnavailable");
    }
    fixture
        .host
        .write(
            &format!("sys/leases/revoke-force/{}", forgotten.lease),
            &json!({}),
        )
        .succeeded();
    fixture.proxy.let_pass();
    assert!(fixture.aws.has_user(&forgotten.user));
    let_leases_end(&fixture);
    fixture
        .host
        .write(
            "sys/leases/renew",
            &json!({ "lease_id": renewed.lease, "increment": 3600 }),
        )
        .succeeded();

    // The next life reads the register anew.
    kill(fixture.host.plugin_processes()[0]);

    wait_for("the user to go", A_ROLLBACK, || {
        (!fixture.aws.has_user(&forgotten.user)).then_some(())
    });
    assert!(renewed.keys.identity().is_ok());
}
