//! The estimator against simulated limits, without a queue and without calls.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tokio::time::Instant;

use crate::aws::limit::rate::{Answer, Rate, Turn};

/// A token bucket at the other end of a network.
#[derive(Clone, Copy)]
struct Service {
    per_second: f64,
    burst: f64,
    round_trip: Duration,
}

struct Run {
    elapsed: Duration,
    refused: u32,
    most_under_way: usize,
}

impl Service {
    /// Sends calls as fast as the rate lets them, each until it is taken.
    fn take(self, rate: &mut Rate, start: Instant, calls: u32) -> Run {
        let (mut now, mut filled, mut tokens) = (start, start, self.burst);
        let (mut to_send, mut taken, mut refused) = (calls, 0, 0);
        let mut most_under_way = 0;
        let mut under_way = BinaryHeap::new();
        while taken < calls {
            let mut wake = None;
            while to_send > 0 {
                match rate.turn(now, under_way.len()) {
                    Turn::Now => {}
                    Turn::At(next) => {
                        wake = Some(next);
                        break;
                    }
                }
                rate.sent(now);
                to_send -= 1;
                let grown = (now - filled).as_secs_f64() * self.per_second;
                (tokens, filled) = ((tokens + grown).min(self.burst), now);
                let is_taken = tokens >= 1.0;
                if is_taken {
                    tokens -= 1.0;
                }
                under_way.push(Reverse((now + self.round_trip, now, is_taken)));
                most_under_way = most_under_way.max(under_way.len());
            }
            let answer = under_way.peek().map(|Reverse((at, ..))| *at);
            now = wake.into_iter().chain(answer).min().unwrap();
            while under_way.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
                let Reverse((_, sent, is_taken)) = under_way.pop().unwrap();
                let answer = if is_taken {
                    taken += 1;
                    Answer::Taken
                } else {
                    (refused, to_send) = (refused + 1, to_send + 1);
                    Answer::Throttled
                };
                rate.answered(answer, sent, now, under_way.len() + 1);
            }
        }
        Run {
            elapsed: now - start,
            refused,
            most_under_way,
        }
    }
}

fn service(per_second: f64, burst: f64, round_trip: u64) -> Service {
    Service {
        per_second,
        burst,
        round_trip: Duration::from_millis(round_trip),
    }
}

#[tokio::test]
async fn limits_of_all_sizes_are_found_and_kept_to() {
    for (per_second, burst, calls) in [
        (2.0, 5.0, 200),
        (5.0, 5.0, 400),
        (10.0, 50.0, 800),
        (20.0, 20.0, 800),
        (20.0, 5.0, 800),
        (30.0, 60.0, 1000),
        (50.0, 20.0, 2000),
        (80.0, 120.0, 3200),
        (100.0, 100.0, 4000),
        (200.0, 200.0, 8000),
    ] {
        for round_trip in [20, 50, 150, 400] {
            let start = Instant::now();
            let mut rate = Rate::new(start);

            let run = service(per_second, burst, round_trip).take(&mut rate, start, calls);

            let best = (f64::from(calls) - burst) / per_second;
            let slower = run.elapsed.as_secs_f64() / best;
            let limit = format!("{per_second}/s burst {burst} at {round_trip} ms");
            assert!(slower <= 1.3, "{limit}: {slower:.2} times the best");
            // To find the limit costs some refusals, to keep to it one in twenty calls at most.
            let refused = run.refused;
            assert!(refused <= 30 + calls / 20, "{limit}: {refused} of {calls}");
        }
    }
}

#[tokio::test]
async fn however_much_waits_no_more_is_under_way_than_there_may_be_connections() {
    let start = Instant::now();
    let mut rate = Rate::new(start);

    let run = service(1e6, 1e6, 500).take(&mut rate, start, 10_000);

    assert_eq!(run.most_under_way, 200);
    assert_eq!(run.refused, 0);
}

#[tokio::test]
async fn a_first_estimate_that_is_too_low_is_soon_corrected() {
    for round_trip in [20, 50, 150] {
        let start = Instant::now();
        let mut rate = Rate::new(start);

        // The first refusal comes when AWS has answered some ten calls.
        let run = service(20.0, 20.0, round_trip).take(&mut rate, start, 140);

        let slower = run.elapsed.as_secs_f64() / 6.0;
        assert!(
            slower <= 1.2,
            "at {round_trip} ms: {slower:.2} times the best"
        );
    }
}
