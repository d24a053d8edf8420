//! How Go's encoder writes what our records hold: durations as whole nanoseconds, lists and maps
//! that were never set as `null`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// For fields where `null` means the type's zero value.
pub(crate) fn null_as_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

/// For `#[serde(with = …)]` on a [`Duration`]: whole nanoseconds.
pub(crate) mod nanoseconds {
    use serde::Serializer;

    use super::{Deserialize, Deserializer, Duration};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let nanoseconds = Option::<i64>::deserialize(from)?.unwrap_or_default();
        // Old engines stored negative durations as they came; they mean "none".
        Ok(Duration::from_nanos(
            u64::try_from(nanoseconds).unwrap_or_default(),
        ))
    }
}

/// Points in time as Go's encoder writes them.
pub(crate) mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
    use time::format_description::well_known::Rfc3339;
    use time::{OffsetDateTime, UtcOffset};

    #[expect(clippy::ref_option, reason = "the signature that serde asks for")]
    pub(crate) fn serialize<S: Serializer>(
        time: &Option<OffsetDateTime>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let text = time.map(|time| time.format(&Rfc3339)).transpose();
        text.map_err(ser::Error::custom)?.serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<OffsetDateTime>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        OffsetDateTime::parse(&text, &Rfc3339)
            .map(|time| Some(time.to_offset(UtcOffset::UTC)))
            .map_err(|_| de::Error::custom("not a time in the form of RFC 3339"))
    }
}

/// For stored Unix seconds: so far from either end of time that a little before and after them are times
/// as well, whatever was stored.
pub(super) fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    // In the year 9987.
    const LATEST: i64 = 253_000_000_000;
    Ok(i64::deserialize(from)?.clamp(0, LATEST))
}

/// A time in an answer or a document, as RFC 3339 has it; one of a year that is unknown there, as it is.
pub(super) fn date_time(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

/// The moment of stored Unix seconds; the beginning of time for what is none.
pub(super) fn unix(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn stored_seconds_are_times_with_others_before_and_after_them_whatever_was_stored() {
        const YEAR: time::Duration = time::Duration::days(366);
        for (stored, read) in [
            (1_767_323_045, 1_767_323_045),
            (0, 0),
            (-1, 0),
            (i64::MIN, 0),
        ] {
            assert_eq!(seconds(Value::from(stored)).unwrap(), read);
        }
        for stored in [253_402_300_799, i64::MAX] {
            let latest = unix(seconds(Value::from(stored)).unwrap());
            assert!(latest.checked_add(YEAR).is_some());
            assert!(date_time(latest).starts_with("9987-"));
        }
        assert!(seconds(json!("now")).is_err());
    }

    #[test]
    fn a_time_of_a_year_that_rfc_3339_does_not_know_is_told_all_the_same() {
        assert_eq!(date_time(unix(0)), "1970-01-01T00:00:00Z");
        let before = time::macros::datetime!(-0001-01-01 00:00 UTC);
        assert!(date_time(before).starts_with("-0001-01-01"));
    }
}
