//! Whatever AWS does, a rotation is answered while somebody waits.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{CALLS, assert_sound, configured, rotate};
use crate::aws::fake::{Fault, FaultRule};
use crate::engine::testing::TestMount;
use crate::logical::Operation;

const BEFORE_A_CLIENT_GIVES_UP: Duration = Duration::from_secs(55);

#[tokio::test(start_paused = true)]
async fn an_aws_that_falls_silent_at_any_call_is_told_before_55_seconds() {
    for at in [Fault::HeldBefore, Fault::HeldAfter] {
        for answered in 0..CALLS {
            let mut mount = configured().await;
            mount.aws().die_after(answered, at);
            let start = Instant::now();

            let rotated = rotate(&mount).await;

            let moment = format!("{at:?} after {answered} calls");
            assert!(start.elapsed() < BEFORE_A_CLIENT_GIVES_UP, "{moment}");
            match rotated {
                Ok(response) => assert_eq!(response.warnings.len(), 1, "{moment}"),
                Err(error) => assert!(error.to_string().contains("AWS did not answer"), "{error}"),
            }
            mount.recover().await;
            assert_sound(&mount, &moment).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_aws_that_always_says_later_is_told_before_55_seconds() {
    for code in [
        "Throttling",
        "ConcurrentModification",
        "InvalidClientTokenId",
    ] {
        for answered in 0..CALLS {
            let mut mount = configured().await;
            mount
                .aws()
                .inject(FaultRule::on("*", Fault::Code(code)).skipping(answered));
            let start = Instant::now();

            drop(rotate(&mount).await);

            let moment = format!("{code} after {answered} calls");
            assert!(start.elapsed() < BEFORE_A_CLIENT_GIVES_UP, "{moment}");
            mount.recover().await;
            assert_sound(&mount, &moment).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_another_rotation_until_it_is_too_late_changes_nothing() {
    let mount = configured().await;
    mount
        .aws()
        .inject(FaultRule::on("iam:GetUser", Fault::HeldBefore));
    let start = Instant::now();

    let (one, other) = tokio::join!(rotate(&mount), rotate(&mount));

    assert!(start.elapsed() < BEFORE_A_CLIENT_GIVES_UP);
    one.unwrap_err();
    let text = other.unwrap_err().to_string();
    assert!(text.contains("nothing was begun: try again"), "{text}");
    assert_eq!(mount.aws().calls_of("iam:GetUser").len(), 1);
    mount.aws().heal();
    assert_sound(&mount, "after two that waited").await;
}

/// The client of a rotation hangs up when AWS has been asked this.
async fn hang_up_at(mount: &TestMount, operation: &str) {
    mount
        .aws()
        .inject(FaultRule::on(operation, Fault::HeldBefore).times(1));
    let request = mount.request(Operation::Update, "config/rotate-root", json!({}));
    let line = request.caller.line();
    let backend = mount.backend();
    let rotation = tokio::spawn(async move { backend.handle_request(request).await });
    while mount.aws().calls_of(operation).is_empty() {
        tokio::task::yield_now().await;
    }
    drop(line);
    mount.aws().heal();
    drop(rotation.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_rotation_whose_client_hangs_up_before_there_is_a_new_key_changes_nothing() {
    let mount = configured().await;
    let before = super::stored_key(&mount).await;
    mount.aws().forget_calls();

    hang_up_at(&mount, "iam:ListAccessKeys").await;

    assert!(mount.aws().calls_of("iam:CreateAccessKey").is_empty());
    assert_eq!(super::stored_key(&mount).await, before);
    assert_sound(&mount, "after a client that hung up").await;
}

#[tokio::test(start_paused = true)]
async fn a_rotation_whose_client_hangs_up_is_brought_to_its_end_once_there_is_a_new_key() {
    let mount = configured().await;
    let before = super::stored_key(&mount).await;
    mount.aws().forget_calls();

    hang_up_at(&mount, "iam:CreateAccessKey").await;

    assert_ne!(super::stored_key(&mount).await, before);
    assert_sound(&mount, "after a client that hung up").await;
}
