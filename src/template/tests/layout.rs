//! `timestamp`, at 2026-01-02 03:04:05.067089 UTC.

use time::macros::datetime;

use super::renders;
use crate::template::layout;

#[test]
fn every_element_of_a_layout_is_known() {
    renders(&[
        (
            r#"{{ timestamp "2006-01-02T15:04:05Z07:00" }}"#,
            "2026-01-02T03:04:05Z",
        ),
        (r#"{{ timestamp "20060102150405" }}"#, "20260102030405"),
        (r#"{{ timestamp "06-1-2 3:4:5 PM" }}"#, "26-1-2 3:4:5 AM"),
        (r#"{{ timestamp "Jan _2 2006" }}"#, "Jan  2 2026"),
        (
            r#"{{ timestamp "Monday, January 2, 2006 at 3:04pm (MST)" }}"#,
            "Friday, January 2, 2026 at 3:04am (UTC)",
        ),
        (
            r#"{{ timestamp "Mon Jan _2 15:04:05 2006" }}"#,
            "Fri Jan  2 03:04:05 2026",
        ),
        (
            r#"{{ timestamp "01/02 03:04:05PM '06 -0700" }}"#,
            "01/02 03:04:05AM '26 +0000",
        ),
        (r#"{{ timestamp "002|__2" }}"#, "002|  2"),
        (r#"{{ timestamp "_2006" }}"#, "_2026"),
        (r#"{{ timestamp "__2006" }}"#, "  2026"),
    ]);
}

#[test]
fn fractions_of_a_second_follow_a_dot_or_comma() {
    renders(&[
        (r#"{{ timestamp "05.000" }}"#, "05.067"),
        (r#"{{ timestamp "05.000000" }}"#, "05.067089"),
        (r#"{{ timestamp "05.000000000" }}"#, "05.067089000"),
        (r#"{{ timestamp "05.0000000000" }}"#, "05.067089000"),
        (r#"{{ timestamp "05.999" }}"#, "05.067"),
        (r#"{{ timestamp "05.999999999" }}"#, "05.067089"),
        (r#"{{ timestamp "05.9" }}"#, "05"),
        (r#"{{ timestamp "05,000" }}"#, "05,067"),
        (r#"{{ timestamp "05.00x" }}"#, "05.06x"),
        (r#"{{ timestamp ".9.9" }}"#, ""),
        (r#"{{ timestamp "05.001" }}"#, "05.001"),
        (r#"{{ timestamp "05.09" }}"#, "05.09"),
        (r#"{{ timestamp "05." }}"#, "05."),
        (r#"{{ timestamp "..0" }}"#, "..0"),
    ]);
}

#[test]
fn the_time_zone_is_utc() {
    renders(&[
        (r#"{{ timestamp "MST" }}"#, "UTC"),
        (
            r#"{{ timestamp "-0700 -07:00 -07 -070000 -07:00:00" }}"#,
            "+0000 +00:00 +00 +000000 +00:00:00",
        ),
        (
            r#"{{ timestamp "Z0700 Z07:00 Z07 Z070000 Z07:00:00" }}"#,
            "Z Z Z Z Z",
        ),
        (r#"{{ timestamp "Z7 -7 Z" }}"#, "Z7 -7 Z"),
    ]);
    let time = datetime!(2026-01-02 03:04:05 +02:00);
    assert_eq!(layout::format(time, b"15:04 -0700"), b"01:04 +0000");
}

#[test]
fn what_only_looks_like_an_element_is_text() {
    renders(&[
        (r#"{{ timestamp "plain text" }}"#, "plain text"),
        (
            r#"{{ timestamp "Month Janx Monx Mondayx JANUARY" }}"#,
            "Month Janx Monx Fridayx JANUARY",
        ),
        (r#"{{ timestamp "Pm pM" }}"#, "Pm pM"),
        (r#"{{ timestamp "0 00 007" }}"#, "0 00 007"),
        (r#"{{ timestamp "-_3_é" }}"#, "-_3_é"),
        (r#"{{ timestamp "" }}"#, ""),
    ]);
}

#[test]
fn noon_and_midnight_are_twelve() {
    let clock = |hour: u8| datetime!(2026-11-30 00:30 UTC).replace_hour(hour).unwrap();
    for (hour, text) in [
        (0, "12 12AM am"),
        (11, "11 11AM am"),
        (12, "12 12PM pm"),
        (23, "11 11PM pm"),
    ] {
        assert_eq!(layout::format(clock(hour), b"3 03PM pm"), text.as_bytes());
    }
    assert_eq!(
        layout::format(clock(12), b"Jan _2 002 __2 Mon"),
        b"Nov 30 334 334 Mon"
    );
}
