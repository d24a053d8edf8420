//! Static roles: IAM users that exist already, whose access keys the engine rotates.
//!
//! Periods are a minute at least and the host looks once a minute, so a test makes a role due by
//! changing what is stored, and has the plugin read it anew.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::aws::{ADMINISTRATOR_ACCESS, Aws, KeyPair};
use crate::fixture::{A_ROLLBACK, Fixture, SOON, fixture};
use crate::host::{strings, text};
use crate::process::{kill, wait_for};

/// A new IAM user with a static role of the same name, that rotates once a day.
fn take_over(fixture: &Fixture) -> String {
    let user = fixture.aws.unique("service");
    fixture.aws.person(&user);
    fixture
        .host
        .write(
            &format!("aws/static-roles/{user}"),
            &json!({ "username": user, "rotation_period": "24h" }),
        )
        .succeeded();
    user
}

fn credentials(fixture: &Fixture, role: &str) -> Value {
    let path = format!("aws/static-creds/{role}");
    fixture.host.read(&path).succeeded()
}

fn key(credentials: &Value) -> KeyPair {
    KeyPair {
        access_key: text(&credentials["access_key"]),
        secret_key: text(&credentials["secret_key"]),
        session_token: None,
    }
}

fn rotate(fixture: &Fixture, role: &str) -> KeyPair {
    fixture
        .host
        .write(&format!("aws/static-roles/{role}/rotate"), &json!({}))
        .succeeded();
    key(&credentials(fixture, role))
}

fn time(value: &Value) -> OffsetDateTime {
    OffsetDateTime::parse(&text(value), &Rfc3339).expect("a time")
}

/// Makes a role due. The plugin learns of it when it begins anew.
fn make_due(fixture: &Fixture, role: &str) {
    let path = format!("static-creds/{role}");
    let mut stored = fixture.host.stored("aws", &path);
    stored["expiration"] = json!("2026-01-02T03:04:05Z");
    fixture.host.store("aws", &path, &stored);
}

/// Waits until the host's timer has replaced `before`.
fn wait_for_another_key(fixture: &Fixture, role: &str, before: &KeyPair) -> KeyPair {
    wait_for("the host's timer to rotate", A_ROLLBACK, || {
        let now = key(&credentials(fixture, role));
        (now.access_key != before.access_key).then_some(now)
    })
}

#[test]
fn a_user_is_taken_over_with_a_new_key_that_everybody_reads() {
    let fixture = fixture!(configured);

    let user = take_over(&fixture);

    let role = fixture
        .host
        .read(&format!("aws/static-roles/{user}"))
        .succeeded();
    assert_eq!(role["name"], json!(user));
    assert_eq!(role["username"], json!(user));
    assert_eq!(role["rotation_period"], 24 * 3600);
    let listed = fixture.host.list("aws/static-roles").succeeded();
    assert_eq!(listed["keys"], json!([user]));

    let credentials = credentials(&fixture, &user);
    let key = key(&credentials);
    assert_eq!(
        fixture.aws.keys_of(&user),
        BTreeSet::from([key.access_key.clone()])
    );
    assert!(key.identity().expect("AWS knows the key").ends_with(&user));
    let lifetime = time(&credentials["expiration"]) - time(&credentials["last_vault_rotation"]);
    assert_eq!(lifetime, Duration::from_hours(24));
    let ttl = credentials["ttl"].as_i64().expect("seconds");
    assert!((24 * 3600 - 120..=24 * 3600).contains(&ttl), "{ttl}");
    let read = fixture.host.read(&format!("aws/static-creds/{user}"));
    assert_eq!(read.body()["lease_id"], "", "it is nobody's own");
}

#[test]
fn what_cannot_be_taken_over_is_refused_and_not_stored() {
    let fixture = fixture!(configured);
    let user = take_over(&fixture);
    let nobody = fixture.aws.unique("nobody");
    let path = "aws/static-roles/refused";
    for (body, words) in [
        (json!({ "username": user }), "rotation_period"),
        (json!({ "rotation_period": "1h" }), "username"),
        (
            json!({ "username": user, "rotation_period": "59s" }),
            "at least 60 seconds",
        ),
        (
            json!({ "username": nobody, "rotation_period": "1h" }),
            "NoSuchEntity",
        ),
        (
            json!({ "username": user, "rotation_period": "1h" }),
            "already belongs to the static role",
        ),
        (
            json!({ "username": fixture.aws.root_user, "rotation_period": "1h" }),
            "the engine itself acts as",
        ),
    ] {
        let refusal = fixture.host.write(path, &body).refused(400);

        assert!(refusal.contains(words), "{body}: {refusal}");
        fixture.host.read(path).refused(404);
        fixture.host.read("aws/static-creds/refused").refused(404);
    }
    assert_eq!(fixture.aws.keys_of(&user).len(), 1);
}

#[test]
fn rotating_now_keeps_the_key_before_until_the_next_time() {
    let fixture = fixture!(configured);
    let user = take_over(&fixture);
    let first = key(&credentials(&fixture, &user));

    let second = rotate(&fixture, &user);

    assert_ne!(second.access_key, first.access_key);
    for key in [&first, &second] {
        assert!(key.identity().is_ok());
    }

    let third = rotate(&fixture, &user);

    assert_eq!(first.identity(), Err("InvalidClientTokenId".to_owned()));
    assert_eq!(
        fixture.aws.keys_of(&user),
        BTreeSet::from([second.access_key, third.access_key])
    );
}

#[test]
fn in_single_key_mode_the_key_before_goes_at_once() {
    let fixture = fixture!(configured);
    let user = take_over(&fixture);
    let path = format!("aws/static-roles/{user}");
    fixture
        .host
        .write(&path, &json!({ "single_key": true }))
        .succeeded();

    let rotated = rotate(&fixture, &user);

    assert_eq!(
        fixture.aws.keys_of(&user),
        BTreeSet::from([rotated.access_key])
    );
}

#[test]
fn a_user_with_two_keys_loses_one_of_them_with_a_warning() {
    let fixture = fixture!(configured);
    let user = fixture.aws.unique("crowded");
    fixture.aws.person(&user);
    let keys = [fixture.aws.add_key(&user), fixture.aws.add_key(&user)];

    let body = fixture
        .host
        .write(
            "aws/static-roles/crowded",
            &json!({ "username": user, "rotation_period": "1h" }),
        )
        .body();

    let warnings = strings(&body["warnings"]).join("\n");
    let gone: Vec<_> = keys.iter().filter(|key| key.identity().is_err()).collect();
    assert_eq!(gone.len(), 1);
    assert!(warnings.contains(&gone[0].access_key), "{warnings}");
    assert!(key(&credentials(&fixture, "crowded")).identity().is_ok());
}

#[test]
fn the_hosts_timer_replaces_a_key_that_is_due_and_no_other() {
    let fixture = fixture!(configured);
    let due = take_over(&fixture);
    let other = fixture.aws.unique("other");
    fixture.aws.person(&other);
    fixture
        .host
        .write(
            "aws/static-roles/other",
            &json!({ "username": other, "rotation_period": "24h" }),
        )
        .succeeded();
    let before = key(&credentials(&fixture, &due));
    let others = credentials(&fixture, "other");
    make_due(&fixture, &due);

    fixture.reload();

    assert_eq!(
        key(&credentials(&fixture, &due)).access_key,
        before.access_key
    );
    let after = wait_for_another_key(&fixture, &due, &before);
    assert!(after.identity().is_ok());
    assert!(before.identity().is_ok(), "it is valid until the next time");
    let left = time(&credentials(&fixture, &due)["expiration"]) - OffsetDateTime::now_utc();
    assert!(left > Duration::from_hours(23), "{left}");
    let now = credentials(&fixture, "other");
    assert_eq!(now["access_key"], others["access_key"]);
    assert_eq!(now["expiration"], others["expiration"]);
}

#[test]
fn a_host_that_was_sealed_meanwhile_rotates_what_is_due() {
    let fixture = fixture!(sealable);
    let user = take_over(&fixture);
    let before = key(&credentials(&fixture, &user));
    make_due(&fixture, &user);

    fixture.host.seal();
    assert!(before.identity().is_ok());
    fixture.host.unseal();

    assert_eq!(
        key(&credentials(&fixture, &user)).access_key,
        before.access_key
    );
    let after = wait_for_another_key(&fixture, &user, &before);
    assert!(after.identity().is_ok());
}

#[test]
fn a_rotation_that_aws_refuses_keeps_the_key_and_is_tried_again() {
    let fixture = fixture!(configured);
    let user = take_over(&fixture);
    let before = key(&credentials(&fixture, &user));
    fixture.aws.deny_root(&["iam:CreateAccessKey"]);

    let path = format!("aws/static-roles/{user}/rotate");
    let refusal = fixture.host.write(&path, &json!({})).refused(400);

    assert!(refusal.contains("iam:CreateAccessKey"), "{refusal}");
    make_due(&fixture, &user);
    fixture.reload();
    wait_for("the host's timer to try", A_ROLLBACK, || {
        fixture
            .host
            .log()
            .contains("static role not rotated")
            .then_some(())
    });
    assert_eq!(
        key(&credentials(&fixture, &user)).access_key,
        before.access_key
    );
    assert!(before.identity().is_ok());

    fixture.aws.allow_root();
    wait_for_another_key(&fixture, &user, &before);
}

#[test]
fn a_crash_during_a_rotation_leaves_no_key_that_nobody_knows() {
    let fixture = fixture!(configured);
    let user = take_over(&fixture);
    let before = key(&credentials(&fixture, &user));
    let held = fixture.proxy.on("CreateAccessKey").hold_after();

    std::thread::scope(|scope| {
        let path = format!("aws/static-roles/{user}/rotate");
        let host = &fixture.host;
        let request = scope.spawn(move || host.write(&path, &json!({})));
        held.wait();
        let processes = fixture.host.plugin_processes();
        assert_eq!(processes.len(), 1, "{processes:?}");
        kill(processes[0]);
        drop(held);
        // The host may try again by itself, so either answer is right.
        request.join().expect("the host answers");
    });
    wait_for("the engine to answer", SOON, || {
        let path = format!("aws/static-creds/{user}");
        fixture.host.read(&path).is_success().then_some(())
    });
    fixture.age_wal_entries();

    wait_for("the write-ahead log to be empty", A_ROLLBACK, || {
        let entries = fixture.host.stored_keys("aws", "wal");
        entries.is_empty().then_some(())
    });
    // The host may have tried the rotation again by itself.
    let now = key(&credentials(&fixture, &user));
    assert!(now.identity().is_ok());
    assert_eq!(
        fixture.aws.keys_of(&user),
        BTreeSet::from([before.access_key, now.access_key])
    );
}

#[test]
fn deleting_a_role_leaves_the_user_without_a_key_of_it() {
    let fixture = fixture!(configured);
    let user = take_over(&fixture);
    rotate(&fixture, &user);
    assert_eq!(fixture.aws.keys_of(&user).len(), 2);

    let path = format!("aws/static-roles/{user}");
    fixture.host.delete(&path).succeeded();

    assert!(fixture.aws.has_user(&user));
    assert_eq!(fixture.aws.keys_of(&user), BTreeSet::new());
    fixture.host.read(&path).refused(404);
    let creds = format!("aws/static-creds/{user}");
    fixture.host.read(&creds).refused(404);
    assert_eq!(fixture.host.stored_keys("aws", "static-creds"), [""; 0]);
    assert_eq!(fixture.host.stored_keys("aws", "static-roles"), [""; 0]);
}

#[test]
fn a_role_whose_key_may_not_be_deleted_stays_until_it_may() {
    let fixture = fixture!(configured);
    let user = take_over(&fixture);
    fixture.aws.deny_root(&["iam:DeleteAccessKey"]);

    let path = format!("aws/static-roles/{user}");
    let refusal = fixture.host.delete(&path).refused(400);

    assert!(refusal.contains("iam:DeleteAccessKey"), "{refusal}");
    fixture.host.read(&path).succeeded();
    assert!(key(&credentials(&fixture, &user)).identity().is_ok());

    fixture.aws.allow_root();
    fixture.host.delete(&path).succeeded();
    assert_eq!(fixture.aws.keys_of(&user), BTreeSet::new());
}

#[test]
fn a_user_of_another_account_is_reached_by_a_role_there() {
    let fixture = fixture!(configured);
    let abroad = Aws::abroad();
    let user = abroad.unique("service");
    abroad.person(&user);
    let name = abroad.unique("rotator");
    // moto asks no trust policy of another account.
    let arn = abroad.assumable_role(&name, &user, ADMINISTRATOR_ACCESS);
    assert!(!arn.contains(fixture.aws.account()), "{arn}");

    fixture
        .host
        .write(
            "aws/static-roles/abroad",
            &json!({
                "username": user,
                "rotation_period": "24h",
                "assume_role_arn": arn,
                "assume_role_session_name": "rotation",
                "external_id": "from-outside",
            }),
        )
        .succeeded();

    let first = key(&credentials(&fixture, "abroad"));
    let owner = first.identity().expect("AWS knows the key");
    assert!(owner.contains(abroad.account()), "{owner}");
    let assumed = fixture.proxy.calls_of("AssumeRole").remove(0).parameters;
    assert_eq!(assumed["RoleArn"], arn);
    assert_eq!(assumed["RoleSessionName"], "rotation");
    assert_eq!(assumed["ExternalId"], "from-outside");
    let second = rotate(&fixture, "abroad");
    assert_eq!(
        abroad.keys_of(&user),
        BTreeSet::from([first.access_key, second.access_key])
    );

    fixture.host.delete("aws/static-roles/abroad").succeeded();
    assert_eq!(abroad.keys_of(&user), BTreeSet::new());
}
