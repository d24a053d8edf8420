//! Several mounts of one process, and reloading it.

use std::collections::BTreeSet;

use serde_json::json;

use crate::aws::{Aws, READ_ONLY_ACCESS};
use crate::fixture::fixture;
use crate::process::wait_for;

#[test]
fn two_mounts_share_a_process_and_nothing_else() {
    let fixture = fixture!(configured);
    let second = Aws::new();
    fixture.host.enable("other");
    fixture.configure("other", &second.root);
    for mount in ["aws", "other"] {
        fixture
            .host
            .write(
                &format!("{mount}/roles/of-{mount}"),
                &json!({ "credential_type": "iam_user", "policy_arns": READ_ONLY_ACCESS }),
            )
            .succeeded();
    }

    assert_eq!(fixture.host.plugin_processes().len(), 1);
    assert_eq!(
        fixture.host.list("other/roles").succeeded()["keys"],
        json!(["of-other"])
    );
    fixture.host.read("other/creds/of-aws").refused(400);

    second.deny_root(&["iam:*"]);
    fixture.generate_from("aws/creds/of-aws");
    fixture.host.read("other/creds/of-other").refused(400);

    second.allow_root();
    fixture.aws.deny_root(&["iam:*"]);
    fixture.generate_from("other/creds/of-other");
    fixture.host.read("aws/creds/of-aws").refused(400);
    fixture.aws.allow_root();
}

#[test]
fn rotating_the_root_of_one_mount_leaves_the_other_alone() {
    let fixture = fixture!(configured);
    let second = Aws::new();
    fixture.host.enable("other");
    fixture.configure("other", &second.root);

    fixture
        .host
        .write("aws/config/rotate-root", &json!({}))
        .succeeded();

    assert_eq!(
        second.keys_of(&second.root_user),
        BTreeSet::from([second.root.access_key.clone()])
    );
    let root = fixture.host.read("other/config/root").succeeded();
    assert_eq!(root["access_key"], json!(second.root.access_key));
}

#[test]
fn a_reloaded_plugin_knows_its_configuration_roles_and_leases() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let before = fixture.generate("deploy");

    fixture.reload();

    fixture.generate("deploy");
    fixture.revoke(&before.lease);
    assert!(!fixture.aws.has_user(&before.user));
}

#[test]
fn disabling_a_mount_takes_its_users_and_its_process_along() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    fixture.generate("deploy");
    fixture.generate("deploy");

    fixture.host.delete("sys/mounts/aws").succeeded();

    assert_eq!(fixture.left_in_aws(), [""; 0]);
    wait_for("the process to end", crate::fixture::SOON, || {
        fixture.host.plugin_processes().is_empty().then_some(())
    });
}
