use std::sync::Arc;

use super::*;
use crate::clock::Clock as _;
use crate::engine::kept;
use crate::logical::testing::StaticSystemView;
use crate::logical::{Backend, ReplicationState};

/// What a node publishes.
async fn published_by(node: &Arc<dyn Backend>, mount: &TestMount) -> Vec<String> {
    let request = mount.request(Operation::Read, ".well-known/keys", json!({}));
    let answer = node.handle_request(request).await.unwrap().unwrap();
    ids(&answer.raw_body().unwrap())
}

async fn tick(node: &Arc<dyn Backend>, mount: &TestMount) {
    let request = mount.request(Operation::Rollback, "", json!({}));
    node.handle_request(request).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_nodes_that_both_take_themselves_for_the_active_one_sign_with_published_keys() {
    let mount = keyless().await;
    let other = mount.another_node().await;
    let user = |node: Arc<dyn Backend>| {
        let request = mount.request(Operation::Read, "creds/user", json!({}));
        async move { node.handle_request(request).await.unwrap().unwrap() }
    };
    for _ in 0..100 {
        // Neither tells the other, which finds out after a minute.
        read_by_aws(&mount, &published(&mount).await);
        mount.clock().advance(DAY);
        tokio::time::advance(kept::LONGEST).await;
        let backend = mount.backend();
        tokio::join!(tick(&backend, &mount), tick(&other, &mount));
        user(mount.backend()).await;
        user(Arc::clone(&other)).await;
    }
    let now = published_by(&other, &mount).await;
    assert!(now.len() <= 4, "{now:?}");
}

#[tokio::test]
async fn a_first_key_whose_put_lands_late_takes_the_turn_from_nobody() {
    let mount = keyless().await;
    let late: Vec<_> = mount
        .storage()
        .keys()
        .into_iter()
        .filter(|key| key.starts_with("identity-keys/"))
        .map(|key| (mount.storage().text(&key).unwrap(), key))
        .collect();
    // As if the write had failed, and was done again by hand.
    let again = trusted().await;
    again.clock().advance(MINUTE);
    again.write("config/root", written()).await;
    let user = json!({"credential_type": "iam_user", "policy_arns": READ_ONLY});
    again.write("roles/user", user).await;
    let read = published(&again).await;
    read_by_aws(&again, &read);
    assert_works(&again).await;

    for (text, key) in late {
        again.store_elsewhere(&key, &text).await;
    }

    assert_eq!(ids(&published(&again).await).len(), 4);
    again.clock().advance(DAY);
    read_by_aws(&again, &read);
    assert_works(&again).await;
    // And later everything is in order again.
    read_by_aws(&again, &published(&again).await);
    tick_after(&again, 30 * DAY).await;
    assert_works(&again).await;
    tick_after(&again, 2 * HOUR).await;
    assert_eq!(ids(&published(&again).await).len(), 2);
}

#[tokio::test]
async fn a_node_that_takes_over_signs_with_the_same_key() {
    let mut mount = keyless().await;
    assert_works(&mount).await;
    let before = last_key(&mount);
    mount.restart().await;
    assert_works(&mount).await;
    assert_eq!(last_key(&mount), before);
}

#[tokio::test]
async fn only_the_cluster_that_owns_the_mount_makes_keys() {
    let mut mount = keyless().await;
    let before = published(&mount).await;
    mount
        .restart_on(StaticSystemView {
            replication_state: ReplicationState(1 << 9),
            ..StaticSystemView::default()
        })
        .await;
    mount.clock().advance(31 * DAY);
    mount.roll_back().await.unwrap();
    assert_eq!(published(&mount).await, before);
    assert!(mount.clock().now().unix_timestamp() > 0);
}
