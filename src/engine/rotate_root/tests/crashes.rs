//! Cut off at any point, a rotation leaves one key, and it is the stored one.

use std::time::Duration;

use super::{CALLS, assert_sound, configured, keys, land, rotate, stored_key, written};
use crate::aws::fake::{FakeAws, Fault, FaultRule};
use crate::logical::testing::StorageFault;
use crate::logical::{Error, READ_ONLY_STORAGE};

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_during_a_rotation_leaves_one_key_which_is_the_stored_one() {
    for at in [Fault::HeldBefore, Fault::HeldAfter] {
        for answered in 0..CALLS {
            let mut mount = configured().await;
            mount.aws().die_after(answered, at);

            let rotated = mount.unless_dead(rotate(&mount)).await;

            let circumstances = format!("{at:?} after {answered} calls");
            assert!(rotated.is_none(), "{circumstances}");
            mount.recover().await;
            assert_sound(&mount, &circumstances).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_ends_what_one_before_it_left_and_goes_on() {
    for at in [Fault::HeldBefore, Fault::HeldAfter] {
        for answered in 0..CALLS {
            let mut mount = configured().await;
            mount.aws().die_after(answered, at);
            assert!(mount.unless_dead(rotate(&mount)).await.is_none());
            mount.aws().heal();
            mount.restart().await;
            let before = stored_key(&mount).await;

            let circumstances = format!("{at:?} after {answered} calls");
            rotate(&mount).await.expect(&circumstances);

            assert_ne!(stored_key(&mount).await, before, "{circumstances}");
            assert_eq!(keys(&mount), [stored_key(&mount).await], "{circumstances}");
            mount.recover().await;
            assert_sound(&mount, &circumstances).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_ended_leaves_no_room_and_is_left_to_rollback() {
    let mut mount = configured().await;
    mount.aws().die_after(CALLS - 1, Fault::HeldBefore);
    assert!(mount.unless_dead(rotate(&mount)).await.is_none());
    mount.aws().heal();
    mount.restart().await;
    mount
        .aws()
        .inject(FaultRule::on("iam:DeleteAccessKey", Fault::Denied).times(1));

    let error = rotate(&mount).await.unwrap_err().to_string();

    assert!(error.contains("no further access key"), "{error}");
    mount.recover().await;
    assert_sound(&mount, "after a refused end").await;
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_dies_is_done_again() {
    for died_in_rotation in [3, CALLS - 1] {
        for answered in 0..2 {
            let mut mount = configured().await;
            mount.aws().die_after(died_in_rotation, Fault::HeldBefore);
            let rotated = mount.unless_dead(rotate(&mount)).await;
            assert!(rotated.is_none());
            mount.aws().heal();
            mount.restart().await;
            mount.clock().advance(Duration::from_mins(6));
            mount.aws().die_after(answered, Fault::HeldAfter);
            let _ = mount.unless_dead(mount.roll_back()).await;

            mount.recover().await;

            assert_sound(&mount, "after two deaths").await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_new_key_goes_when_the_log_of_unfinished_work_cannot_be_written() {
    let mount = configured().await;
    let before = keys(&mount);
    mount.storage().fail(StorageFault::Put, "wal/");
    mount.aws().forget_calls();
    let error = rotate(&mount).await.unwrap_err();
    assert_eq!(error.to_string(), "storage told to fail: Put");
    assert!(mount.aws().calls_of("iam:CreateAccessKey").is_empty());
    mount.storage().heal();

    // The second entry, the one with the new key's id.
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateAccessKey", Fault::HeldAfter).times(1));
    let (error, ()) = tokio::join!(rotate(&mount), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        mount.storage().fail(StorageFault::Put, "wal/");
        mount.aws().heal();
    });

    assert_eq!(error.unwrap_err().to_string(), "storage told to fail: Put");
    mount.storage().heal();
    assert_eq!(keys(&mount), before);
    assert_sound(&mount, "after a WAL that cannot be written").await;
}

#[tokio::test(start_paused = true)]
async fn when_the_new_key_may_have_been_stored_rollback_sees_which_one_goes() {
    for stored_all_the_same in [false, true] {
        let mut mount = configured().await;
        mount.storage().fail(StorageFault::Put, "config/root");

        let error = rotate(&mount).await.unwrap_err();

        assert_eq!(
            error.to_string(),
            "error saving new config/root, so the access key that is not stored is deleted in some minutes: storage told to fail: Put"
        );
        assert_eq!(keys(&mount).len(), 2);
        if stored_all_the_same {
            land(&mount, &keys(&mount)[1]);
        }
        // Either key works until then.
        mount.storage().heal();
        let lease = mount.generate("creds/bare").await;
        mount.revoke(&lease).await.unwrap();

        mount.recover().await;
        assert_sound(&mount, "after a storage in doubt").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_lost_its_right_to_write_deletes_the_new_key_and_has_the_host_forward() {
    let mount = configured().await;
    let before = keys(&mount);
    mount.storage().fail(StorageFault::ReadOnly, "config/root");

    let error = rotate(&mount).await.unwrap_err();

    assert!(
        matches!(&error, Error::ReadOnly(text) if text == READ_ONLY_STORAGE),
        "{error:?}"
    );
    assert_eq!(keys(&mount), before);
}

#[tokio::test(start_paused = true)]
async fn an_entry_that_cannot_be_deleted_does_not_spoil_a_rotation() {
    let mut mount = configured().await;
    mount.storage().fail(StorageFault::Delete, "wal/");

    rotate(&mount).await.unwrap();

    assert_eq!(mount.wal().len(), 2);
    mount.recover().await;
    assert_sound(&mount, "after leftover entries").await;
}

#[tokio::test(start_paused = true)]
async fn an_old_key_that_cannot_be_deleted_is_a_warning_and_tried_again() {
    let mut mount = configured().await;
    let old = stored_key(&mount).await;
    mount.aws().deny("iam:DeleteAccessKey");

    let response = rotate(&mount).await.unwrap();

    let [warning] = response.warnings.try_into().unwrap();
    assert!(
        warning.starts_with(&format!(
            "the new access key is stored and in use, but the old one, {old}, could not be deleted and still works: AccessDenied: "
        )),
        "{warning}"
    );
    assert!(warning.contains("iam:DeleteAccessKey"), "{warning}");
    assert!(
        warning.ends_with("; this is tried again in some minutes"),
        "{warning}"
    );
    mount.clock().advance(Duration::from_mins(6));
    let text = mount.roll_back().await.unwrap_err().to_string();
    assert!(
        text.contains("error rolling back \"root_rotation\" entry: "),
        "{text}"
    );
    assert!(text.contains(&old), "{text}");
    mount.recover().await;
    assert_sound(&mount, "after the permission was granted").await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_create_access_key_leaves_no_key() {
    let mut mount = configured().await;
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateAccessKey", Fault::AnswerLost));

    let error = rotate(&mount).await.unwrap_err();

    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    assert!(
        error.to_string().starts_with(
            "error calling CreateAccessKey, and if AWS made a key all the same, it is deleted in some minutes: "
        ),
        "{error}"
    );
    assert_eq!(keys(&mount).len(), 2);
    mount.recover().await;
    assert_sound(&mount, "after a lost answer").await;
}

#[tokio::test(start_paused = true)]
async fn the_next_rotation_ends_at_once_what_a_failed_one_left() {
    let mut mount = configured().await;
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateAccessKey", Fault::AnswerLost).times(1));
    rotate(&mount).await.unwrap_err();
    assert_eq!(keys(&mount).len(), 2);

    rotate(&mount).await.unwrap();

    assert_eq!(keys(&mount), [stored_key(&mount).await]);
    mount.recover().await;
    assert_sound(&mount, "after a rotation that failed and one that did not").await;
}

#[tokio::test(start_paused = true)]
async fn rollback_never_takes_a_key_that_was_there_before() {
    for minutes in [0, 1, 60] {
        let mut mount = configured().await;
        let mine = mount.aws().add_access_key(FakeAws::ADMIN);
        mount.clock().advance(Duration::from_mins(minutes));
        mount
            .aws()
            .inject(FaultRule::on("iam:CreateAccessKey", Fault::AnswerLost));
        rotate(&mount).await.unwrap_err();
        assert_eq!(mount.wal().len(), 1);

        mount.recover().await;

        assert!(keys(&mount).contains(&mine.access_key_id.to_string()));
        assert_eq!(mount.wal(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_an_operator_wrote_meanwhile_is_left_alone_and_the_one_before_is_named() {
    let mut mount = configured().await;
    mount.aws().die_after(4, Fault::HeldBefore);
    assert!(mount.unless_dead(rotate(&mount)).await.is_none());
    mount.aws().heal();
    mount.restart().await;
    let old = stored_key(&mount).await;
    let [_, new] = keys(&mount).try_into().unwrap();
    mount.aws().change_user(FakeAws::ADMIN, |user| {
        // AWS takes no third one.
        user.access_keys
            .retain(|key| key.access_key_id.as_str() != new);
    });
    let other = mount.aws().add_access_key(FakeAws::ADMIN);
    mount.write("config/root", written(&other)).await;

    mount.recover().await;

    let other = other.access_key_id.to_string();
    assert_eq!(stored_key(&mount).await, other);
    assert_eq!(keys(&mount), [old.clone(), other]);
    assert_eq!(mount.wal(), Vec::<String>::new());
    let log = mount.log();
    assert!(
        log.contains("root rotation was cut off and config/root has another access key since"),
        "{log}"
    );
    assert!(log.contains(&format!("old_access_key={old}")), "{log}");
}
