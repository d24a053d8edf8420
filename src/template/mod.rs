//! The part of Go's `text/template` that `username_template` needs, with the functions that Vault
//! and `OpenBao` add to it.
//!
//! May depend on: [`crate::clock`], where `unix_time` and `timestamp` take the time from, and
//! [`crate::excerpt`].
//!
//! A text is parsed ([`Template::parse`]) to a tree, which is rendered ([`Template::render`]) with
//! [`Fields`], a clock and a random source. What renders here renders to the same bytes in Go.
//! Deliberately left out or different:
//! - `define`, `template`, `block`, `call`, floating-point and complex numbers are refused when the
//!   template is parsed. So is what Go refuses only when it comes to it: a wrong number of
//!   arguments, an argument for what is no function, a variable used outside its block.
//! - `timestamp` takes the time in UTC; Go takes the time zone of the server, which is mostly UTC.
//! - Texts, nesting and work are bounded, so that no template can stop the process.
//! - The rendered text must be UTF-8. Within a template, texts are bytes, as in Go.
//! - `uppercase`, `lowercase` and `%q` follow Rust's version of Unicode, and a character of which
//!   the other case is several characters stays as it is. For ASCII there is no difference.
//! - The type of `.` is written `struct` where `printf` complains about it or is asked for it.

mod budget;
mod builtins;
mod escape;
mod eval;
mod functions;
#[cfg(any(test, feature = "test-util"))]
pub(crate) mod fuzzing;
mod layout;
mod lex;
mod literal;
mod parse;
mod printf;
#[cfg(test)]
mod tests;
mod tree;
mod value;

use std::sync::Arc;

use rand::Rng;

use self::tree::Node;
use crate::clock::Clock;
use crate::excerpt::cut;

/// The longest template, in bytes.
pub const LONGEST_TEMPLATE: usize = 64 * 1024;

/// A parsed template.
#[derive(Clone, Debug)]
pub struct Template {
    text: String,
    nodes: Vec<Node>,
}

impl Template {
    /// Parses `text`. The message says where the mistake is and what it is.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let nodes = if text.len() <= LONGEST_TEMPLATE {
            parse::parse(text)
        } else {
            let message = format!(
                "the template is {} bytes long, and at most {LONGEST_TEMPLATE} are allowed",
                text.len()
            );
            Err(Fault::new(0, message))
        };
        Ok(Self {
            nodes: nodes.map_err(|fault| ParseError(Located::new(text, fault)))?,
            text: text.to_owned(),
        })
    }

    /// Renders with `fields` as the data, the time of `clock`, and `random` for `random` and
    /// `uuid`: in production one of [`crate::chance`].
    pub fn render(
        &self,
        fields: &Fields,
        clock: &dyn Clock,
        random: &mut dyn Rng,
    ) -> Result<String, RenderError> {
        let bytes = eval::render(&self.nodes, fields, clock, random)
            .map_err(|fault| RenderError::At(Located::new(&self.text, fault)))?;
        String::from_utf8(bytes).map_err(|_| RenderError::NotText)
    }
}

/// The data of a template: `{{ .Name }}` is the text given as `Name`.
///
/// The order is that of the fields of the struct in Go; it shows where a template writes `{{ . }}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fields(Arc<[(String, Arc<[u8]>)]>);

impl<const N: usize> From<[(&str, &str); N]> for Fields {
    fn from(fields: [(&str, &str); N]) -> Self {
        let fields = fields.map(|(name, text)| (name.to_owned(), text.as_bytes().into()));
        Self(Arc::new(fields))
    }
}

impl Fields {
    fn find(&self, wanted: &str) -> Option<&Arc<[u8]>> {
        let (_, text) = self.0.iter().find(|(name, _)| name == wanted)?;
        Some(text)
    }

    /// Bytes in all its texts.
    fn size(&self) -> usize {
        self.iter().map(|(_, text)| text.len()).sum()
    }

    fn iter(&self) -> impl Iterator<Item = (&str, &Arc<[u8]>)> {
        self.0.iter().map(|(name, text)| (name.as_str(), text))
    }
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(Located);

/// Why a template does not render with the given data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Something at one place of the template.
    #[error("{0}")]
    At(Located),
    /// The bytes rendered are not UTF-8.
    #[error(
        "the rendered text is not valid UTF-8: a character was cut in two, or bytes were decoded that are no text"
    )]
    NotText,
}

/// A message about one place of a template. Lines and columns count from one; columns are
/// characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct Located {
    line: usize,
    column: usize,
    message: String,
}

impl Located {
    fn new(text: &str, fault: Fault) -> Self {
        let before = text.get(..fault.offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: fault.message,
        }
    }
}

/// What is wrong at a byte offset of the template.
#[derive(Debug)]
struct Fault {
    offset: usize,
    message: String,
}

impl Fault {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        // It may hold what the template made, or a word of the template, of any length.
        const LONGEST_MESSAGE: usize = 500;
        Self {
            offset,
            message: cut(&message.into(), LONGEST_MESSAGE).into_owned(),
        }
    }
}
