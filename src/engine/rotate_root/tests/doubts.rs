//! What is in doubt is settled by what is stored, whenever and however it came there.

use std::time::Duration;

use super::{assert_sound, configured, keys, land, rotate, stored_key, written};
use crate::aws::fake::{FakeAws, Fault, FaultRule};
use crate::engine::testing::TestMount;
use crate::logical::testing::StorageFault;

async fn tick_in_six_minutes(mount: &TestMount) {
    mount.clock().advance(Duration::from_mins(6));
    mount.roll_back().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_put_that_lands_later_leaves_a_mount_that_works_on() {
    for looked_meanwhile in [false, true] {
        let mount = configured().await;
        mount.storage().fail(StorageFault::Put, "config/root");
        rotate(&mount).await.unwrap_err();
        mount.storage().heal();
        let lease = if looked_meanwhile {
            // Clients of the old key are in memory now.
            Some(mount.generate("creds/bare").await)
        } else {
            None
        };
        land(&mount, &keys(&mount)[1]);

        tick_in_six_minutes(&mount).await;

        if let Some(lease) = lease {
            mount.revoke(&lease).await.unwrap();
        }
        assert_sound(&mount, "after a put that landed later").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_put_that_never_lands_cannot_do_so_any_more_when_its_key_is_deleted() {
    let mount = configured().await;
    mount.storage().fail(StorageFault::Put, "config/root");
    rotate(&mount).await.unwrap_err();
    mount.storage().heal();
    mount.storage().take_calls();
    mount.aws().forget_calls();

    tick_in_six_minutes(&mount).await;

    // Hosts put in order, so this one is the last.
    let calls = mount.storage().take_calls();
    assert!(calls.contains(&"put config/root".to_owned()), "{calls:?}");
    assert_sound(&mount, "after a put that never landed").await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_replaced_unheard_of_costs_one_request() {
    let mount = configured().await;
    mount.generate("creds/bare").await;
    let old = stored_key(&mount).await;
    let new = mount.aws().add_access_key(FakeAws::ADMIN);
    land(&mount, new.access_key_id.as_str());
    mount.aws().change_user(FakeAws::ADMIN, |user| {
        user.access_keys
            .retain(|key| key.access_key_id.as_str() != old);
    });

    let error = mount.read_error("creds/bare").await.to_string();
    assert!(error.contains("InvalidClientTokenId"), "{error}");

    mount.generate("creds/bare").await;
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_that_are_the_stored_ones_stay_in_use() {
    let mount = configured().await;
    mount.generate("creds/bare").await;
    let connections = mount.aws().connections();
    mount
        .aws()
        .fail_next("iam:CreateUser", 1, "InvalidClientTokenId");
    mount.read_error("creds/bare").await;
    mount.storage().take_calls();

    mount.generate("creds/bare").await;
    mount.generate("creds/bare").await;

    let calls = mount.storage().take_calls();
    let looks = calls.iter().filter(|call| *call == "get config/root");
    assert_eq!(looks.count(), 1, "{calls:?}");
    assert_eq!(mount.aws().connections(), connections);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_leaves_no_key_whatever_the_clock_says() {
    for minutes in [-70, -16, -10, 10, 16, 70] {
        let mut mount = configured().await;
        let lost = FaultRule::on("iam:CreateAccessKey", Fault::AnswerLost);
        mount.aws().inject(lost);
        rotate(&mount).await.unwrap_err();
        mount.aws().change_user(FakeAws::ADMIN, |user| {
            user.access_keys[1].create_date += time::Duration::minutes(minutes);
        });

        mount.recover().await;

        assert_sound(&mount, &format!("AWS {minutes} min ahead")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_goes_with_its_key_also_when_an_operator_wrote_another_key() {
    let mut mount = configured().await;
    let old = stored_key(&mount).await;
    let lost = FaultRule::on("iam:CreateAccessKey", Fault::AnswerLost);
    mount.aws().inject(lost);
    rotate(&mount).await.unwrap_err();
    mount.aws().heal();
    mount.aws().change_user(FakeAws::ADMIN, |user| {
        user.access_keys
            .retain(|key| key.access_key_id.as_str() != old);
    });
    mount.clock().advance(Duration::from_mins(1));
    let other = mount.aws().add_access_key(FakeAws::ADMIN);
    mount.write("config/root", written(&other)).await;

    mount.recover().await;

    assert_sound(&mount, "after a key of the operator's own").await;
}

#[tokio::test(start_paused = true)]
async fn a_new_key_that_some_of_aws_does_not_know_yet_is_not_taken_for_deleted() {
    let mut mount = configured().await;
    mount
        .aws()
        .inject(FaultRule::on("iam:GetUser", Fault::Code("AccessDenied")).skipping(1));
    mount
        .aws()
        .fail_next("iam:DeleteAccessKey", 1, "NoSuchEntity");
    rotate(&mount).await.unwrap_err();
    assert_eq!(keys(&mount).len(), 2);

    mount.recover().await;

    assert_sound(&mount, "after a key that AWS did not know").await;
}
