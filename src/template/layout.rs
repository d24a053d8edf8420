//! Times in Go's layout syntax, which shows how 2006-01-02 15:04:05 would be written.

use time::{OffsetDateTime, UtcOffset};

/// How a part of the time is written.
type Write = fn(OffsetDateTime) -> String;

/// What stands for a part of the time. Where two begin alike, the longer comes first.
static ELEMENTS: &[(&str, Write)] = &[
    ("January", |time| time.month().to_string()),
    ("Jan", |time| short(&time.month().to_string())),
    ("Monday", |time| time.weekday().to_string()),
    ("Mon", |time| short(&time.weekday().to_string())),
    ("MST", |_| "UTC".to_owned()),
    ("002", |time| format!("{:03}", time.ordinal())),
    ("01", |time| format!("{:02}", u8::from(time.month()))),
    ("02", |time| format!("{:02}", time.day())),
    ("03", |time| format!("{:02}", hour_of_half(time))),
    ("04", |time| format!("{:02}", time.minute())),
    ("05", |time| format!("{:02}", time.second())),
    ("06", |time| format!("{:02}", time.year() % 100)),
    ("15", |time| format!("{:02}", time.hour())),
    ("1", |time| u8::from(time.month()).to_string()),
    ("2006", |time| format!("{:04}", time.year())),
    ("2", |time| time.day().to_string()),
    ("__2", |time| format!("{:3}", time.ordinal())),
    ("_2006", |time| format!("_{:04}", time.year())),
    ("_2", |time| format!("{:2}", time.day())),
    ("3", |time| hour_of_half(time).to_string()),
    ("4", |time| time.minute().to_string()),
    ("5", |time| time.second().to_string()),
    ("PM", |time| half(time, ["AM", "PM"])),
    ("pm", |time| half(time, ["am", "pm"])),
    ("-07:00:00", |_| "+00:00:00".to_owned()),
    ("-07:00", |_| "+00:00".to_owned()),
    ("-070000", |_| "+000000".to_owned()),
    ("-0700", |_| "+0000".to_owned()),
    ("-07", |_| "+00".to_owned()),
    ("Z07:00:00", |_| "Z".to_owned()),
    ("Z07:00", |_| "Z".to_owned()),
    ("Z070000", |_| "Z".to_owned()),
    ("Z0700", |_| "Z".to_owned()),
    ("Z07", |_| "Z".to_owned()),
];

/// `time` in UTC, written as `layout` shows.
pub(super) fn format(time: OffsetDateTime, layout: &[u8]) -> Vec<u8> {
    let time = time.to_offset(UtcOffset::UTC);
    let mut out = Vec::with_capacity(layout.len());
    let mut rest = layout;
    while let [first, others @ ..] = rest {
        if let Some((fraction, after)) = fraction(time, rest) {
            out.extend_from_slice(fraction.as_bytes());
            rest = after;
        } else if let Some((write, after)) = element(rest) {
            out.extend_from_slice(write(time).as_bytes());
            rest = after;
        } else {
            out.push(*first);
            rest = others;
        }
    }
    out
}

/// The element that `layout` starts with, and what follows it.
fn element(layout: &[u8]) -> Option<(Write, &[u8])> {
    ELEMENTS.iter().find_map(|(text, write)| {
        let after = layout.strip_prefix(text.as_bytes())?;
        // A word such as "Month" or "Janitor" is no element.
        let in_word =
            matches!(*text, "Jan" | "Mon") && after.first().is_some_and(u8::is_ascii_lowercase);
        (!in_word).then_some((*write, after))
    })
}

/// The fraction of the second, where `layout` starts with a dot or comma and zeros or nines; nines
/// leave out zeros at the end.
fn fraction(time: OffsetDateTime, layout: &[u8]) -> Option<(String, &[u8])> {
    let [separator @ (b'.' | b','), digit @ (b'0' | b'9'), ..] = layout else {
        return None;
    };
    let length = layout[1..].iter().take_while(|byte| *byte == digit).count();
    let after = &layout[1 + length..];
    if after.first().is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let mut digits = format!("{:09}", time.nanosecond());
    digits.truncate(length);
    if *digit == b'9' {
        digits.truncate(digits.trim_end_matches('0').len());
        if digits.is_empty() {
            return Some((digits, after));
        }
    }
    Some((format!("{}{digits}", char::from(*separator)), after))
}

fn short(name: &str) -> String {
    name.chars().take(3).collect()
}

fn half(time: OffsetDateTime, [first, second]: [&str; 2]) -> String {
    let half = if time.hour() < 12 { first } else { second };
    half.to_owned()
}

fn hour_of_half(time: OffsetDateTime) -> u8 {
    match time.hour() % 12 {
        0 => 12,
        hour => hour,
    }
}
