//! Vault's forgiving decoding: one implementation of [`FieldValue`] per type of field.
//!
//! Clients send the same thing in many spellings: `"3600"`, `3600` and `"1h"`; `a,b` and
//! `["a", "b"]`; `k=v`, `["k=v"]` and `{"k": "v"}`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::excerpt::excerpt;
use crate::go_duration;
use crate::secret::SecretString;

/// The type of a field as help texts and the OpenAPI document name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// A text.
    String,
    /// A whole number.
    Int,
    /// True or false.
    Bool,
    /// A number of seconds, or a text with units.
    DurationSecond,
    /// A list of texts, or one text with commas.
    CommaStringSlice,
    /// Texts by name.
    KeyValuePairs,
    /// Any JSON object; as text too where the field says so.
    Map,
    /// A point in time.
    Time,
}

impl FieldType {
    /// The word in help texts.
    pub fn help_name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Int => "int",
            Self::Bool => "bool",
            Self::DurationSecond => "duration (sec)",
            Self::CommaStringSlice => "slice",
            Self::KeyValuePairs => "keypair",
            Self::Map => "map",
            Self::Time => "time",
        }
    }

    /// The schema in the OpenAPI document.
    pub fn openapi_schema(self) -> Value {
        match self {
            Self::String => json!({"type": "string"}),
            Self::Int => json!({"type": "integer"}),
            Self::Bool => json!({"type": "boolean"}),
            Self::DurationSecond => json!({"type": "string", "format": "duration"}),
            Self::CommaStringSlice => json!({"type": "array", "items": {"type": "string"}}),
            Self::KeyValuePairs => json!({"type": "object", "format": "kvpairs"}),
            Self::Map => json!({"type": "object", "format": "map"}),
            Self::Time => json!({"type": "string", "format": "date-time"}),
        }
    }
}

/// A value that a field can be decoded to.
pub trait FieldValue: Default + 'static {
    /// How the field is shown to users.
    const TYPE: FieldType;

    /// Whether `null` clears a field of this type, as in the Go engines; otherwise it counts as not
    /// sent.
    const NULL_CLEARS: bool = true;

    /// Decodes what a client sent; never called with `null`.
    fn decode(value: &Value) -> Result<Self, String>;

    /// The value in JSON, for showing a default.
    fn encode(&self) -> Value;
}

impl FieldValue for String {
    const TYPE: FieldType = FieldType::String;

    fn decode(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            // The form in which Go's decoder has always turned these to text.
            Value::Bool(flag) => Ok(if *flag { "1" } else { "0" }.to_owned()),
            other => Err(format!("expected a text, got {}", kind_of(other))),
        }
    }

    fn encode(&self) -> Value {
        Value::from(self.as_str())
    }
}

impl FieldValue for SecretString {
    const TYPE: FieldType = FieldType::String;

    fn decode(value: &Value) -> Result<Self, String> {
        String::decode(value).map(Self::from)
    }

    fn encode(&self) -> Value {
        Value::from("")
    }
}

impl FieldValue for i64 {
    const TYPE: FieldType = FieldType::Int;

    fn decode(value: &Value) -> Result<Self, String> {
        match value {
            Value::Number(number) => number
                .as_i64()
                .ok_or_else(|| format!("{number} is not a whole number")),
            Value::String(text) if text.trim().is_empty() => Ok(0),
            Value::String(text) => text
                .trim()
                .parse()
                .map_err(|_| format!("{:?} is not a whole number", excerpt(text))),
            Value::Bool(flag) => Ok(Self::from(*flag)),
            other => Err(format!("expected a whole number, got {}", kind_of(other))),
        }
    }

    fn encode(&self) -> Value {
        Value::from(*self)
    }
}

impl FieldValue for bool {
    const TYPE: FieldType = FieldType::Bool;

    fn decode(value: &Value) -> Result<Self, String> {
        match value {
            Value::Bool(flag) => Ok(*flag),
            Value::Number(number) => match number.as_u64() {
                Some(1) => Ok(true),
                Some(0) => Ok(false),
                _ => Err(format!("{number} is neither true nor false")),
            },
            Value::String(text) => match text.trim() {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
                "0" | "f" | "F" | "false" | "FALSE" | "False" | "" => Ok(false),
                other => Err(format!("{:?} is neither true nor false", excerpt(other))),
            },
            other => Err(format!("expected true or false, got {}", kind_of(other))),
        }
    }

    fn encode(&self) -> Value {
        Value::from(*self)
    }
}

/// Whole seconds; a smaller part that was sent beside them is cut off.
impl FieldValue for Duration {
    const TYPE: FieldType = FieldType::DurationSecond;
    const NULL_CLEARS: bool = false;

    fn decode(value: &Value) -> Result<Self, String> {
        let text = match value {
            Value::Number(number) if number.is_f64() => {
                return Err(format!("{number} is not a whole number of seconds"));
            }
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            other => {
                return Err(format!(
                    "expected a number of seconds or a text such as \"1h\", got {}",
                    kind_of(other)
                ));
            }
        };
        let duration = go_duration::parse(&text).map_err(|error| error.to_string())?;
        match duration.as_secs() {
            // Zero often means "not sent", and would be taken for it.
            0 if !duration.is_zero() => Err(format!(
                "{text:?} is less than a second, write whole seconds"
            )),
            seconds => Ok(Self::from_secs(seconds)),
        }
    }

    fn encode(&self) -> Value {
        Value::from(self.as_secs())
    }
}

impl FieldValue for Vec<String> {
    const TYPE: FieldType = FieldType::CommaStringSlice;

    fn decode(value: &Value) -> Result<Self, String> {
        match value {
            Value::Array(items) => items
                .iter()
                .filter(|item| !item.is_null())
                .map(|item| String::decode(item).map(|text| text.trim().to_owned()))
                .collect(),
            // What Lua's encoder makes of an empty list.
            Value::Object(object) if object.is_empty() => Ok(Self::new()),
            Value::Object(_) => Err("expected a list or a text with commas, got an object".into()),
            scalar => {
                let text = String::decode(scalar)?;
                if text.trim().is_empty() {
                    return Ok(Self::new());
                }
                Ok(text.split(',').map(|item| item.trim().to_owned()).collect())
            }
        }
    }

    fn encode(&self) -> Value {
        Value::from(self.clone())
    }
}

impl FieldValue for BTreeMap<String, String> {
    const TYPE: FieldType = FieldType::KeyValuePairs;

    fn decode(value: &Value) -> Result<Self, String> {
        match value {
            Value::Null => Ok(Self::new()),
            Value::Object(object) => object
                .iter()
                .map(|(key, value)| match value {
                    Value::Null => Ok((key.clone(), String::new())),
                    value => String::decode(value)
                        .map(|text| (key.clone(), text))
                        .map_err(|reason| format!("value of {:?}: {reason}", excerpt(key))),
                })
                .collect(),
            Value::Array(items) => {
                let mut pairs = Self::new();
                for item in items {
                    if item.is_array() {
                        return Err("expected pairs in the list, got a list in it".to_owned());
                    }
                    pairs.extend(Self::decode(item)?);
                }
                Ok(pairs)
            }
            Value::String(text) if text.is_empty() => Ok(Self::new()),
            scalar => {
                let text = String::decode(scalar)?;
                match text.split_once('=') {
                    Some((key, value)) if !key.is_empty() => {
                        Ok(Self::from([(key.to_owned(), value.to_owned())]))
                    }
                    _ => Err(format!(
                        "invalid key pair {:?}: write key=value",
                        excerpt(&text)
                    )),
                }
            }
        }
    }

    fn encode(&self) -> Value {
        self.iter()
            .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }
}

/// The kind of a JSON value in a message, never its content.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
