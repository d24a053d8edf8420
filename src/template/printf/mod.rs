//! Go's `fmt`: directives such as `%-8s`, and values as they print by default.

mod flags;

use self::flags::Flags;
use super::budget::{LONGEST_TEXT, check_length};
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
        // No character is longer than four bytes.
        let start = self.rest.get(..4).unwrap_or(self.rest);
        let rune = runes(start).next()?;
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
