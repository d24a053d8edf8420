//! A rotation that was cut off waits for the credentials of its own account.

use std::time::Duration;

use serde_json::json;

use super::{assert_sound, configured, keys, rotate, stored_key, written};
use crate::aws::fake::{FakeAws, Fault};
use crate::engine::testing::TestMount;
use crate::logical::Error;

const OTHER: &str = "999988887777";

/// A rotation dies after so many calls, and `config/root` moves to another account, which has a user
/// of the same name with two keys.
async fn moved(calls: usize) -> (TestMount, FakeAws) {
    let mut mount = configured().await;
    mount.aws().die_after(calls, Fault::HeldBefore);
    assert!(mount.unless_dead(rotate(&mount)).await.is_none());
    mount.aws().heal();
    mount.restart().await;
    let other = mount.aws().in_account(OTHER);
    let key = other.admin_key();
    mount.write("config/root", written(&key)).await;
    other.add_access_key(FakeAws::ADMIN);
    mount.clock().advance(Duration::from_mins(6));
    (mount, other)
}

#[tokio::test(start_paused = true)]
async fn an_entry_of_another_account_is_kept_with_what_to_do_and_touches_nobody() {
    for calls in [3, 4, 5] {
        let (mount, other) = moved(calls).await;
        let (before, others) = (keys(&mount), other.access_key_ids(FakeAws::ADMIN));

        let error = mount.roll_back().await.unwrap_err();

        assert!(matches!(error, Error::Internal(_)), "{error:?}");
        for words in [
            "IAM user administrator in AWS account 111122223333",
            "the engine's credentials belong to account 999988887777 now",
            "write credentials of account 111122223333 to config/root until it is deleted",
        ] {
            assert!(error.to_string().contains(words), "{words:?} in: {error}");
        }
        assert_eq!(keys(&mount), before, "{calls} calls");
        assert_eq!(other.access_key_ids(FakeAws::ADMIN), others);
        assert!(!mount.wal().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn back_in_its_account_the_rotation_comes_to_its_end() {
    let mut mount = configured().await;
    let old = stored_key(&mount).await;
    let text = mount.storage().text("config/root").unwrap();
    mount.aws().die_after(5, Fault::HeldBefore);
    assert!(mount.unless_dead(rotate(&mount)).await.is_none());
    mount.aws().heal();
    mount.restart().await;
    let other = mount.aws().in_account(OTHER).admin_key();
    mount.write("config/root", written(&other)).await;
    mount.clock().advance(Duration::from_mins(6));
    mount.roll_back().await.unwrap_err();

    mount.store_elsewhere("config/root", &text).await;
    mount
        .write("config/root", json!({"region": "us-east-1"}))
        .await;
    mount.roll_back().await.unwrap();

    assert_eq!(stored_key(&mount).await, old);
    assert_sound(&mount, "back in the account").await;
}
