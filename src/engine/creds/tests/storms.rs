//! Storms: hosts revoke up to 200 leases at once, and AWS throttles.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::join;
use tokio::time::{Instant, sleep};

use super::full_role;
use crate::aws::fake::{Call, Fault, FaultRule, Outcome, RateLimit};
use crate::engine::testing::{Lease, TestMount};
use crate::logical::Error;

/// What one call takes.
pub(super) const CALL: Duration = Duration::from_millis(50);
pub(super) const LIMIT: RateLimit = RateLimit {
    per_second: 20,
    burst: 20,
};

/// A mount with so many leases, each of which takes seven calls to remove.
pub(super) async fn with_leases(count: usize) -> (TestMount, Vec<Lease>) {
    let mount = TestMount::configured().await;
    full_role(&mount).await;
    let leases = join_all((0..count).map(|_| mount.generate("creds/full"))).await;
    sleep(Duration::from_mins(1)).await;
    mount.aws().set_delay(CALL);
    mount.aws().forget_calls();
    (mount, leases)
}

pub(super) async fn revoke_all(mount: &TestMount, leases: &[Lease]) -> Vec<Error> {
    let revoked = join_all(leases.iter().map(|lease| mount.revoke(lease))).await;
    revoked.into_iter().filter_map(Result::err).collect()
}

fn refused(calls: &[Call]) -> usize {
    let throttled = Outcome::Refused("Throttling".to_owned());
    calls
        .iter()
        .filter(|call| call.outcome.as_ref() == Some(&throttled))
        .count()
}

/// From the beginning of the first call to the end of the last one that was done.
fn elapsed(calls: &[Call], operation: &str) -> Duration {
    let done = calls
        .iter()
        .filter(|call| call.operation == operation && call.outcome == Some(Outcome::Done));
    let last = done.filter_map(|call| call.ended).max().unwrap();
    last.checked_sub(calls[0].began).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_storm_is_served_as_fast_as_aws_takes_it_and_hardly_a_call_is_wasted() {
    let (mount, leases) = with_leases(120).await;
    mount.aws().limit_iam(Some(LIMIT));
    let start = Instant::now();

    let failures = revoke_all(&mount, &leases).await;

    // 120 leases of seven calls, at 20 calls a second.
    let at_best = Duration::from_secs(42);
    assert!(failures.is_empty(), "{failures:?}");
    assert!(
        start.elapsed() <= at_best.mul_f64(1.15),
        "{:?}",
        start.elapsed()
    );
    let calls = mount.aws().calls();
    assert!(
        refused(&calls) * 20 <= calls.len(),
        "{} of {}",
        refused(&calls),
        calls.len()
    );
    let keys_dead = elapsed(&calls, "iam:DeleteAccessKey");
    assert!(keys_dead <= Duration::from_secs(9), "{keys_dead:?}");
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_credentials_in_a_storm_does_not_wait_for_its_end() {
    let (mount, leases) = with_leases(120).await;
    mount.aws().limit_iam(Some(LIMIT));
    let issue = async {
        sleep(Duration::from_secs(12)).await;
        let start = Instant::now();
        let lease = mount.generate("creds/full").await;
        (lease, start.elapsed())
    };

    let (failures, (lease, elapsed)) = join!(revoke_all(&mount, &leases), issue);

    assert!(failures.is_empty(), "{failures:?}");
    assert!(elapsed <= Duration::from_secs(2), "{elapsed:?}");
    mount.revoke(&lease).await.unwrap();
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn without_throttling_a_storm_takes_about_a_second() {
    let (mount, leases) = with_leases(400).await;
    let start = Instant::now();

    let failures = revoke_all(&mount, &leases).await;

    assert!(failures.is_empty(), "{failures:?}");
    assert!(
        start.elapsed() <= Duration::from_millis(1100),
        "{:?}",
        start.elapsed()
    );
    assert_eq!(mount.aws().calls().len(), 400 * 7);
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn after_a_storm_everything_is_open_again() {
    let (mount, leases) = with_leases(320).await;
    let (first, second) = leases.split_at(120);
    mount.aws().limit_iam(Some(LIMIT));
    assert!(revoke_all(&mount, first).await.is_empty());
    mount.aws().limit_iam(None);
    sleep(Duration::from_secs(20)).await;
    let start = Instant::now();

    assert!(revoke_all(&mount, second).await.is_empty());

    assert!(
        start.elapsed() <= Duration::from_secs(1),
        "{:?}",
        start.elapsed()
    );
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn when_the_time_of_a_storm_runs_out_the_first_leases_are_gone_and_all_keys_are_dead() {
    let (mount, leases) = with_leases(400).await;
    mount.aws().limit_iam(Some(LIMIT));
    let start = Instant::now();

    let failures = revoke_all(&mount, &leases).await;

    assert!(
        start.elapsed() <= Duration::from_secs(85),
        "{:?}",
        start.elapsed()
    );
    assert!(failures.len() <= 200, "{}", failures.len());
    let (mut users, failed) = (mount.aws().iam_users(), failures.len());
    assert_eq!(users.len(), failed);
    users.retain(|user| !user.access_keys.is_empty());
    assert_eq!(users.len(), 0);
    // The host comes again.
    mount.aws().limit_iam(None);
    let is_left = |lease: &Lease| mount.aws().user(lease.text("username")).is_some();
    let left: Vec<_> = leases.into_iter().filter(is_left).collect();
    assert!(revoke_all(&mount, &left).await.is_empty());
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn one_refusal_costs_a_request_hardly_any_time() {
    let (mount, leases) = with_leases(1).await;
    mount
        .aws()
        .fail_next("iam:DeleteAccessKey", 1, "Throttling");
    let start = Instant::now();

    mount.revoke(&leases[0]).await.unwrap();

    assert!(
        start.elapsed() <= Duration::from_millis(500),
        "{:?}",
        start.elapsed()
    );
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_aws_throttles_for_ever_fails_before_the_host_gives_up() {
    let (mount, leases) = with_leases(1).await;
    mount
        .aws()
        .inject(FaultRule::on("iam:*", Fault::Code("Throttling")));
    let start = Instant::now();

    let revoked = mount.revoke(&leases[0]).await.unwrap_err();
    let revocation = start.elapsed();
    let issued = mount.read_error("creds/full").await;
    let issue = start.elapsed().saturating_sub(revocation);

    assert!(matches!(revoked, Error::Internal(_)), "{revoked:?}");
    assert!(
        matches!(issued, Error::UpstreamRateLimited(_)),
        "{issued:?}"
    );
    for (error, elapsed, seconds) in [(revoked, revocation, 80..=85), (issued, issue, 36..=45)] {
        assert!(
            error.to_string().contains("Throttling: Rate exceeded"),
            "{error}"
        );
        assert!(seconds.contains(&elapsed.as_secs()), "{elapsed:?}");
    }
}
