//! Durations as Go writes and Vault reads them: `1h30m`, `90s`, `90`, `7d`.

use std::fmt;
use std::time::Duration;

use crate::excerpt::excerpt;

/// The longest duration that the stored form, whole nanoseconds in 64 bits, can hold.
const LONGEST: u128 = i64::MAX as u128;

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Not in any of the accepted forms.
    #[error(
        "{:?} is not a duration: write a number of seconds, or a number with a unit such as \"90s\", \"15m\", \"1h30m\" or \"7d\"",
        excerpt(.0)
    )]
    Malformed(String),
    /// Below zero.
    #[error("cannot provide negative value '{}'", excerpt(.0))]
    Negative(String),
    /// Above about 292 years.
    #[error("{:?} is too long a duration", excerpt(.0))]
    TooLong(String),
}

/// Reads whole seconds (`90`), days (`7d`) or a Go duration (`1h30m`, `1.5h`, `300ms`). The empty
/// text is zero.
pub fn parse(text: &str) -> Result<Duration, ParseError> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(Duration::ZERO);
    }
    let negative = trimmed.starts_with('-');
    let unsigned = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    let nanoseconds =
        nanoseconds(unsigned).ok_or_else(|| ParseError::Malformed(text.to_owned()))?;
    if negative && nanoseconds > 0 {
        return Err(ParseError::Negative(trimmed.to_owned()));
    }
    bounded(nanoseconds).ok_or_else(|| ParseError::TooLong(text.to_owned()))
}

/// The nanoseconds of a text without sign; the largest number there is when it is larger.
fn nanoseconds(unsigned: &str) -> Option<u128> {
    if let Some(seconds) = whole(unsigned, 1) {
        return Some(seconds);
    }
    if let Some(days) = unsigned.strip_suffix('d') {
        return whole(days, 24 * 60 * 60);
    }
    let mut total: u128 = 0;
    let mut rest = unsigned;
    loop {
        let (number, after) = rest.split_at(rest.find(|c| !in_number(c))?);
        let (unit, next) = after.split_at(after.find(in_number).unwrap_or(after.len()));
        total = total.saturating_add(nanoseconds_of(number, unit)?);
        if next.is_empty() {
            return Some(total);
        }
        rest = next;
    }
}

fn in_number(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

/// `digits` whole units of `seconds` each, in nanoseconds.
fn whole(digits: &str, seconds: u128) -> Option<u128> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than 128 bits hold are too long in any case.
    let number: u128 = digits.parse().unwrap_or(u128::MAX);
    Some(number.saturating_mul(seconds).saturating_mul(1_000_000_000))
}

fn bounded(nanoseconds: u128) -> Option<Duration> {
    (nanoseconds <= LONGEST)
        .then(|| u64::try_from(nanoseconds).ok())
        .flatten()
        .map(Duration::from_nanos)
}

fn nanoseconds_of(number: &str, unit: &str) -> Option<u128> {
    let unit: u128 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 60 * 60 * 1_000_000_000,
        _ => return None,
    };
    let (integer, fraction) = number.split_once('.').unwrap_or((number, ""));
    if integer.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    let mut total = match integer {
        "" => 0,
        // Only digits come here, so a number that does not parse is too long.
        digits => digits.parse().unwrap_or(u128::MAX).saturating_mul(unit),
    };
    let mut share = unit;
    for digit in fraction.bytes() {
        share /= 10;
        total = total.saturating_add(u128::from(digit - b'0') * share);
    }
    Some(total)
}

/// Prints a duration as Go's `Duration.String` does: `30m0s`, `12h0m0s`, `1.5s`, `100ms`, `0s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoDuration(pub Duration);

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.0.as_nanos();
        if nanoseconds == 0 {
            return f.write_str("0s");
        }
        if nanoseconds < 1_000_000_000 {
            let (unit, name) = match nanoseconds {
                0..1_000 => (1, "ns"),
                1_000..1_000_000 => (1_000, "µs"),
                _ => (1_000_000, "ms"),
            };
            return write!(f, "{}{name}", Decimal { nanoseconds, unit });
        }
        let seconds = self.0.as_secs();
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        let rest = Decimal {
            nanoseconds: nanoseconds % 60_000_000_000,
            unit: 1_000_000_000,
        };
        write!(f, "{rest}s")
    }
}

/// `nanoseconds / unit` as a decimal without trailing zeros.
struct Decimal {
    nanoseconds: u128,
    unit: u128,
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.nanoseconds / self.unit)?;
        let mut rest = self.nanoseconds % self.unit;
        let mut unit = self.unit;
        if rest > 0 {
            f.write_str(".")?;
        }
        while rest > 0 {
            unit /= 10;
            write!(f, "{}", rest / unit)?;
            rest %= unit;
        }
        Ok(())
    }
}

#[cfg(any(test, feature = "test-util"))]
pub(crate) mod fuzzing {
    use super::{GoDuration, LONGEST, parse};

    /// What is read prints as a text that reads as the same.
    pub(crate) fn durations(data: &[u8]) {
        let Ok(text) = std::str::from_utf8(data) else {
            return;
        };
        match parse(text) {
            Ok(duration) => {
                let printed = GoDuration(duration).to_string();
                assert_eq!(parse(&printed), Ok(duration), "{text:?}, {printed}");
                assert!(duration.as_nanos() <= LONGEST, "{text:?}");
            }
            Err(error) => {
                let message = error.to_string();
                assert!(message.len() < 2000, "{} bytes", message.len());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_that_operators_write_is_read() {
        for (text, seconds) in [
            ("", 0),
            ("0", 0),
            ("90", 90),
            (" 90 ", 90),
            ("90s", 90),
            ("1h30m", 5400),
            ("1.5h", 5400),
            (".5m", 30),
            ("7d", 604_800),
            ("-0", 0),
            ("+5m", 300),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text:?}");
        }
        assert_eq!(parse("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(parse("2us3ns"), Ok(Duration::from_nanos(2003)));
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_text_in_the_message() {
        for text in [
            "soon", "1d2h", "1.5d", "90.5", "1h30", "5x", "5D", ".", "1..5s", "1.2.3s", "h", "d",
            "-", "+", "--5", "-+5", "1 h", "٣s",
        ] {
            assert_eq!(parse(text), Err(ParseError::Malformed(text.to_owned())));
        }
        assert_eq!(parse("-5m"), Err(ParseError::Negative("-5m".to_owned())));
        for text in [
            "999999999999999999999999999999999999999999",
            "200000d",
            "3000000h",
            "999999999999999999999999999999999999999999h",
        ] {
            assert_eq!(parse(text), Err(ParseError::TooLong(text.to_owned())));
        }
    }

    #[test]
    fn a_text_of_nothing_but_signs_is_refused_however_long_it_is() {
        let signs = "-".repeat(1 << 20);
        let error = parse(&signs).unwrap_err();
        assert!(error.to_string().len() < 400, "{error}");
        assert_eq!(error, ParseError::Malformed(signs));
    }

    #[test]
    fn durations_print_as_go_prints_them() {
        for (duration, text) in [
            (Duration::ZERO, "0s"),
            (Duration::from_mins(30), "30m0s"),
            (Duration::from_hours(12), "12h0m0s"),
            (Duration::from_millis(1500), "1.5s"),
            (Duration::from_secs(61), "1m1s"),
            (Duration::from_millis(100), "100ms"),
            (Duration::from_nanos(1_050), "1.05µs"),
            (Duration::from_nanos(7), "7ns"),
        ] {
            assert_eq!(GoDuration(duration).to_string(), text);
        }
    }
}
