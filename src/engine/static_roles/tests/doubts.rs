//! What is in doubt is settled by what is stored, whenever it came there.

use serde_json::{Value, json};
use tokio::time::{Duration, Instant};

use super::{DAY, HOUR, ROLE, of_jane, with_app, with_jane};
use crate::aws::fake::{FakeAws, Fault, FaultRule};
use crate::clock::Clock;
use crate::engine::testing::TestMount;
use crate::logical::Operation;
use crate::logical::testing::StorageFault;
use crate::secret::ExposeSecret;

const ROTATE: &str = "static-roles/app/rotate";

/// The put of `static-creds/app` that failed lands: the user's youngest key is stored.
fn land(mount: &TestMount, key: &str) {
    let secrets = mount.aws().secrets();
    let secret = secrets
        .into_iter()
        .find(|secret| mount.aws().identify(key, secret, None).is_some());
    let mut stored = mount.stored("static-creds/app");
    stored["previous_access_key"] = stored["access_key"].clone();
    stored["access_key"] = json!(key);
    stored["secret_key"] = json!(secret.unwrap());
    mount
        .storage()
        .set_text("static-creds/app", &stored.to_string());
}

async fn ticks(mount: &TestMount) {
    for _ in 0..6 {
        mount.tick().await;
    }
}

#[tokio::test(start_paused = true)]
async fn credentials_whose_put_failed_and_lands_later_work() {
    for lands in [false, true] {
        let mount = with_app().await;
        let first = mount.working_key("app").await;
        mount.storage().fail(StorageFault::Put, "static-creds/");

        let error = mount.write_error(ROTATE, json!({})).await.to_string();

        assert!(
            error.starts_with("error saving static-creds/app, so the access key that is not stored is deleted in some minutes: "),
            "{error}"
        );
        mount.storage().heal();
        let [_, second] = mount.keys_of("jane").try_into().unwrap();
        if lands {
            land(&mount, &second);
        }
        ticks(&mount).await;

        let shown = mount.working_key("app").await;
        if lands {
            assert_eq!(shown, second);
            assert_eq!(mount.keys_of("jane"), [first, second]);
        } else {
            assert_eq!(shown, first);
            assert_eq!(mount.keys_of("jane"), [first]);
        }
        assert_eq!(mount.wal(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn before_a_key_goes_whose_put_failed_what_is_stored_is_stored_once_more() {
    for by_the_next_rotation in [false, true] {
        let mount = with_app().await;
        mount.clock().advance(DAY);
        mount.storage().fail(StorageFault::Put, "static-creds/");
        mount.roll_back().await.unwrap_err();
        mount.storage().heal();
        let [_, in_doubt] = mount.keys_of("jane").try_into().unwrap();
        mount.aws().forget_calls();
        mount.storage().take_calls();

        if by_the_next_rotation {
            mount.write(ROTATE, json!({})).await;
        } else {
            mount.aws().deny("iam:CreateAccessKey");
            for _ in 0..6 {
                mount.clock().advance(Duration::from_mins(1));
                drop(mount.roll_back().await);
            }
            mount.aws().heal();
        }

        let calls = mount.storage().take_calls();
        assert!(
            calls.contains(&"put static-creds/app".to_owned()),
            "{calls:?}"
        );
        assert!(!mount.keys_of("jane").contains(&in_doubt));
        mount.working_key("app").await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_key_goes_to_make_room_before_that_is_written_ahead() {
    let mount = with_app().await;
    mount.clock().advance(HOUR);
    mount.write(ROTATE, json!({})).await;
    let before = mount.keys_of("jane");
    assert_eq!(before.len(), 2);

    mount.storage().fail(StorageFault::Put, "wal/");
    mount.write_error(ROTATE, json!({})).await;
    assert_eq!(mount.keys_of("jane"), before);
    mount.storage().heal();

    let oldest = &before[0];
    mount
        .aws()
        .inject(FaultRule::on("iam:DeleteAccessKey", Fault::HeldBefore));
    let write = mount.unless_dead(mount.send(Operation::Update, ROTATE, json!({})));
    assert!(write.await.is_none());
    let [entry] = mount.wal().try_into().unwrap();
    let entry = mount.stored(&entry);
    assert_eq!(entry["data"]["making_room"], json!(oldest));
    assert_eq!(entry["data"]["access_keys"], json!(before));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_leaves_no_key_whatever_the_clock_says() {
    for minutes in [-70, -10, 10, 70] {
        let mount = with_app().await;
        let lost = FaultRule::on("iam:CreateAccessKey", Fault::AnswerLost);
        mount.aws().inject(lost);
        mount.write_error(ROTATE, json!({})).await;
        mount.aws().heal();
        mount.aws().change_user("jane", |user| {
            user.access_keys[1].create_date += time::Duration::minutes(minutes);
        });

        ticks(&mount).await;

        assert_eq!(mount.keys_of("jane"), [mount.working_key("app").await]);
        assert_eq!(mount.wal(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_left_in_another_account_waits_and_touches_nobody_of_that_name() {
    let mount = with_jane(0).await;
    let lost = FaultRule::on("iam:CreateAccessKey", Fault::AnswerLost);
    mount.aws().inject(lost);
    mount.write_error(ROLE, of_jane()).await;
    mount.aws().heal();
    let home = mount.storage().text("config/root").unwrap();
    let other = mount.aws().in_account("999988887777");
    let key = other.admin_key();
    let data = json!({
        "access_key": key.access_key_id.as_str(),
        "secret_key": key.secret_access_key.expose_secret(),
    });
    mount.write("config/root", data).await;
    other.add_user("jane");
    mount.clock().advance(Duration::from_mins(6));
    let theirs = other.add_access_key("jane").access_key_id;

    let error = mount.roll_back().await.unwrap_err().to_string();

    for words in [
        "IAM user jane in AWS account 111122223333",
        "write credentials of account 111122223333 to config/root",
    ] {
        assert!(error.contains(words), "{words:?} in: {error}");
    }
    assert_eq!(other.access_key_ids("jane"), [theirs]);
    assert_eq!(mount.keys_of("jane").len(), 1);
    assert_eq!(mount.wal().len(), 1);

    mount.store_elsewhere("config/root", &home).await;
    mount.roll_back().await.unwrap();
    assert_eq!(mount.keys_of("jane"), Vec::<String>::new());
    assert_eq!(mount.wal(), Vec::<String>::new());
}

/// A young key is not known by all of AWS: deleting it says that it does not exist.
fn not_known_yet(aws: &FakeAws) {
    aws.fail_next("iam:DeleteAccessKey", 1, "NoSuchEntity");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_some_of_aws_does_not_know_yet_is_not_taken_for_deleted() {
    let mount = with_app().await;
    not_known_yet(mount.aws());
    mount.delete("static-roles/app").await;
    assert_eq!(mount.keys_of("jane").len(), 1);
    ticks(&mount).await;
    assert!(mount.keys_of("jane").is_empty());
    assert_eq!(mount.wal(), Vec::<String>::new());

    let mount = with_app().await;
    mount.write(ROLE, json!({"single_key": true})).await;
    not_known_yet(mount.aws());
    mount.write(ROTATE, json!({})).await;
    assert_eq!(mount.keys_of("jane").len(), 2);
    ticks(&mount).await;
    assert_eq!(mount.keys_of("jane"), [mount.working_key("app").await]);
    assert_eq!(mount.wal(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn entries_of_older_versions_are_understood() {
    let mount = with_app().await;
    let id = mount.aws().user("jane").unwrap().user_id;
    let stored = mount.working_key("app").await;
    mount.aws().add_access_key("jane");
    let begun = mount.clock().now().unix_timestamp();
    let data = json!({
        "role": "app", "user_name": "jane", "user_id": id,
        "assume_role_arn": "", "assume_role_session_name": "", "external_id": "",
        "access_keys": [stored],
    });
    let entry: Value = json!({"type": "static_rotation", "data": data, "created_at": begun});
    mount.storage().set_text("wal/older", &entry.to_string());

    ticks(&mount).await;

    assert_eq!(mount.keys_of("jane"), [stored]);
    assert_eq!(mount.wal(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn an_aws_that_falls_silent_at_any_call_is_told_before_55_seconds() {
    for at in [Fault::HeldBefore, Fault::HeldAfter] {
        for answered in 0..7 {
            for path in ["static-roles/app", ROTATE] {
                let mut mount = match path {
                    ROTATE => with_app().await,
                    _ => with_jane(0).await,
                };
                mount.aws().die_after(answered, at);
                let start = Instant::now();

                drop(mount.send(Operation::Update, path, of_jane()).await);

                let took = start.elapsed();
                let moment = format!("{path}, {at:?} after {answered} calls");
                assert!(took < Duration::from_secs(55), "{moment}: {took:?}");
                mount.recover().await;
                assert!(mount.keys_of("jane").len() <= 2, "{moment}");
                if mount.storage().text(ROLE).is_some() {
                    mount.working_key("app").await;
                } else {
                    assert!(mount.keys_of("jane").is_empty(), "{moment}");
                }
                assert_eq!(mount.wal(), Vec::<String>::new(), "{moment}");
            }
        }
    }
}
