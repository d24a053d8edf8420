//! The host's timer: periodic work, and the replay of what was begun and not finished.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::Mount;
use super::shop::{COUPON, paths};
use crate::clock::{Clock, ManualClock};
use crate::framework::{Answer, Backend, Declaration, Lifecycle, wal};
use crate::logical::testing::{InMemoryStorage, StaticSystemView, StorageFault};
use crate::logical::{
    Backend as _, Error, Operation, READ_ONLY_STORAGE, ReplicationState, Request,
};

impl Mount {
    /// The host's timer.
    async fn tick(&self) -> Answer {
        self.send(Operation::Rollback, "", json!({})).await
    }

    /// Stores an entry as the Go framework does, made `age` ago.
    fn store_entry(&self, id: &str, code: &str, age: Duration) {
        let created_at = (self.shop.clock.now() - age).unix_timestamp();
        self.storage.set_text(
            &format!("wal/{id}"),
            &format!(r#"{{"type":"coupon","data":{{"code":"{code}"}},"created_at":{created_at}}}"#),
        );
    }
}

const OLD: Duration = Duration::from_mins(6);

#[tokio::test]
async fn an_entry_has_the_form_of_the_go_framework() {
    let mount = Mount::new();
    let data = json!({"code": "x-1"});

    let now = mount.shop.clock.now();
    let id = wal::put(&*mount.storage, COUPON, &data, now, &mount.shop.life)
        .await
        .unwrap();

    let [key] = mount.storage.keys().try_into().unwrap();
    let name = key.strip_prefix("wal/").unwrap();
    assert_eq!(
        uuid::Uuid::parse_str(name)
            .unwrap()
            .hyphenated()
            .to_string(),
        name
    );
    let stored: Value = serde_json::from_str(&mount.storage.text(&key).unwrap()).unwrap();
    assert!(stored["life"].is_string(), "which the Go framework ignores");
    assert_eq!(
        (&stored["type"], &stored["data"], &stored["created_at"]),
        (&json!("coupon"), &data, &json!(1_767_323_045))
    );
    assert_eq!(
        wal::list(&*mount.storage).await.unwrap().as_slice(),
        std::slice::from_ref(&id)
    );
    let entry = wal::get(&*mount.storage, &id).await.unwrap().unwrap();
    assert_eq!((entry.kind.as_str(), entry.data), (COUPON, data));
    wal::delete(&*mount.storage, &id).await.unwrap();
    assert!(wal::get(&*mount.storage, &id).await.unwrap().is_none());
}

#[tokio::test]
async fn work_that_was_finished_leaves_nothing_to_roll_back() {
    let mount = Mount::new();
    mount.ask(Operation::Read, "coupons/x", json!({})).await;
    assert_eq!(mount.storage.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn work_that_broke_off_is_undone_once_it_is_old_enough() {
    let mount = Mount::new();
    mount
        .fail(Operation::Read, "coupons/x", json!({"price": 0}))
        .await;
    assert_eq!(mount.journal(), ["printed x-1"]);

    mount.shop.clock.advance(Duration::from_secs(299));
    assert_eq!(mount.tick().await.unwrap(), None);
    assert_eq!(mount.journal(), ["periodic"]);
    assert_eq!(mount.storage.keys().len(), 1);

    mount.shop.clock.advance(Duration::from_secs(1));
    assert_eq!(mount.tick().await.unwrap(), None);
    assert_eq!(mount.journal(), ["periodic", "shredded x-1"]);
    assert_eq!(mount.storage.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn an_engine_that_says_nothing_waits_ten_minutes() {
    let declaration = Declaration::new("", paths(), vec![]).unwrap();
    let mount = Mount::of(declaration, StaticSystemView::default());
    mount.store_entry("a", "young", Duration::from_secs(599));
    mount.store_entry("b", "old", Duration::from_mins(10));

    mount.tick().await.unwrap();

    assert_eq!(mount.journal(), ["periodic", "shredded old"]);
}

#[tokio::test]
async fn immediate_takes_young_entries_too_even_those_of_a_node_whose_clock_is_ahead() {
    let mount = Mount::new();
    mount.store_entry("a", "young", Duration::ZERO);
    let created_at = mount.shop.clock.now().unix_timestamp() + 3600;
    mount.storage.set_text(
        "wal/b",
        &format!(r#"{{"type":"coupon","data":{{"code":"ahead"}},"created_at":{created_at}}}"#),
    );

    mount
        .send(Operation::Rollback, "", json!({"immediate": null}))
        .await
        .unwrap();

    assert_eq!(
        mount.journal(),
        ["periodic", "shredded young", "shredded ahead"]
    );
}

#[tokio::test]
async fn one_bad_entry_stops_no_other_and_all_failures_are_told() {
    let mount = Mount::new();
    mount.storage.set_text("wal/a", "no JSON");
    mount.store_entry("b", "stuck", OLD);
    mount
        .storage
        .set_text("wal/c", r#"{"type":"banknote","data":{},"created_at":1}"#);
    mount.store_entry("d", "good", OLD);

    let error = mount.tick().await.unwrap_err();

    assert_eq!(mount.journal(), ["periodic", "shredded good"]);
    assert_eq!(mount.storage.keys(), ["wal/a", "wal/b", "wal/c"]);
    assert!(matches!(error, Error::Internal(_)));
    assert_eq!(
        error.to_string(),
        "cannot decode \"wal/a\" from storage: not JSON at line 1 column 2; \
         error rolling back \"coupon\" entry: the shredder is stuck; \
         error rolling back \"banknote\" entry: unknown type to rollback"
    );
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_stops_no_other() {
    let mount = Mount::new();
    mount.store_entry("a", "unreadable", OLD);
    mount.store_entry("b", "good", OLD);
    mount.storage.fail(StorageFault::Get, "wal/a");

    let error = mount.tick().await.unwrap_err();

    assert_eq!(error.to_string(), "storage told to fail: Get");
    assert_eq!(mount.journal(), ["periodic", "shredded good"]);
}

#[tokio::test]
async fn an_entry_that_cannot_be_deleted_is_undone_again_later() {
    let mount = Mount::new();
    mount.store_entry("a", "x", OLD);
    mount.storage.fail(StorageFault::Delete, "");
    mount.tick().await.unwrap_err();

    mount.storage.heal();
    mount.tick().await.unwrap();

    assert_eq!(
        mount.journal(),
        ["periodic", "shredded x", "periodic", "shredded x"]
    );
    assert_eq!(mount.storage.keys(), Vec::<String>::new());
}

#[tokio::test]
async fn failed_periodic_work_does_not_stop_the_replay() {
    let mount = Mount::new();
    mount.store_entry("a", "x", OLD);
    *mount.shop.periodic_error.lock().unwrap() = Some(Error::internal("out of ink"));

    let error = mount.tick().await.unwrap_err();

    assert_eq!(error.to_string(), "out of ink");
    assert_eq!(mount.journal(), ["periodic", "shredded x"]);
}

#[tokio::test]
async fn a_log_that_cannot_be_listed_does_not_hide_what_the_periodic_work_met() {
    let mount = Mount::new();
    *mount.shop.periodic_error.lock().unwrap() = Some(Error::internal("out of ink"));
    mount.storage.fail(StorageFault::List, "");

    let error = mount.tick().await.unwrap_err();

    assert_eq!(error.to_string(), "out of ink; storage told to fail: List");
}

#[tokio::test]
async fn a_node_that_may_not_write_stops_and_says_so_in_the_hosts_words() {
    let read_only = || Error::ReadOnly("cannot write to readonly storage".to_owned());

    let mount = Mount::new();
    mount.store_entry("a", "x", OLD);
    *mount.shop.periodic_error.lock().unwrap() = Some(read_only());
    let error = mount.tick().await.unwrap_err();
    assert!(matches!(error, Error::ReadOnly(text) if text == READ_ONLY_STORAGE));
    assert_eq!(mount.journal(), ["periodic"]);

    let mount = Mount::new();
    mount.store_entry("a", "stuck", OLD);
    mount.store_entry("b", "forbidden", OLD);
    mount.store_entry("c", "x", OLD);
    let error = mount.tick().await.unwrap_err();
    assert!(matches!(error, Error::ReadOnly(text) if text == "not on this node"));
    assert_eq!(mount.journal(), ["periodic"]);

    let mount = Mount::new();
    mount.store_entry("a", "x", OLD);
    mount.storage.fail(StorageFault::ReadOnly, "");
    let error = mount.tick().await.unwrap_err();
    assert!(matches!(error, Error::ReadOnly(text) if text == READ_ONLY_STORAGE));
}

#[tokio::test]
async fn an_engine_without_log_still_says_that_an_entry_is_not_its_own() {
    struct Silent;
    impl Lifecycle for Silent {}
    let backend = Backend::new(
        Arc::new(Declaration::new("", vec![], vec![]).unwrap()),
        Arc::new(Silent),
        Arc::new(StaticSystemView::default()),
        Arc::new(ManualClock::default()),
    );
    let storage = Arc::new(InMemoryStorage::default());
    let tick = || Request::new(Operation::Rollback, "", Arc::clone(&storage) as Arc<_>);
    assert_eq!(backend.handle_request(tick()).await.unwrap(), None);

    storage.set_text("wal/a", r#"{"type":"user","data":null,"created_at":1}"#);

    let error = backend.handle_request(tick()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"error rolling back "user" entry: unknown type to rollback"#
    );
    assert_eq!(storage.keys(), ["wal/a"]);
}

#[tokio::test]
async fn what_an_ended_life_has_begun_is_rolled_back_at_once() {
    let mount = Mount::new();
    let now = mount.shop.clock.now();
    for (code, life) in [
        ("dead", &wal::Life::default()),
        ("living", &mount.shop.life),
    ] {
        let data = json!({"code": code});
        wal::put(&*mount.storage, COUPON, &data, now, life)
            .await
            .unwrap();
    }
    mount.store_entry("of-go", "of a Go engine", Duration::ZERO);

    mount.tick().await.unwrap();

    assert_eq!(mount.journal(), ["periodic", "shredded dead"]);
    assert_eq!(mount.storage.keys().len(), 2);
}

#[tokio::test]
async fn an_entry_stays_for_as_long_as_it_is_to_be_looked_at_again() {
    let mount = Mount::new();
    mount.store_entry("1", "unseen", OLD);

    mount.tick().await.unwrap();
    mount.tick().await.unwrap();

    let looks = ["periodic", "looked for unseen"];
    assert_eq!(mount.journal(), [looks, looks].concat());
    assert_eq!(mount.storage.keys(), ["wal/1"]);
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_comes_while_another_one_works_does_nothing() {
    let mount = Mount::new();
    mount.store_entry("1", "slow", OLD);

    let (one, other) = futures_util::join!(mount.tick(), mount.tick());

    assert_eq!((one.unwrap(), other.unwrap()), (None, None));
    assert_eq!(mount.journal(), ["periodic", "shredding slowly"]);
    mount.tick().await.unwrap();
    assert_eq!(
        mount.journal(),
        ["periodic"],
        "and the next one does its work"
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_begin_in_time_is_left_to_the_next_tick() {
    let mount = Mount::new();
    for id in 0..8 {
        mount.store_entry(&format!("{id}"), "slow", OLD);
    }
    mount.store_entry("9", "late", OLD);

    mount.tick().await.unwrap();

    assert!(!mount.journal().contains(&"shredded late".to_owned()));
    assert_eq!(mount.storage.keys(), ["wal/9"]);
}

#[tokio::test]
async fn a_standby_leaves_all_of_it_to_the_active_node() {
    let mount = Mount::on(StaticSystemView {
        replication_state: ReplicationState(1 << 14),
        ..StaticSystemView::default()
    });
    let data = json!({"code": "of the active node"});
    let now = mount.shop.clock.now();
    wal::put(&*mount.storage, COUPON, &data, now, &wal::Life::default())
        .await
        .unwrap();

    mount.tick().await.unwrap();

    assert_eq!(mount.journal(), [""; 0]);
    assert_eq!(mount.storage.keys().len(), 1);
}

#[tokio::test]
async fn what_is_left_of_the_log_is_told_with_the_age_of_the_oldest() {
    let mount = Mount::new();
    mount.store_entry("done", "x-1", 2 * OLD);
    mount.store_entry("stuck", "stuck", 3 * OLD);
    mount.store_entry("young", "x-2", Duration::ZERO);

    mount.tick().await.unwrap_err();

    let now = mount.shop.clock.now();
    let told = wal::Look {
        entries: 2,
        oldest: Some(now - 3 * OLD),
        whole: true,
    };
    assert_eq!(*mount.shop.wal.lock().unwrap(), Some(told));
    let oldest_is_unread = mount.storage.text("wal/stuck").unwrap();
    mount.storage.set_text("wal/stuck", "no JSON");
    mount.tick().await.unwrap_err();
    let look = mount.shop.wal.lock().unwrap().unwrap();
    assert_eq!((look.entries, look.whole), (2, false));
    assert_eq!(look.oldest, Some(now));
    mount.storage.set_text("wal/stuck", &oldest_is_unread);
}
