//! Processes die, answers get lost, and nodes change places.

use serde_json::json;

use super::{HOUR, MINUTE, end_on, mount, mount_with, policy, stored, working, works, writes};
use crate::aws::fake::{Fault, FaultRule};
use crate::engine::sessions::IssuedSession;
use crate::engine::testing::{Lease, TestMount};
use crate::logical::Storage;

/// A look at the policy, and its change.
const CALLS: usize = 2;

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_while_it_ends_a_session_leaves_no_live_one_and_no_stale_policy() {
    for at in [Fault::HeldBefore, Fault::HeldAfter] {
        for answered in 0..CALLS {
            let mut mount = mount().await;
            let lease = mount.generate("creds/x").await;
            mount.aws().die_after(answered, at);
            let revoked = mount.unless_dead(mount.revoke(&lease)).await;
            assert!(revoked.is_none(), "{at:?} {answered}");

            mount.recover().await;

            assert!(!works(&mount, &lease), "{at:?} {answered}");
            mount.revoke(&lease).await.unwrap();
            mount.wait(HOUR + 20 * MINUTE).await;
            assert_eq!(policy(&mount), None, "{at:?} {answered}");
            assert_eq!(stored(&mount), [""; 0], "{at:?} {answered}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_while_the_policy_goes_leaves_none() {
    for at in [Fault::HeldBefore, Fault::HeldAfter] {
        for answered in 0..CALLS {
            let mut mount = mount().await;
            let lease = mount.generate("creds/x").await;
            mount.revoke(&lease).await.unwrap();
            mount.wait(4 * MINUTE).await;
            mount.clock().advance(HOUR + 5 * MINUTE);
            mount.aws().die_after(answered, at);
            assert!(
                mount.unless_dead(mount.roll_back()).await.is_none(),
                "{at:?} {answered}"
            );

            mount.recover().await;
            mount.wait(5 * MINUTE).await;

            assert_eq!(policy(&mount), None, "{at:?} {answered}");
            assert_eq!(stored(&mount), [""; 0], "{at:?} {answered}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_while_older_sessions_are_cut_off_denies_each_of_them() {
    for at in [Fault::HeldBefore, Fault::HeldAfter] {
        for answered in 0..CALLS {
            let mut mount = mount_with(json!({"revoke_older_sessions": true})).await;
            let mut leases = Vec::new();
            for _ in 0..130 {
                leases.push(mount.generate("creds/x").await);
            }
            for lease in &leases[..100] {
                mount.revoke(lease).await.unwrap();
            }
            mount.aws().die_after(answered, at);
            let all =
                futures_util::future::join_all(leases.iter().map(|lease| mount.revoke(lease)));
            assert!(mount.unless_dead(all).await.is_none(), "{at:?} {answered}");
            assert!(working(&mount, &leases) <= 30);

            mount.recover().await;
            for lease in &leases {
                mount.revoke(lease).await.unwrap();
            }

            assert_eq!(working(&mount, &leases), 0, "{at:?} {answered}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_a_failure_and_the_session_is_denied_all_the_same() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount
        .aws()
        .inject(FaultRule::on("iam:PutRolePolicy", Fault::AnswerLost).times(1));

    mount.revoke(&lease).await.unwrap_err();

    assert!(!works(&mount, &lease));
    mount.revoke(&lease).await.unwrap();
    assert_eq!(writes(&mount), 1);
}

/// Another node ends the session of a lease.
async fn end_elsewhere(mount: &TestMount, lease: &Lease) {
    let engine = mount.another_engine();
    let session = IssuedSession::of_lease(&lease.secret.internal_data);
    let session = session.unwrap().unwrap();
    end_on(&engine, mount, &session).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_deposed_in_the_middle_does_not_undo_what_the_next_one_does() {
    let mount = mount().await;
    let [one, other, neighbour] = [
        mount.generate("creds/x").await,
        mount.generate("creds/x").await,
        mount.generate("creds/x").await,
    ];
    mount
        .aws()
        .inject(FaultRule::on("iam:PutRolePolicy", Fault::HeldBefore).times(1));
    let late = mount.revoke(&one);
    let next = async {
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        end_elsewhere(&mount, &other).await;
        assert!(!works(&mount, &other));
        assert!(
            !works(&mount, &one),
            "the next node reads what the other has written down"
        );
        // What the first one asked for arrives now, and knows nothing of the second session.
        mount.aws().heal();
    };
    let (late, ()) = futures_util::join!(late, next);
    late.unwrap();
    assert!(works(&mount, &other), "or the test shows nothing");

    mount.wait(4 * MINUTE).await;

    assert_eq!(working(&mount, &[one, other]), 0);
    assert!(works(&mount, &neighbour));
}

#[tokio::test]
async fn what_aws_denies_and_an_older_storage_does_not_know_is_kept_until_it_cannot_live() {
    let mount = mount().await;
    let lost = mount.generate("creds/x").await;
    mount.revoke(&lost).await.unwrap();
    let denials = "session-denials/aws:111122223333:role:deploy";
    mount.storage().delete(denials).await.unwrap();
    let lease = mount.generate("creds/x").await;

    mount.revoke(&lease).await.unwrap();

    assert_eq!(working(&mount, &[lost, lease]), 0);
    mount.wait(11 * HOUR).await;
    assert!(policy(&mount).is_some());
    mount.wait(2 * HOUR).await;
    assert_eq!(policy(&mount), None);
    assert_eq!(stored(&mount), [""; 0]);
}
