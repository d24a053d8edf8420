//! Who has no lease is found by time, and whoever lives is left alone.

mod limit;
mod path;

use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::fake::{Fault, FaultRule};
use crate::clock::Clock;
use crate::engine::testing::{Lease, READ_ONLY, TestMount};
use crate::logical::testing::StorageFault;
use crate::logical::{Operation, Request};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// A mount whose leases live for an hour, or up to a day when they are renewed.
async fn mount() -> TestMount {
    let mount = TestMount::configured().await;
    mount
        .write("config/lease", json!({"lease": "1h", "lease_max": "24h"}))
        .await;
    mount
        .write(
            "roles/x",
            json!({"credential_type": "iam_user", "policy_arns": READ_ONLY}),
        )
        .await;
    mount
}

/// Whether the lease's key works.
fn works(mount: &TestMount, lease: &Lease) -> bool {
    let (id, secret) = (lease.text("access_key"), lease.text("secret_key"));
    mount.aws().identify(id, secret, None).is_some()
}

impl TestMount {
    /// So many minutes pass, with the host's timer in each.
    async fn pass(&self, minutes: u32) {
        for _ in 0..minutes {
            self.clock().advance(MINUTE);
            self.roll_back().await.unwrap();
        }
    }

    fn record(&self, lease: &Lease) -> Value {
        let key = format!("issued/{}", lease.text("username"));
        serde_json::from_str(&self.storage().text(&key).unwrap()).unwrap()
    }

    /// Another engine serves the mount, after ours was closed in order, and then ours again.
    async fn hand_over_and_back(&mut self, for_so_long: Duration) {
        let storage = self.request(Operation::Read, "", json!({})).storage;
        self.backend().cleanup(storage).await;
        self.clock().advance(for_so_long);
        self.restart().await;
    }
}

#[tokio::test]
async fn the_register_says_who_has_which_key_and_holds_no_secret() {
    let mount = mount().await;
    let mut request: Request = mount.request(Operation::Read, "creds/x", json!({}));
    request.entity_id = "entity-1".to_owned();
    let response = mount.backend().handle_request(request).await.unwrap();
    let lease = mount.lease("creds/x", response.unwrap());

    let record = mount.record(&lease);

    let user = mount.aws().user(lease.text("username")).unwrap();
    let now = mount.clock().now().unix_timestamp();
    for (key, expected) in [
        ("access_key_id", json!(lease.text("access_key"))),
        ("user_id", json!(user.user_id)),
        ("account", json!("111122223333")),
        ("role", json!("x")),
        ("display_name", json!("token-alice")),
        ("entity_id", json!("entity-1")),
        ("issued_at", json!(now)),
        ("expires_at", json!(now + 3600)),
    ] {
        assert_eq!(record[key], expected, "{key}");
    }
    assert!(!record.to_string().contains(lease.text("secret_key")));
}

#[tokio::test]
async fn a_user_leaves_the_register_with_its_lease() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    assert_eq!(mount.issued(), [lease.text("username")]);

    mount.revoke(&lease).await.unwrap();

    mount.assert_nothing_left();
}

#[tokio::test]
async fn a_user_whose_lease_the_host_never_got_is_gone_when_the_lease_would_be_over() {
    for dies in [false, true] {
        let mut mount = mount().await;
        let lost = mount.generate("creds/x").await;
        if dies {
            mount.restart().await;
        }

        mount.pass(61).await;
        assert!(works(&mount, &lost), "a renewal may be on its way");
        mount.pass(2).await;

        mount.assert_nothing_left();
        assert!(mount.log().contains("neither renewed nor revoked"));
    }
}

#[tokio::test]
async fn a_lease_that_is_renewed_lives_on() {
    let mut mount = mount().await;
    let renewed = mount.generate("creds/x").await;
    let lost = mount.generate("creds/x").await;
    for _ in 0..5 {
        mount.pass(50).await;
        mount.renew(&renewed).await.unwrap();
        mount.restart().await;
    }

    assert!(works(&mount, &renewed));
    assert!(!works(&mount, &lost));
    mount.pass(63).await;
    mount.assert_nothing_left();
}

#[tokio::test]
async fn a_longer_renewal_that_the_client_asked_for_counts() {
    let mount = mount().await;
    let mut lease = mount.generate("creds/x").await;
    lease.secret.lease.increment = 10 * HOUR;
    mount.renew(&lease).await.unwrap();

    mount.pass(9 * 60).await;

    assert!(works(&mount, &lease));
}

#[tokio::test]
async fn a_renewal_that_cannot_be_noted_down_is_refused() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount.storage().fail(StorageFault::Put, "issued/");

    mount.renew(&lease).await.unwrap_err();
}

#[tokio::test]
async fn a_lease_without_a_time_of_its_own_has_the_mounts_default() {
    let mount = TestMount::configured().await;
    mount
        .write("roles/x", json!({"credential_type": "iam_user"}))
        .await;
    let default = mount.system().default_lease_ttl;
    let lease = mount.generate("creds/x").await;

    let lifetime =
        mount.record(&lease)["expires_at"].as_i64().unwrap() - mount.clock().now().unix_timestamp();

    assert_eq!(lifetime, i64::try_from(default.as_secs()).unwrap());
}

#[tokio::test]
async fn what_another_engine_renewed_meanwhile_is_not_harmed() {
    for away in [Duration::ZERO, 5 * MINUTE, 3 * HOUR] {
        let mut mount = mount().await;
        let renewed_elsewhere = mount.generate("creds/x").await;
        mount.pass(10).await;
        mount.hand_over_and_back(away).await;

        mount.pass(5 * 60).await;
        assert!(works(&mount, &renewed_elsewhere), "{away:?}");
        let lost = mount.generate("creds/x").await;
        mount.pass(63).await;
        assert!(
            !works(&mount, &lost),
            "what is issued since has its own time"
        );
        assert!(works(&mount, &renewed_elsewhere));

        // The longest lease of the mount.
        mount.clock().advance(mount.system().max_lease_ttl);
        mount.pass(3).await;
        mount.assert_nothing_left();
    }
}

#[tokio::test]
async fn a_mount_that_nobody_looked_after_for_long_is_not_trusted_either() {
    let mut mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount.pass(3).await;
    // It died, and something else served the mount.
    mount.clock().advance(2 * HOUR);
    mount.restart().await;

    mount.pass(30).await;

    assert!(works(&mount, &lease));
}

#[tokio::test]
async fn a_clock_that_is_set_forward_harms_nobody() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount.pass(2).await;

    mount.clock().set_by(time::Duration::days(3650));
    mount.pass(30).await;
    assert!(works(&mount, &lease));
    mount.clock().set_by(-time::Duration::days(3650));
    mount.pass(30).await;

    assert!(works(&mount, &lease));
    mount.clock().advance(mount.system().max_lease_ttl);
    mount.pass(3).await;
    mount.assert_nothing_left();
}

#[tokio::test]
async fn a_record_of_an_old_snapshot_harms_no_user_of_the_same_name() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    let name = lease.text("username").to_owned();
    let record = mount.storage().text(&format!("issued/{name}")).unwrap();
    mount.revoke(&lease).await.unwrap();
    mount.aws().add_user(&name);
    mount.storage().set_text(&format!("issued/{name}"), &record);

    mount.pass(63).await;

    assert!(mount.aws().user(&name).is_some(), "somebody else's");
    assert_eq!(mount.issued(), [""; 0]);
}

#[tokio::test]
async fn a_user_of_another_account_is_neither_touched_nor_forgotten() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    let name = lease.text("username").to_owned();
    let key = format!("issued/{name}");
    let record = mount.storage().text(&key).unwrap();
    let elsewhere = record.replace("111122223333", "999988887777");
    mount.storage().set_text(&key, &elsewhere);
    mount.clock().advance(63 * MINUTE);

    let error = mount.roll_back().await.unwrap_err().to_string();

    assert!(error.contains("999988887777"), "{error}");
    assert!(works(&mount, &lease));
    assert_eq!(mount.issued(), [name]);
    mount.storage().set_text(&key, &record);
    mount.clock().advance(2 * MINUTE);
    mount.roll_back().await.unwrap();
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_removed_is_tried_again() {
    let mount = mount().await;
    mount.generate("creds/x").await;
    mount.clock().advance(63 * MINUTE);
    mount.aws().deny("iam:DeleteUser");
    let error = mount.roll_back().await.unwrap_err().to_string();
    assert!(error.contains("grant iam:DeleteUser"), "{error}");
    mount.aws().heal();

    mount.pass(1).await;

    mount.assert_nothing_left();
}

#[tokio::test]
async fn a_standby_removes_nobody() {
    let mut mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount
        .restart_on(crate::logical::testing::StaticSystemView {
            replication_state: crate::logical::ReplicationState(1 << 14),
            ..Default::default()
        })
        .await;

    mount.pass(90).await;

    assert!(works(&mount, &lease));
}

#[tokio::test]
async fn many_are_read_a_bounded_number_a_tick_and_all_within_a_round() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    let record = mount
        .storage()
        .text(&format!("issued/{}", lease.text("username")))
        .unwrap();
    for number in 0..5000 {
        mount
            .storage()
            .set_text(&format!("issued/nobody-{number}"), &record);
    }
    mount.storage().take_calls();

    for _ in 0..3 {
        mount.pass(1).await;
        let calls = mount.storage().take_calls();
        let reads = calls.iter().filter(|call| call.starts_with("get issued/"));
        assert!(reads.count() <= 2001);
    }
    mount.pass(1).await;
    assert!(
        mount.storage().take_calls().len() < 10,
        "all were read once"
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_leaves_no_user_wherever_it_does() {
    const CALLS: usize = 3;
    for at in 0..CALLS {
        let mount = mount().await;
        mount
            .aws()
            .inject(FaultRule::on("*", Fault::HeldBefore).skipping(at).times(1));
        let request = mount.request(Operation::Read, "creds/x", json!({}));
        let line = request.caller.line();
        let backend = mount.backend();

        let (answer, ()) = tokio::join!(backend.handle_request(request), async {
            while mount.aws().calls().len() <= at {
                tokio::task::yield_now().await;
            }
            drop(line);
            mount.aws().heal();
        });

        assert!(answer.is_err(), "{at}");
        mount.assert_nothing_left();
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_gone_before_the_first_call_costs_none() {
    let mount = mount().await;
    mount.generate("creds/x").await;
    mount.aws().forget_calls();
    let request = mount.request(Operation::Read, "creds/x", json!({}));
    drop(request.caller.line());

    mount.backend().handle_request(request).await.unwrap_err();

    assert_eq!(mount.aws().operations(), [""; 0]);
    assert_eq!(mount.wal(), [""; 0]);
}

/// What the server side does with a lease that nobody read.
async fn abandon(mount: &TestMount, lease: &Lease) -> Result<(), crate::logical::Error> {
    let mut request = mount.request(Operation::Revoke, &lease.path, json!({}));
    request.secret = Some(lease.secret.clone());
    mount.backend().abandon(request).await
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_lease_whose_user_cannot_be_removed_is_in_the_wal_for_the_next_life() {
    let mut mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount.aws().deny("iam:DeleteAccessKey");

    abandon(&mount, &lease).await.unwrap_err();

    assert_eq!(mount.wal().len(), 1);
    mount.aws().heal();
    mount.restart().await;
    mount.pass(1).await;
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_lease_is_revoked_at_once() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;

    abandon(&mount, &lease).await.unwrap();

    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_process_left_half_made_is_gone_with_the_first_tick_of_the_next() {
    for calls in 0..3 {
        for at in [Fault::HeldBefore, Fault::HeldAfter] {
            let mut mount = mount().await;
            mount.aws().die_after(calls, at);
            let issue = mount.send(Operation::Read, "creds/x", json!({}));
            assert!(mount.unless_dead(issue).await.is_none());
            mount.aws().heal();
            mount.restart().await;

            mount.pass(1).await;

            assert_eq!(mount.aws().iam_users().len(), 0, "{calls} {at:?}");
            mount.pass(5).await;
            mount.assert_nothing_left();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_of_whom_only_the_entry_was_settled_when_the_process_died_goes_with_the_leases_time()
{
    let mut mount = mount().await;
    // The last call of all: then the entry is deleted and the record stored, both at once.
    mount.aws().die_after(2, Fault::HeldAfter);
    let issue = mount.send(Operation::Read, "creds/x", json!({}));
    assert!(mount.unless_dead(issue).await.is_none());
    mount.aws().heal();
    let storage = mount.request(Operation::Read, "", json!({})).storage;
    for entry in mount.wal() {
        storage.delete(&entry).await.unwrap();
    }
    mount.restart().await;

    mount.pass(60).await;
    assert_eq!(mount.aws().iam_users().len(), 1, "it may have a lease");
    mount.pass(5).await;

    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn however_many_were_revoked_meanwhile_they_hold_up_nobody_who_has_to_go() {
    let mount = mount().await;
    for _ in 0..150 {
        let lease = mount.generate("creds/x").await;
        mount.revoke(&lease).await.unwrap();
    }
    mount.generate("creds/x").await;
    mount.clock().advance(HOUR + 3 * MINUTE);

    mount.roll_back().await.unwrap();

    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn no_more_users_than_aws_takes_besides_go_in_one_tick() {
    let mount = mount().await;
    for _ in 0..150 {
        mount.generate("creds/x").await;
    }
    mount.clock().advance(HOUR + 3 * MINUTE);

    mount.roll_back().await.unwrap();
    assert_eq!(mount.aws().iam_users().len(), 50);

    mount.pass(1).await;
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_half_made_user_that_aws_forgets_for_a_while_is_looked_for_until_it_is_old() {
    let mut mount = mount().await;
    mount.aws().die_after(1, Fault::HeldAfter);
    let issue = mount.send(Operation::Read, "creds/x", json!({}));
    assert!(mount.unless_dead(issue).await.is_none());
    mount.aws().heal();
    mount
        .aws()
        .inject(FaultRule::on("iam:*", Fault::Code("NoSuchEntity")));
    mount.restart().await;
    mount.pass(4).await;
    mount.aws().heal();

    mount.pass(1).await;

    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_young_user_that_aws_forgets_for_longer_than_anybody_waits_is_revoked_all_the_same() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount
        .aws()
        .inject(FaultRule::on("iam:*", Fault::Code("NoSuchEntity")));
    mount.revoke(&lease).await.unwrap();
    assert_eq!(mount.wal().len(), 1);
    mount.aws().heal();

    mount.pass(1).await;

    assert!(!works(&mount, &lease));
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_the_host_could_not_keep_is_revoked_without_its_time_and_its_user_goes_all_the_same()
 {
    for in_register in [true, false] {
        let mount = mount().await;
        let mut lease = mount.generate("creds/x").await;
        lease.secret.lease.issue_time = None;
        if !in_register {
            let key = format!("issued/{}", lease.text("username"));
            let storage = mount.request(Operation::Read, "", json!({})).storage;
            storage.delete(&key).await.unwrap();
        }
        mount
            .aws()
            .inject(FaultRule::on("iam:*", Fault::Code("NoSuchEntity")));
        mount.revoke(&lease).await.unwrap();
        mount.aws().heal();

        mount.pass(1).await;

        assert!(!works(&mount, &lease));
        mount.assert_nothing_left();
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_far_off_hides_no_half_made_user() {
    for off in [10, 15, -10, -15] {
        let mut mount = mount().await;
        mount.aws().die_after(1, Fault::HeldAfter);
        let issue = mount.send(Operation::Read, "creds/x", json!({}));
        assert!(mount.unless_dead(issue).await.is_none());
        mount.aws().heal();
        let name = mount.aws().iam_users()[0].user_name.clone();
        let created = mount.clock().now() + time::Duration::minutes(off);
        mount
            .aws()
            .change_user(name.as_str(), |user| user.create_date = created);
        mount.restart().await;

        mount.pass(1).await;

        mount.assert_nothing_left();
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_under_a_name_that_another_lease_has_harms_that_lease_not() {
    let mut mount = mount().await;
    mount
        .write(
            "config/root",
            json!({"username_template": "{{ .PolicyName }}"}),
        )
        .await;
    let living = mount.generate("creds/x").await;
    let entry = json!({
        "type": "user",
        "data": {"UserName": "x", "making": "another"},
        "created_at": mount.clock().now().unix_timestamp(),
        "life": "ended",
    });
    mount.storage().set_text("wal/1", &entry.to_string());
    mount.restart().await;

    mount.pass(1).await;

    assert!(works(&mount, &living));
    assert_eq!(mount.wal(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_revocation_harms_no_later_user_of_the_same_name() {
    let mount = mount().await;
    mount
        .write(
            "config/root",
            json!({"username_template": "{{ .PolicyName }}"}),
        )
        .await;
    let first = mount.generate("creds/x").await;
    mount.revoke(&first).await.unwrap();
    let second = mount.generate("creds/x").await;

    mount.revoke(&first).await.unwrap();

    assert!(works(&mount, &second));
}
