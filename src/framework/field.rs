//! Declared fields: a typed name for handlers, and the same untyped for help and validation.

use std::marker::PhantomData;
use std::sync::Arc;

use serde_json::Value;

use super::field_type::{FieldType, FieldValue};
use super::pattern::Captures;
use crate::logical::{Error, JsonObject};

/// A field of a path, usually a `const`: its name, documentation, default and decoded type in one
/// place, so that [`FieldData::get`] needs neither a string nor a cast.
pub struct Field<T> {
    name: &'static str,
    description: &'static str,
    default: Option<fn() -> T>,
    required: bool,
    deprecated: bool,
    query: bool,
    sensitive: bool,
    null_clears: bool,
    label: &'static str,
    example: &'static str,
    decoded: PhantomData<fn() -> T>,
}

impl<T: FieldValue> Field<T> {
    /// A field that may be left out.
    pub const fn new(name: &'static str, description: &'static str) -> Self {
        Self {
            name,
            description,
            default: None,
            required: false,
            deprecated: false,
            query: false,
            sensitive: false,
            null_clears: T::NULL_CLEARS,
            label: "",
            example: "",
            decoded: PhantomData,
        }
    }

    /// What [`FieldData::value`] answers when the field was not sent, and what `null` sets it to.
    #[must_use]
    pub const fn default(mut self, default: fn() -> T) -> Self {
        self.default = Some(default);
        self
    }

    /// Marks the field as required in the documentation.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Marks the field as deprecated in the documentation.
    #[must_use]
    pub const fn deprecated(mut self) -> Self {
        self.deprecated = true;
        self
    }

    /// Documents the field as a query parameter of reads.
    #[must_use]
    pub const fn query(mut self) -> Self {
        self.query = true;
        self
    }

    /// Asks user interfaces to hide what is typed.
    #[must_use]
    pub const fn sensitive(mut self) -> Self {
        self.sensitive = true;
        self
    }

    /// Lets `null` clear the field also where its type takes that for not sent.
    #[must_use]
    pub const fn null_clears(mut self) -> Self {
        self.null_clears = true;
        self
    }

    /// The field's name in user interfaces.
    #[must_use]
    pub const fn label(mut self, label: &'static str) -> Self {
        self.label = label;
        self
    }

    /// A value that user interfaces show as a sample.
    #[must_use]
    pub const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    /// The name on the wire.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn schema(&self) -> FieldSchema {
        FieldSchema {
            name: self.name,
            description: self.description,
            field_type: T::TYPE,
            default: self.default.map(|default| default().encode()),
            required: self.required,
            deprecated: self.deprecated,
            query: self.query,
            sensitive: self.sensitive,
            label: self.label,
            example: self.example,
            check: |value| T::decode(value).map(drop),
        }
    }
}

impl<T> std::fmt::Debug for Field<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Field").field(&self.name).finish()
    }
}

/// A [`Field`] without its decoded type.
#[derive(Clone, Debug)]
pub struct FieldSchema {
    /// The name on the wire.
    pub name: &'static str,
    /// What it is for.
    pub description: &'static str,
    /// How it is decoded.
    pub field_type: FieldType,
    /// Its default, in JSON.
    pub default: Option<Value>,
    /// Whether the documentation calls it required.
    pub required: bool,
    /// Whether the documentation calls it deprecated.
    pub deprecated: bool,
    /// Whether reads take it as a query parameter.
    pub query: bool,
    /// Whether user interfaces hide it.
    pub sensitive: bool,
    /// Its name in user interfaces; empty for none.
    pub label: &'static str,
    /// A sample value for user interfaces; empty for none.
    pub example: &'static str,
    check: fn(&Value) -> Result<(), String>,
}

/// The fields of one request, every one of them already checked.
#[derive(Clone)]
pub struct FieldData {
    raw: JsonObject,
    fields: Arc<[FieldSchema]>,
    replaced: Vec<&'static str>,
}

impl FieldData {
    /// Lets `captures` override `raw` and checks all declared fields.
    pub(super) fn decode(
        mut raw: JsonObject,
        captures: Captures,
        fields: Arc<[FieldSchema]>,
    ) -> Result<Self, Error> {
        let mut replaced = Vec::new();
        for (name, value) in captures {
            let sent = raw.insert(name.to_owned(), Value::from(value));
            if sent.is_some_and(|sent| !sent.is_null()) {
                replaced.push(name);
            }
        }
        for field in &*fields {
            if let Some(value) = raw.get(field.name).filter(|value| !value.is_null()) {
                (field.check)(value).map_err(|reason| {
                    Error::invalid(format!(
                        "Field validation failed: error converting input for field {:?}: {reason}",
                        field.name
                    ))
                })?;
            }
        }
        Ok(Self {
            raw,
            fields,
            replaced,
        })
    }

    /// What was sent for the field; `None` when it was not sent. A `null` that clears the field is
    /// its default, else the type's zero value.
    pub fn get<T: FieldValue>(&self, field: &Field<T>) -> Option<T> {
        debug_assert!(
            self.fields
                .iter()
                .any(|declared| declared.name == field.name && declared.field_type == T::TYPE),
            "field {:?} is not declared on this path as {:?}",
            field.name,
            T::TYPE
        );
        match self.raw.get(field.name)? {
            Value::Null if field.null_clears => {
                Some(field.default.map_or_else(T::default, |default| default()))
            }
            Value::Null => None,
            // Checked when the request came in, so a failure cannot happen here.
            value => T::decode(value).ok(),
        }
    }

    /// Whether `null` was sent for the field.
    pub fn is_null<T>(&self, field: &Field<T>) -> bool {
        self.sent(field).is_some_and(Value::is_null)
    }

    /// What was sent for the field, in the form in which it was sent.
    pub fn sent<T>(&self, field: &Field<T>) -> Option<&Value> {
        self.raw.get(field.name)
    }

    /// Refuses a field that was sent without a value, as from a variable that is not set: where neither
    /// value of it is harmless to guess.
    pub fn must_not_be_empty<T>(&self, field: &Field<T>) -> Result<(), Error> {
        let is_empty = |value: &Value| value.is_null() || value.as_str().is_some_and(str::is_empty);
        if self.sent(field).is_some_and(is_empty) {
            return Err(Error::invalid(format!(
                "nothing was done, for {} was sent empty: give it a value, or leave it out",
                field.name
            )));
        }
        Ok(())
    }

    /// What was sent for the field, else its default, else the type's zero value.
    pub fn value<T: FieldValue>(&self, field: &Field<T>) -> T {
        self.get(field)
            .or_else(|| field.default.map(|default| default()))
            .unwrap_or_default()
    }

    /// The names that the path does not know, in alphabetical order.
    pub(super) fn unknown(&self) -> Vec<&str> {
        self.raw
            .keys()
            .map(String::as_str)
            .filter(|name| !self.fields.iter().any(|field| field.name == *name))
            .collect()
    }

    /// A warning of what was sent and is in the path already.
    pub(super) fn replaced(&self) -> Option<String> {
        (!self.replaced.is_empty()).then(|| {
            format!(
                "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{}]",
                self.replaced.join(" ")
            )
        })
    }
}

impl std::fmt::Debug for FieldData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.raw.keys()).finish()
    }
}
