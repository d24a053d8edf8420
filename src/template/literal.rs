//! Go's literals: whole numbers, characters and quoted texts.

use std::str::Chars;

/// Reads the digits of a whole number, with sign, base prefix and underscores as in Go.
pub(super) fn integer(text: &str) -> Result<i64, String> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let lower = unsigned.to_ascii_lowercase();
    let (radix, digits) = if let Some(digits) = lower.strip_prefix("0x") {
        (16, digits)
    } else if let Some(digits) = lower.strip_prefix("0b") {
        (2, digits)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (8, digits)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    // An underscore stands between two digits, or between prefix and digit.
    let separated = if radix == 10 {
        digits
    } else {
        digits.strip_prefix('_').unwrap_or(digits)
    };
    let well_formed = separated
        .split('_')
        .all(|group| !group.is_empty() && group.chars().all(|digit| digit.is_digit(radix)));
    if !well_formed {
        return Err(format!(
            "{text:?} is no whole number; floating-point and complex numbers are not supported"
        ));
    }
    let sign = if text.starts_with('-') { "-" } else { "" };
    let plain = format!("{sign}{}", separated.replace('_', ""));
    i64::from_str_radix(&plain, radix)
        .map_err(|_| format!("the number {text} does not fit in 64 bits"))
}

/// The number of the one character in `body`, the text between single quotes.
pub(super) fn character(body: &str) -> Result<i64, String> {
    let malformed = || format!("'{body}' is not one character");
    let mut rest = body.chars();
    let number = match rest.next().ok_or_else(malformed)? {
        '\\' => match escape(&mut rest, '\'')? {
            Escaped::Byte(byte) => i64::from(byte),
            Escaped::Char(char) => i64::from(u32::from(char)),
        },
        char => i64::from(u32::from(char)),
    };
    if rest.as_str().is_empty() {
        Ok(number)
    } else {
        Err(malformed())
    }
}

/// The bytes that `body`, the text between double quotes, stands for.
pub(super) fn quoted(body: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(body.len());
    let mut rest = body.chars();
    while let Some(char) = rest.next() {
        match char {
            '\\' => match escape(&mut rest, '"')? {
                Escaped::Byte(byte) => bytes.push(byte),
                Escaped::Char(char) => push(&mut bytes, char),
            },
            char => push(&mut bytes, char),
        }
    }
    Ok(bytes)
}

/// Appends the UTF-8 form of `char`.
pub(super) fn push(bytes: &mut Vec<u8>, char: char) {
    bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
}

enum Escaped {
    Byte(u8),
    Char(char),
}

/// Reads what follows a backslash.
fn escape(rest: &mut Chars<'_>, quote: char) -> Result<Escaped, String> {
    let unknown = |char: &str| format!("unknown escape sequence \\{char}");
    let char = rest.next().ok_or_else(|| unknown(""))?;
    let simple = match char {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '\\' => '\\',
        char if char == quote => quote,
        'x' => return code(rest, 16, 2).and_then(byte),
        'u' => return code(rest, 16, 4).and_then(scalar),
        'U' => return code(rest, 16, 8).and_then(scalar),
        '0'..='7' => {
            let first = char.to_digit(8).unwrap_or_default();
            return code(rest, 8, 2).and_then(|rest| byte(first * 64 + rest));
        }
        char => return Err(unknown(&char.to_string())),
    };
    Ok(Escaped::Char(simple))
}

/// Reads exactly `length` digits.
fn code(rest: &mut Chars<'_>, radix: u32, length: usize) -> Result<u32, String> {
    let mut code = 0;
    for _ in 0..length {
        let digit = rest
            .next()
            .and_then(|char| char.to_digit(radix))
            .ok_or_else(|| format!("an escape sequence lacks digits: it takes {length} more"))?;
        code = code * radix + digit;
    }
    Ok(code)
}

fn byte(code: u32) -> Result<Escaped, String> {
    u8::try_from(code)
        .map(Escaped::Byte)
        .map_err(|_| "an octal escape sequence is above \\377".to_owned())
}

fn scalar(code: u32) -> Result<Escaped, String> {
    char::from_u32(code)
        .map(Escaped::Char)
        .ok_or_else(|| format!("U+{code:04X} is not a character"))
}
