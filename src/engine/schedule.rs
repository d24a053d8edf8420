//! When an access key is to be rotated: every so often, or at the times of a cron expression.

use std::cmp::Ordering;
use std::time::Duration;

use croner::Cron;
use croner::errors::CronError;
use croner::parser::{CronParser, Seconds, Year};
use croner::time::{CivilDate, CivilDateTime, CivilTime, CronDateTime, Resolution, Weekday};
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

use super::Engine;
use crate::excerpt::excerpt;
use crate::framework::{Field, FieldType, ResponseField};
use crate::logical::{Error, if_offered};

/// As in Vault.
const SHORTEST_WINDOW: Duration = Duration::from_hours(1);

pub(super) const ROTATION_SCHEDULE: Field<String> = Field::new(
    "rotation_schedule",
    "When to rotate the access key, as a cron expression of five fields in UTC, such as \"0 3 * * SAT\". Excludes rotation_period.",
)
.label("Rotation schedule");
pub(super) const ROTATION_WINDOW: Field<Duration> = Field::new(
    "rotation_window",
    "How long after a time of rotation_schedule a rotation may still begin, at least 1h. What fails until then waits for the next time. 0 is without limit.",
)
.label("Rotation window");

/// How answers show it.
pub(super) const SHOWN_PERIOD: ResponseField = ResponseField::new(
    "rotation_period",
    FieldType::DurationSecond,
    "Time from one rotation to the next",
);
pub(super) const SHOWN_SCHEDULE: ResponseField = ResponseField::new(
    "rotation_schedule",
    FieldType::String,
    "Cron expression of the rotation, in place of rotation_period",
);
pub(super) const SHOWN_WINDOW: ResponseField = ResponseField::new(
    "rotation_window",
    FieldType::DurationSecond,
    "How long after its times a rotation may begin",
);

/// The first pause after a rotation that failed, doubled with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(10);
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// How long to wait after so many failures in a row.
pub(super) fn wait_after(failures: u32) -> Duration {
    let doubled = 1 << failures.saturating_sub(1).min(10);
    LONGEST_WAIT.min(FIRST_WAIT.saturating_mul(doubled))
}

/// The times of a cron expression of five fields, in UTC.
#[derive(Clone, Debug)]
pub(super) struct Schedule(Box<Cron>);

impl Schedule {
    /// Refuses what is no such expression, and what never comes, naming the field.
    pub(super) fn new(field: &str, text: &str, now: OffsetDateTime) -> Result<Self, Error> {
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser.parse(text).map_err(|error| {
            let reason = error.to_string();
            // It repeats what was sent.
            let reason = excerpt(reason.trim_end_matches('.')).replace(char::is_control, "?");
            let text = excerpt(text);
            Error::invalid(format!(
                "failed to parse provided {field}: {text:?} is not a cron expression of five fields (minute, hour, day of the month, month, day of the week, all in UTC), such as \"0 3 * * SAT\": {reason}"
            ))
        })?;
        let parts = &cron.pattern;
        // Of a list without a value, the library would try each minute of three thousand years.
        let is_empty = [&parts.minutes, &parts.hours, &parts.months]
            .iter()
            .any(|part| part.values().is_empty());
        let schedule = Self(Box::new(cron));
        if is_empty || schedule.after(now).is_none() {
            return Err(Error::invalid(format!(
                "failed to parse provided {field}: the time of {:?} never comes",
                excerpt(text)
            )));
        }
        Ok(schedule)
    }

    /// The first time after this one; `None` when there is none.
    pub(super) fn after(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let found = self.0.find_next_occurrence(&Utc(now), false);
        found.ok().map(|Utc(next)| next)
    }
}

/// When to rotate.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    /// From one rotation to the next.
    Every(Duration),
    /// At times.
    At {
        schedule: Schedule,
        /// How long after such a time a rotation may still begin; `None` is without limit.
        window: Option<Duration>,
    },
}

impl Plan {
    /// What the stored fields say; `None` when nothing is to be rotated by itself, or when what another
    /// engine stored cannot be understood.
    pub(super) fn stored(
        schedule: &str,
        window: Duration,
        period: Duration,
        now: OffsetDateTime,
    ) -> Option<Self> {
        if schedule.is_empty() {
            return (!period.is_zero()).then_some(Self::Every(period));
        }
        Some(Self::At {
            schedule: Schedule::new("rotation_schedule", schedule, now).ok()?,
            window: (!window.is_zero()).then_some(window),
        })
    }

    /// When the next rotation is due after one that is done now, and was due then. One that came late
    /// does not put off all that follow, unless the new key would then live for less than half its time.
    pub(super) fn next(&self, due: Option<OffsetDateTime>, now: OffsetDateTime) -> OffsetDateTime {
        match self {
            Self::Every(period) => match due {
                Some(due) if due <= now && now - due <= *period / 2 => due + *period,
                _ => now + *period,
            },
            // A schedule whose last time has come has no next one; a day is as good as any.
            Self::At { schedule, .. } => schedule.after(now).unwrap_or(now + time::Duration::DAY),
        }
    }

    /// Whether it is too late for what was due.
    pub(super) fn is_missed(&self, due: OffsetDateTime, now: OffsetDateTime) -> bool {
        match self {
            Self::Every(_) | Self::At { window: None, .. } => false,
            Self::At {
                window: Some(window),
                ..
            } => now - due > *window,
        }
    }
}

/// The rules of Vault for what one write says.
pub(super) fn check_fields(
    schedule: &str,
    window: Duration,
    period: Duration,
    shortest_period: Duration,
) -> Result<(), Error> {
    if !schedule.is_empty() && !period.is_zero() {
        return Err(Error::invalid(
            "mutually exclusive fields rotation_schedule and rotation_period were both specified; only one of them can be provided",
        ));
    }
    if !window.is_zero() && !period.is_zero() {
        return Err(Error::invalid("rotation_window does not apply to period"));
    }
    if !window.is_zero() && schedule.is_empty() {
        return Err(Error::invalid(
            "cannot use rotation_window without rotation_schedule",
        ));
    }
    if !period.is_zero() && period < shortest_period {
        return Err(Error::invalid(format!(
            "rotation_period: must be at least {} seconds, not {}",
            shortest_period.as_secs(),
            period.as_secs()
        )));
    }
    if !window.is_zero() && window < SHORTEST_WINDOW {
        return Err(Error::invalid(format!(
            "rotation_window: must be at least 1 hour, not {} seconds",
            window.as_secs()
        )));
    }
    Ok(())
}

/// Whether this cluster is the one that rotates: two that rotate one key take it from each other, so a
/// host that fails to answer gets an error. Standbys are not asked at all.
pub(super) async fn is_ours(engine: &Engine) -> Result<bool, Error> {
    let system = &engine.system;
    let state = if_offered(system.replication_state().await)?;
    if state.is_dr_secondary() {
        return Ok(false);
    }
    Ok(!state.is_performance_secondary() || if_offered(system.local_mount().await)?)
}

/// A moment of UTC, as the cron library reads it.
#[derive(Clone, Copy)]
struct Utc(OffsetDateTime);

impl CronDateTime for Utc {
    fn to_civil(&self) -> CivilDateTime {
        let (date, time) = (self.0.date(), self.0.time());
        // Each part is within its bounds already.
        let date = CivilDate::from_parts_unchecked(
            date.year(),
            u32::from(u8::from(date.month())),
            u32::from(date.day()),
        );
        let time = CivilTime::from_parts_unchecked(
            u32::from(time.hour()),
            u32::from(time.minute()),
            u32::from(time.second()),
        );
        CivilDateTime::new(date, time)
    }

    fn civil_weekday(&self) -> Weekday {
        let days = self.0.weekday().number_days_from_sunday();
        Weekday::from_days_from_sunday(u32::from(days))
    }

    fn resolve_civil(&self, civil: CivilDateTime) -> Result<Resolution<Self>, CronError> {
        let part = |number: u32| u8::try_from(number).map_err(|_| CronError::InvalidDate);
        let month = Month::try_from(part(civil.month())?).map_err(|_| CronError::InvalidDate)?;
        let date = Date::from_calendar_date(civil.year(), month, part(civil.day())?)
            .map_err(|_| CronError::InvalidDate)?;
        let time = Time::from_hms(
            part(civil.hour())?,
            part(civil.minute())?,
            part(civil.second())?,
        )
        .map_err(|_| CronError::InvalidTime)?;
        let moment = PrimitiveDateTime::new(date, time).assume_utc();
        Ok(Resolution::Single(Self(moment)))
    }

    fn checked_add_seconds(&self, seconds: i64) -> Option<Self> {
        let sum = self.0.checked_add(time::Duration::seconds(seconds))?;
        Some(Self(sum))
    }

    fn cmp_instant(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const NOW: OffsetDateTime = datetime!(2026-11-30 12:34:56 UTC);

    fn schedule(text: &str) -> Schedule {
        Schedule::new("rotation_schedule", text, NOW).unwrap()
    }

    #[test]
    fn a_cron_expression_has_its_times_in_utc() {
        for (text, next) in [
            ("* * * * *", datetime!(2026-11-30 12:35 UTC)),
            ("34 12 * * *", datetime!(2026-12-01 12:34 UTC)),
            ("0 3 * * SAT", datetime!(2026-12-05 03:00 UTC)),
            ("0 3 * * 6", datetime!(2026-12-05 03:00 UTC)),
            ("0 3 * * 0", datetime!(2026-12-06 03:00 UTC)),
            ("0 3 * * 7", datetime!(2026-12-06 03:00 UTC)),
            ("*/15 * * * *", datetime!(2026-11-30 12:45 UTC)),
            ("0 0 29 2 *", datetime!(2028-02-29 00:00 UTC)),
            // As in cron: either of the two days.
            ("0 0 13 * FRI", datetime!(2026-12-04 00:00 UTC)),
            ("0 4 1-7 1,6 *", datetime!(2027-01-01 04:00 UTC)),
        ] {
            assert_eq!(schedule(text).after(NOW), Some(next), "{text}");
        }
    }

    #[test]
    fn what_is_no_cron_expression_of_five_fields_or_never_comes_is_refused_with_the_field() {
        for text in [
            "",
            "x",
            "* * * *",
            "* * * * * *",
            "0 0 0 0 0 0 2026",
            "60 * * * *",
            "0 0 30 2 *",
            "0 24 * * *",
            "\u{0}",
            "- - - - -",
            "0 0 * * MOO",
            ", * * * *",
            "0 , * * *",
            "0 0 * , *",
            &"0 ".repeat(1000),
        ] {
            let error = Schedule::new("rotation_schedule", text, NOW).unwrap_err();
            let told = error.to_string();
            let begins = "failed to parse provided rotation_schedule: ";
            assert!(told.starts_with(begins), "{text:?}: {told}");
            assert!(told.len() < 1000, "{told}");
        }
    }

    #[test]
    fn a_rotation_that_came_late_does_not_put_off_those_that_follow() {
        let plan = Plan::Every(HOUR);
        assert_eq!(plan.next(None, NOW), NOW + HOUR);
        assert_eq!(plan.next(Some(NOW - HOUR / 2), NOW), NOW + HOUR / 2);
        assert_eq!(plan.next(Some(NOW - HOUR), NOW), NOW + HOUR);
        // Somebody rotated before it was due.
        assert_eq!(plan.next(Some(NOW + HOUR / 2), NOW), NOW + HOUR);
    }

    #[test]
    fn a_window_closes_and_a_period_has_none() {
        let at = |window| Plan::At {
            schedule: schedule("0 12 * * *"),
            window,
        };
        let due = datetime!(2026-11-30 12:00 UTC);
        assert!(!at(None).is_missed(due, due + 100 * HOUR));
        assert!(!at(Some(HOUR)).is_missed(due, due + HOUR));
        assert!(at(Some(HOUR)).is_missed(due, due + HOUR + Duration::from_secs(1)));
        assert!(!Plan::Every(HOUR).is_missed(due, due + 100 * HOUR));
    }

    #[test]
    fn waits_grow_to_five_minutes() {
        let waits: Vec<_> = (1..8)
            .map(|failures| wait_after(failures).as_secs())
            .collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300]);
    }
}
