//! What a template computes with.

use std::sync::Arc;

use super::Fields;
use super::printf;

/// A value of one of the Go types that can occur when the data are texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// The absent value: a literal `nil`, or what `and` and `or` make of one.
    Nil,
    Bool(bool),
    /// Go's `int`.
    Int(i64),
    /// Go's `uint8`: one byte of a text, from `index`.
    Byte(u8),
    /// Go's `string`, which is bytes: it may be cut inside a character.
    Text(Arc<[u8]>),
    /// The data themselves, `.` at the top of the template.
    Struct(Fields),
}

impl Value {
    pub(super) fn text(bytes: impl AsRef<[u8]>) -> Self {
        Self::Text(bytes.as_ref().into())
    }

    /// Go's truth: everything but the zero value of its type.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Byte(value) => *value != 0,
            Self::Text(value) => !value.is_empty(),
            Self::Struct(_) => true,
        }
    }

    /// The name of the type in Go.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Byte(_) => "uint8",
            Self::Text(_) => "string",
            Self::Struct(_) => "struct",
        }
    }

    /// Bytes held, as a measure of what it costs to handle the value.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Text(bytes) => bytes.len(),
            Self::Struct(fields) => fields.size(),
            Self::Nil | Self::Bool(_) | Self::Int(_) | Self::Byte(_) => 0,
        }
    }

    /// The value as an action or an escaping function writes it.
    pub(super) fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nil => out.extend_from_slice(b"<no value>"),
            Self::Text(bytes) => out.extend_from_slice(bytes),
            value => printf::write_plain(out, value),
        }
    }

    /// For error messages: the value and its type.
    pub(super) fn describe(&self) -> String {
        let mut out = Vec::new();
        match self {
            Self::Nil => return "nil".to_owned(),
            Self::Struct(_) => return "the whole data".to_owned(),
            value => printf::write_go_syntax(&mut out, value),
        }
        format!("{} {}", self.type_name(), String::from_utf8_lossy(&out))
    }
}

/// The characters of a Go string: each byte that is no part of a character stands for itself.
pub(super) fn runes(bytes: &[u8]) -> impl Iterator<Item = Result<char, u8>> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let broken = chunk.invalid().iter().map(|byte| Err(*byte));
        chunk.valid().chars().map(Ok).chain(broken)
    })
}
