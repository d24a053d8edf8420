//! The process dies between any two calls, to AWS or to storage, and containment comes to its end.

use serde_json::json;

use super::{MINUTE, mount};
use crate::aws::fake::Fault;
use crate::engine::testing::TestMount;
use crate::logical::Operation;

/// The works that are stored, each at its end after some ticks.
async fn settle(mount: &TestMount) {
    for id in mount.list("contain-status/").await {
        mount.wait_for(&id).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_between_any_two_calls_to_aws_leaves_work_that_goes_on() {
    for at in [Fault::HeldBefore, Fault::HeldAfter] {
        for answered in 0.. {
            let mut mount = mount().await;
            let held = mount.give_out("x", 3).await;
            let other = mount.give_out("y", 1).await;
            mount.aws().die_after(answered, at);

            let contained = mount.send(Operation::Update, "contain/x", json!({}));
            let finished = match mount.unless_dead(contained).await {
                Some(answer) => answer.unwrap().unwrap().data["state"] == "finished",
                None => false,
            };
            mount.recover().await;
            settle(&mount).await;

            assert!(held.iter().all(|lease| !mount.accepts(lease)));
            assert!(mount.accepts(&other[0]), "{at:?} {answered}");
            assert_eq!(mount.issued(), [other[0].text("username")]);
            mount.generate_refusal("creds/x", json!({})).await;
            if finished {
                assert!(answered > 3 * 5, "{answered} calls are too few");
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_at_a_tick_leaves_work_that_goes_on_at_the_next() {
    for answered in 0..12 {
        let mut mount = mount().await;
        let held = mount.give_out("x", 3).await;
        mount.aws().deny("iam:DeleteUser");
        mount.contain("contain/x", json!({})).await;
        mount.aws().heal();
        mount.clock().advance(MINUTE);
        mount.aws().die_after(answered, Fault::HeldAfter);
        mount.unless_dead(mount.roll_back()).await;

        mount.recover().await;
        settle(&mount).await;

        assert!(held.iter().all(|lease| !mount.accepts(lease)));
        mount.assert_nothing_left();
    }
}

#[tokio::test]
async fn what_is_no_record_of_a_containment_stands_in_nobodys_way() {
    let mount = mount().await;
    let held = mount.give_out("x", 1).await;
    mount.storage().set_text("contain/broken", "no JSON");
    mount.roll_back().await.unwrap();

    mount.contain("contain/x", json!({})).await;

    assert!(!mount.accepts(&held[0]));
    assert_eq!(mount.list("contain-status/").await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn storage_that_fails_stops_it_until_it_works_again() {
    use crate::logical::testing::StorageFault::{Delete, Get, List, Put};
    for (fault, prefix) in [
        (Put, "contain/"),
        (Get, "issued/"),
        (List, "issued/"),
        (Delete, "issued/"),
    ] {
        let mount = mount().await;
        let held = mount.give_out("x", 3).await;
        mount.storage().fail(fault, prefix);
        let answer = mount.send(Operation::Update, "contain/x", json!({})).await;
        // Without a stored work there is no id, and the client is told.
        assert_eq!(answer.is_err(), fault == Put, "{fault:?}");
        mount.storage().heal();
        if fault == Put {
            mount.contain("contain/x", json!({})).await;
        }

        settle(&mount).await;

        assert!(held.iter().all(|lease| !mount.accepts(lease)), "{fault:?}");
        if fault != Delete {
            mount.assert_nothing_left();
        }
    }
}
