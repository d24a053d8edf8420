//! Cron expressions, and what follows from one that is stored.

use std::time::Duration;

use time::OffsetDateTime;
use time::macros::datetime;

use crate::engine::schedule::{Plan, Schedule};

const NOW: OffsetDateTime = datetime!(2026-11-30 12:34:56.789 UTC);
const MINUTE: Duration = Duration::from_mins(1);
const WINDOW: Duration = Duration::from_hours(1);

/// Longer than any refusal, in bytes.
const LONG: usize = 2000;

/// So many times in a row are looked at.
const TIMES: usize = 4;

/// An expression, and maybe a line with the time of now, in Unix seconds.
pub(crate) fn schedules(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (text, now) = text.split_once('\n').unwrap_or((text, ""));
    let now = now.parse().ok().map(OffsetDateTime::from_unix_timestamp);
    let now = now.and_then(Result::ok).unwrap_or(NOW);
    let schedule = match Schedule::new("rotation_schedule", text, now) {
        Ok(schedule) => schedule,
        Err(refusal) => {
            let refusal = refusal.to_string();
            assert!(refusal.len() < LONG, "{} bytes", refusal.len());
            assert!(refusal.contains("rotation_schedule"), "{refusal}");
            assert!(!refusal.contains(char::is_control), "{refusal:?}");
            return;
        }
    };
    let mut moment = now;
    for _ in 0..TIMES {
        let Some(next) = schedule.after(moment) else {
            break;
        };
        assert!(next > moment, "{next} is not after {moment}");
        assert_eq!((next.second(), next.nanosecond()), (0, 0), "{next}");
        assert!(is_in(text, next), "{next}");
        for before in [moment + (next - moment) / 2, next - Duration::from_nanos(1)] {
            assert_eq!(schedule.after(before), Some(next), "after {before}");
        }
        moment = next;
    }
    let Some(plan) = Plan::stored(text, WINDOW, Duration::ZERO, now) else {
        panic!("nothing is planned");
    };
    let due = plan.next(None, now);
    assert!(due > now && !plan.is_missed(due, due + WINDOW));
    assert!(plan.is_missed(due, due + WINDOW + MINUTE));
    assert!(plan.next(Some(due), due) > due);
}

/// Whether the minute, the hour and the month of a time are those of the expression, as far as these are
/// plain.
fn is_in(text: &str, time: OffsetDateTime) -> bool {
    let fields: Vec<_> = text.split_whitespace().collect();
    [
        (0, time.minute()),
        (1, time.hour()),
        (3, time.month().into()),
    ]
    .into_iter()
    .all(|(at, number)| fields.get(at).is_none_or(|field| is_of(field, number)))
}

/// Whether a number is of a list of numbers and ranges; of any other field, each is.
fn is_of(field: &str, number: u8) -> bool {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((first.parse::<u8>().ok()?, last.parse::<u8>().ok()?))
    };
    let ranges: Option<Vec<_>> = field.split(',').map(range).collect();
    ranges.is_none_or(|ranges| {
        ranges
            .iter()
            .any(|(first, last)| (first..=last).contains(&&number))
    })
}
