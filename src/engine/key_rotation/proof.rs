//! The proof that AWS accepts a new access key.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::aws::{Error, ErrorKind};

/// Successive answers that count as proof, spread over two seconds: AWS has many front ends, and one
/// may know the key first.
const PROOFS: u32 = 3;
const BETWEEN_PROOFS: Duration = Duration::from_secs(1);
const BEFORE_NEXT_TRY: Duration = Duration::from_millis(300);

/// Why a key is not proven to work.
#[derive(Debug)]
pub(in crate::engine) enum NotAccepted {
    Refused(Error),
    /// AWS did not answer in time.
    Unanswered,
}

impl fmt::Display for NotAccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Unanswered => f.write_str("AWS did not answer in time"),
        }
    }
}

/// Repeats `ask`, a call that is signed with a new key, until AWS accepts it again and again; gives
/// up at `deadline`. Some seconds are usual.
pub(in crate::engine) async fn until_accepted<T, F, R>(
    deadline: Instant,
    ask: F,
) -> Result<(), NotAccepted>
where
    F: Fn() -> R,
    R: Future<Output = Result<T, Error>>,
{
    let mut proofs = 0;
    loop {
        let pause = match timeout_at(deadline, ask()).await {
            Err(_) => return Err(NotAccepted::Unanswered),
            Ok(Ok(_)) => {
                proofs += 1;
                if proofs == PROOFS {
                    return Ok(());
                }
                BETWEEN_PROOFS
            }
            Ok(Err(error)) => {
                proofs = 0;
                let waits = matches!(
                    error.kind(),
                    ErrorKind::InvalidCredentials | ErrorKind::NotFound | ErrorKind::Throttled
                );
                if !waits || Instant::now() + BEFORE_NEXT_TRY > deadline {
                    return Err(NotAccepted::Refused(error));
                }
                BEFORE_NEXT_TRY
            }
        };
        sleep(pause).await;
    }
}
