//! How Go's encoder writes what our records hold: durations as whole nanoseconds, lists and maps
//! that were never set as `null`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

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
