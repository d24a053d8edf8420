//! One value, written as the flags and the verb of a directive say.

use crate::template::escape::{can_backquote, digits, is_printable, quote};
use crate::template::value::{Value, runes};

/// How one value is to be written.
#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    /// `%+v`.
    pub(super) field_names: bool,
    /// `%#v`.
    pub(super) go_syntax: bool,
    /// In characters.
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
}

impl Flags {
    pub(super) fn write(self, out: &mut Vec<u8>, value: &Value, verb: char) {
        match (value, verb) {
            (Value::Nil, 'T' | 'v') => self.pad(out, b"<nil>"),
            (value, 'T') => self.pad(out, self.cut(value.type_name().as_bytes())),
            (Value::Bool(value), 't' | 'v') => self.pad(out, value.to_string().as_bytes()),
            (Value::Int(value), verb) if is_integer_verb(verb) => {
                let (bits, magnitude) = (value.cast_unsigned(), value.unsigned_abs());
                self.write_integer(out, bits, magnitude, *value < 0, verb);
            }
            (Value::Byte(value), 'v') if self.go_syntax => {
                let flags = Self {
                    sharp: true,
                    ..self
                };
                let bits = u64::from(*value);
                flags.write_integer(out, bits, bits, false, 'x');
            }
            (Value::Byte(value), verb) if is_integer_verb(verb) => {
                let bits = u64::from(*value);
                self.write_integer(out, bits, bits, false, verb);
            }
            (Value::Text(value), 'v') if self.go_syntax => self.write_quoted(out, value),
            (Value::Text(value), 's' | 'v') => self.pad(out, self.cut(value)),
            (Value::Text(value), 'q') => self.write_quoted(out, value),
            (Value::Text(value), 'x') => self.write_hex(out, value, b"0123456789abcdef", b'x'),
            (Value::Text(value), 'X') => self.write_hex(out, value, b"0123456789ABCDEF", b'X'),
            (Value::Struct(fields), verb) if verb != 'p' => {
                if self.go_syntax {
                    out.extend_from_slice(b"struct");
                }
                out.push(b'{');
                for (position, (name, text)) in fields.iter().enumerate() {
                    if position > 0 {
                        let separator: &[u8] = if self.go_syntax { b", " } else { b" " };
                        out.extend_from_slice(separator);
                    }
                    if self.field_names || self.go_syntax {
                        out.extend_from_slice(name.as_bytes());
                        out.push(b':');
                    }
                    self.write(out, &Value::Text(text.clone()), verb);
                }
                out.push(b'}');
            }
            (value, verb) => {
                out.extend_from_slice(format!("%!{verb}(").as_bytes());
                self.write_with_type(out, value);
                out.push(b')');
            }
        }
    }

    /// The value behind its type, as in Go's complaints.
    pub(super) fn write_with_type(self, out: &mut Vec<u8>, value: &Value) {
        if *value == Value::Nil {
            out.extend_from_slice(b"<nil>");
            return;
        }
        out.extend_from_slice(value.type_name().as_bytes());
        out.push(b'=');
        self.write(out, value, 'v');
    }

    fn write_integer(
        self,
        out: &mut Vec<u8>,
        bits: u64,
        magnitude: u64,
        negative: bool,
        verb: char,
    ) {
        let char = || {
            let char = u32::try_from(bits).ok().and_then(char::from_u32);
            char.unwrap_or(char::REPLACEMENT_CHARACTER)
        };
        let text = match verb {
            'c' => return self.pad(out, char().encode_utf8(&mut [0; 4]).as_bytes()),
            'q' => {
                let char = char().to_string();
                return self.pad(out, &quote(char.as_bytes(), '\'', self.plus));
            }
            'U' => return self.write_code_point(out, bits),
            'b' => format!("{magnitude:b}"),
            'o' | 'O' => format!("{magnitude:o}"),
            'x' => format!("{magnitude:x}"),
            'X' => format!("{magnitude:X}"),
            _ => magnitude.to_string(),
        };
        let unpadded = Self {
            zero: false,
            ..self
        };
        if self.precision == Some(0) && magnitude == 0 {
            return unpadded.pad(out, b"");
        }
        // Zeros come from a precision, or else fill up the width before the sign is put there.
        let has_sign = negative || self.plus || self.space;
        let digits = match (self.precision, self.width) {
            (Some(precision), _) => precision,
            (None, Some(width)) if self.zero && !self.minus => {
                width.saturating_sub(usize::from(has_sign))
            }
            _ => 0,
        };
        let text = fill_with_zeros(text, digits);
        let prefix = match verb {
            'b' if self.sharp => "0b",
            'o' if self.sharp && !text.starts_with('0') => "0",
            'O' if self.sharp && !text.starts_with('0') => "0o0",
            'O' => "0o",
            'x' if self.sharp => "0x",
            'X' if self.sharp => "0X",
            _ => "",
        };
        let sign = match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        unpadded.pad(out, format!("{sign}{prefix}{text}").as_bytes());
    }

    fn write_code_point(self, out: &mut Vec<u8>, bits: u64) {
        let digits = self.precision.unwrap_or(0).max(4);
        let mut text = format!("U+{}", fill_with_zeros(format!("{bits:X}"), digits));
        let char = u32::try_from(bits).ok().and_then(char::from_u32);
        if let Some(char) = char.filter(|char| self.sharp && is_printable(*char)) {
            text.push_str(&format!(" '{char}'"));
        }
        Self {
            zero: false,
            ..self
        }
        .pad(out, text.as_bytes());
    }

    fn write_quoted(self, out: &mut Vec<u8>, text: &[u8]) {
        let text = self.cut(text);
        if self.sharp && can_backquote(text) {
            self.pad(out, &[b"`", text, b"`"].concat());
        } else {
            self.pad(out, &quote(text, '"', self.plus));
        }
    }

    fn write_hex(self, out: &mut Vec<u8>, text: &[u8], alphabet: &[u8; 16], x: u8) {
        let length = self
            .precision
            .map_or(text.len(), |precision| precision.min(text.len()));
        let mut hex = Vec::with_capacity(length * 2);
        for (position, byte) in text[..length].iter().enumerate() {
            if self.space && position > 0 {
                hex.push(b' ');
            }
            if self.sharp && (self.space || position == 0) {
                hex.extend([b'0', x]);
            }
            hex.extend(digits(*byte, alphabet));
        }
        self.pad(out, &hex);
    }

    /// As many characters of `text` as the precision allows.
    fn cut(self, text: &[u8]) -> &[u8] {
        let Some(precision) = self.precision else {
            return text;
        };
        // No character is longer than four bytes.
        let enough = text.get(..precision * 4).unwrap_or(text);
        let length = runes(enough)
            .take(precision)
            .map(|rune| rune.map_or(1, char::len_utf8))
            .sum();
        &text[..length]
    }

    /// Writes `text` filled up to the width: in front with spaces or zeros, or behind with spaces.
    fn pad(self, out: &mut Vec<u8>, text: &[u8]) {
        let missing = self.width.unwrap_or(0).saturating_sub(runes(text).count());
        let fill = if self.zero && !self.minus { b'0' } else { b' ' };
        if self.minus {
            out.extend_from_slice(text);
        }
        out.extend(std::iter::repeat_n(fill, missing));
        if !self.minus {
            out.extend_from_slice(text);
        }
    }
}

/// `number` with zeros in front, where it has fewer than `digits`. The formatter of Rust would panic
/// if more than 65535 were wanted.
fn fill_with_zeros(number: String, digits: usize) -> String {
    match digits.checked_sub(number.len()) {
        Some(missing @ 1..) => "0".repeat(missing) + &number,
        _ => number,
    }
}

fn is_integer_verb(verb: char) -> bool {
    matches!(
        verb,
        'v' | 'd' | 'b' | 'o' | 'O' | 'x' | 'X' | 'c' | 'q' | 'U'
    )
}
