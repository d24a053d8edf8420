//! What clients send for declared fields.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::field::{Field, FieldData, FieldSchema};
use super::field_type::FieldValue;
use crate::logical::JsonObject;
use crate::secret::SecretString;

const TEXT: Field<String> = Field::new("text", "");
const NUMBER: Field<i64> = Field::new("number", "");
const FLAG: Field<bool> = Field::new("flag", "");
const TIME: Field<Duration> = Field::new("time", "");
const LIST: Field<Vec<String>> = Field::new("list", "");
const PAIRS: Field<BTreeMap<String, String>> = Field::new("pairs", "");
const SECRET: Field<SecretString> = Field::new("secret", "");

/// A refusal may name the field and repeat the beginning of what was sent, in bytes.
const LONG: usize = 2000;

/// A JSON object as the fields of one request: what is taken is what its shown form is taken for.
pub(crate) fn fields(data: &[u8]) {
    let Ok(sent) = serde_json::from_slice::<JsonObject>(data) else {
        return;
    };
    let declared: Arc<[FieldSchema]> = Arc::new([
        TEXT.schema(),
        NUMBER.schema(),
        FLAG.schema(),
        TIME.schema(),
        LIST.schema(),
        PAIRS.schema(),
        SECRET.schema(),
    ]);
    let decode = |sent: JsonObject| FieldData::decode(sent, Vec::new(), Arc::clone(&declared));
    for field in &*declared {
        let Some(value) = sent.get(field.name) else {
            continue;
        };
        let alone = JsonObject::from_iter([(field.name.to_owned(), value.clone())]);
        if let Err(error) = decode(alone) {
            let message = error.to_string();
            assert!(message.len() < LONG, "{} bytes", message.len());
            assert!(message.contains(&format!("{:?}", field.name)), "{message}");
            if field.name == SECRET.name() {
                tells_nothing(value, &message);
            }
        }
    }
    let Ok(taken) = decode(sent) else {
        return;
    };
    same(&taken, &TEXT);
    same(&taken, &NUMBER);
    same(&taken, &FLAG);
    same(&taken, &TIME);
    same(&taken, &LIST);
    same(&taken, &PAIRS);
    let warnings = taken.replaced().unwrap_or_default();
    assert!(warnings.len() < 2 * LONG, "{} bytes", warnings.len());
}

fn same<T: FieldValue + PartialEq + std::fmt::Debug>(taken: &FieldData, field: &Field<T>) {
    if let Some(value) = taken.get(field) {
        let shown = value.encode();
        assert_eq!(T::decode(&shown), Ok(value), "{shown}");
    }
}

/// A refused secret is not in the refusal, however it was wrapped.
fn tells_nothing(value: &Value, message: &str) {
    match value {
        Value::String(text) => {
            assert!(text.len() < 12 || !message.contains(text), "{message}");
        }
        Value::Number(number) => {
            let text = number.to_string();
            assert!(text.len() < 12 || !message.contains(&text), "{message}");
        }
        Value::Array(items) => items.iter().for_each(|item| tells_nothing(item, message)),
        Value::Object(object) => object.iter().for_each(|(key, value)| {
            assert!(key.len() < 12 || !message.contains(key), "{message}");
            tells_nothing(value, message);
        }),
        Value::Null | Value::Bool(_) => {}
    }
}
