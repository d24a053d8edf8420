//! How Go's encoder writes what our records hold: durations as whole nanoseconds, lists and maps
//! that were never set as `null`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use time::OffsetDateTime;

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

/// The moment of stored Unix seconds; the beginning of time for what is none.
pub(super) fn unix(seconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
