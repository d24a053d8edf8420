//! What the rotations of the root key and of static roles share: the proof that AWS accepts a new
//! access key, and the end of an old one.

use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;

use super::busy;
use crate::aws::{AccessKeyId, Error, ErrorKind, Iam, UserName};

/// Successive answers that count as proof. AWS has many front ends, and one may know the key first.
const PROOFS: u32 = 3;
const PROOF_INTERVAL: Duration = Duration::from_millis(300);

/// Repeats `ask`, a call that is signed with a new key, until AWS accepts it again and again; gives
/// up after `limit`. Some seconds are usual.
pub(super) async fn until_accepted<T, F, R>(limit: Duration, ask: F) -> Result<(), Error>
where
    F: Fn() -> R,
    R: Future<Output = Result<T, Error>>,
{
    let deadline = Instant::now() + limit;
    let mut proofs = 0;
    loop {
        match ask().await {
            Ok(_) => proofs += 1,
            Err(error) => {
                proofs = 0;
                let waits = matches!(
                    error.kind(),
                    ErrorKind::InvalidCredentials | ErrorKind::NotFound | ErrorKind::Throttled
                );
                if !waits || Instant::now() > deadline {
                    return Err(error);
                }
            }
        }
        if proofs == PROOFS {
            return Ok(());
        }
        tokio::time::sleep(PROOF_INTERVAL).await;
    }
}

/// Deletes a key; one that is gone counts as deleted.
pub(super) async fn delete(
    iam: &dyn Iam,
    user_name: &UserName,
    id: &AccessKeyId,
) -> Result<(), Error> {
    // Even when a new key is known to most of AWS, the next front end may not know it.
    let passing = |error: &Error| {
        matches!(
            error.kind(),
            ErrorKind::Busy | ErrorKind::InvalidCredentials
        )
    };
    match busy::retry_when(passing, || iam.delete_access_key(user_name, id)).await {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
