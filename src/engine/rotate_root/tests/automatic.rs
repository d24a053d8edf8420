//! Rotation by the host's timer, on a host without a rotation manager.

use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{assert_sound, configured, keys, rotate, stored_key, written};
use crate::aws::fake::{Fault, FaultRule};
use crate::clock::Clock as _;
use crate::engine::testing::TestMount;
use crate::logical::testing::{StaticSystemView, StorageFault};
use crate::logical::{HostError, ReplicationState};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

async fn every_day() -> TestMount {
    let mount = configured().await;
    mount
        .write("config/root", json!({"rotation_period": "24h"}))
        .await;
    mount
}

/// The host's timer, after this time.
async fn tick_after(mount: &TestMount, time: Duration) {
    mount.clock().advance(time);
    mount.roll_back().await.unwrap();
}

async fn shown(mount: &TestMount, name: &str) -> Option<Value> {
    mount.read("config/root").await.get(name).cloned()
}

async fn next(mount: &TestMount) -> OffsetDateTime {
    let text = shown(mount, "next_vault_rotation").await.unwrap();
    OffsetDateTime::parse(text.as_str().unwrap(), &Rfc3339).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_period_rotates_the_key_when_it_is_over_and_never_before() {
    let mount = every_day().await;
    let first = stored_key(&mount).await;
    let begun = mount.clock().now();
    assert_eq!(next(&mount).await, begun + DAY);
    assert_eq!(shown(&mount, "last_vault_rotation").await, None);
    tick_after(&mount, 1439 * MINUTE).await;
    assert_eq!(stored_key(&mount).await, first);

    tick_after(&mount, MINUTE + Duration::from_secs(30)).await;

    let second = stored_key(&mount).await;
    assert_ne!(second, first);
    let rotated = begun + DAY + Duration::from_secs(30);
    let told = shown(&mount, "last_vault_rotation").await.unwrap();
    assert_eq!(told, json!(rotated.format(&Rfc3339).unwrap()));
    // Counted from when it was due, not from when it was done.
    assert_eq!(next(&mount).await, begun + 2 * DAY);
    assert_sound(&mount, "after a rotation").await;
    tick_after(&mount, DAY).await;
    assert_ne!(stored_key(&mount).await, second);
}

#[tokio::test(start_paused = true)]
async fn a_schedule_rotates_the_key_at_its_times_in_utc() {
    let mount = configured().await;
    let schedule = json!({"rotation_schedule": "0 3 * * *", "rotation_window": "2h"});
    mount.write("config/root", schedule).await;
    for _ in 0..3 {
        let (before, due) = (stored_key(&mount).await, next(&mount).await);
        assert_eq!((due.hour(), due.minute(), due.second()), (3, 0, 0));
        let wait = (due - MINUTE - mount.clock().now()).unsigned_abs();
        tick_after(&mount, wait).await;
        assert_eq!(stored_key(&mount).await, before);

        tick_after(&mount, 2 * MINUTE).await;

        assert_ne!(stored_key(&mount).await, before);
    }
    assert_sound(&mount, "after three rotations").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_due_survives_restarts_failovers_and_the_wait_for_a_node() {
    let mut mount = every_day().await;
    let before = stored_key(&mount).await;
    mount.restart().await;
    mount.clock().advance(23 * HOUR);
    mount.restart().await;

    tick_after(&mount, 3 * HOUR).await;

    assert_ne!(stored_key(&mount).await, before);
    assert_sound(&mount, "after the restarts").await;
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_an_hour_is_told_and_tried_again_with_growing_waits_and_fails_no_request() {
    let mount = every_day().await;
    let (before, due) = (stored_key(&mount).await, next(&mount).await);
    mount.aws().forget_calls();
    // What a rotation asks first, and no other request.
    let outage = FaultRule::on("iam:GetUser", Fault::Code("ServiceFailure"));
    mount.aws().inject(outage);
    let mut tries = Vec::new();
    for minute in 0..60 {
        let so_far = mount.aws().calls_of("iam:GetUser").len();
        tick_after(&mount, if minute == 0 { DAY } else { MINUTE }).await;
        if mount.aws().calls_of("iam:GetUser").len() > so_far {
            tries.push(minute);
        }
        if minute % 20 == 0 {
            let lease = mount.generate("creds/bare").await;
            mount.revoke(&lease).await.unwrap();
        }
    }
    assert_eq!(&tries[..8], [0, 1, 2, 3, 5, 8, 13, 18]);
    assert!(tries.len() < 20, "{tries:?}");
    assert_eq!(stored_key(&mount).await, before);
    assert_eq!(next(&mount).await, due);
    let told = shown(&mount, "last_rotation_error").await.unwrap();
    assert!(told.as_str().unwrap().contains("ServiceFailure"), "{told}");
    let warned = "scheduled rotation of the root access key failed";
    assert_eq!(mount.log().matches(warned).count(), tries.len());

    mount.aws().heal();
    for _ in 0..6 {
        tick_after(&mount, MINUTE).await;
    }

    assert_ne!(stored_key(&mount).await, before);
    assert_eq!(shown(&mount, "last_rotation_error").await, None);
    assert_eq!(next(&mount).await, due + DAY);
    assert_sound(&mount, "after the outage").await;
}

#[tokio::test(start_paused = true)]
async fn the_waits_after_failures_outlive_the_process() {
    let mut mount = every_day().await;
    let outage = FaultRule::on("iam:GetUser", Fault::Code("ServiceFailure"));
    mount.aws().inject(outage);
    tick_after(&mount, DAY).await;
    for _ in 0..5 {
        tick_after(&mount, MINUTE).await;
    }
    mount.aws().forget_calls();

    mount.restart().await;
    tick_after(&mount, MINUTE).await;

    assert!(mount.aws().calls_of("iam:GetUser").is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_failed_until_its_window_closed_waits_for_the_next_time_and_says_so() {
    let mount = configured().await;
    let schedule = json!({"rotation_schedule": "0 3 * * *", "rotation_window": "1h"});
    mount.write("config/root", schedule).await;
    let (before, due) = (stored_key(&mount).await, next(&mount).await);
    let outage = FaultRule::on("iam:GetUser", Fault::Code("ServiceFailure"));
    mount.aws().inject(outage);
    tick_after(&mount, (due - mount.clock().now()).unsigned_abs()).await;
    tick_after(&mount, HOUR + MINUTE).await;
    mount.aws().heal();

    tick_after(&mount, MINUTE).await;

    assert_eq!(stored_key(&mount).await, before, "the window is closed");
    assert_eq!(next(&mount).await, due + DAY);
    let told = shown(&mount, "last_rotation_error").await.unwrap();
    let told = told.as_str().unwrap();
    assert!(
        told.contains("rotation_window") && told.contains("ServiceFailure"),
        "{told}"
    );
    tick_after(&mount, 23 * HOUR).await;
    assert_ne!(stored_key(&mount).await, before);
    assert_eq!(shown(&mount, "last_rotation_error").await, None);
}

#[tokio::test(start_paused = true)]
async fn a_put_that_fails_is_tried_again_and_leaves_one_key() {
    let mount = every_day().await;
    let before = stored_key(&mount).await;
    mount.storage().fail(StorageFault::Put, "config/root");
    mount.clock().advance(DAY);
    // Rollback may look at it in the same tick, and fails then too.
    drop(mount.roll_back().await);
    mount.storage().heal();
    assert_eq!(stored_key(&mount).await, before);

    for _ in 0..15 {
        tick_after(&mount, MINUTE).await;
    }

    assert_ne!(stored_key(&mount).await, before);
    assert_sound(&mount, "after a put that failed").await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_by_hand_puts_the_next_one_off() {
    let mount = every_day().await;
    mount.clock().advance(DAY / 2);

    rotate(&mount).await.unwrap();

    let now = mount.clock().now();
    assert_eq!(next(&mount).await, now + DAY);
    let made = stored_key(&mount).await;
    tick_after(&mount, DAY / 2).await;
    assert_eq!(stored_key(&mount).await, made);
}

#[tokio::test(start_paused = true)]
async fn writes_that_change_neither_key_nor_times_put_nothing_off_and_others_begin_anew() {
    let mount = every_day().await;
    let due = next(&mount).await;
    mount.clock().advance(HOUR);
    mount
        .write("config/root", json!({"region": "us-west-2"}))
        .await;
    mount
        .write("config/root", json!({"rotation_period": "24h"}))
        .await;
    assert_eq!(next(&mount).await, due);

    mount
        .write("config/root", json!({"rotation_period": "12h"}))
        .await;
    assert_eq!(next(&mount).await, mount.clock().now() + DAY / 2);

    mount.clock().advance(HOUR);
    let other = mount.aws().in_account("999988887777").admin_key();
    mount.write("config/root", written(&other)).await;
    assert_eq!(next(&mount).await, mount.clock().now() + DAY / 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_switched_off_or_has_no_key_is_never_rotated_and_is_told() {
    let mount = every_day().await;
    let before = stored_key(&mount).await;
    mount
        .write("config/root", json!({"disable_automated_rotation": true}))
        .await;
    assert_eq!(shown(&mount, "next_vault_rotation").await, None);
    tick_after(&mount, 3 * DAY).await;
    assert_eq!(stored_key(&mount).await, before);
    let warnings = mount
        .write("config/root", json!({"rotation_period": "48h"}))
        .await;
    assert!(
        format!("{warnings:?}").contains("disable_automated_rotation"),
        "{warnings:?}"
    );

    let bare = TestMount::new().await;
    let warnings = bare
        .write("config/root", json!({"rotation_period": "24h"}))
        .await;
    assert!(
        format!("{warnings:?}").contains("without access_key"),
        "{warnings:?}"
    );
    tick_after(&bare, 3 * DAY).await;
}

#[tokio::test(start_paused = true)]
async fn a_community_edition_leaves_it_to_the_engine_too() {
    let mount = TestMount::on(StaticSystemView {
        vault_calls: true,
        ..StaticSystemView::default()
    })
    .await;
    mount.configure(json!({"rotation_period": "10s"})).await;
    let before = stored_key(&mount).await;

    tick_after(&mount, MINUTE).await;

    assert_ne!(stored_key(&mount).await, before);
    assert_eq!(keys(&mount).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_the_cluster_that_owns_the_mount_rotates() {
    for (system, rotates) in [
        (ReplicationState(1 << 9), false),
        (ReplicationState::default(), true),
    ] {
        let mut mount = every_day().await;
        let before = stored_key(&mount).await;
        mount
            .restart_on(StaticSystemView {
                replication_state: system,
                ..StaticSystemView::default()
            })
            .await;
        mount.clock().advance(DAY);
        mount.roll_back().await.unwrap();
        assert_eq!(stored_key(&mount).await != before, rotates, "{system:?}");
    }
    let mut mount = every_day().await;
    let before = stored_key(&mount).await;
    mount
        .restart_on(StaticSystemView {
            fault: Some(HostError::Failed("out of order".to_owned())),
            ..StaticSystemView::default()
        })
        .await;
    mount.clock().advance(DAY);
    mount.roll_back().await.unwrap_err();
    assert_eq!(stored_key(&mount).await, before);
}
