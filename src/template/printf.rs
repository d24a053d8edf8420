//! Go's `fmt`: directives such as `%-8s`, and values as they print by default.

use super::budget::{LONGEST_TEXT, check_length};
use super::escape::{can_backquote, digits, is_printable, quote};
use super::value::{Value, runes};

/// As `fmt.Sprintf`. A directive that does not fit its argument is no error: Go writes `%!` and
/// what is wrong in its place.
pub(super) fn sprintf(format: &[u8], arguments: &[Value]) -> Result<Vec<u8>, String> {
    let mut directives = Directives {
        rest: format,
        arguments,
        next: 0,
        indexed: false,
        bad_index: false,
    };
    let mut out = Vec::with_capacity(format.len());
    while let Some(percent) = directives.rest.iter().position(|byte| *byte == b'%') {
        let (text, directive) = directives.rest.split_at(percent);
        out.extend_from_slice(text);
        directives.rest = &directive[1..];
        directives.write_next(&mut out)?;
        check_length(out.len())?;
    }
    out.extend_from_slice(directives.rest);
    if !directives.indexed && directives.next < arguments.len() {
        out.extend_from_slice(b"%!(EXTRA ");
        for (position, argument) in arguments[directives.next..].iter().enumerate() {
            if position > 0 {
                out.extend_from_slice(b", ");
            }
            Flags::default().write_with_type(&mut out, argument);
        }
        out.push(b')');
    }
    Ok(out)
}

/// As `fmt.Sprint`: a space between two values that are both no text.
pub(super) fn sprint(arguments: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut after_text = true;
    for argument in arguments {
        let is_text = matches!(argument, Value::Text(_));
        if !after_text && !is_text {
            out.push(b' ');
        }
        write_plain(&mut out, argument);
        after_text = is_text;
    }
    out
}

/// As `fmt.Sprintln`.
pub(super) fn sprintln(arguments: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for (position, argument) in arguments.iter().enumerate() {
        if position > 0 {
            out.push(b' ');
        }
        write_plain(&mut out, argument);
    }
    out.push(b'\n');
    out
}

/// As `%v`.
pub(super) fn write_plain(out: &mut Vec<u8>, value: &Value) {
    Flags::default().write(out, value, 'v');
}

/// As `%#v`.
pub(super) fn write_go_syntax(out: &mut Vec<u8>, value: &Value) {
    let flags = Flags {
        go_syntax: true,
        ..Flags::default()
    };
    flags.write(out, value, 'v');
}

/// What is left of a format, and of the arguments for it.
struct Directives<'f> {
    rest: &'f [u8],
    arguments: &'f [Value],
    /// The position of the next argument.
    next: usize,
    /// Whether any directive chose its argument, as `%[2]d` does.
    indexed: bool,
    /// Whether the current directive chose in a wrong way.
    bad_index: bool,
}

impl Directives<'_> {
    /// Writes what stands after a `%`.
    fn write_next(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let mut flags = self.flags();
        self.bad_index = false;
        let mut just_indexed = self.index()?;
        if self.take(b'*') {
            match self.number_argument() {
                Some(width) => {
                    if width < 0 {
                        flags.minus = true;
                        flags.zero = false;
                    }
                    flags.width = Some(bounded(width.unsigned_abs())?);
                }
                None => out.extend_from_slice(b"%!(BADWIDTH)"),
            }
            just_indexed = false;
        } else {
            flags.width = self.number()?;
            self.bad_index |= just_indexed && flags.width.is_some();
        }
        // A dot at the end of the format is taken for a verb.
        if self.rest.len() > 1 && self.take(b'.') {
            self.bad_index |= just_indexed;
            just_indexed = self.index()?;
            if self.take(b'*') {
                match self.number_argument().map(u64::try_from) {
                    Some(Ok(precision)) => flags.precision = Some(bounded(precision)?),
                    _ => out.extend_from_slice(b"%!(BADPREC)"),
                }
                just_indexed = false;
            } else {
                flags.precision = Some(self.number()?.unwrap_or(0));
            }
        }
        if !just_indexed {
            self.index()?;
        }
        let Some(verb) = self.verb() else {
            out.extend_from_slice(b"%!(NOVERB)");
            return Ok(());
        };
        match (verb, self.arguments.get(self.next)) {
            ('%', _) => out.push(b'%'),
            (verb, _) if self.bad_index => write_mistake(out, verb, "BADINDEX"),
            (verb, None) => write_mistake(out, verb, "MISSING"),
            (verb, Some(argument)) => {
                self.next += 1;
                if matches!(verb, 'v' | 'w') {
                    flags.go_syntax = std::mem::take(&mut flags.sharp);
                    flags.field_names = std::mem::take(&mut flags.plus);
                }
                flags.write(out, argument, verb);
            }
        }
        Ok(())
    }

    fn flags(&mut self) -> Flags {
        let mut flags = Flags::default();
        while let [flag, rest @ ..] = self.rest {
            match flag {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => break,
            }
            self.rest = rest;
        }
        flags
    }

    /// Takes `[n]`, which makes argument `n`, from one, the next. Says whether it did.
    fn index(&mut self) -> Result<bool, String> {
        let Some(inside) = self.rest.strip_prefix(b"[") else {
            return Ok(false);
        };
        self.indexed = true;
        self.rest = inside;
        let bracket = inside.iter().position(|byte| *byte == b']');
        let Some(length) = bracket.filter(|_| inside.len() > 1) else {
            self.bad_index = true;
            return Ok(false);
        };
        let number = self.number()?;
        let well_formed = self.rest.len() + length == inside.len();
        self.rest = &inside[length + 1..];
        match number.and_then(|number| number.checked_sub(1)) {
            Some(index) if well_formed && index < self.arguments.len() => {
                self.next = index;
                Ok(true)
            }
            // A number that no argument has still counts as an index.
            _ => {
                self.bad_index = true;
                Ok(well_formed && number.is_some())
            }
        }
    }

    /// The next argument, taken as a width or precision, if it is a number.
    fn number_argument(&mut self) -> Option<i64> {
        let argument = self.arguments.get(self.next)?;
        self.next += 1;
        match argument {
            Value::Int(int) => Some(*int),
            Value::Byte(byte) => Some(i64::from(*byte)),
            _ => None,
        }
    }

    fn number(&mut self) -> Result<Option<usize>, String> {
        let length = self
            .rest
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        if digits.is_empty() {
            return Ok(None);
        }
        let number = digits.iter().fold(0_u64, |number, digit| {
            number
                .saturating_mul(10)
                .saturating_add(u64::from(digit - b'0'))
        });
        bounded(number).map(Some)
    }

    fn take(&mut self, byte: u8) -> bool {
        match self.rest.strip_prefix(&[byte]) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn verb(&mut self) -> Option<char> {
        let rune = runes(self.rest).next()?;
        self.rest = &self.rest[rune.map_or(1, char::len_utf8)..];
        Some(rune.unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}

/// A width, precision or index, of which none is useful beyond the longest text.
fn bounded(number: u64) -> Result<usize, String> {
    usize::try_from(number)
        .ok()
        .filter(|number| *number <= LONGEST_TEXT)
        .ok_or_else(|| format!("the number {number} in the format is above {LONGEST_TEXT}"))
}

fn write_mistake(out: &mut Vec<u8>, verb: char, mistake: &str) {
    out.extend_from_slice(format!("%!{verb}({mistake})").as_bytes());
}

/// How one value is to be written.
#[derive(Clone, Copy, Default)]
struct Flags {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    /// `%+v`.
    field_names: bool,
    /// `%#v`.
    go_syntax: bool,
    /// In characters.
    width: Option<usize>,
    precision: Option<usize>,
}

impl Flags {
    fn write(self, out: &mut Vec<u8>, value: &Value, verb: char) {
        match (value, verb) {
            (value, 'T') => self.pad(out, self.cut(value.type_name().as_bytes())),
            (Value::Nil, 'v') => self.pad(out, b"<nil>"),
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
    fn write_with_type(self, out: &mut Vec<u8>, value: &Value) {
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
        let mut text = match verb {
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
        text = format!("{text:0>digits$}");
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
        let mut text = format!("U+{bits:0>digits$X}");
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
        let length = runes(text)
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

fn is_integer_verb(verb: char) -> bool {
    matches!(
        verb,
        'v' | 'd' | 'b' | 'o' | 'O' | 'x' | 'X' | 'c' | 'q' | 'U'
    )
}
