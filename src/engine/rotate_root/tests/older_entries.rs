//! WAL entries as older versions wrote them are understood.

use std::time::Duration;

use serde_json::{Value, json};

use super::{assert_sound, configured, keys, stored_key};
use crate::aws::fake::FakeAws;
use crate::clock::Clock;
use crate::engine::testing::TestMount;

/// An entry that is six minutes old.
fn leave(mount: &TestMount, data: &Value) {
    let begun = mount.clock().now().unix_timestamp();
    let entry = json!({"type": "root_rotation", "data": data, "created_at": begun});
    mount.storage().set_text("wal/older", &entry.to_string());
    mount.clock().advance(Duration::from_mins(6));
}

#[tokio::test(start_paused = true)]
async fn a_rotation_whose_new_key_is_known_leaves_the_stored_key() {
    let mut mount = configured().await;
    let old = stored_key(&mount).await;
    let new = mount.aws().add_access_key(FakeAws::ADMIN).access_key_id;
    let entry = json!({
        "user_name": FakeAws::ADMIN, "old_access_key": old, "new_access_key": new.as_str(),
    });
    leave(&mount, &entry);

    mount.recover().await;

    assert_sound(&mount, "with the old key stored").await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_had_stored_its_key_deletes_the_old_one() {
    let mut mount = configured().await;
    let new = stored_key(&mount).await;
    let old = mount.aws().add_access_key(FakeAws::ADMIN).access_key_id;
    let entry = json!({
        "user_name": FakeAws::ADMIN, "old_access_key": old.as_str(), "new_access_key": new,
    });
    leave(&mount, &entry);

    mount.recover().await;

    assert_sound(&mount, "with the new key stored").await;
}

#[tokio::test(start_paused = true)]
async fn without_the_keys_of_before_a_key_is_ours_up_to_twenty_minutes_off() {
    for (minutes, goes) in [(-25, false), (-16, true), (16, true), (25, false)] {
        let mut mount = configured().await;
        let old = stored_key(&mount).await;
        leave(
            &mount,
            &json!({"user_name": FakeAws::ADMIN, "old_access_key": old}),
        );
        let begun = mount.clock().now() - Duration::from_mins(6);
        mount.aws().add_access_key(FakeAws::ADMIN);
        mount.aws().change_user(FakeAws::ADMIN, |user| {
            user.access_keys[1].create_date = begun + time::Duration::minutes(minutes);
        });

        mount.recover().await;

        assert_eq!(
            keys(&mount).len(),
            if goes { 1 } else { 2 },
            "{minutes} min"
        );
        assert_eq!(mount.wal(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn its_keys_tell_the_account_of_a_rotation() {
    let mount = configured().await;
    let elsewhere = mount.aws().in_account("999988887777").admin_key();
    let entry = json!({
        "user_name": FakeAws::ADMIN,
        "old_access_key": elsewhere.access_key_id.as_str(),
    });
    leave(&mount, &entry);
    let before = keys(&mount);

    let error = mount.roll_back().await.unwrap_err().to_string();

    assert!(error.contains("in AWS account 999988887777"), "{error}");
    assert_eq!(keys(&mount), before);
    assert_eq!(mount.wal().len(), 1);
}
