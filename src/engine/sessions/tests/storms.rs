//! Many sessions are ended at once.

use futures_util::future::join_all;
use serde_json::json;

use super::{mount, mount_with, policy, working, works, writes};
use crate::engine::testing::{Lease, TestMount};
use crate::logical::Error;

async fn open(mount: &TestMount, count: usize) -> Vec<Lease> {
    let mut leases = Vec::new();
    for _ in 0..count {
        leases.push(mount.generate("creds/x").await);
    }
    mount.aws().forget_calls();
    leases
}

async fn revoke_all(mount: &TestMount, leases: &[Lease]) -> Vec<Error> {
    let revoked = join_all(leases.iter().map(|lease| mount.revoke(lease))).await;
    revoked.into_iter().filter_map(Result::err).collect()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_at_once_are_one_write_or_two() {
    let mount = mount().await;
    let leases = open(&mount, 100).await;
    let neighbour = mount.generate("creds/x").await;
    mount.aws().set_delay(std::time::Duration::from_millis(50));

    let failures = revoke_all(&mount, &leases).await;

    assert!(failures.is_empty(), "{failures:?}");
    assert_eq!(working(&mount, &leases), 0);
    assert!(works(&mount, &neighbour));
    assert!(writes(&mount) <= 2, "{} writes", writes(&mount));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_never_outgrow_the_room_and_are_all_ended_where_older_ones_may_be_cut_off() {
    let mount = mount_with(json!({"revoke_older_sessions": true})).await;
    let mut leases = Vec::new();
    for _ in 0..20 {
        leases.extend(open(&mount, 50).await);
        mount.clock().advance(std::time::Duration::from_secs(10));
    }
    mount.aws().forget_calls();
    for together in leases.chunks(40) {
        let failures = revoke_all(&mount, together).await;

        assert!(failures.is_empty(), "{failures:?}");
        assert_eq!(working(&mount, together), 0);
        let (_, document) = policy(&mount).unwrap();
        assert!(document.len() <= 10_240, "{} characters", document.len());
    }
    assert_eq!(working(&mount, &leases), 0);
    let young = mount.generate("creds/x").await;
    assert!(works(&mount, &young), "what is opened later is not cut off");
    let refused = mount.aws().calls().into_iter().filter(|call| {
        call.outcome
            .as_ref()
            .is_some_and(|outcome| format!("{outcome:?}").contains("LimitExceeded"))
    });
    assert_eq!(refused.count(), 0);

    mount.wait(super::HOUR + 20 * super::MINUTE).await;
    assert_eq!(policy(&mount), None);
}

#[tokio::test(start_paused = true)]
async fn without_that_leave_who_has_no_room_is_told_so_and_has_it_when_others_have_ended() {
    let mount = mount().await;
    let mut short = Vec::new();
    for _ in 0..100 {
        short.push(mount.generate_with("creds/x", json!({"ttl": "15m"})).await);
    }
    let long = open(&mount, 100).await;
    assert!(revoke_all(&mount, &short).await.is_empty());

    let failures = revoke_all(&mount, &long).await;

    assert_eq!(failures.len(), working(&mount, &long));
    assert!((1..100).contains(&failures.len()), "{}", failures.len());
    let text = failures[0].to_string();
    assert!(
        text.contains("10240 characters") && text.contains("revoke_older_sessions=true"),
        "{text}"
    );
    assert_eq!(working(&mount, &short), 0);

    mount.wait(35 * super::MINUTE).await;
    assert_eq!(working(&mount, &long), 0);
    assert!(revoke_all(&mount, &long).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn who_came_with_one_that_was_given_up_in_the_middle_ends_its_session_itself() {
    let mount = mount().await;
    let leases = open(&mount, 3).await;
    mount.aws().set_delay(std::time::Duration::from_secs(1));
    let backend = mount.backend();
    let revocation = |lease: &Lease| {
        let mut request = mount.request(crate::logical::Operation::Revoke, &lease.path, json!({}));
        request.secret = Some(lease.secret.clone());
        let backend = std::sync::Arc::clone(&backend);
        async move { backend.handle_request(request).await }
    };
    let first = revocation(&leases[0]);
    let second = tokio::spawn(revocation(&leases[1]));
    let third = revocation(&leases[2]);
    let given_up = tokio::time::timeout(std::time::Duration::from_millis(1500), first);

    let (given_up, third) = futures_util::join!(given_up, third);

    assert!(given_up.is_err());
    third.unwrap();
    second.await.unwrap().unwrap();
    assert_eq!(working(&mount, &leases), 0);
}
