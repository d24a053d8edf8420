use std::collections::BTreeSet;

use super::*;
use crate::clock::Clock as _;
use crate::logical::testing::StorageFault;

#[tokio::test]
async fn a_key_is_published_for_weeks_before_it_signs_and_for_an_hour_after() {
    let mount = keyless().await;
    let [first, second] = <[String; 2]>::try_from(ids(&published(&mount).await)).unwrap();
    assert_works(&mount).await;
    assert_eq!(last_key(&mount), first);

    tick_after(&mount, 43_199 * MINUTE).await;
    read_by_aws(&mount, &published(&mount).await);
    assert_works(&mount).await;
    assert_eq!(last_key(&mount), first);

    // Nothing is written for that: the time has come.
    mount.clock().advance(HOUR);
    assert_works(&mount).await;
    assert_eq!(last_key(&mount), second);
    let now = ids(&published(&mount).await);
    assert_eq!(now, [first.clone(), second.clone()]);

    tick_after(&mount, MINUTE).await;
    let now = ids(&published(&mount).await);
    assert_eq!(
        now.len(),
        2,
        "the first has ended and a third is there: {now:?}"
    );
    assert_eq!(now[0], second);
}

#[tokio::test]
async fn a_token_of_a_key_that_has_just_ended_its_turn_is_verified_by_fresh_documents() {
    let mount = keyless().await;
    let first = ids(&published(&mount).await)[0].clone();
    tick_after(&mount, 30 * DAY + MINUTE).await;
    assert!(ids(&published(&mount).await).contains(&first));
    tick_after(&mount, 30 * MINUTE).await;
    assert!(ids(&published(&mount).await).contains(&first));
    tick_after(&mount, HOUR).await;
    assert!(!ids(&published(&mount).await).contains(&first));
}

#[tokio::test]
async fn documents_that_are_a_day_old_verify_every_token_of_two_years() {
    let mount = keyless().await;
    let mut yesterday = published(&mount).await;
    let mut signed = BTreeSet::new();
    for _ in 0..730 {
        read_by_aws(&mount, &yesterday);
        yesterday = published(&mount).await;
        // The session of before is over, so each time there is another token.
        tick_after(&mount, DAY).await;
        assert_works(&mount).await;
        signed.insert(last_key(&mount));
        let keys = ids(&published(&mount).await).len();
        assert!((2..=3).contains(&keys), "{keys} keys");
    }
    assert_eq!(signed.len(), 25);
}

#[tokio::test]
async fn a_mount_that_slept_for_a_year_wakes_with_a_key_that_was_published() {
    let mut mount = keyless().await;
    let before = published(&mount).await;
    mount.clock().advance(365 * DAY);
    mount.restart().await;
    read_by_aws(&mount, &before);
    assert_works(&mount).await;
    mount.roll_back().await.unwrap();
    read_by_aws(&mount, &published(&mount).await);
    assert_works(&mount).await;
    assert_eq!(ids(&published(&mount).await).len(), 2);
}

#[tokio::test]
async fn a_storage_that_fails_puts_off_the_next_key_and_breaks_nothing() {
    let mount = keyless().await;
    let before = published(&mount).await;
    mount.storage().fail(StorageFault::Put, "identity-keys/");
    mount.clock().advance(31 * DAY);
    mount.roll_back().await.unwrap_err();
    read_by_aws(&mount, &before);
    assert_works(&mount).await;
    mount.storage().heal();
    tick_after(&mount, MINUTE).await;
    let keys = ids(&published(&mount).await);
    assert!(keys.contains(&last_key(&mount)), "{keys:?}");
    // The next one has its weeks, however late it came.
    let next = mount.read("config/root").await["next_vault_rotation"].clone();
    let last = mount.read("config/root").await["last_vault_rotation"].clone();
    assert_ne!(next, last);
    read_by_aws(&mount, &published(&mount).await);
    tick_after(&mount, 3 * DAY).await;
    assert_works(&mount).await;
}

#[tokio::test]
async fn a_clock_that_is_set_wrong_and_right_again_breaks_nothing() {
    let mount = keyless().await;
    mount.clock().set_by(time::Duration::days(45));
    mount.roll_back().await.unwrap();
    mount.clock().set_by(-time::Duration::days(45));
    read_by_aws(&mount, &published(&mount).await);
    assert_works(&mount).await;
    mount.roll_back().await.unwrap();
    assert_works(&mount).await;
}

#[tokio::test]
async fn an_algorithm_counts_at_once_on_a_new_mount_and_after_two_days_on_an_old_one() {
    let mount = trusted().await;
    let mut root = written();
    root["identity_token_algorithm"] = json!("RS256");
    assert_eq!(mount.write("config/root", root).await, [""; 0]);
    let user = json!({"credential_type": "iam_user", "policy_arns": READ_ONLY});
    mount.write("roles/user", user).await;
    read_by_aws(&mount, &published(&mount).await);
    assert_works(&mount).await;
    assert_eq!(parts(&mount.aws().identity_tokens()[0]).0["alg"], "RS256");

    let to = json!({"identity_token_algorithm": "ES256"});
    let warnings = mount.write("config/root", to).await;

    let told = format!("{warnings:?}");
    assert!(told.contains("2026-01-04T03:04:05Z"), "{told}");
    let keys = published(&mount).await;
    assert_eq!(ids(&keys).len(), 2, "the next one of RSA has given way");
    mount.clock().advance(47 * HOUR);
    read_by_aws(&mount, &keys);
    assert_works(&mount).await;
    let alg =
        |mount: &TestMount| parts(mount.aws().identity_tokens().last().unwrap()).0["alg"].clone();
    assert_eq!(alg(&mount), "RS256");
    mount.clock().advance(2 * HOUR);
    assert_works(&mount).await;
    assert_eq!(alg(&mount), "ES256");
}

#[tokio::test]
async fn a_write_whose_keys_cannot_be_stored_changes_nothing() {
    let mount = trusted().await;
    mount.storage().fail(StorageFault::Put, "identity-keys/");
    let error = mount.write_error("config/root", written()).await;
    assert!(error.to_string().contains("signing key"), "{error}");
    assert_eq!(mount.storage().keys(), [""; 0]);
}

#[tokio::test]
async fn the_hosts_timer_reads_nothing_where_nothing_is_due() {
    let mount = keyless().await;
    mount.roll_back().await.unwrap();
    mount.storage().take_calls();
    tick_after(&mount, MINUTE).await;
    assert_eq!(mount.storage().take_calls(), ["list wal/"]);
}

#[tokio::test]
async fn a_read_tells_when_the_documents_change_next() {
    let mount = keyless().await;
    let begun = mount.clock().now();
    let rfc3339 = time::format_description::well_known::Rfc3339;
    let shown = mount.read("config/root").await;
    assert_eq!(
        shown["last_vault_rotation"],
        begun.format(&rfc3339).unwrap()
    );
    assert_eq!(
        shown["next_vault_rotation"],
        (begun + 30 * DAY).format(&rfc3339).unwrap()
    );
    assert_eq!(shown["identity_token_algorithm"], "ES256");
    assert_eq!(shown["identity_token_issuer"], ISSUER);
}
