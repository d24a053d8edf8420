//! How long the host waits for the answer to a call (`grpc-timeout`).

use std::time::Duration;

use tonic::metadata::MetadataMap;

/// From the metadata of a call; `None` when the host does not say, or not as gRPC has it: up to
/// eight digits and a unit.
pub(super) fn of(metadata: &MetadataMap) -> Option<Duration> {
    let text = metadata.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<Duration> {
        let mut metadata = MetadataMap::new();
        metadata.insert("grpc-timeout", text.parse().unwrap());
        of(&metadata)
    }

    #[test]
    fn the_time_is_read_in_every_unit() {
        assert_eq!(told("1H"), Some(Duration::from_hours(1)));
        assert_eq!(told("2M"), Some(Duration::from_mins(2)));
        assert_eq!(told("90S"), Some(Duration::from_secs(90)));
        assert_eq!(told("89999m"), Some(Duration::from_millis(89_999)));
        assert_eq!(told("89999999u"), Some(Duration::from_micros(89_999_999)));
        assert_eq!(told("5n"), Some(Duration::from_nanos(5)));
    }

    #[test]
    fn what_is_no_time_is_as_good_as_none() {
        assert_eq!(of(&MetadataMap::new()), None);
        for text in ["", "S", "1", "-1S", "1s", "1.5S", "123456789S", "é"] {
            let mut metadata = MetadataMap::new();
            if let Ok(value) = text.parse() {
                metadata.insert("grpc-timeout", value);
            }
            assert_eq!(of(&metadata), None, "{text}");
        }
    }
}
