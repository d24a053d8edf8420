//! The process dies between any two calls to AWS, and nothing stays behind.

use serde_json::json;

use super::full_role;
use crate::aws::fake::Fault;
use crate::engine::testing::TestMount;
use crate::logical::Operation;

/// How many calls a full role takes, to issue and to revoke.
const CALLS: usize = 7;

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_while_it_makes_a_user_leaves_none() {
    for at in [Fault::HeldBefore, Fault::HeldAfter] {
        for answered in 0..CALLS {
            let mut mount = TestMount::configured().await;
            full_role(&mount).await;
            mount.aws().die_after(answered, at);

            let issued = mount.send(Operation::Read, "creds/full", json!({}));
            assert!(
                mount.unless_dead(issued).await.is_none(),
                "{at:?} {answered}"
            );
            assert_eq!(mount.wal().len(), 1, "{at:?} {answered}");

            mount.recover().await;
            mount.assert_nothing_left();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_that_is_complete_is_never_rolled_back() {
    let mut mount = TestMount::configured().await;
    full_role(&mount).await;
    mount.aws().die_after(CALLS, Fault::HeldBefore);
    let lease = mount.generate("creds/full").await;

    mount.recover().await;

    let owner = mount
        .aws()
        .identify(lease.text("access_key"), lease.text("secret_key"), None);
    assert!(owner.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_while_it_revokes_has_the_host_revoke_again() {
    for at in [Fault::HeldBefore, Fault::HeldAfter] {
        for answered in 0..CALLS {
            let mut mount = TestMount::configured().await;
            full_role(&mount).await;
            let lease = mount.generate("creds/full").await;
            mount.aws().die_after(answered, at);

            let revoked = mount.unless_dead(mount.revoke(&lease)).await;
            assert!(revoked.is_none(), "{at:?} {answered}");

            mount.recover().await;
            mount.revoke(&lease).await.unwrap();
            mount.assert_nothing_left();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_while_it_rolls_back_rolls_back_again() {
    // A look at the user, four lists, six parts, the user.
    const ROLLBACK_CALLS: usize = 12;
    for at in [Fault::HeldBefore, Fault::HeldAfter] {
        for answered in 0..ROLLBACK_CALLS {
            let mut mount = TestMount::configured().await;
            full_role(&mount).await;
            mount.aws().die_after(CALLS - 1, Fault::HeldAfter);
            let issued = mount.send(Operation::Read, "creds/full", json!({}));
            assert!(mount.unless_dead(issued).await.is_none());
            mount.aws().heal();
            mount.restart().await;
            mount.clock().advance(std::time::Duration::from_mins(6));
            mount.aws().die_after(answered, at);

            let rolled_back = mount.unless_dead(mount.roll_back()).await;
            assert!(rolled_back.is_none(), "{at:?} {answered}");

            mount.recover().await;
            mount.assert_nothing_left();
        }
    }
}
