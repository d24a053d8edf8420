use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::{DAY, HOUR, with_app};
use crate::aws::fake::{Fault, FaultRule};
use crate::engine::testing::TestMount;
use crate::logical::testing::{StaticSystemView, StorageFault};
use crate::logical::{Error, HostError, Operation, ReplicationState};

const MINUTE: Duration = Duration::from_mins(1);

/// One static role for each name, on a user of that name.
async fn with_roles<const N: usize>(roles: [(&str, &str); N]) -> TestMount {
    let mount = TestMount::configured().await;
    for (name, period) in roles {
        mount.aws().add_user(name);
        let data = json!({"username": name, "rotation_period": period});
        mount.write(&format!("static-roles/{name}"), data).await;
    }
    mount.aws().forget_calls();
    mount
}

#[tokio::test(start_paused = true)]
async fn only_what_is_due_is_rotated() {
    let mount = with_roles([("short", "2h"), ("long", "24h")]).await;
    let (short, long) = (
        mount.working_key("short").await,
        mount.working_key("long").await,
    );
    mount.clock().advance(HOUR);
    mount.tick().await;
    assert_eq!(mount.working_key("short").await, short);
    mount.clock().advance(HOUR);

    mount.tick().await;

    assert_ne!(mount.working_key("short").await, short);
    assert_eq!(mount.working_key("long").await, long);
}

#[tokio::test(start_paused = true)]
async fn a_mount_without_static_roles_has_nothing_to_do() {
    let mount = TestMount::configured().await;
    mount.tick().await;
    assert_eq!(mount.aws().operations(), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn a_tick_without_a_due_role_reads_no_role() {
    let mount = with_app().await;
    mount.tick().await;
    mount.storage().fail(StorageFault::Get, "static-");

    mount.tick().await;

    assert_eq!(mount.aws().operations(), Vec::<&str>::new());
}

#[tokio::test(start_paused = true)]
async fn rotation_goes_on_after_each_restart() {
    let mut mount = with_app().await;
    let mut seen = BTreeSet::from([mount.working_key("app").await]);
    for _ in 0..3 {
        mount.clock().advance(DAY);
        mount.restart().await;
        mount.tick().await;
        assert!(seen.insert(mount.working_key("app").await));
    }
}

#[tokio::test(start_paused = true)]
async fn the_short_ones_rotate_on_and_the_long_one_does_not_when_another_node_takes_over() {
    let mut mount = with_roles([("a", "1h"), ("b", "2h"), ("c", "24h")]).await;
    let mut before = [String::new(), String::new()];
    let long = mount.working_key("c").await;
    for _ in 0..2 {
        mount.clock().advance(2 * HOUR);
        mount.tick().await;
        let after = [mount.working_key("a").await, mount.working_key("b").await];
        assert!(before[0] != after[0] && before[1] != after[1]);
        assert_eq!(mount.working_key("c").await, long);
        before = after;
        mount.restart().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_another_node_wrote_is_read_again() {
    for changed in [Some("static-creds/app"), Some("static-roles/app"), None] {
        let mount = with_app().await;
        mount.tick().await;
        let first = mount.working_key("app").await;
        let mut stored = mount.stored("static-creds/app");
        stored["expiration"] = json!("2026-01-02T03:04:06Z");
        let storage = mount.storage();
        storage.set_text("static-creds/app", &stored.to_string());
        mount.tick().await;
        assert_eq!(mount.working_key("app").await, first);

        if let Some(key) = changed {
            mount.backend().invalidate_key(key).await;
        } else {
            // This node becomes the active one.
            let request = mount.request(Operation::Read, "", json!({}));
            mount.backend().initialize(request.storage).await.unwrap();
        }
        mount.tick().await;

        assert_ne!(mount.working_key("app").await, first, "{changed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_node_that_may_write_rotates() {
    let (secondary, dr, standby) = (1 << 6, 1 << 9, 1 << 14);
    for (state, local_mount, rotates) in [
        (0, false, true),
        (secondary, false, false),
        (secondary, true, true),
        (dr, true, false),
        (standby, true, false),
    ] {
        let mut mount = with_app().await;
        let first = mount.working_key("app").await;
        mount
            .restart_on(StaticSystemView {
                replication_state: ReplicationState(state),
                local_mount,
                ..StaticSystemView::default()
            })
            .await;
        mount.clock().advance(DAY);

        mount.tick().await;

        let rotated = mount.working_key("app").await != first;
        assert_eq!(rotated, rotates, "state {state}, local mount {local_mount}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_know_whether_it_may_write_does_not_rotate() {
    let mut mount = with_app().await;
    let first = mount.working_key("app").await;
    mount
        .restart_on(StaticSystemView {
            fault: Some(HostError::Failed("connection lost".to_owned())),
            ..StaticSystemView::default()
        })
        .await;
    mount.clock().advance(DAY);

    let error = mount.roll_back().await.unwrap_err();

    assert!(error.to_string().contains("connection lost"), "{error}");
    assert_eq!(mount.working_key("app").await, first);
}

#[tokio::test(start_paused = true)]
async fn a_failed_rotation_is_reported_and_stops_no_other() {
    let mount = with_roles([("a", "1h"), ("b", "1h")]).await;
    let (a, b) = (mount.working_key("a").await, mount.working_key("b").await);
    mount.aws().remove_user("a");
    mount.clock().advance(HOUR);

    let error = mount.roll_back().await.unwrap_err().to_string();

    for words in [
        "error(s) occurred while rotating expired static credentials",
        "a: ",
        "NoSuchEntity",
    ] {
        assert!(error.contains(words), "{words:?} in: {error}");
    }
    assert_ne!(mount.working_key("b").await, b);
    assert_eq!(mount.stored("static-creds/a")["access_key"], json!(a));
}

#[tokio::test(start_paused = true)]
async fn a_failed_rotation_is_tried_again_ten_seconds_later_and_then_ever_later() {
    let mount = with_app().await;
    let first = mount.working_key("app").await;
    mount.aws().deny("iam:GetUser");
    mount.clock().advance(DAY);
    mount.roll_back().await.unwrap_err();
    mount.clock().advance(Duration::from_secs(9));
    mount.roll_back().await.unwrap();
    mount.clock().advance(Duration::from_secs(1));
    mount.roll_back().await.unwrap_err();
    assert_eq!(mount.aws().calls_of("iam:GetUser").len(), 2);
    for _ in 0..60 {
        mount.clock().advance(MINUTE);
        drop(mount.roll_back().await);
    }
    let tries = mount.aws().calls_of("iam:GetUser").len();
    assert!((12..20).contains(&tries), "{tries} tries");

    mount.aws().heal();
    mount.clock().advance(5 * MINUTE);
    mount.roll_back().await.unwrap();
    assert_ne!(mount.working_key("app").await, first);
}

#[tokio::test(start_paused = true)]
async fn due_roles_are_rotated_beside_one_another_sixteen_at_a_time() {
    let names: Vec<String> = (0..40).map(|n| format!("user{n}")).collect();
    let mount = TestMount::configured().await;
    for name in &names {
        mount.aws().add_user(name);
        let data = json!({"username": name, "rotation_period": "1h"});
        mount.write(&format!("static-roles/{name}"), data).await;
    }
    mount.clock().advance(HOUR);
    mount.aws().forget_calls();

    let (ticked, trips) = mount.round_trips(mount.roll_back()).await;

    ticked.unwrap();
    // Three rounds of sixteen, each of six calls and the two seconds between those that prove the
    // key.
    assert!(trips <= 3 * (6 + 20) + 1, "{trips} round trips");
    let mut most = 0;
    for call in mount.aws().calls() {
        let at = call.began;
        let beside = mount.aws().calls();
        let beside = beside
            .iter()
            .filter(|other| other.began <= at && other.ended > Some(at));
        most = most.max(beside.count());
    }
    assert_eq!(most, 16);
}

#[tokio::test(start_paused = true)]
async fn one_role_that_aws_keeps_waiting_holds_up_no_other() {
    let mount = with_roles([("slow", "24h"), ("quick", "24h")]).await;
    mount
        .aws()
        .inject(FaultRule::on("iam:GetUser", Fault::HeldBefore).times(1));
    let slow = tokio::spawn({
        let backend = mount.backend();
        let request = mount.request(Operation::Update, "static-roles/slow/rotate", json!({}));
        async move { backend.handle_request(request).await }
    });
    while mount.aws().calls().is_empty() {
        tokio::task::yield_now().await;
    }

    mount.write("static-roles/quick/rotate", json!({})).await;
    mount.read("static-creds/slow").await;

    assert!(!slow.is_finished());
    mount.aws().heal();
    slow.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_comes_while_another_still_works_rotates_nothing_twice() {
    let mount = with_app().await;
    mount.clock().advance(DAY);

    let (one, other) = futures_util::join!(mount.roll_back(), mount.roll_back());

    one.unwrap();
    other.unwrap();
    assert_eq!(mount.aws().calls_of("iam:CreateAccessKey").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_meets_a_rotation_on_demand_does_not_rotate_again() {
    let mount = with_app().await;
    mount.clock().advance(DAY);

    let on_demand = mount.send(Operation::Update, "static-roles/app/rotate", json!({}));
    let (on_demand, tick) = futures_util::join!(on_demand, mount.roll_back());

    on_demand.unwrap();
    tick.unwrap();
    assert_eq!(mount.aws().calls_of("iam:CreateAccessKey").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn storage_that_fails_for_a_while_stops_the_rotation_no_longer_than_that() {
    for (fault, prefix) in [
        (StorageFault::List, "static-roles/"),
        (StorageFault::Get, "static-creds/"),
        (StorageFault::Get, "static-roles/"),
        (StorageFault::Put, "static-creds/"),
        (StorageFault::Put, "wal/"),
    ] {
        let mut mount = with_app().await;
        let first = mount.working_key("app").await;
        mount.clock().advance(DAY);
        mount.restart().await;
        mount.storage().fail(fault, prefix);
        mount.roll_back().await.unwrap_err();

        mount.storage().heal();
        mount.tick().await;

        assert_ne!(mount.working_key("app").await, first, "{fault:?} {prefix}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_turns_out_not_to_write_says_so_in_the_hosts_words() {
    let mount = with_app().await;
    mount.clock().advance(DAY);
    mount.storage().fail(StorageFault::ReadOnly, "");

    let error = mount.roll_back().await.unwrap_err();

    assert!(matches!(error, Error::ReadOnly(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn credentials_without_a_time_get_one_at_the_first_tick() {
    let mut mount = with_app().await;
    let first = mount.working_key("app").await;
    let mut stored = mount.stored("static-creds/app");
    stored.as_object_mut().unwrap().remove("expiration");
    mount
        .storage()
        .set_text("static-creds/app", &stored.to_string());
    mount.restart().await;

    mount.roll_back().await.unwrap();

    assert_eq!(
        mount.stored("static-creds/app")["expiration"],
        json!("2026-01-03T03:04:05Z")
    );
    mount.restart().await;
    mount.clock().advance(Duration::from_mins(24 * 60 - 1));
    mount.roll_back().await.unwrap();
    assert_eq!(mount.working_key("app").await, first);
    mount.tick().await;
    assert_ne!(mount.working_key("app").await, first);
}

/// The host's timer, which is told how the role's clock moves on meanwhile.
async fn tick_that_takes(mount: &TestMount, time: Duration) {
    mount.aws().forget_calls();
    let (ticked, ()) = futures_util::join!(mount.roll_back(), async {
        while mount.aws().calls().is_empty() {
            tokio::task::yield_now().await;
        }
        mount.clock().advance(time);
    });
    ticked.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_role_of_a_minute_is_rotated_every_minute() {
    let mount = with_roles([("quick", "60s")]).await;
    let mut seen = BTreeSet::from([mount.working_key("quick").await]);
    let lasts = Duration::from_millis(5);
    mount.clock().advance(MINUTE);
    for minute in 0..10 {
        let told = mount.read("static-creds/quick").await["expiration"].clone();
        tick_that_takes(&mount, lasts).await;
        assert!(
            seen.insert(mount.working_key("quick").await),
            "minute {minute}"
        );
        let told_now = mount.read("static-creds/quick").await["expiration"].clone();
        assert!(told.as_str() < told_now.as_str());
        mount.clock().advance(MINUTE.saturating_sub(lasts));
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_came_far_too_late_lives_for_a_whole_period() {
    let mount = with_app().await;
    mount.clock().advance(DAY + 13 * HOUR);

    mount.roll_back().await.unwrap();

    let creds = mount.read("static-creds/app").await;
    assert_eq!(creds["ttl"], json!(86400));
}

#[tokio::test(start_paused = true)]
async fn a_tick_ends_in_time_and_what_it_could_not_begin_comes_with_the_next() {
    const ROLES: usize = 120;
    let mount = TestMount::configured().await;
    for n in 0..ROLES {
        mount.aws().add_user(&format!("user{n}"));
        let data = json!({"username": format!("user{n}"), "rotation_period": "1h"});
        mount.write(&format!("static-roles/role{n}"), data).await;
    }
    mount.clock().advance(HOUR);
    mount.aws().set_delay(Duration::from_secs(2));
    let mut rotated = BTreeSet::new();
    for tick in 0.. {
        let start = tokio::time::Instant::now();

        mount.roll_back().await.unwrap();

        assert!(
            start.elapsed() < Duration::from_secs(84),
            "{:?}",
            start.elapsed()
        );
        mount.clock().advance(MINUTE);
        let before = rotated.len();
        for n in 0..ROLES {
            let stored = mount.stored(&format!("static-creds/role{n}"));
            if stored.get("previous_access_key").is_some() {
                rotated.insert(n);
            }
        }
        assert!(rotated.len() > before, "tick {tick} rotated nothing");
        if rotated.len() == ROLES {
            assert!(tick > 0, "one tick was enough");
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_tick_whose_aws_falls_silent_ends_in_time() {
    for at in [Fault::HeldBefore, Fault::HeldAfter] {
        for answered in 0..7 {
            let mut mount = with_roles([("a", "1h"), ("b", "1h")]).await;
            mount.clock().advance(HOUR);
            mount.aws().die_after(answered, at);
            let start = tokio::time::Instant::now();

            drop(mount.roll_back().await);

            let took = start.elapsed();
            assert!(
                took <= Duration::from_secs(84),
                "{at:?} {answered}: {took:?}"
            );
            mount.recover().await;
            for user in ["a", "b"] {
                mount.working_key(user).await;
                assert!(mount.keys_of(user).len() <= 2);
            }
            assert_eq!(mount.wal(), Vec::<String>::new());
        }
    }
}

/// A role that is rotated at three o'clock each morning.
fn at_three() -> serde_json::Value {
    json!({"username": "jane", "rotation_schedule": "0 3 * * *", "rotation_window": "1h"})
}

async fn with_schedule() -> TestMount {
    let mount = TestMount::configured().await;
    mount.aws().add_user("jane");
    mount.write("static-roles/app", at_three()).await;
    mount
}

/// Until `app` is due by what it shows.
async fn left(mount: &TestMount) -> Duration {
    let ttl = mount.read("static-creds/app").await["ttl"]
        .as_u64()
        .unwrap();
    Duration::from_secs(ttl)
}

#[tokio::test(start_paused = true)]
async fn a_schedule_rotates_at_its_times_and_is_shown_in_place_of_a_period() {
    let mount = with_schedule().await;
    let role = mount.read("static-roles/app").await;
    assert_eq!(role["rotation_schedule"], json!("0 3 * * *"));
    assert_eq!(role["rotation_window"], json!(3600));
    assert_eq!(role["rotation_period"], json!(0));
    for _ in 0..3 {
        let key = mount.working_key("app").await;
        let creds = mount.read("static-creds/app").await;
        assert!(creds["expiration"].as_str().unwrap().contains("T03:00:00Z"));
        assert_eq!(creds["rotation_schedule"], json!("0 3 * * *"));
        assert_eq!(creds.get("rotation_period"), None);
        let wait = left(&mount).await.saturating_sub(2 * MINUTE);
        mount.clock().advance(wait);
        mount.tick().await;
        assert_eq!(mount.working_key("app").await, key);

        mount.tick().await;

        assert_ne!(mount.working_key("app").await, key);
    }
}

#[tokio::test(start_paused = true)]
async fn what_fails_until_the_window_closes_waits_for_the_next_time() {
    let mount = with_schedule().await;
    let key = mount.working_key("app").await;
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateAccessKey", Fault::Denied));
    mount.clock().advance(left(&mount).await);
    mount.roll_back().await.unwrap_err();
    mount.clock().advance(HOUR);
    mount.aws().heal();

    mount.tick().await;

    assert_eq!(mount.working_key("app").await, key, "the window is closed");
    assert!(left(&mount).await > 22 * HOUR);
    mount.clock().advance(left(&mount).await);
    mount.tick().await;
    assert_ne!(mount.working_key("app").await, key);
}

#[tokio::test(start_paused = true)]
async fn the_same_schedule_written_again_puts_nothing_off_whatever_the_days_are_apart() {
    let mount = TestMount::configured().await;
    mount.aws().add_user("jane");
    let role = json!({"username": "jane", "rotation_schedule": "0 3 1,11,31 * *"});
    mount.write("static-roles/app", role.clone()).await;
    let key = mount.working_key("app").await;
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateAccessKey", Fault::Denied));
    mount.clock().advance(left(&mount).await);
    mount.roll_back().await.unwrap_err();
    mount.aws().heal();

    mount.write("static-roles/app", role).await;

    mount.tick().await;
    assert_ne!(mount.working_key("app").await, key, "it is still due");
}

#[tokio::test(start_paused = true)]
async fn period_and_schedule_take_each_others_place_and_what_can_never_work_is_refused() {
    let mount = with_schedule().await;
    mount
        .write("static-roles/app", json!({"rotation_period": "2h"}))
        .await;
    let role = mount.read("static-roles/app").await;
    assert_eq!(role["rotation_period"], json!(7200));
    assert_eq!(role.get("rotation_schedule"), None);
    assert_eq!(left(&mount).await, 2 * HOUR);
    mount.write("static-roles/app", at_three()).await;
    assert_eq!(
        mount.read("static-roles/app").await["rotation_period"],
        json!(0)
    );
    // As Terraform sends what is not set.
    mount
        .write(
            "static-roles/app",
            json!({"rotation_period": 0, "rotation_window": "2h"}),
        )
        .await;
    assert_eq!(
        mount.read("static-roles/app").await["rotation_window"],
        json!(7200)
    );

    let before = mount.stored("static-roles/app");
    for (sent, words) in [
        (
            json!({"rotation_schedule": "0 3 * * *", "rotation_period": "1h"}),
            "mutually exclusive",
        ),
        (
            json!({"rotation_schedule": "3 o'clock"}),
            "rotation_schedule: ",
        ),
        (
            json!({"rotation_schedule": ""}),
            "missing \"rotation_period\"",
        ),
        (
            json!({"rotation_window": "10m"}),
            "rotation_window: must be at least 1 hour",
        ),
        (
            json!({"rotation_period": "1h", "rotation_window": "1h"}),
            "rotation_window does not apply to period",
        ),
    ] {
        let error = mount.write_error("static-roles/app", sent.clone()).await;
        assert!(error.to_string().contains(words), "{sent}: {error}");
    }
    assert_eq!(mount.stored("static-roles/app"), before);
    // An engine that knows no schedule rotates as often as the schedule would.
    assert_eq!(before["rotation_period"], json!(86_400_000_000_000_u64));
}
