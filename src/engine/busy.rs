//! IAM lets one change at a time work on a user: what comes meanwhile is refused and worth
//! repeating a little later.

use std::future::Future;
use std::time::Duration;

use rand::RngExt as _;

use crate::aws::{Error, ErrorKind};
use crate::chance;

/// Waits between the tries, about six seconds together.
const WAITS: [Duration; 7] = [
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
    Duration::from_millis(1500),
    Duration::from_millis(1500),
    Duration::from_millis(1500),
];

/// How much of a wait to wait, so that calls that got into each other's way do not come back in step.
/// Without random numbers they may.
fn share() -> f64 {
    chance::generator().map_or(1.0, |mut random| random.random_range(0.5..1.5))
}

/// Repeats a call while AWS says that another change is under way (`ConcurrentModification`,
/// `EntityTemporarilyUnmodifiable`).
pub(crate) async fn retry<T, F, R>(call: F) -> Result<T, Error>
where
    F: Fn() -> R,
    R: Future<Output = Result<T, Error>>,
{
    retry_when(|error| error.kind() == ErrorKind::Busy, call).await
}

/// Repeats a call while `passing` says that its failure will pass.
pub(crate) async fn retry_when<T, F, R>(
    passing: impl Fn(&Error) -> bool,
    call: F,
) -> Result<T, Error>
where
    F: Fn() -> R,
    R: Future<Output = Result<T, Error>>,
{
    for wait in WAITS {
        match call().await {
            Err(error) if passing(&error) => tokio::time::sleep(wait.mul_f64(share())).await,
            other => return other,
        }
    }
    call().await
}
