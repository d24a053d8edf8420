//! The functions that a template may call, and those of them that Vault and `OpenBao` add to Go's.

#![expect(
    clippy::unnecessary_wraps,
    reason = "the functions of one table have one type"
)]

use std::ops::RangeInclusive;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use rand::distr::{Alphanumeric, Distribution};
use rand::{Rng, RngExt};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::budget::{Budget, check_length};
use super::builtins;
use super::escape::hexadecimal;
use super::layout;
use super::literal::push;
use super::value::{Value, runes};
use crate::clock::Clock;
use Body::{Plain, ShortCircuit};

/// A function by its name in templates.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    /// How many arguments it takes, the piped one included.
    pub(super) arity: RangeInclusive<usize>,
    pub(super) body: Body,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Body {
    /// `and` and `or`: the first argument with this truth is the answer, and those behind it are
    /// not evaluated.
    ShortCircuit(bool),
    Plain(fn(&mut Arguments<'_, '_>) -> Outcome),
}

impl Function {
    /// How many arguments it takes, for a message.
    pub(super) fn arity_text(&self) -> String {
        match (*self.arity.start(), *self.arity.end()) {
            (1, 1) => "1 argument".to_owned(),
            (1, ANY) => "at least 1 argument".to_owned(),
            (least, ANY) => format!("at least {least} arguments"),
            (least, most) if least == most => format!("{most} arguments"),
            (least, most) => format!("{least} to {most} arguments"),
        }
    }
}

/// A value, or why there is none.
pub(super) type Outcome = Result<Value, String>;

/// What functions take from outside the template.
pub(super) struct Surroundings<'r> {
    pub(super) clock: &'r dyn Clock,
    pub(super) random: &'r mut dyn Rng,
    pub(super) budget: Budget,
}

/// The function called `name`.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// As many arguments as there are.
const ANY: usize = usize::MAX;

static FUNCTIONS: &[Function] = &[
    function("and", 1..=ANY, ShortCircuit(false)),
    function("or", 1..=ANY, ShortCircuit(true)),
    function("not", 1..=1, Plain(builtins::not)),
    function("eq", 2..=ANY, Plain(builtins::eq)),
    function("ne", 2..=2, Plain(builtins::ne)),
    function("lt", 2..=2, Plain(builtins::lt)),
    function("le", 2..=2, Plain(builtins::le)),
    function("gt", 2..=2, Plain(builtins::gt)),
    function("ge", 2..=2, Plain(builtins::ge)),
    function("len", 1..=1, Plain(builtins::len)),
    function("index", 1..=ANY, Plain(builtins::index)),
    function("slice", 1..=3, Plain(builtins::slice)),
    function("print", 0..=ANY, Plain(builtins::print)),
    function("printf", 1..=ANY, Plain(builtins::printf)),
    function("println", 0..=ANY, Plain(builtins::println)),
    function("html", 0..=ANY, Plain(builtins::html)),
    function("js", 0..=ANY, Plain(builtins::js)),
    function("urlquery", 0..=ANY, Plain(builtins::urlquery)),
    function("random", 1..=1, Plain(random)),
    function("truncate", 2..=2, Plain(truncate)),
    function("truncate_sha256", 2..=2, Plain(truncate_sha256)),
    function("uppercase", 1..=1, Plain(uppercase)),
    function("lowercase", 1..=1, Plain(lowercase)),
    function("replace", 3..=3, Plain(replace)),
    function("sha256", 1..=1, Plain(sha256)),
    function("base64", 1..=1, Plain(base64)),
    function("unix_time", 0..=0, Plain(unix_time)),
    function("unix_time_millis", 0..=0, Plain(unix_time_millis)),
    function("timestamp", 1..=1, Plain(timestamp)),
    function("uuid", 0..=0, Plain(uuid)),
    function("decode_base64", 1..=1, Plain(decode_base64)),
    function("hex", 1..=1, Plain(hex)),
    function("decode_hex", 1..=1, Plain(decode_hex)),
    function("glob", 2..=2, Plain(glob)),
];

const fn function(name: &'static str, arity: RangeInclusive<usize>, body: Body) -> Function {
    Function { name, arity, body }
}

/// The arguments of one call, taken from the first to the last.
pub(super) struct Arguments<'a, 'r> {
    values: std::vec::IntoIter<Value>,
    surroundings: &'a mut Surroundings<'r>,
}

impl<'a, 'r> Arguments<'a, 'r> {
    pub(super) fn new(values: Vec<Value>, surroundings: &'a mut Surroundings<'r>) -> Self {
        Self {
            values: values.into_iter(),
            surroundings,
        }
    }

    pub(super) fn any(&mut self) -> Outcome {
        self.values
            .next()
            .ok_or_else(|| "an argument is missing".to_owned())
    }

    pub(super) fn int(&mut self) -> Result<i64, String> {
        match self.any()? {
            Value::Int(int) => Ok(int),
            other => Err(format!("expected a number, found {}", other.describe())),
        }
    }

    pub(super) fn text(&mut self) -> Result<Arc<[u8]>, String> {
        match self.any()? {
            Value::Text(text) => Ok(text),
            other => Err(format!("expected a string, found {}", other.describe())),
        }
    }

    /// All that have not been taken.
    pub(super) fn rest(&self) -> &[Value] {
        self.values.as_slice()
    }

    /// Refuses a search that compares too often.
    fn spend_on_search(&mut self, pattern: &[u8], text: &[u8]) -> Result<(), String> {
        self.surroundings.budget.spend(pattern.len() * text.len())
    }
}

fn random(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let length = arguments.int()?;
    let length =
        usize::try_from(length).map_err(|_| format!("length must be >= 0 but was {length}"))?;
    check_length(length)?;
    let text: Vec<u8> = Alphanumeric
        .sample_iter(&mut *arguments.surroundings.random)
        .take(length)
        .collect();
    Ok(Value::text(text))
}

fn truncate(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let longest = arguments.int()?;
    let text = arguments.text()?;
    if longest <= 0 {
        return Err(format!("max length must be > 0 but was {longest}"));
    }
    let longest = usize::try_from(longest).unwrap_or(usize::MAX);
    Ok(Value::text(text.get(..longest).unwrap_or(&text)))
}

fn truncate_sha256(arguments: &mut Arguments<'_, '_>) -> Outcome {
    const DIGITS: usize = 8;
    let longest = arguments.int()?;
    let text = arguments.text()?;
    let kept = usize::try_from(longest)
        .ok()
        .and_then(|longest| longest.checked_sub(DIGITS))
        .filter(|kept| *kept > 0)
        .ok_or_else(|| format!("max length must be > {DIGITS} but was {longest}"))?;
    match text.split_at_checked(kept) {
        Some((head, tail)) if tail.len() > DIGITS => {
            let digest = hexadecimal(&Sha256::digest(tail));
            Ok(Value::text([head, &digest[..DIGITS]].concat()))
        }
        _ => Ok(Value::Text(text)),
    }
}

fn uppercase(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let text = arguments.text()?;
    Ok(map_characters(&text, |char| {
        only(char, char.to_uppercase())
    }))
}

fn lowercase(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let text = arguments.text()?;
    Ok(map_characters(&text, |char| {
        only(char, char.to_lowercase())
    }))
}

/// Go maps one character to one; where only several would do, it keeps the original.
fn only(original: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(char), None) => char,
        _ => original,
    }
}

/// Bytes that are no character become U+FFFD, as in Go.
fn map_characters(text: &[u8], map: impl Fn(char) -> char) -> Value {
    let mapped: String = runes(text)
        .map(|rune| rune.map_or(char::REPLACEMENT_CHARACTER, &map))
        .collect();
    Value::text(mapped)
}

fn replace(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let find = arguments.text()?;
    let replacement = arguments.text()?;
    let text = arguments.text()?;
    arguments.spend_on_search(&find, &text)?;
    let mut out = Vec::with_capacity(text.len());
    if find.is_empty() {
        // The empty text is found before and after each character.
        out.extend_from_slice(&replacement);
        for rune in runes(&text) {
            match rune {
                Ok(char) => push(&mut out, char),
                Err(byte) => out.push(byte),
            }
            out.extend_from_slice(&replacement);
            check_length(out.len())?;
        }
        return Ok(Value::text(out));
    }
    let mut rest = &*text;
    while let Some((before, after)) = split_once(rest, &find) {
        out.extend_from_slice(before);
        out.extend_from_slice(&replacement);
        check_length(out.len())?;
        rest = after;
    }
    out.extend_from_slice(rest);
    Ok(Value::text(out))
}

/// What stands before and after the first `pattern`, which is not empty.
fn split_once<'t>(text: &'t [u8], pattern: &[u8]) -> Option<(&'t [u8], &'t [u8])> {
    let at = (0..text.len()).find(|at| text[*at..].starts_with(pattern))?;
    Some((&text[..at], &text[at + pattern.len()..]))
}

fn sha256(arguments: &mut Arguments<'_, '_>) -> Outcome {
    Ok(Value::text(hexadecimal(&Sha256::digest(arguments.text()?))))
}

fn base64(arguments: &mut Arguments<'_, '_>) -> Outcome {
    Ok(Value::text(STANDARD.encode(arguments.text()?)))
}

fn decode_base64(arguments: &mut Arguments<'_, '_>) -> Outcome {
    // Go passes over line ends and over bits behind the last byte.
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    let mut text = arguments.text()?.to_vec();
    text.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    let bytes = LENIENT
        .decode(text)
        .map_err(|_| "the text is not padded base64")?;
    Ok(Value::text(bytes))
}

fn hex(arguments: &mut Arguments<'_, '_>) -> Outcome {
    Ok(Value::text(hexadecimal(&arguments.text()?)))
}

fn decode_hex(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let text = arguments.text()?;
    let digit = |byte: u8| {
        let value = char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok());
        value.ok_or_else(|| format!("{:?} is not a hexadecimal digit", char::from(byte)))
    };
    let bytes: Result<Vec<u8>, String> = text
        .chunks(2)
        .map(|pair| match *pair {
            [high, low] => Ok(digit(high)? * 16 + digit(low)?),
            _ => Err("the number of hexadecimal digits is odd".to_owned()),
        })
        .collect();
    Ok(Value::text(bytes?))
}

fn unix_time(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let now = arguments.surroundings.clock.now();
    Ok(Value::text(now.unix_timestamp().to_string()))
}

fn unix_time_millis(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let now = arguments.surroundings.clock.now();
    Ok(Value::text(
        (now.unix_timestamp_nanos() / 1_000_000).to_string(),
    ))
}

fn timestamp(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let layout = arguments.text()?;
    Ok(Value::text(layout::format(
        arguments.surroundings.clock.now(),
        &layout,
    )))
}

/// Random throughout: no bits tell a version or variant.
fn uuid(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let bytes: [u8; 16] = arguments.surroundings.random.random();
    Ok(Value::text(Uuid::from_bytes(bytes).to_string()))
}

/// Whether the text is the pattern, where `*` stands for any bytes.
fn glob(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let pattern = arguments.text()?;
    let text = arguments.text()?;
    arguments.spend_on_search(&pattern, &text)?;
    Ok(Value::Bool(matches(&pattern, &text)))
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let mut parts: Vec<&[u8]> = pattern.split(|byte| *byte == b'*').collect();
    let Some(last) = parts.pop() else {
        return false;
    };
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else {
        return text == last;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    for part in parts.filter(|part| !part.is_empty()) {
        match split_once(rest, part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}
