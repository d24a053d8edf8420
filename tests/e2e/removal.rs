//! Removing users that somebody else has had in hand.

use std::collections::BTreeSet;

use serde_json::json;

use crate::fixture::fixture;

#[test]
fn a_user_with_its_keys_switched_off_is_removed() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let generated = fixture.generate("deploy");
    fixture.aws.disable_keys_of(&generated.user);

    fixture.revoke(&generated.lease);

    assert!(!fixture.aws.has_user(&generated.user));
}

#[test]
fn a_user_is_removed_with_everything_that_was_hung_on_it() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let generated = fixture.generate("deploy");
    fixture.aws.tamper_with(&generated.user);

    fixture.revoke(&generated.lease);

    assert!(!fixture.aws.has_user(&generated.user));
    let calls = fixture.proxy.calls();
    let last = calls.last().expect("there were calls");
    assert_eq!(last.action, "DeleteUser");
    let deleted: BTreeSet<&str> = calls
        .iter()
        .filter(|call| call.parameters.get("UserName") == Some(&generated.user))
        .map(|call| call.action.as_str())
        .collect();
    for needed in [
        "DeleteAccessKey",
        "DeleteLoginProfile",
        "DeleteUserPolicy",
        "DetachUserPolicy",
        "RemoveUserFromGroup",
    ] {
        assert!(deleted.contains(needed), "no {needed} in {deleted:?}");
    }
    assert_eq!(
        fixture.proxy.calls_of("DeleteAccessKey").len(),
        2,
        "its own key and the one made by hand"
    );
}

#[test]
fn a_user_with_more_than_a_page_of_groups_is_removed() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let generated = fixture.generate("deploy");
    for number in 0..12 {
        fixture.aws.join_new_group(&generated.user, number);
    }

    fixture.revoke(&generated.lease);

    assert!(!fixture.aws.has_user(&generated.user));
    assert_eq!(fixture.proxy.calls_of("RemoveUserFromGroup").len(), 12);
}

#[test]
fn a_lease_whose_user_was_deleted_by_hand_is_over_once_aws_is_sure() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let generated = fixture.generate("deploy");
    fixture.aws.delete_by_hand(&generated.user);

    fixture.revoke(&generated.lease);

    let lookup = fixture
        .host
        .write("sys/leases/lookup", &json!({ "lease_id": generated.lease }));
    assert!(lookup.failed().contains("invalid lease"));
}

#[test]
fn a_user_that_vanishes_during_its_removal_is_removed() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let generated = fixture.generate("deploy");
    let held = fixture.proxy.on("DeleteUser").hold_before();

    std::thread::scope(|scope| {
        let revocation = scope.spawn(|| fixture.revoke(&generated.lease));
        held.wait();
        fixture.aws.delete_by_hand(&generated.user);
        drop(held);
        revocation.join().expect("the revocation succeeds");
    });

    assert!(!fixture.aws.has_user(&generated.user));
}
