//! The process is killed at any of its calls to AWS, and whoever comes after it finds working
//! credentials and leaves no key behind.

use std::time::Duration;

use serde_json::json;

use super::{DAY, HOUR};
use crate::aws::fake::Fault;
use crate::engine::testing::TestMount;
use crate::logical::Operation;
use crate::logical::testing::StorageFault;

/// What a static role goes through before it is cut off.
#[derive(Clone, Copy, Debug)]
enum Scene {
    /// The user has the stored key only.
    First,
    /// The user has the stored key and the one before.
    Steady,
    /// The user has the stored key and one of somebody else.
    BesideForeign,
    /// No key but the stored one may live.
    SingleKey,
}

const SCENES: [Scene; 4] = [
    Scene::First,
    Scene::Steady,
    Scene::BesideForeign,
    Scene::SingleKey,
];

impl Scene {
    async fn set(self) -> TestMount {
        let mount = TestMount::configured().await;
        mount.aws().add_user("jane");
        let single_key = matches!(self, Self::SingleKey);
        let data = json!({"username": "jane", "rotation_period": "24h", "single_key": single_key});
        mount.write("static-roles/app", data).await;
        mount.clock().advance(HOUR);
        match self {
            Self::Steady => drop(mount.write("static-roles/app/rotate", json!({})).await),
            Self::BesideForeign => drop(mount.aws().add_access_key("jane")),
            Self::First | Self::SingleKey => {}
        }
        mount.aws().forget_calls();
        mount
    }
}

/// Runs `work` once for every moment at which it can be killed; then a new process takes over.
async fn killed_at_each_call(
    scene: Scene,
    work: impl AsyncFn(&TestMount),
    after: impl AsyncFn(&TestMount, &str),
) {
    for at in [Fault::HeldBefore, Fault::HeldAfter] {
        let mut calls = 0;
        loop {
            let mut mount = scene.set().await;
            mount.aws().die_after(calls, at);
            let survived = mount.unless_dead(work(&mount)).await.is_some();
            mount.aws().heal();
            mount.restart().await;
            let moment = format!("{scene:?}, {at:?} after {calls} calls");
            after(&mount, &moment).await;
            assert_no_stray_keys(&mount, scene, &moment).await;
            if survived {
                break;
            }
            calls += 1;
        }
        // User, keys, new key, and three times the proof.
        assert!(calls >= 6, "only {calls} calls in {scene:?}");
    }
}

/// In the end every key is either the stored one or the one before.
async fn assert_no_stray_keys(mount: &TestMount, scene: Scene, moment: &str) {
    for _ in 0..6 {
        mount.tick().await;
    }
    let current = mount.working_key("app").await;
    let previous = mount.stored("static-creds/app")["previous_access_key"].clone();
    let keys = mount.keys_of("jane");
    let expected = match (scene, previous.as_str()) {
        (Scene::SingleKey, _) | (_, None) => vec![current],
        (_, Some(previous)) => vec![previous.to_owned(), current],
    };
    assert_eq!(keys, expected, "{moment}");
    assert_eq!(mount.wal(), Vec::<String>::new(), "{moment}");
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_is_due_is_made_good_at_the_next_tick() {
    for scene in SCENES {
        let work = async |mount: &TestMount| {
            mount.clock().advance(DAY);
            drop(mount.roll_back().await);
        };
        let after = async |mount: &TestMount, moment: &str| {
            mount.tick().await;
            mount.working_key("app").await;
            let ttl = mount.read("static-creds/app").await["ttl"].as_u64();
            assert!(ttl > Some(HOUR.as_secs()), "{moment}: {ttl:?} s are left");
        };
        killed_at_each_call(scene, work, after).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_on_demand_leaves_a_working_key_and_in_the_end_no_stray_one() {
    for scene in SCENES {
        let work = async |mount: &TestMount| {
            let data = json!({});
            drop(
                mount
                    .send(Operation::Update, "static-roles/app/rotate", data)
                    .await,
            );
        };
        let after = async |mount: &TestMount, _: &str| {
            mount.working_key("app").await;
            // A foreign key may be left when the rotation came to nothing; the next one has it go.
            for _ in 0..6 {
                mount.tick().await;
            }
            mount.write("static-roles/app/rotate", json!({})).await;
        };
        killed_at_each_call(scene, work, after).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_creation_leaves_a_whole_role_or_nothing() {
    for single_key in [false, true] {
        for at in [Fault::HeldBefore, Fault::HeldAfter] {
            for calls in 0.. {
                let mut mount = TestMount::configured().await;
                mount.aws().add_user("jane");
                let foreign = mount.aws().add_access_key("jane").access_key_id.to_string();
                mount.clock().advance(HOUR);
                mount.aws().die_after(calls, at);
                let data =
                    json!({"username": "jane", "rotation_period": "24h", "single_key": single_key});

                let write = mount.send(Operation::Update, "static-roles/app", data);
                let survived = mount.unless_dead(write).await.is_some();

                mount.aws().heal();
                mount.restart().await;
                for _ in 0..6 {
                    mount.tick().await;
                }
                let moment = format!("single_key {single_key}, {at:?} after {calls} calls");
                assert_eq!(mount.wal(), Vec::<String>::new(), "{moment}");
                let keys = mount.keys_of("jane");
                if mount.stored_keys().is_empty() {
                    assert_eq!(keys, [foreign], "{moment}");
                } else {
                    let mut expected = vec![mount.working_key("app").await];
                    if !single_key {
                        expected.insert(0, foreign);
                    }
                    assert_eq!(keys, expected, "{moment}");
                    assert_eq!(mount.list("static-roles/").await, ["app"], "{moment}");
                }
                if survived {
                    assert!(calls >= 6, "only {calls} calls");
                    break;
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_whose_role_was_not_stored_any_more_are_shown_to_nobody_and_go() {
    let mount = TestMount::configured().await;
    mount.aws().add_user("jane");
    // Nor can the failed creation tidy up by itself, as if it had been killed.
    mount.storage().fail(StorageFault::Put, "static-roles/");
    mount.aws().deny("iam:DeleteAccessKey");
    let data = json!({"username": "jane", "rotation_period": "24h"});
    mount.write_error("static-roles/app", data).await;
    mount.storage().heal();
    mount.aws().heal();
    assert_eq!(mount.stored_keys(), ["static-creds/app"]);

    let shown = mount
        .send(Operation::Read, "static-creds/app", json!({}))
        .await;
    assert_eq!(shown.unwrap(), None);

    for _ in 0..6 {
        mount.tick().await;
    }
    assert_eq!(mount.stored_keys(), Vec::<String>::new());
    assert!(mount.keys_of("jane").is_empty());
    assert_eq!(mount.wal(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_creation_can_be_repeated_at_once() {
    for calls in 0.. {
        let mut mount = TestMount::configured().await;
        mount.aws().add_user("jane");
        mount.aws().die_after(calls, Fault::HeldAfter);
        let data = json!({"username": "jane", "rotation_period": "24h"});
        let write = mount.send(Operation::Update, "static-roles/app", data.clone());
        let survived = mount.unless_dead(write).await.is_some();
        mount.aws().heal();
        mount.restart().await;

        mount.write("static-roles/app", data).await;

        for _ in 0..6 {
            mount.tick().await;
        }
        let moment = format!("after {calls} calls");
        assert_eq!(
            mount.keys_of("jane"),
            [mount.working_key("app").await],
            "{moment}"
        );
        assert_eq!(mount.wal(), Vec::<String>::new(), "{moment}");
        if survived {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_can_be_repeated() {
    for calls in 0.. {
        let mut mount = Scene::Steady.set().await;
        mount.aws().die_after(calls, Fault::HeldAfter);
        let delete = mount.send(Operation::Delete, "static-roles/app", json!({}));
        let survived = mount.unless_dead(delete).await.is_some();
        mount.aws().heal();
        mount.restart().await;

        mount.delete("static-roles/app").await;

        assert!(mount.keys_of("jane").is_empty(), "after {calls} calls");
        assert_eq!(mount.stored_keys(), Vec::<String>::new());
        if survived {
            assert_eq!(calls, 2, "one for each key");
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_renewed_role_of_another_user_is_not_touched_by_what_was_left_of_the_first() {
    let mut mount = TestMount::configured().await;
    for name in ["jane", "john"] {
        mount.aws().add_user(name);
    }
    // After GetUser, ListAccessKeys and CreateAccessKey: the key is made, its answer is not heard.
    mount.aws().die_after(2, Fault::HeldAfter);
    let data = |name| json!({"username": name, "rotation_period": "24h"});
    let write = mount.send(Operation::Update, "static-roles/app", data("jane"));
    assert!(mount.unless_dead(write).await.is_none());
    mount.aws().heal();
    mount.restart().await;
    assert_eq!(mount.keys_of("jane").len(), 1);
    mount.write("static-roles/app", data("john")).await;
    mount.clock().advance(Duration::from_mins(4));

    mount.tick().await;

    assert!(mount.keys_of("jane").is_empty());
    assert_eq!(mount.keys_of("john"), [mount.working_key("app").await]);
    assert_eq!(mount.wal(), Vec::<String>::new());
}
