//! How fast calls may go out, learnt from AWS's answers alone: AWS publishes no limits for IAM, and
//! others call the same account.
//!
//! At first nothing is limited but how suddenly a burst begins. When AWS throttles, calls go out at
//! an even pace, estimated from what AWS took, which goes down with each refusal and up while there
//! is none. When that has not been needed for a while, everything is open again.

use std::time::Duration;

use tokio::time::Instant;

/// Calls under way when a burst begins. A role with all that people give it takes six at once.
const FIRST_WINDOW: f64 = 10.0;

/// Calls under way at most: each has a connection of its own, with its memory and a file descriptor.
/// Where AWS takes 50 ms, these are 4,000 calls a second, far more than it allows.
const LARGEST_WINDOW: f64 = 200.0;

/// What each call that AWS took adds to the window: with half a call it grows by half with each
/// round trip. Faster, and AWS's first refusal finds more calls on their way that are refused too.
const WINDOW_GROWTH: f64 = 0.5;

/// A window that was full for so long without growing doubles: slow answers are no throttling.
const SLOW_ANSWER: Duration = Duration::from_secs(1);

/// A window that did not grow for so long tells nothing about a burst that begins now.
const IDLE: Duration = Duration::from_secs(10);

/// What remains of the pace when AWS refuses a call. The pace goes up to about a fifth above what
/// AWS allows before AWS, which takes bursts, refuses; so this brings it to just below.
const BACK_OFF: f64 = 0.8;

/// What remains of the pace when AWS took no call since the last refusal: it is far too fast.
const FAR_TOO_FAST: f64 = 0.5;

/// The first pace, in calls a second, unless AWS took more than that in the second before. IAM is
/// said to allow about 20.
const FIRST_PACE: f64 = 10.0;

/// The slowest pace, in calls a second: so often it is tried whether AWS takes calls again.
const SLOWEST_PACE: f64 = 2.0;

/// Without a refusal the pace grows by `exp((time / PROBE)²)`: hardly at first, when the estimate
/// is fresh, and ever faster when the limit must have been lifted.
const PROBE: Duration = Duration::from_secs(12);

/// The same of the first pace, which may be far from what AWS allows: it comes from the few calls
/// that were answered when AWS refused one, right at the beginning of a burst most often.
const FIRST_PROBE: Duration = Duration::from_secs(4);

/// So many calls must have been taken for each probe's time, so that a slow pace, at which few
/// calls go out, does not grow faster than AWS's answers can tell.
const PROBE_CALLS: f64 = 25.0;

/// The growth, in probes, at which there is nothing left to pace: nine times the last estimate.
const FREE: f64 = 1.5;

/// Everything is open again when nobody was refused or had to wait for so long.
const QUIET: Duration = Duration::from_secs(15);

/// How far a pace may lag behind and catch up: timers tick in milliseconds.
const LAG: Duration = Duration::from_millis(5);

/// When the next call may go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Now,
    /// Then, or when one that is under way is answered.
    At(Instant),
}

/// What AWS's answer to a call tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// AWS did not mind that it was called, whatever else it said.
    Taken,
    /// AWS refused for being called too often.
    Throttled,
    /// Nothing: it did not come from IAM, or not at all.
    Unknown,
}

/// How fast calls may go out to one account.
#[derive(Debug)]
pub(super) struct Rate {
    mode: Mode,
}

#[derive(Debug)]
enum Mode {
    Open(Window),
    Paced(Pace),
}

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            mode: Mode::Open(Window::new(now, 0.0)),
        }
    }

    /// When the next call may go out, while so many are under way. To be asked when a call is
    /// there to be sent.
    pub(super) fn turn(&mut self, now: Instant, under_way: usize) -> Turn {
        if let Mode::Paced(pace) = &self.mode
            && let Some(taken) = pace.end(now)
        {
            self.mode = Mode::Open(Window::new(now, taken));
        }
        match &mut self.mode {
            Mode::Open(window) => window.turn(now, under_way),
            // Each has a connection, however slowly AWS answers.
            Mode::Paced(_) if as_f64(under_way) >= LARGEST_WINDOW => Turn::At(now + IDLE),
            Mode::Paced(pace) => pace.turn(now),
        }
    }

    /// What AWS takes in a second, as far as it is known: a little less than what it refused last.
    pub(super) fn paced(&self) -> Option<f64> {
        match &self.mode {
            Mode::Paced(pace) => Some(pace.per_second),
            Mode::Open(_) => None,
        }
    }

    /// The same when more than the first guess has been refused.
    pub(super) fn confirmed(&self) -> Option<f64> {
        match &self.mode {
            Mode::Paced(pace) if pace.probe == PROBE => Some(pace.per_second),
            _ => None,
        }
    }

    /// A call goes out.
    pub(super) fn sent(&mut self, now: Instant) {
        if let Mode::Paced(pace) = &mut self.mode {
            pace.sent(now);
        }
    }

    /// One of the calls under way, which went out at `sent`, has come to its end. Answers with the
    /// pace, in calls a second, if that is the end of being open.
    pub(super) fn answered(
        &mut self,
        answer: Answer,
        sent: Instant,
        now: Instant,
        under_way: usize,
    ) -> Option<f64> {
        match (&mut self.mode, answer) {
            (_, Answer::Unknown) => {}
            (Mode::Open(window), Answer::Taken) => window.taken(now, under_way),
            (Mode::Open(window), Answer::Throttled) => {
                let per_second = (window.taken_lately(now) * BACK_OFF).max(FIRST_PACE);
                self.mode = Mode::Paced(Pace::new(now, per_second, FIRST_PROBE));
                return Some(per_second);
            }
            // What went out before speaks of another pace.
            (Mode::Paced(pace), _) if sent <= pace.since => {}
            (Mode::Paced(pace), Answer::Taken) => pace.taken += 1.0,
            (Mode::Paced(pace), Answer::Throttled) => pace.throttled(now),
        }
        None
    }
}

/// How many calls may be under way.
#[derive(Debug)]
struct Window {
    size: f64,
    grown: Instant,
    /// Since when it is full, if it did not grow meanwhile.
    full: Option<Instant>,
    /// Calls taken, each counting less the longer it is ago: at an even pace, those of a second.
    taken: f64,
    counted: Instant,
}

impl Window {
    /// `taken`: calls that AWS took in the second before.
    fn new(now: Instant, taken: f64) -> Self {
        Self {
            size: FIRST_WINDOW,
            grown: now,
            full: None,
            taken,
            counted: now,
        }
    }

    fn turn(&mut self, now: Instant, under_way: usize) -> Turn {
        let under_way = as_f64(under_way);
        if under_way < FIRST_WINDOW && now - self.grown >= IDLE {
            self.size = FIRST_WINDOW;
        }
        if under_way < self.size {
            self.full = None;
            return Turn::Now;
        }
        if self.size >= LARGEST_WINDOW {
            return Turn::At(now + IDLE);
        }
        let doubles = *self.full.get_or_insert(now) + SLOW_ANSWER;
        if now < doubles {
            return Turn::At(doubles);
        }
        self.grow(now, under_way);
        Turn::Now
    }

    fn grow(&mut self, now: Instant, by: f64) {
        self.size = LARGEST_WINDOW.min(self.size + by);
        self.grown = now;
        self.full = None;
    }

    fn taken(&mut self, now: Instant, under_way: usize) {
        self.taken = self.taken_lately(now) + 1.0;
        self.counted = now;
        // Where little is asked of it, a window cannot prove itself.
        if self.size < as_f64(under_way) * 2.0 {
            self.grow(now, WINDOW_GROWTH);
        }
    }

    /// Calls a second.
    fn taken_lately(&self, now: Instant) -> f64 {
        self.taken * (-(now - self.counted).as_secs_f64()).exp()
    }
}

/// Calls go out one by one.
#[derive(Debug)]
struct Pace {
    /// Calls a second, right after the last refusal.
    per_second: f64,
    /// The last refusal.
    since: Instant,
    /// [`PROBE`], or [`FIRST_PROBE`] until AWS refuses a call at this pace.
    probe: Duration,
    /// Calls that went out and were taken since then.
    taken: f64,
    next: Instant,
    /// When somebody had to wait last.
    wanted: Instant,
}

impl Pace {
    fn new(now: Instant, per_second: f64, probe: Duration) -> Self {
        Self {
            per_second,
            since: now,
            probe,
            taken: 0.0,
            next: now + Duration::from_secs_f64(1.0 / per_second),
            wanted: now,
        }
    }

    /// How much time has passed for the growth, in probes.
    fn probed(&self, now: Instant) -> f64 {
        let time = (now - self.since).as_secs_f64() / self.probe.as_secs_f64();
        time.min(self.taken / PROBE_CALLS)
    }

    fn per_second(&self, now: Instant) -> f64 {
        self.per_second * self.probed(now).powi(2).exp()
    }

    /// The calls that AWS took in the last second, as far as they matter, when there is nothing left
    /// to pace.
    fn end(&self, now: Instant) -> Option<f64> {
        if now - self.wanted >= QUIET {
            return Some(0.0);
        }
        (self.probed(now) >= FREE).then(|| self.per_second(now))
    }

    fn turn(&mut self, now: Instant) -> Turn {
        if self.next <= now {
            return Turn::Now;
        }
        self.wanted = now;
        Turn::At(self.next)
    }

    fn sent(&mut self, now: Instant) {
        let interval = Duration::from_secs_f64(1.0 / self.per_second(now));
        self.next = self.next.max(now.checked_sub(LAG).unwrap_or(now)) + interval;
    }

    fn throttled(&mut self, now: Instant) {
        let remains = if self.taken > 0.0 {
            BACK_OFF
        } else {
            FAR_TOO_FAST
        };
        let per_second = (self.per_second(now) * remains).max(SLOWEST_PACE);
        *self = Self::new(now, per_second, PROBE);
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "so many calls are never under way"
)]
fn as_f64(calls: usize) -> f64 {
    calls as f64
}
