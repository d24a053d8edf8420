//! When the root lacks a permission, whoever reads the error learns which one to grant.

use std::collections::BTreeSet;

use serde_json::json;

use crate::fixture::{A_ROLLBACK, Fixture, fixture};
use crate::host::{Answer, strings, text};
use crate::process::wait_for;

#[test]
fn a_denied_call_of_a_generation_is_named_and_leaves_nothing_behind() {
    let fixture = fixture!(configured);
    fixture.full_deploy_role();
    let needed = fixture.proxy.actions_while(|| {
        fixture.generate("deploy");
    });
    assert!(needed.len() >= 5, "{needed:?}");

    for action in needed {
        let permission = format!("iam:{action}");
        let known = fixture.left_in_aws();
        fixture.aws.deny_root(&[&permission]);

        let refusal = fixture.host.read("aws/creds/deploy").refused(400);

        assert!(refusal.contains(&permission), "{action}: {refusal}");
        assert!(refusal.contains("AccessDenied"), "{action}: {refusal}");
        assert_eq!(fixture.left_in_aws(), known, "{action}");
        assert_eq!(fixture.host.stored_keys("aws", "wal"), [""; 0], "{action}");

        fixture.aws.allow_root();
        fixture.generate("deploy");
    }
}

#[test]
fn a_user_that_cannot_be_removed_at_once_is_removed_when_that_is_allowed() {
    let fixture = fixture!(configured);
    fixture.full_deploy_role();
    fixture
        .aws
        .deny_root(&["iam:CreateAccessKey", "iam:DeleteUser"]);

    let refusal = fixture.host.read("aws/creds/deploy").refused(400);
    assert!(refusal.contains("iam:CreateAccessKey"), "{refusal}");
    assert_eq!(fixture.left_in_aws().len(), 1);
    assert_eq!(fixture.host.stored_keys("aws", "wal").len(), 1);

    fixture.aws.allow_root();
    fixture.age_wal_entries();
    fixture.wait_until_aws_is_clean();
}

#[test]
fn a_denied_call_of_a_revocation_is_named_and_the_next_try_finishes_it() {
    let fixture = fixture!(configured);
    fixture.full_deploy_role();
    let lease = fixture.generate("deploy").lease;
    let needed = fixture.proxy.actions_while(|| fixture.revoke(&lease));
    assert!(needed.contains("DeleteUser"), "{needed:?}");

    for action in needed {
        let permission = format!("iam:{action}");
        let generated = fixture.generate("deploy");
        fixture.aws.deny_root(&[&permission]);

        let answer = fixture.host.write(
            "sys/leases/revoke",
            &json!({ "lease_id": generated.lease, "sync": true }),
        );

        // The lists of what the engine itself never hangs on a user are no condition.
        if answer.is_success() {
            assert!(!fixture.aws.has_user(&generated.user), "{action}");
            fixture.aws.allow_root();
        } else {
            let refusal = answer.failed();
            assert!(refusal.contains(&permission), "{action}: {refusal}");
            fixture.aws.allow_root();
            fixture.revoke(&generated.lease);
            assert!(!fixture.aws.has_user(&generated.user), "{action}");
        }
    }
}

#[test]
fn the_keys_of_a_user_die_even_if_the_rest_of_its_removal_is_denied() {
    let fixture = fixture!(configured);
    fixture.full_deploy_role();
    let generated = fixture.generate("deploy");
    fixture.aws.deny_root(&[
        "iam:ListGroupsForUser",
        "iam:ListUserPolicies",
        "iam:ListAttachedUserPolicies",
        "iam:DeleteUser",
    ]);

    fixture
        .host
        .write(
            "sys/leases/revoke",
            &json!({ "lease_id": generated.lease, "sync": true }),
        )
        .failed();

    assert_eq!(
        generated.keys.identity(),
        Err("InvalidClientTokenId".to_owned())
    );
    fixture.aws.allow_root();
    fixture.revoke(&generated.lease);
}

#[test]
fn a_denied_call_of_a_root_rotation_is_named_and_the_engine_goes_on() {
    let fixture = fixture!(configured);
    fixture.full_deploy_role();

    for permission in ["iam:GetUser", "iam:CreateAccessKey"] {
        fixture.aws.deny_root(&[permission]);

        let refusal = rotate_root(&fixture).refused(400);

        assert!(refusal.contains(permission), "{refusal}");
        fixture.aws.allow_root();
        let root = fixture.host.read("aws/config/root").succeeded();
        assert_eq!(root["access_key"], json!(fixture.aws.root.access_key));
        assert_eq!(
            fixture.aws.keys_of(&fixture.aws.root_user),
            BTreeSet::from([fixture.aws.root.access_key.clone()]),
            "{permission}"
        );
        fixture.generate("deploy");
    }
}

#[test]
fn an_old_root_key_that_may_not_be_deleted_is_warned_of_and_goes_when_that_is_allowed() {
    let fixture = fixture!(configured);
    fixture.full_deploy_role();
    fixture.aws.deny_root(&["iam:DeleteAccessKey"]);

    let body = rotate_root(&fixture).body();

    let old = &fixture.aws.root.access_key;
    let new = text(&body["data"]["access_key"]);
    assert_ne!(&new, old);
    let warnings = strings(&body["warnings"]).join("\n");
    for part in ["iam:DeleteAccessKey", old, "still works", "tried again"] {
        assert!(warnings.contains(part), "no {part} in: {warnings}");
    }
    assert_eq!(fixture.aws.root.list_users(), Ok(()));

    fixture.aws.allow_root();
    fixture.age_wal_entries();

    wait_for("the old key to go", A_ROLLBACK, || {
        let keys = fixture.aws.keys_of(&fixture.aws.root_user);
        (keys == BTreeSet::from([new.clone()])).then_some(())
    });
    fixture.generate("deploy");
}

fn rotate_root(fixture: &Fixture) -> Answer {
    fixture.host.write("aws/config/rotate-root", &json!({}))
}
