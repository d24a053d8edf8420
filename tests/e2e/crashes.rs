//! Processes that die, answers that get lost and callers who give up: nothing stays in AWS that
//! no lease accounts for.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::fixture::{Fixture, fixture};
use crate::host::{strings, text};
use crate::process::{kill, wait_for};

fn kill_plugin(fixture: &Fixture) {
    let processes = fixture.host.plugin_processes();
    assert_eq!(processes.len(), 1, "{processes:?}");
    kill(processes[0]);
}

/// How many leases the host holds for the role.
fn leases(fixture: &Fixture) -> usize {
    let answer = fixture.host.list("sys/leases/lookup/aws/creds/deploy");
    if answer.is_success() {
        strings(&answer.succeeded()["keys"]).len()
    } else {
        0
    }
}

/// Waits until AWS has as many users of the engine as the host has leases, having let the
/// entries in the write-ahead log come of age.
fn assert_every_user_gets_a_lease_or_goes(fixture: &Fixture) {
    fixture.age_wal_entries();
    wait_for(
        "users without a lease to be rolled back",
        crate::fixture::A_ROLLBACK,
        || (fixture.left_in_aws().len() == leases(fixture)).then_some(()),
    );
    wait_for(
        "the write-ahead log to be empty",
        crate::fixture::A_ROLLBACK,
        || {
            fixture
                .host
                .stored_keys("aws", "wal")
                .is_empty()
                .then_some(())
        },
    );
}

/// Asks for credentials and kills the plugin once `action` has reached AWS.
fn kill_after(fixture: &Fixture, action: &str) {
    let held = fixture.proxy.on(action).hold_after();
    thread::scope(|scope| {
        // The host may try again by itself, so either answer is right.
        let request = scope.spawn(|| fixture.host.read("aws/creds/deploy"));
        held.wait();
        assert_eq!(fixture.host.stored_keys("aws", "wal").len(), 1);
        kill_plugin(fixture);
        drop(held);
        request.join().expect("the host answers");
    });
}

#[test]
fn requests_after_a_crash_are_served_by_a_new_process() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let before = fixture.generate("deploy");
    let processes = fixture.host.plugin_processes();

    kill_plugin(&fixture);
    // Until the host has noticed, requests fail.
    wait_for("the engine to answer", crate::fixture::SOON, || {
        let answer = fixture.host.read("aws/roles/deploy");
        answer.is_success().then_some(())
    });

    assert_ne!(fixture.host.plugin_processes(), processes);
    fixture.generate("deploy");
    fixture.revoke(&before.lease);
    assert!(!fixture.aws.has_user(&before.user));
}

#[test]
fn a_crash_after_a_user_was_made_leaves_no_user_without_a_lease() {
    let fixture = fixture!(configured);
    fixture.deploy_role();

    kill_after(&fixture, "CreateUser");

    assert_every_user_gets_a_lease_or_goes(&fixture);
}

#[test]
fn a_crash_after_a_key_was_made_leaves_no_key_without_a_lease() {
    let fixture = fixture!(configured);
    fixture.deploy_role();

    kill_after(&fixture, "CreateAccessKey");

    assert_every_user_gets_a_lease_or_goes(&fixture);
}

#[test]
fn a_user_that_is_made_only_after_the_crash_goes_too() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let held = fixture.proxy.on("CreateUser").hold_before();

    thread::scope(|scope| {
        let request = scope.spawn(|| fixture.host.read("aws/creds/deploy"));
        held.wait();
        kill_plugin(&fixture);
        drop(held);
        request.join().expect("the host answers");
    });

    let first = fixture.proxy.created_users().remove(0);
    wait_for("AWS to carry the call out", crate::fixture::SOON, || {
        fixture.aws.has_user(&first).then_some(())
    });
    assert_every_user_gets_a_lease_or_goes(&fixture);
}

#[test]
fn a_crash_during_a_revocation_is_made_good_by_the_next_try() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let generated = fixture.generate("deploy");
    let revoke = || {
        fixture.host.write(
            "sys/leases/revoke",
            &json!({ "lease_id": generated.lease, "sync": true }),
        )
    };
    let held = fixture.proxy.on("DeleteAccessKey").hold_after();

    thread::scope(|scope| {
        let request = scope.spawn(revoke);
        held.wait();
        kill_plugin(&fixture);
        drop(held);
        request.join().expect("the host answers");
    });

    // Until the host has noticed the crash, requests fail.
    wait_for("the revocation", crate::fixture::SOON, || {
        revoke().is_success().then_some(())
    });
    assert!(!fixture.aws.has_user(&generated.user));
}

#[test]
fn a_crash_during_a_root_rotation_leaves_the_engine_working_and_no_second_key() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let held = fixture.proxy.on("CreateAccessKey").hold_after();

    thread::scope(|scope| {
        let request = scope.spawn(|| fixture.host.write("aws/config/rotate-root", &json!({})));
        held.wait();
        kill_plugin(&fixture);
        drop(held);
        request.join().expect("the host answers");
    });

    wait_for("the engine to work", crate::fixture::SOON, || {
        let answer = fixture.host.read("aws/creds/deploy");
        answer.is_success().then_some(())
    });
    fixture.age_wal_entries();
    wait_for(
        "the key whose secret is lost to go",
        crate::fixture::A_ROLLBACK,
        || {
            let root = fixture.host.read("aws/config/root").succeeded();
            let stored = BTreeSet::from([text(&root["access_key"])]);
            (fixture.aws.keys_of(&fixture.aws.root_user) == stored).then_some(())
        },
    );
    fixture.generate("deploy");
}

#[test]
fn a_lost_answer_leaves_no_user_without_a_lease() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    for action in ["CreateUser", "CreateAccessKey"] {
        fixture.proxy.on(action).once().lose_answer();

        // The call may be made again, so either answer is right.
        fixture.host.read("aws/creds/deploy");
    }

    assert_every_user_gets_a_lease_or_goes(&fixture);
}

#[test]
fn what_a_caller_who_gave_up_would_have_got_is_revoked_at_once() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let held = fixture.proxy.on("CreateAccessKey").hold_before();

    fixture
        .host
        .read_and_hang_up("aws/creds/deploy", Duration::from_secs(1));
    held.wait();
    drop(held);

    wait_for("the user to be made", crate::fixture::SOON, || {
        (!fixture.proxy.secrets().is_empty()).then_some(())
    });
    wait_for("the user to go", crate::fixture::SOON, || {
        fixture.left_in_aws().is_empty().then_some(())
    });
    assert_eq!(leases(&fixture), 0);
    assert_eq!(fixture.host.stored_keys("aws", "wal"), [""; 0]);
}
