//! The functions that Go's templates have of themselves.

#![expect(
    clippy::unnecessary_wraps,
    reason = "the functions of one table have one type"
)]

use std::cmp::Ordering;

use super::escape;
use super::functions::{Arguments, Outcome};
use super::printf;
use super::value::Value;

pub(super) fn not(arguments: &mut Arguments<'_, '_>) -> Outcome {
    Ok(Value::Bool(!arguments.any()?.is_true()))
}

/// Whether the first argument equals any of the others.
pub(super) fn eq(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let first = arguments.any()?;
    for other in arguments.rest() {
        if equal(&first, other)? {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}

pub(super) fn ne(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let (first, second) = (arguments.any()?, arguments.any()?);
    Ok(Value::Bool(!equal(&first, &second)?))
}

pub(super) fn lt(arguments: &mut Arguments<'_, '_>) -> Outcome {
    compare(arguments, Ordering::is_lt)
}

pub(super) fn le(arguments: &mut Arguments<'_, '_>) -> Outcome {
    compare(arguments, Ordering::is_le)
}

pub(super) fn gt(arguments: &mut Arguments<'_, '_>) -> Outcome {
    compare(arguments, Ordering::is_gt)
}

pub(super) fn ge(arguments: &mut Arguments<'_, '_>) -> Outcome {
    compare(arguments, Ordering::is_ge)
}

fn equal(first: &Value, second: &Value) -> Result<bool, String> {
    match (first, second) {
        (Value::Int(int), Value::Byte(byte)) | (Value::Byte(byte), Value::Int(int)) => {
            Ok(*int == i64::from(*byte))
        }
        (Value::Nil, _) | (_, Value::Nil) => Ok(first == second),
        _ if first.type_name() == second.type_name() => Ok(first == second),
        _ => Err(incomparable(first, second)),
    }
}

fn compare(arguments: &mut Arguments<'_, '_>, wanted: fn(Ordering) -> bool) -> Outcome {
    let (first, second) = (arguments.any()?, arguments.any()?);
    let order = match (&first, &second) {
        (Value::Int(first), Value::Int(second)) => first.cmp(second),
        (Value::Int(first), Value::Byte(second)) => first.cmp(&i64::from(*second)),
        (Value::Byte(first), Value::Int(second)) => i64::from(*first).cmp(second),
        (Value::Byte(first), Value::Byte(second)) => first.cmp(second),
        (Value::Text(first), Value::Text(second)) => first.cmp(second),
        _ => return Err(incomparable(&first, &second)),
    };
    Ok(Value::Bool(wanted(order)))
}

fn incomparable(first: &Value, second: &Value) -> String {
    format!(
        "cannot compare {} with {}",
        first.describe(),
        second.describe()
    )
}

pub(super) fn len(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let text = arguments.text()?;
    Ok(Value::Int(i64::try_from(text.len()).unwrap_or(i64::MAX)))
}

/// One byte of a text.
pub(super) fn index(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let mut item = arguments.any()?;
    if item == Value::Nil {
        return Err("nil cannot be indexed".to_owned());
    }
    for index in arguments.rest() {
        let Value::Text(text) = &item else {
            return Err(format!("cannot index {}", item.describe()));
        };
        let byte = text.get(position(index)?);
        item = Value::Byte(*byte.ok_or_else(|| out_of_range(index))?);
    }
    Ok(item)
}

/// The bytes of a text from the first position up to, without, the second.
pub(super) fn slice(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let text = arguments.text()?;
    let mut bounds = [0, text.len()];
    for (bound, index) in bounds.iter_mut().zip(arguments.rest()) {
        *bound = position(index)?;
        if *bound > text.len() {
            return Err(out_of_range(index));
        }
    }
    let [from, to] = bounds;
    text.get(from..to)
        .map(Value::text)
        .ok_or_else(|| format!("invalid slice index: {from} > {to}"))
}

fn position(index: &Value) -> Result<usize, String> {
    match index {
        Value::Int(int) => usize::try_from(*int).map_err(|_| out_of_range(index)),
        Value::Byte(byte) => Ok(usize::from(*byte)),
        other => Err(format!("cannot index with {}", other.describe())),
    }
}

fn out_of_range(index: &Value) -> String {
    format!("index out of range: {}", index.describe())
}

pub(super) fn print(arguments: &mut Arguments<'_, '_>) -> Outcome {
    Ok(Value::text(printf::sprint(arguments.rest())))
}

pub(super) fn printf(arguments: &mut Arguments<'_, '_>) -> Outcome {
    let format = arguments.text()?;
    printf::sprintf(&format, arguments.rest()).map(Value::text)
}

pub(super) fn println(arguments: &mut Arguments<'_, '_>) -> Outcome {
    Ok(Value::text(printf::sprintln(arguments.rest())))
}

pub(super) fn html(arguments: &mut Arguments<'_, '_>) -> Outcome {
    Ok(Value::text(escape::html(&written(arguments))))
}

pub(super) fn js(arguments: &mut Arguments<'_, '_>) -> Outcome {
    Ok(Value::text(escape::js(&written(arguments))))
}

pub(super) fn urlquery(arguments: &mut Arguments<'_, '_>) -> Outcome {
    Ok(Value::text(escape::urlquery(&written(arguments))))
}

/// The arguments as `print` joins them, but nil as an action writes it.
fn written(arguments: &Arguments<'_, '_>) -> Vec<u8> {
    let values: Vec<Value> = arguments
        .rest()
        .iter()
        .map(|value| match value {
            Value::Nil => Value::text("<no value>"),
            value => value.clone(),
        })
        .collect();
    printf::sprint(&values)
}
