//! Where the times of our own timer are kept, and what others make of them.

use std::time::Duration;

use serde_json::{Value, json};

use super::{assert_sound, configured, stored_key};
use crate::aws::fake::{FakeRole, Fault, FaultRule};
use crate::engine::testing::TestMount;
use crate::logical::testing::StaticSystemView;

const DAY: Duration = Duration::from_hours(24);

fn record(mount: &TestMount) -> Value {
    let text = mount.storage().text("config/root").unwrap();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_times_lie_where_vaults_engine_asks_no_rotation_manager_about_them() {
    let mut mount = configured().await;
    let times = json!({"rotation_schedule": "0 3 * * *", "rotation_window": "2h"});
    mount.write("config/root", times).await;

    // Vault Community refuses every write of a record that has times in these places.
    let stored = record(&mount);
    assert_eq!(stored["rotation_schedule"], json!(""));
    assert_eq!(stored["rotation_window"], json!(0));
    assert_eq!(stored["rotation_period"], json!(0));

    for restarted in [false, true] {
        if restarted {
            mount.restart().await;
        }
        let shown = mount.read("config/root").await;
        assert_eq!(shown["rotation_schedule"], json!("0 3 * * *"));
        assert_eq!(shown["rotation_window"], json!(7200));
        let before = stored_key(&mount).await;
        mount.clock().advance(DAY);
        mount.roll_back().await.unwrap();
        assert_ne!(stored_key(&mount).await, before);
        assert_eq!(record(&mount)["rotation_schedule"], json!(""));
    }
    assert_sound(&mount, "after both").await;
}

#[tokio::test(start_paused = true)]
async fn times_that_another_engine_has_stored_since_count_in_place_of_ours() {
    let mount = configured().await;
    mount
        .write("config/root", json!({"rotation_period": "24h"}))
        .await;
    let mut stored = record(&mount);
    stored["rotation_period"] = json!(172_800_000_000_000_u64);

    mount
        .store_elsewhere("config/root", &stored.to_string())
        .await;

    let shown = mount.read("config/root").await;
    assert_eq!(shown["rotation_period"], json!(172_800));
}

#[tokio::test]
async fn a_policy_of_a_rotation_manager_that_is_not_there_is_told_to_have_no_effect() {
    for vault_calls in [false, true] {
        let mount = TestMount::on(StaticSystemView {
            vault_calls,
            ..StaticSystemView::default()
        })
        .await;
        mount.configure(json!({})).await;
        let policy = json!({"rotation_period": "24h", "rotation_policy": "patient"});
        let warnings = mount.write("config/root", policy).await;
        assert!(
            warnings
                .iter()
                .any(|text| text.starts_with("rotation_policy has no effect")),
            "{warnings:?}"
        );
        assert_eq!(
            mount.read("config/root").await["rotation_policy"],
            json!("patient")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_date_of_the_key_is_aws_own_asked_once_and_again_after_a_rotation() {
    let mount = configured().await;
    mount.clock().advance(DAY);
    mount.aws().forget_calls();
    let date = async || {
        mount
            .read("config/root")
            .await
            .get("access_key_create_date")
            .cloned()
    };

    let first = date().await.unwrap();

    let key = mount
        .aws()
        .user("administrator")
        .unwrap()
        .access_keys
        .remove(0);
    let told = time::OffsetDateTime::parse(
        first.as_str().unwrap(),
        &time::format_description::well_known::Rfc3339,
    );
    assert_eq!(told.unwrap(), key.create_date);
    assert_eq!(date().await.unwrap(), first);
    assert_eq!(mount.aws().calls_of("iam:ListAccessKeys").len(), 1);

    super::rotate(&mount).await.unwrap();
    assert_ne!(date().await.unwrap(), first);
}

#[tokio::test(start_paused = true)]
async fn what_is_stored_is_shown_whether_aws_tells_the_date_or_not() {
    for fault in [Fault::Denied, Fault::Unreachable, Fault::HeldBefore] {
        let mount = configured().await;
        mount
            .aws()
            .inject(FaultRule::on("iam:ListAccessKeys", fault));
        mount.aws().forget_calls();
        let begun = tokio::time::Instant::now();
        for _ in 0..5 {
            let shown = mount.read("config/root").await;
            assert_eq!(shown.get("access_key_create_date"), None);
        }
        assert!(
            begun.elapsed() < Duration::from_secs(6),
            "{fault:?}: {:?}",
            begun.elapsed()
        );
        assert_eq!(
            mount.aws().calls_of("iam:ListAccessKeys").len(),
            1,
            "{fault:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn the_date_is_of_the_key_also_where_the_root_assumes_a_role() {
    let mount = configured().await;
    let abroad = mount.aws().in_account("444455556666");
    let role = abroad.add_role("admin", FakeRole::default());
    mount
        .write("config/root", json!({"assume_role_arn": role.as_str()}))
        .await;
    mount.aws().forget_calls();

    for _ in 0..2 {
        let shown = mount.read("config/root").await;
        assert!(shown.contains_key("access_key_create_date"));
    }

    assert_eq!(mount.aws().calls_of("iam:ListAccessKeys").len(), 1);
}
