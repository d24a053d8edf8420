//! `config/lease` as clients of both engines use it.

use std::time::Duration;

use serde_json::{Value, json};

use super::KEY;
use crate::engine::testing::TestMount;
use crate::logical::testing::{StaticSystemView, StorageFault};
use crate::logical::{Error, HostError, Operation};

#[tokio::test]
async fn both_times_are_read_as_go_writes_durations() {
    let mount = TestMount::new().await;
    for (sent, lease, lease_max) in [
        (
            json!({"lease": "30m", "lease_max": "12h"}),
            "30m0s",
            "12h0m0s",
        ),
        (json!({"lease": 0, "lease_max": 0}), "0s", "0s"),
        (
            json!({"lease": "90", "lease_max": "1d"}),
            "1m30s",
            "24h0m0s",
        ),
        (
            json!({"lease": 3600, "lease_max": "7200s"}),
            "1h0m0s",
            "2h0m0s",
        ),
    ] {
        let answer = mount.send(Operation::Update, "config/lease", sent).await;
        assert_eq!(answer.unwrap(), None, "204");

        let read = Value::Object(mount.read("config/lease").await);
        assert_eq!(read, json!({"lease": lease, "lease_max": lease_max}));
    }
}

#[tokio::test]
async fn nothing_is_read_before_it_is_written() {
    let mount = TestMount::new().await;

    let answer = mount.send(Operation::Read, "config/lease", json!({})).await;

    assert_eq!(answer.unwrap(), None);
}

#[tokio::test]
async fn the_record_is_that_of_the_go_engines() {
    let mount = TestMount::new().await;
    let go = r#"{"Lease":1800000000000,"LeaseMax":43200000000000}"#;
    mount.storage().set_text(KEY, go);
    let read = Value::Object(mount.read("config/lease").await);
    assert_eq!(read, json!({"lease": "30m0s", "lease_max": "12h0m0s"}));

    mount
        .write("config/lease", json!({"lease": "30m", "lease_max": "12h"}))
        .await;

    assert_eq!(mount.storage().text(KEY).unwrap(), format!("{go}\n"));
}

#[tokio::test]
async fn both_times_are_required_and_must_be_durations() {
    let mount = TestMount::new().await;
    for (sent, expected) in [
        (
            json!({"lease_max": "1h"}),
            "'lease' is a required parameter",
        ),
        (
            json!({"lease": "", "lease_max": "1h"}),
            "'lease' is a required parameter",
        ),
        (
            json!({"lease": "1h"}),
            "'lease_max' is a required parameter",
        ),
        (
            json!({"lease": "1h", "lease_max": null}),
            "'lease_max' is a required parameter",
        ),
        (
            json!({"lease": "soon", "lease_max": "1h"}),
            "Invalid lease: ",
        ),
        (
            json!({"lease": "1h", "lease_max": "-1h"}),
            "Invalid lease_max: ",
        ),
    ] {
        let error = mount.write_error("config/lease", sent).await;

        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        assert!(error.to_string().starts_with(expected), "{error}");
        assert_eq!(mount.storage().text(KEY), None);
    }
}

#[tokio::test]
async fn a_lease_longer_than_its_maximum_is_taken_with_a_warning() {
    let mount = TestMount::new().await;

    let warnings = mount
        .write("config/lease", json!({"lease": "2h", "lease_max": "1h"}))
        .await;

    assert_eq!(
        warnings,
        ["lease (2h0m0s) is longer than lease_max (1h0m0s): leases end after lease_max"]
    );
}

#[tokio::test]
async fn a_node_that_may_not_write_has_the_host_forward() {
    let mount = TestMount::new().await;
    mount.storage().fail(StorageFault::ReadOnly, "");

    let error = mount
        .write_error("config/lease", json!({"lease": "1h", "lease_max": "1h"}))
        .await;

    assert!(matches!(error, Error::ReadOnly(_)), "{error:?}");
}

#[tokio::test]
async fn a_field_that_nobody_knows_is_named_with_what_was_meant() {
    let mount = TestMount::new().await;
    let sent = json!({"lease": "1h", "lease_max": "2h", "leaseMax": "3h", "ttl": "4h"});

    let warnings = mount.write("config/lease", sent).await;

    assert_eq!(
        warnings,
        [
            "Endpoint ignored these unrecognized parameters: [leaseMax ttl]",
            "leaseMax has no effect: lease_max was probably meant",
            "ttl has no effect: lease was probably meant",
        ]
    );
}

#[tokio::test]
async fn a_time_beyond_the_mounts_maximum_is_taken_with_a_warning() {
    let mount = TestMount::on(StaticSystemView {
        max_lease_ttl: Duration::from_hours(768),
        ..StaticSystemView::default()
    })
    .await;

    let warnings = mount
        .write(
            "config/lease",
            json!({"lease": "4068h", "lease_max": "5000h"}),
        )
        .await;

    assert_eq!(
        warnings,
        [
            "lease of 4068h0m0s is cut to the mount's maximum lease TTL of 768h0m0s: tune the mount if it shall count",
            "lease_max of 5000h0m0s is cut to the mount's maximum lease TTL of 768h0m0s: tune the mount if it shall count",
        ]
    );
    let allowed = json!({"lease": "768h", "lease_max": "768h"});
    assert_eq!(mount.write("config/lease", allowed).await, [""; 0]);
}

#[tokio::test]
async fn a_lease_that_ends_before_its_key_works_everywhere_is_taken_with_a_warning() {
    let mount = TestMount::new().await;

    let warnings = mount
        .write("config/lease", json!({"lease": "5s", "lease_max": "1h"}))
        .await;

    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with("lease of 5s is short"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn a_host_that_does_not_tell_its_limit_takes_any_time() {
    let mount = TestMount::on(StaticSystemView {
        limit_fault: Some(HostError::Failed("connection lost".to_owned())),
        ..StaticSystemView::default()
    })
    .await;

    let sent = json!({"lease": "4068h", "lease_max": "5000h"});
    assert_eq!(mount.write("config/lease", sent).await, [""; 0]);
}
