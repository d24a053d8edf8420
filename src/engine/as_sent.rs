//! Texts as they were sent, where that is not quite what is used.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::framework::{Field, FieldData, FieldValue};

/// What was sent with white space around it, by field: a text, or a list of texts.
///
/// It comes with files and here-documents. What is used is without it; what is read is as it was
/// sent, or else tools that compare the two find a difference that no write heals.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct AsSent(BTreeMap<String, Value>);

impl AsSent {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Remembers what a write sends for the field, if it sends it.
    pub(crate) fn note<T: FieldValue>(&mut self, data: &FieldData, field: &Field<T>) {
        let Some(sent) = data.sent(field) else {
            return;
        };
        if trimmed(sent) == *sent {
            self.0.remove(field.name());
        } else {
            self.0.insert(field.name().to_owned(), sent.clone());
        }
    }

    /// What is used, in the form in which it was sent.
    pub(crate) fn show(&self, name: &str, used: Value) -> Value {
        match self.0.get(name) {
            // Not if something else has taken its place since.
            Some(sent) if trimmed(sent) == used => sent.clone(),
            _ => used,
        }
    }
}

fn trimmed(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::from(text.trim()),
        Value::Array(items) => items.iter().map(trimmed).collect(),
        other => other.clone(),
    }
}
