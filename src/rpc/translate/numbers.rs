//! Numbers as their sender wrote them.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::Number;

/// Puts those numbers of a JSON text in quotes that would not come out of the parser as they are
/// written, such as `1.10`, `1e3` or `123456789012345678901234`. Fields for texts take numbers too, and
/// a version is another one without its last zero. Other fields decode texts like numbers.
pub(super) fn kept(json: &str) -> Cow<'_, str> {
    let bytes = json.as_bytes();
    let mut kept = String::new();
    let (mut at, mut copied) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        let begin = at;
        at += 1;
        match byte {
            b'"' => at += length_of_text(&bytes[at..]),
            b'-' | b'0'..=b'9' => {
                let rest = bytes[at..].iter();
                at += rest.take_while(|byte| is_of_number(**byte)).count();
                let number = &json[begin..at];
                if !comes_out_as_written(number) {
                    kept.push_str(&json[copied..begin]);
                    kept.push('"');
                    kept.push_str(number);
                    kept.push('"');
                    copied = at;
                }
            }
            _ => {}
        }
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    kept.push_str(&json[copied..]);
    Cow::Owned(kept)
}

/// To behind the quote that ends it.
fn length_of_text(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    at.min(bytes.len())
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || b"+-.eE".contains(&byte)
}

/// Also true of what is no number: the parser shall see that.
fn comes_out_as_written(number: &str) -> bool {
    if number.len() < 19 && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    match number.parse::<Number>() {
        Ok(parsed) => parsed.to_string() == number,
        // One beyond the parser's range is well-formed all the same.
        Err(_) => serde_json::from_str::<IgnoredAny>(number).is_err(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_that_would_come_out_otherwise_is_put_in_quotes() {
        for (sent, expected) in [
            (r#"{"a":1.10}"#, r#"{"a":"1.10"}"#),
            ("[1e3, -0,1E-5,1.50 ]", r#"["1e3", "-0","1E-5","1.50" ]"#),
            ("1e400", r#""1e400""#),
            ("-1e400", r#""-1e400""#),
            ("123456789012345678901234", r#""123456789012345678901234""#),
            (r#"{"a":{"b":[0.10]}}"#, r#"{"a":{"b":["0.10"]}}"#),
        ] {
            assert_eq!(kept(sent), expected);
        }
        for same in [
            "",
            "0",
            "[1,-1,1.5,1.0,-0.5,18446744073709551615,9007199254740993]",
            r#"{"1.10":"1.10","a\"1.10":"\\","ä1.10é":true}"#,
        ] {
            assert_eq!(kept(same), same);
        }
    }

    #[test]
    fn what_is_no_json_does_not_become_json() {
        for broken in [
            "1.", "01.10", "-", "1.1.0", "1e", "+1.10", "--1", "1.10x", "[1.10", "\"1.10",
            "\"1.10\\", ".10", "1-1",
        ] {
            let kept = kept(broken);

            assert!(
                serde_json::from_str::<IgnoredAny>(&kept).is_err(),
                "{broken} became {kept}"
            );
        }
    }
}
