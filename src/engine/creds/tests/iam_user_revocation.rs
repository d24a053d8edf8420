//! Revoking an IAM user: it ends at AWS whatever became of it, or the host is told why not.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::full_role;
use crate::aws::fake::{Fault, FaultRule};
use crate::aws::{AccessKeyStatus, CertificateId};
use crate::engine::testing::{Lease, TestMount};
use crate::logical::{Error, JsonObject};

async fn issued() -> (TestMount, Lease) {
    let mount = TestMount::configured().await;
    full_role(&mount).await;
    let lease = mount.generate("creds/full").await;
    mount.aws().forget_calls();
    (mount, lease)
}

/// Old enough that AWS knows for certain whether the user exists.
fn grow_old(mount: &TestMount) {
    mount.clock().advance(Duration::from_mins(6));
}

#[tokio::test(start_paused = true)]
async fn every_call_that_is_denied_is_named_and_the_key_goes_first() {
    for operation in [
        "iam:DeleteAccessKey",
        "iam:DetachUserPolicy",
        "iam:DeleteUserPolicy",
        "iam:RemoveUserFromGroup",
        "iam:DeleteUser",
    ] {
        let (mount, lease) = issued().await;
        mount.aws().deny(operation);

        let error = mount.revoke(&lease).await.unwrap_err();

        assert!(matches!(error, Error::Internal(_)), "{error:?}");
        let text = error.to_string();
        assert!(
            text.starts_with(&format!(
                "error removing IAM user {}: AccessDenied: ",
                lease.text("username")
            )),
            "{text}"
        );
        assert!(text.contains(operation), "{text}");
        let keys = mount.aws().access_key_ids(lease.text("username"));
        assert_eq!(keys.is_empty(), operation != "iam:DeleteAccessKey");

        mount.aws().heal();
        mount.revoke(&lease).await.unwrap();
        mount.assert_nothing_left();
    }
}

#[tokio::test(start_paused = true)]
async fn other_failures_leave_the_revocation_to_the_hosts_next_try() {
    for fault in [
        Fault::Code("Throttling"),
        Fault::Code("ServiceFailure"),
        Fault::Code("ConcurrentModification"),
        Fault::Unreachable,
        Fault::AnswerLost,
    ] {
        for operation in [
            "iam:DeleteAccessKey",
            "iam:DetachUserPolicy",
            "iam:DeleteUser",
        ] {
            let (mount, lease) = issued().await;
            mount.aws().inject(FaultRule::on(operation, fault));

            let error = mount.revoke(&lease).await.unwrap_err();

            assert!(matches!(error, Error::Internal(_)), "{error:?}");
            mount.aws().heal();
            grow_old(&mount);
            mount.revoke(&lease).await.unwrap();
            mount.assert_nothing_left();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_is_under_way_is_waited_for() {
    let (mount, lease) = issued().await;
    for operation in [
        "iam:DeleteAccessKey",
        "iam:DetachUserPolicy",
        "iam:DeleteUser",
    ] {
        mount
            .aws()
            .fail_next(operation, 3, "ConcurrentModification");
    }

    mount.revoke(&lease).await.unwrap();

    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_user_that_somebody_deleted_counts_as_revoked() {
    let (mount, lease) = issued().await;
    mount.aws().remove_user(lease.text("username"));
    grow_old(&mount);
    let start = Instant::now();

    mount.revoke(&lease).await.unwrap();

    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_young_user_that_aws_does_not_know_is_looked_at_again_for_seven_seconds() {
    let (mount, lease) = issued().await;
    mount.aws().remove_user(lease.text("username"));
    let start = Instant::now();

    mount.revoke(&lease).await.unwrap();

    assert_eq!(start.elapsed(), Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_young_user_that_turns_up_late_is_removed() {
    let (mount, lease) = issued().await;
    let name = lease.text("username");
    mount.aws().remove_user(name);

    let (revoked, ()) = tokio::join!(mount.revoke(&lease), async {
        tokio::time::sleep(Duration::from_secs(5)).await;
        mount.aws().add_user(name);
        mount.aws().add_access_key(name);
    });

    revoked.unwrap();
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_user_that_people_added_to_goes_with_all_they_added() {
    let (mount, lease) = issued().await;
    let name = lease.text("username");
    mount.aws().add_group("admins");
    mount.aws().add_access_key(name);
    let more = mount.aws().add_policy("more");
    mount.aws().change_user(name, |user| {
        user.managed_policies.push(more);
        user.groups
            .insert(crate::aws::GroupName::new("admins").unwrap());
        user.has_login_profile = true;
        user.access_keys[0].status = AccessKeyStatus::Inactive;
        let id = CertificateId::new("CERTIFICATE").unwrap();
        user.signing_certificates.insert(id);
    });

    let (revoked, trips) = mount.round_trips(mount.revoke(&lease)).await;

    revoked.unwrap();
    mount.assert_nothing_left();
    assert_eq!(trips, 5, "known parts, user, lists, the rest, user");
}

#[tokio::test(start_paused = true)]
async fn what_people_took_away_is_not_missed() {
    let (mount, lease) = issued().await;
    mount.aws().change_user(lease.text("username"), |user| {
        user.managed_policies.clear();
        user.inline_policies.clear();
        user.groups.clear();
        user.access_keys.clear();
    });

    mount.revoke(&lease).await.unwrap();

    mount.assert_nothing_left();
    assert_eq!(mount.aws().calls().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_revoked_without_asking_aws() {
    let (mount, mut lease) = issued().await;
    lease.secret.internal_data = JsonObject::from_iter([
        ("secret_type".to_owned(), json!("access_keys")),
        ("is_sts".to_owned(), json!(true)),
    ]);

    mount.revoke(&lease).await.unwrap();

    assert_eq!(mount.aws().operations(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_understood_says_so() {
    for (internal, expected) in [
        (
            json!({"secret_type": "access_keys", "is_sts": "no", "username": "x"}),
            "secret has is_sts but value could not be understood",
        ),
        (
            json!({"secret_type": "access_keys", "is_sts": false}),
            "secret is missing username internal data",
        ),
        (
            json!({"secret_type": "access_keys", "username": 7}),
            "secret is missing username internal data",
        ),
        (
            json!({"secret_type": "other", "username": "x"}),
            "secret is unsupported by this backend",
        ),
    ] {
        let (mount, mut lease) = issued().await;
        let Value::Object(internal) = internal else {
            unreachable!()
        };
        lease.secret.internal_data = internal;

        let error = mount.revoke(&lease).await.unwrap_err();

        assert_eq!(error.to_string(), expected);
        assert_eq!(mount.aws().operations(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_of_another_account_than_the_credentials_is_not_taken_for_gone() {
    let (mount, lease) = issued().await;
    let others = mount.aws().in_account("999988887777").admin_key();
    let ours = mount.storage().text("config/root").unwrap();
    mount
        .write(
            "config/root",
            json!({
                "access_key": others.access_key_id.as_str(),
                "secret_key": crate::secret::ExposeSecret::expose_secret(&others.secret_access_key),
            }),
        )
        .await;
    grow_old(&mount);

    let error = mount.revoke(&lease).await.unwrap_err();

    assert!(matches!(error, Error::Internal(_)), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!(
            "IAM user {} is of AWS account 111122223333, and the AWS credentials of this engine belong to account 999988887777: write credentials of account 111122223333 to config/root for as long as its users live, or delete the user there (`lease revoke -force` then ends its lease)",
            lease.text("username")
        )
    );

    mount.storage().set_text("config/root", &ours);
    mount.backend().invalidate_key("config/root").await;
    mount.revoke(&lease).await.unwrap();
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_user_that_is_gone_counts_as_revoked_also_when_sts_is_out_of_reach() {
    let (mount, lease) = issued().await;
    mount.aws().remove_user(lease.text("username"));
    mount
        .aws()
        .inject(FaultRule::on("sts:*", Fault::Unreachable));
    grow_old(&mount);

    mount.revoke(&lease).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn without_credentials_a_revocation_says_what_to_write() {
    let (mount, lease) = issued().await;
    mount
        .write("config/root", json!({"access_key": "", "secret_key": ""}))
        .await;

    let text = mount.revoke(&lease).await.unwrap_err().to_string();

    assert!(
        text.contains("write access_key and secret_key to config/root"),
        "{text}"
    );
}
