//! Rotations beside other requests, which never lose their key.

use std::time::Duration;

use serde_json::json;

use super::{assert_sound, configured, keys, rotate, stored_key};
use crate::aws::fake::{Fault, FaultRule};
use crate::logical::{Error, Operation};

#[tokio::test(start_paused = true)]
async fn two_rotations_at_once_follow_each_other() {
    let mount = configured().await;

    let (one, other) = tokio::join!(rotate(&mount), rotate(&mount));

    assert_ne!(one.unwrap().data, other.unwrap().data);
    assert_sound(&mount, "after two rotations at once").await;
}

#[tokio::test(start_paused = true)]
async fn the_old_key_lives_until_the_requests_that_began_with_it_have_ended() {
    for config_is_written_meanwhile in [false, true] {
        let mount = configured().await;
        let old = stored_key(&mount).await;
        mount
            .aws()
            .inject(FaultRule::on("iam:CreateAccessKey", Fault::HeldBefore).times(1));

        let (lease, rotated, ()) = tokio::join!(
            mount.generate("creds/bare"),
            async {
                while mount.aws().calls_of("iam:CreateAccessKey").is_empty() {
                    tokio::task::yield_now().await;
                }
                if config_is_written_meanwhile {
                    // The cache forgets the clients; the request still holds them.
                    mount
                        .write("config/root", json!({"region": "eu-central-1"}))
                        .await;
                }
                rotate(&mount).await
            },
            async {
                tokio::time::sleep(Duration::from_secs(10)).await;
                assert_eq!(keys(&mount).len(), 2, "both keys are alive");
                assert_ne!(
                    stored_key(&mount).await,
                    old,
                    "new requests use the new one"
                );
                mount.aws().heal();
            }
        );

        rotated.unwrap();
        mount.revoke(&lease).await.unwrap();
        assert_sound(&mount, "after draining").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_does_not_end_keeps_its_key_and_rollback_deletes_it_later() {
    let mut mount = configured().await;
    let old = stored_key(&mount).await;
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateUser", Fault::HeldBefore));
    let backend = mount.backend();
    let request = mount.request(Operation::Read, "creds/bare", json!({}));
    let stuck = tokio::spawn(async move { backend.handle_request(request).await });
    while mount.aws().calls_of("iam:CreateUser").is_empty() {
        tokio::task::yield_now().await;
    }
    let start = tokio::time::Instant::now();

    let warnings = rotate(&mount).await.unwrap().warnings;

    assert!(start.elapsed() < Duration::from_secs(55));
    assert_eq!(
        warnings,
        [format!(
            "the new access key is stored and in use, but the old one, {old}, could not be deleted and still works: requests that began with it have not ended yet; this is tried again in some minutes"
        )]
    );
    assert_eq!(keys(&mount), [old, stored_key(&mount).await]);
    drop(stuck.await.unwrap());
    mount.recover().await;
    assert_sound(&mount, "after a stuck request").await;
}

#[tokio::test(start_paused = true)]
async fn issue_and_revocation_go_on_during_rotations() {
    let mount = configured().await;
    mount.aws().set_delay(Duration::from_millis(50));

    let ((), rotated) = tokio::join!(
        async {
            for _ in 0..30 {
                let lease = mount.generate("creds/bare").await;
                mount.revoke(&lease).await.unwrap();
            }
        },
        async {
            for _ in 0..3 {
                rotate(&mount).await?;
            }
            Ok::<_, Error>(())
        }
    );

    rotated.unwrap();
    assert_sound(&mount, "after rotations under load").await;
}
