//! More credentials are asked for than AWS takes calls for.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use super::full_role;
use super::storms::{CALL, LIMIT, revoke_all, with_leases};
use crate::engine::testing::{Lease, READ_ONLY, TestMount};
use crate::logical::{Backend, Error, Operation, Request};

const SECOND: Duration = Duration::from_secs(1);

/// What a client hears before it gives up and hangs up; `None` when that is nothing.
async fn ask(
    backend: Arc<dyn Backend>,
    request: Request,
    patience: Duration,
) -> Option<Result<crate::logical::Response, Error>> {
    let line = request.caller.line();
    let mut answer = tokio::spawn(async move { backend.handle_request(request).await });
    let Ok(heard) = timeout(patience, &mut answer).await else {
        drop(line);
        // The host hears it all the same, and there must be no lease in it.
        let late = answer.await.unwrap();
        assert!(late.is_err(), "credentials that nobody waits for");
        return None;
    };
    Some(heard.unwrap().map(Option::unwrap))
}

fn request(mount: &TestMount) -> Request {
    mount.request(Operation::Read, "creds/full", json!({}))
}

fn works(mount: &TestMount, lease: &Lease) -> bool {
    let (id, secret) = (lease.text("access_key"), lease.text("secret_key"));
    mount.aws().identify(id, secret, None).is_some()
}

async fn throttled() -> TestMount {
    let mount = TestMount::configured().await;
    full_role(&mount).await;
    mount.aws().set_delay(CALL);
    mount.aws().limit_iam(Some(LIMIT));
    mount
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_requests_for_credentials_does_not_hold_up_the_end_of_keys() {
    let (mount, leases) = with_leases(60).await;
    mount.aws().limit_iam(Some(LIMIT));
    let flood: Vec<_> = (0..40)
        .map(|_| {
            let (backend, request) = (mount.backend(), request(&mount));
            tokio::spawn(async move {
                loop {
                    let mut again = request.clone();
                    again.caller = Operation::Read.caller(None);
                    if !matches!(ask(backend.clone(), again, 60 * SECOND).await, Some(Ok(_))) {
                        sleep(SECOND).await;
                    }
                }
            })
        })
        .collect();
    sleep(5 * SECOND).await;
    let start = Instant::now();

    let revoke = async {
        let failures = revoke_all(&mount, &leases).await;
        (failures, start.elapsed())
    };
    let ((failures, elapsed), alive) = tokio::join!(revoke, async {
        sleep(8 * SECOND).await;
        leases.iter().filter(|lease| works(&mount, lease)).count()
    });

    assert_eq!(alive, 0, "keys that work after eight seconds");
    assert!(
        failures.is_empty(),
        "{} failed: {failures:?}",
        failures.len()
    );
    assert!(elapsed <= 60 * SECOND, "{elapsed:?}");
    flood.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn of_many_patient_clients_at_once_all_are_served() {
    let mount = throttled().await;
    let start = Instant::now();

    let asked = (0..120).map(|_| ask(mount.backend(), request(&mount), 60 * SECOND));
    let served = join_all(asked)
        .await
        .into_iter()
        .filter(|answer| matches!(answer, Some(Ok(_))))
        .count();

    // 120 users of seven calls, at 20 calls a second.
    assert_eq!(served, 120);
    assert!(start.elapsed() <= 45 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn whoever_cannot_be_served_in_time_is_told_so_at_once_and_nothing_is_stored_for_it() {
    let mount = throttled().await;
    let come = || tokio::spawn(ask(mount.backend(), request(&mount), 60 * SECOND));
    let mut crowd: Vec<_> = (0..200).map(|_| come()).collect();
    sleep(8 * SECOND).await;
    crowd.extend((0..100).map(|_| come()));
    sleep(Duration::from_millis(1)).await;
    let stored = mount.storage().keys();
    let start = Instant::now();

    let error = ask(mount.backend(), request(&mount), 60 * SECOND).await;

    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(mount.storage().keys(), stored);
    let Some(Err(Error::UpstreamRateLimited(text))) = error else {
        panic!("{error:?}");
    };
    let words = "Error creating IAM user: AWS takes about ";
    assert!(text.starts_with(words), "{text}");
    assert!(
        text.contains(" requests wait already: try again in about "),
        "{text}"
    );
    let answers = join_all(crowd).await;
    let served = answers
        .into_iter()
        .filter(|answer| matches!(answer.as_ref().unwrap(), Some(Ok(_))))
        .count();
    assert!((120..=150).contains(&served), "{served}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_those_who_gave_up() {
    let mount = throttled().await;
    let (mut asked, end) = (Vec::new(), Instant::now() + Duration::from_mins(5));
    while Instant::now() < end {
        asked.push(tokio::spawn(ask(
            mount.backend(),
            request(&mount),
            10 * SECOND,
        )));
        // Twice what AWS takes.
        sleep(SECOND.mul_f64(7.0 / 40.0)).await;
    }

    let answers = join_all(asked).await.into_iter().map(Result::unwrap);
    let leases: Vec<_> = answers
        .filter_map(|answer| Some(mount.lease("creds/full", answer?.ok()?)))
        .collect();

    // Of what AWS takes in five minutes.
    assert!(leases.len() * 7 >= 20 * 300 * 8 / 10, "{}", leases.len());
    assert_eq!(mount.aws().iam_users().len(), leases.len());
    assert!(leases.iter().all(|lease| works(&mount, lease)));
    mount.aws().limit_iam(None);
    sleep(Duration::from_mins(1)).await;
    assert!(revoke_all(&mount, &leases).await.is_empty());
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_groups_could_not_be_read_in_time_is_refused_at_the_door_like_all_others() {
    let mount = throttled().await;
    mount
        .write(
            "roles/grouped",
            json!({"credential_type": "federation_token", "iam_groups": "developers", "policy_arns": READ_ONLY}),
        )
        .await;
    let flood: Vec<_> = (0..1000)
        .map(|_| {
            let (backend, request) = (mount.backend(), request(&mount));
            tokio::spawn(async move { backend.handle_request(request).await })
        })
        .collect();
    sleep(3 * SECOND).await;
    let began = Instant::now();

    let error = mount.read_error("creds/grouped").await;

    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
    assert!(matches!(error, Error::UpstreamRateLimited(_)), "{error:?}");
    assert!(error.to_string().contains("try again in about"), "{error}");
    join_all(flood).await;
}
