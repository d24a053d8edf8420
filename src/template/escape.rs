//! Texts written so that something else can read them: quotes, digits, HTML, JavaScript, URLs.

use super::literal::push;
use super::value::runes;

/// The bytes in lower-case hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> Vec<u8> {
    bytes
        .iter()
        .flat_map(|byte| digits(*byte, b"0123456789abcdef"))
        .collect()
}

/// The two digits of a byte.
pub(super) fn digits(byte: u8, alphabet: &[u8; 16]) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| alphabet[usize::from(digit)])
}

/// `bytes` as a Go literal between `mark`s. Characters outside ASCII stay as they are if they are
/// printable and `ascii` is not asked for.
pub(super) fn quote(bytes: &[u8], mark: char, ascii: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 2);
    push(&mut out, mark);
    for rune in runes(bytes) {
        let char = match rune {
            Ok(char) => char,
            Err(byte) => {
                out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
                continue;
            }
        };
        if char == mark || char == '\\' {
            out.push(b'\\');
            push(&mut out, char);
        } else if is_printable(char) && (char.is_ascii() || !ascii) {
            push(&mut out, char);
        } else {
            let code = u32::from(char);
            let escaped = match char {
                '\x07' => r"\a".to_owned(),
                '\x08' => r"\b".to_owned(),
                '\x0c' => r"\f".to_owned(),
                '\n' => r"\n".to_owned(),
                '\r' => r"\r".to_owned(),
                '\t' => r"\t".to_owned(),
                '\x0b' => r"\v".to_owned(),
                '\0'..=' ' | '\x7f' => format!("\\x{code:02x}"),
                '\0'..='\u{ffff}' => format!("\\u{code:04x}"),
                _ => format!("\\U{code:08x}"),
            };
            out.extend_from_slice(escaped.as_bytes());
        }
    }
    push(&mut out, mark);
    out
}

/// Whether `bytes` can stand between backquotes as they are.
pub(super) fn can_backquote(bytes: &[u8]) -> bool {
    runes(bytes).all(|rune| match rune {
        Ok('\t') => true,
        Ok('`' | '\x7f' | '\u{feff}') | Err(_) => false,
        Ok(char) => char >= ' ',
    })
}

/// Letters, marks, numbers, punctuation, symbols and the ASCII space.
pub(super) fn is_printable(char: char) -> bool {
    // Behind another character, Rust escapes just what is not printable, quotes apart.
    let behind: String = ['a', char].iter().collect();
    matches!(char, '\'' | '"' | '\\') || behind.escape_debug().count() == 2
}

pub(super) fn html(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'"' => out.extend_from_slice(b"&#34;"),
            b'\'' => out.extend_from_slice(b"&#39;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            0 => push(&mut out, char::REPLACEMENT_CHARACTER),
            byte => out.push(*byte),
        }
    }
    out
}

pub(super) fn js(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for rune in runes(bytes) {
        match rune {
            Ok(char @ ('\\' | '\'' | '"')) => {
                out.push(b'\\');
                push(&mut out, char);
            }
            Ok(char)
                if char < ' '
                    || matches!(char, '<' | '>' | '&' | '=')
                    || !char.is_ascii() && !is_printable(char) =>
            {
                out.extend_from_slice(format!("\\u{:04X}", u32::from(char)).as_bytes());
            }
            Ok(char) => push(&mut out, char),
            Err(byte) => out.push(byte),
        }
    }
    out
}

pub(super) fn urlquery(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(*byte),
            b' ' => out.push(b'+'),
            byte => {
                out.push(b'%');
                out.extend(digits(*byte, b"0123456789ABCDEF"));
            }
        }
    }
    out
}
