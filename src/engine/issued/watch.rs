//! Since when the dates in the register can be trusted.
//!
//! A lease that was renewed while we did not look lives longer than its record says. We did not look
//! while another engine served the mount, and that cannot be seen; but a mount is handed over in
//! order, which is noted down, or after a while. The same holds for a clock that was set, and for
//! storage that was put back to an older state. Records from before such a gap are left alone until
//! no lease of that time can live any more; whoever is renewed meanwhile has a good date again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::Mutex;

use super::record::IssuedUser;
use crate::clock::Clock;
use crate::engine::Engine;
use crate::engine::stored::{seconds, unix};
use crate::logical::{Error, HostError, Storage, get_json, put_json};

/// Where it is noted down. Not replicated, as the register is not.
pub(in crate::engine) const KEY: &str = "issued-watch";

/// The hosts' own limit of a lease where they are not told another one.
pub(super) const LONGEST: Duration = Duration::from_hours(768);

/// How often it is noted down that somebody looks.
const NOTED: Duration = Duration::from_mins(2);

/// For how long nobody may have looked. Ticks come once a minute, and a host that has died may take
/// minutes to come back.
const UNWATCHED: Duration = Duration::from_mins(10);

/// How far the clock may seem to be set: the ticks of a busy process are late, and nodes differ.
const SET: Duration = Duration::from_mins(1);

/// What is over when, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hold {
    /// Records that were stored before then, or in that second, wait.
    #[serde(deserialize_with = "seconds")]
    since: i64,
    /// Until then.
    #[serde(deserialize_with = "seconds")]
    until: i64,
}

impl Hold {
    /// When a record is over, in Unix seconds.
    pub(super) fn over(hold: Option<Self>, record: &IssuedUser) -> i64 {
        match hold {
            Some(hold) if record.stored_at <= hold.since => record.expires_at.max(hold.until),
            _ => record.expires_at,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::engine) struct Noted {
    /// When somebody looked last, in Unix seconds.
    #[serde(deserialize_with = "seconds")]
    seen: i64,
    /// The mount was closed in order, and may have been handed over.
    closed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Hold>,
}

/// The watch of one life of a mount.
pub(super) struct Watch {
    begun: OffsetDateTime,
    state: Mutex<Option<State>>,
}

#[derive(Clone, Copy)]
struct State {
    noted: Noted,
    /// At the last tick.
    now: OffsetDateTime,
    uptime: Duration,
}

impl Watch {
    /// A life that begins now.
    pub(super) fn begin(clock: &dyn Clock) -> Self {
        Self {
            begun: clock.now(),
            state: Mutex::new(None),
        }
    }

    /// Looks at the clock and at what was noted down; answers which records must wait.
    pub(super) async fn tick(
        &self,
        engine: &Engine,
        storage: &dyn Storage,
    ) -> Result<Option<Hold>, Error> {
        let (now, uptime) = (engine.clock.now(), engine.clock.uptime());
        let mut state = self.state.lock().await;
        let (before, gap) = match &*state {
            Some(last) => {
                let passed = (now - last.now) - (uptime.saturating_sub(last.uptime));
                (last.noted, (passed.abs() > SET).then_some(now))
            }
            None => match get_json::<Noted>(storage, KEY).await? {
                Some(noted) => {
                    let unwatched = now - unix(noted.seen);
                    let gap = noted.closed
                        || unwatched > UNWATCHED
                        || unwatched + SET < time::Duration::ZERO;
                    (noted, gap.then_some(self.begun))
                }
                None => (Noted::default(), None),
            },
        };
        // A hold that a wrong clock has begun would not end.
        let from_the_future = |hold: &Hold| unix(hold.since) > now + SET;
        let gap = gap.or_else(|| before.held.filter(from_the_future).map(|_| now));
        let held = match gap {
            Some(since) => {
                let longest = longest_lease(engine).await?;
                tracing::info!(
                    ?longest,
                    "the leases of IAM users were not seen for a while, so that users without a lease are left alone for so long"
                );
                Some(Hold {
                    since: since.unix_timestamp(),
                    until: (now + longest).unix_timestamp(),
                })
            }
            None => before.held.filter(|hold| unix(hold.until) > now),
        };
        let mut noted = Noted {
            seen: now.unix_timestamp(),
            closed: false,
            held,
        };
        if before.closed || held != before.held || now - unix(before.seen) >= NOTED {
            put_json(storage, KEY, &noted).await?;
        } else {
            noted.seen = before.seen;
        }
        *state = Some(State { noted, now, uptime });
        Ok(held)
    }

    /// The mount is closed in order: another engine may serve it before we do again.
    pub(super) async fn close(&self, storage: &dyn Storage) -> Result<(), Error> {
        let state = self.state.lock().await;
        let noted = match &*state {
            Some(state) => state.noted,
            None => get_json(storage, KEY).await?.unwrap_or_default(),
        };
        let closed = Noted {
            closed: true,
            ..noted
        };
        Ok(put_json(storage, KEY, &closed).await?)
    }
}

/// How long a lease of the mount can live.
async fn longest_lease(engine: &Engine) -> Result<Duration, Error> {
    match engine.system.max_lease_ttl().await {
        Ok(limit) if !limit.is_zero() => Ok(limit),
        Ok(_) | Err(HostError::Unsupported(_)) => Ok(LONGEST),
        Err(error) => {
            Err(Error::from(error).context("error reading the mount's maximum lease TTL"))
        }
    }
}
