use super::*;
use crate::aws::fake::{Fault, FaultRule};
use crate::logical::testing::StorageFault;

async fn rotate(mount: &TestMount) -> String {
    let answer = mount
        .send(Operation::Update, "config/rotate-root", json!({}))
        .await
        .unwrap()
        .unwrap();
    answer.data["identity_token_key_id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn rotate_root_gives_the_turn_to_the_next_key_which_day_old_documents_know() {
    let mount = keyless().await;
    mount.clock().advance(2 * DAY);
    let day_old = published(&mount).await;
    let [first, second] = <[String; 2]>::try_from(ids(&day_old)).unwrap();
    mount.clock().advance(DAY);
    read_by_aws(&mount, &day_old);

    assert_eq!(rotate(&mount).await, second);

    assert_works(&mount).await;
    assert_eq!(last_key(&mount), second);
    let keys = ids(&published(&mount).await);
    assert_eq!(keys.len(), 3, "the last one, this one and the next one");
    assert!(keys.contains(&first));
    tick_after(&mount, 2 * HOUR).await;
    assert!(!ids(&published(&mount).await).contains(&first));
    assert_works(&mount).await;
}

#[tokio::test]
async fn a_key_that_copies_may_not_know_yet_takes_no_turn_and_the_refusal_says_when_it_may() {
    let mount = keyless().await;
    let before = published(&mount).await;

    let told = mount.write_refusal("config/rotate-root", json!({})).await;

    assert!(told.contains("2026-01-04T03:04:05Z"), "{told}");
    assert_eq!(published(&mount).await, before);
    mount.clock().advance(2 * DAY);
    rotate(&mount).await;
    let told = mount.write_refusal("config/rotate-root", json!({})).await;
    assert!(told.contains("2026-01-06T03:04:05Z"), "{told}");
}

#[tokio::test]
async fn a_key_that_aws_does_not_take_takes_no_turn() {
    let mount = keyless().await;
    mount.clock().advance(3 * DAY);
    let keys: Value = serde_json::from_str(&published(&mount).await).unwrap();
    // A copy that somebody forgot to renew.
    read_by_aws(&mount, &json!({"keys": [keys["keys"][0]]}).to_string());

    let told = mount.write_refusal("config/rotate-root", json!({})).await;

    assert!(
        told.contains("AWS does not take tokens of the next signing key"),
        "{told}"
    );
    assert_works(&mount).await;
}

#[tokio::test]
async fn an_sts_that_is_out_of_reach_keeps_nobody_from_rotating() {
    let mount = keyless().await;
    mount.clock().advance(3 * DAY);
    let second = ids(&published(&mount).await)[1].clone();
    mount
        .aws()
        .inject(FaultRule::on("sts:*", Fault::Unreachable));
    assert_eq!(rotate(&mount).await, second);
    mount.aws().heal();
    assert_works(&mount).await;
    assert_eq!(last_key(&mount), second);
}

#[tokio::test]
async fn a_put_that_fails_leaves_the_turn_where_it_is() {
    let mount = keyless().await;
    let first = ids(&published(&mount).await)[0].clone();
    mount.clock().advance(3 * DAY);
    mount.storage().fail(StorageFault::Put, "identity-keys/");
    mount.write_error("config/rotate-root", json!({})).await;
    mount.storage().heal();
    assert_works(&mount).await;
    assert_eq!(last_key(&mount), first);
    rotate(&mount).await;
    assert_works(&mount).await;
}
