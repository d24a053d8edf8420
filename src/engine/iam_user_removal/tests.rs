//! Removing users of which nothing is known: leases and WAL entries of the Go engines.

use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::fake::{Fault, FaultRule};
use crate::aws::{
    CertificateId, GroupName, MfaSerialNumber, PolicyName, ServiceSpecificCredentialId,
    SshPublicKeyId,
};
use crate::clock::Clock;
use crate::engine::testing::{Lease, READ_ONLY, TestMount};
use crate::logical::{JsonObject, Operation, Secret};

const USER: &str = "vault-token-alice-deploy-1700000000-abc";

/// What else people give to a user.
const OF_PEOPLE: [&str; 5] = [
    "iam:ListMFADevices",
    "iam:ListSSHPublicKeys",
    "iam:ListSigningCertificates",
    "iam:ListServiceSpecificCredentials",
    "iam:DeleteLoginProfile",
];

/// A user as the Go engines leave it: key, policies, group.
async fn with_user() -> TestMount {
    let mount = TestMount::configured().await;
    let aws = mount.aws();
    aws.add_user(USER);
    aws.add_access_key(USER);
    aws.add_group("developers");
    aws.change_user(USER, |user| {
        user.managed_policies
            .push(crate::aws::Arn::new(READ_ONLY).unwrap());
        user.groups.insert(GroupName::new("developers").unwrap());
        user.inline_policies
            .insert(PolicyName::new("deploy").unwrap(), "{}".to_owned());
    });
    aws.forget_calls();
    mount
}

/// A lease as the host keeps it.
fn lease(mount: &TestMount, internal: Value) -> Lease {
    let Value::Object(internal_data) = internal else {
        unreachable!()
    };
    let mut secret = Secret {
        internal_data,
        ..Secret::default()
    };
    secret.lease.issue_time = Some(mount.clock().now() - Duration::from_hours(1));
    Lease {
        path: "creds/deploy".to_owned(),
        data: JsonObject::new(),
        secret,
    }
}

fn go_lease(mount: &TestMount) -> Lease {
    lease(
        mount,
        json!({
            "secret_type": "access_keys",
            "username": USER,
            "policy": {"credential_types": ["iam_user"], "policy_arns": [READ_ONLY], "version": 0},
            "is_sts": false,
        }),
    )
}

fn write_ahead(mount: &TestMount, data: &Value) {
    let entry = json!({
        "type": "user",
        "data": data,
        "created_at": mount.clock().now().unix_timestamp(),
    });
    mount.storage().set_text(
        "wal/00000000-0000-0000-0000-000000000000",
        &entry.to_string(),
    );
}

fn give_everything(mount: &TestMount) {
    mount.aws().add_access_key(USER);
    mount.aws().change_user(USER, |user| {
        user.has_login_profile = true;
        for text in ["arn:aws:iam::111122223333:mfa/alice", "GAHT12345678"] {
            let serial = MfaSerialNumber::new(text).unwrap();
            user.mfa_devices.insert(serial, None);
        }
        user.ssh_public_keys
            .insert(SshPublicKeyId::new("APKAEXAMPLE").unwrap());
        user.signing_certificates
            .insert(CertificateId::new("CERTIFICATE").unwrap());
        user.service_specific_credentials
            .insert(ServiceSpecificCredentialId::new("ACCAEXAMPLE").unwrap());
    });
}

#[tokio::test(start_paused = true)]
async fn a_lease_of_the_go_engines_is_revoked_in_three_round_trips() {
    let mount = with_user().await;

    let (revoked, trips) = mount.round_trips(mount.revoke(&go_lease(&mount))).await;

    revoked.unwrap();
    mount.assert_nothing_left();
    assert_eq!(trips, 3);
    assert_eq!(
        mount.aws().operations(),
        [
            "iam:ListAccessKeys",
            "iam:ListAttachedUserPolicies",
            "iam:ListUserPolicies",
            "iam:ListGroupsForUser",
            "iam:DeleteAccessKey",
            "iam:DetachUserPolicy",
            "iam:DeleteUserPolicy",
            "iam:RemoveUserFromGroup",
            "iam:DeleteUser",
        ],
        "nothing that operators of the Go engines never had to grant"
    );
}

#[tokio::test]
async fn a_very_old_lease_does_not_say_its_kind_and_keeps_any_policy() {
    for policy in [json!("{}"), json!(null), json!({"a": 1}), json!(7)] {
        let mount = with_user().await;
        let internal = json!({"secret_type": "access_keys", "username": USER, "policy": policy});

        mount.revoke(&lease(&mount, internal)).await.unwrap();

        mount.assert_nothing_left();
    }
}

#[tokio::test]
async fn what_a_lease_says_is_attached_may_be_nonsense() {
    for attached in [
        json!(null),
        json!("x"),
        json!({"policy_arns": "x"}),
        json!({"policy_arns": ["no arn"], "groups": ["no group"], "access_key_id": ""}),
        json!({"something": "new"}),
    ] {
        let mount = with_user().await;
        let mut lease = go_lease(&mount);
        let internal = &mut lease.secret.internal_data;
        internal.insert("attached".to_owned(), attached);

        mount.revoke(&lease).await.unwrap();

        mount.assert_nothing_left();
    }
}

#[tokio::test]
async fn more_than_a_page_of_everything_goes() {
    let mount = with_user().await;
    let policies: Vec<_> = (0..1200)
        .map(|index| mount.aws().add_policy(&format!("policy-{index}")))
        .collect();
    mount.aws().change_user(USER, |user| {
        user.managed_policies.extend(policies);
        for index in 0..1200 {
            let name = PolicyName::new(format!("inline-{index}")).unwrap();
            user.inline_policies.insert(name, "{}".to_owned());
        }
    });

    mount.revoke(&go_lease(&mount)).await.unwrap();

    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn all_that_people_gave_to_a_user_goes_with_it() {
    let mount = with_user().await;
    give_everything(&mount);

    mount.revoke(&go_lease(&mount)).await.unwrap();

    mount.assert_nothing_left();
    let virtual_devices: Vec<_> = mount
        .aws()
        .calls_of("iam:DeleteVirtualMFADevice")
        .into_iter()
        .map(|call| call.target)
        .collect();
    assert_eq!(virtual_devices, ["arn:aws:iam::111122223333:mfa/alice"]);
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_belonging_alone_is_found_and_removed() {
    type Give = fn(&mut crate::aws::fake::FakeUser);
    let gifts: [(&str, Give); 6] = [
        ("login profile", |user| user.has_login_profile = true),
        ("virtual MFA device", |user| {
            let serial = MfaSerialNumber::new("arn:aws:iam::111122223333:mfa/x").unwrap();
            user.mfa_devices.insert(serial, None);
        }),
        ("hardware MFA device", |user| {
            let serial = MfaSerialNumber::new("GAHT1").unwrap();
            user.mfa_devices.insert(serial, None);
        }),
        ("SSH public key", |user| {
            let id = SshPublicKeyId::new("APKA").unwrap();
            user.ssh_public_keys.insert(id);
        }),
        ("signing certificate", |user| {
            let id = CertificateId::new("C").unwrap();
            user.signing_certificates.insert(id);
        }),
        ("service-specific credential", |user| {
            let id = ServiceSpecificCredentialId::new("ACCA").unwrap();
            user.service_specific_credentials.insert(id);
        }),
    ];
    for (what, give) in gifts {
        let mount = with_user().await;
        mount.aws().change_user(USER, give);

        let revoked = mount.revoke(&go_lease(&mount)).await;

        assert!(revoked.is_ok(), "{what}: {revoked:?}");
        mount.assert_nothing_left();
    }
}

#[tokio::test(start_paused = true)]
async fn a_look_that_is_denied_stops_nothing_when_there_is_nothing_to_see() {
    let mount = with_user().await;
    // So that AWS once says that something is left.
    mount.aws().change_user(USER, |user| {
        user.signing_certificates
            .insert(CertificateId::new("C").unwrap());
    });
    for operation in OF_PEOPLE {
        if operation != "iam:ListSigningCertificates" {
            mount.aws().deny(operation);
        }
    }

    mount.revoke(&go_lease(&mount)).await.unwrap();

    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_list_of_what_engines_attach_may_be_denied_when_nothing_of_it_is_there() {
    let mount = with_user().await;
    mount.aws().change_user(USER, |user| user.groups.clear());
    mount.aws().deny("iam:ListGroupsForUser");

    mount.revoke(&go_lease(&mount)).await.unwrap();

    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_removed_is_named_with_all_permissions_that_may_be_missing() {
    let mount = with_user().await;
    give_everything(&mount);
    for operation in OF_PEOPLE {
        mount.aws().deny(operation);
    }

    let text = mount
        .revoke(&go_lease(&mount))
        .await
        .unwrap_err()
        .to_string();

    assert_eq!(
        text,
        format!(
            "error removing IAM user {USER}: DeleteConflict: Cannot delete entity, must delete login profile first. (the AWS credentials of this engine may lack the permission to find or remove it: iam:ListMFADevices, iam:ListSSHPublicKeys, iam:ListSigningCertificates, iam:ListServiceSpecificCredentials, iam:DeleteLoginProfile)"
        )
    );
    assert_eq!(mount.aws().access_key_ids(USER), [], "the keys are gone");
    mount.aws().heal();
    mount.revoke(&go_lease(&mount)).await.unwrap();
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_failing_list_does_not_keep_the_key_alive() {
    for fault in [Fault::Denied, Fault::Code("Throttling"), Fault::Unreachable] {
        let mount = with_user().await;
        mount
            .aws()
            .inject(FaultRule::on("iam:ListGroupsForUser", fault));

        let error = mount.revoke(&go_lease(&mount)).await.unwrap_err();

        assert_eq!(mount.aws().access_key_ids(USER), [], "{error}");
        mount.aws().heal();
        mount.revoke(&go_lease(&mount)).await.unwrap();
        mount.assert_nothing_left();
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_does_not_know_the_user_is_outvoted_by_one_that_does() {
    let mount = with_user().await;
    mount.aws().change_user(USER, |user| user.groups.clear());
    mount
        .aws()
        .fail_next("iam:ListGroupsForUser", 1, "NoSuchEntity");

    mount.revoke(&go_lease(&mount)).await.unwrap();

    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn lists_that_lag_behind_are_read_again() {
    let mount = with_user().await;
    mount
        .aws()
        .inject(FaultRule::on("iam:DeleteUser", Fault::Code("DeleteConflict")).times(3));

    mount.revoke(&go_lease(&mount)).await.unwrap();

    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_virtual_mfa_device_that_may_not_be_deleted_keeps_no_user_alive() {
    let mount = with_user().await;
    give_everything(&mount);
    mount.aws().deny("iam:DeleteVirtualMFADevice");

    mount.revoke(&go_lease(&mount)).await.unwrap();

    mount.assert_nothing_left();
}

#[tokio::test]
async fn a_wal_entry_of_the_go_engines_is_rolled_back_when_it_is_five_minutes_old() {
    for data in [
        json!({"UserName": USER}),
        json!({"username": USER}),
        json!({"user_name": USER}),
    ] {
        let mount = with_user().await;
        write_ahead(&mount, &data);

        mount.clock().advance(Duration::from_secs(299));
        mount.roll_back().await.unwrap();
        assert!(mount.aws().user(USER).is_some(), "too young");

        mount.clock().advance(Duration::from_secs(1));
        mount.roll_back().await.unwrap();
        mount.assert_nothing_left();
    }
}

#[tokio::test]
async fn a_wal_entry_of_a_user_that_was_never_made_is_forgotten() {
    let mount = TestMount::configured().await;
    write_ahead(&mount, &json!({"UserName": USER}));

    mount.clock().advance(Duration::from_mins(6));
    mount.roll_back().await.unwrap();

    assert_eq!(mount.aws().operations(), ["iam:GetUser"]);
    mount.assert_nothing_left();
}

#[tokio::test]
async fn without_the_permission_to_look_a_wal_entry_is_believed() {
    let mount = with_user().await;
    write_ahead(&mount, &json!({"UserName": USER}));
    mount.aws().deny("iam:GetUser");

    mount.clock().advance(Duration::from_mins(6));
    mount.roll_back().await.unwrap();

    mount.assert_nothing_left();
}

#[tokio::test]
async fn a_wal_entry_that_cannot_be_understood_is_kept_and_reported() {
    for (entry, expected) in [
        (
            json!({"type": "user", "data": {"Name": "x"}, "created_at": 1}),
            "error rolling back \"user\" entry: the entry's data is not of its kind's form",
        ),
        (
            json!({"type": "other", "data": {}, "created_at": 1}),
            "error rolling back \"other\" entry: unknown type to rollback",
        ),
    ] {
        let mount = TestMount::configured().await;
        mount.storage().set_text("wal/1", &entry.to_string());

        let error = mount.roll_back().await.unwrap_err();

        assert_eq!(error.to_string(), expected);
        assert_eq!(mount.wal().len(), 1);
    }
}

#[tokio::test]
async fn a_wal_entry_from_either_end_of_time_is_rolled_back() {
    for created_at in [i64::MIN, -377_705_116_800, 253_402_300_799, i64::MAX] {
        let mount = TestMount::configured().await;
        let entry = json!({"type": "user", "data": {"UserName": "x"}, "created_at": created_at});
        mount.storage().set_text("wal/1", &entry.to_string());

        let request = mount.request(Operation::Rollback, "", json!({"immediate": true}));
        mount.backend().handle_request(request).await.unwrap();

        mount.assert_nothing_left();
    }
}

#[tokio::test]
async fn a_wal_entry_of_a_user_that_aws_cannot_have_is_forgotten() {
    let mount = TestMount::configured().await;
    write_ahead(&mount, &json!({"UserName": "no name"}));

    mount.clock().advance(Duration::from_mins(6));
    mount.roll_back().await.unwrap();

    assert_eq!(mount.aws().operations(), [""; 0]);
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_list_of_what_people_attach_that_aws_does_not_know_stops_nothing() {
    let mount = with_user().await;
    // So that AWS once says that something is left.
    mount.aws().change_user(USER, |user| {
        user.signing_certificates
            .insert(CertificateId::new("C").unwrap());
    });
    mount.aws().inject(FaultRule::on(
        "iam:ListServiceSpecificCredentials",
        Fault::Code("InvalidAction"),
    ));

    mount.revoke(&go_lease(&mount)).await.unwrap();

    mount.assert_nothing_left();
}
