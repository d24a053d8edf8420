//! What AWS answers with: elements that hold text or elements.

use std::fmt::Display;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Elements, written as they come.
#[derive(Default)]
pub(super) struct Xml(String);

impl Xml {
    pub(super) fn element(&mut self, name: &str, content: impl FnOnce(&mut Self)) {
        for part in ["<", name, ">"] {
            self.0.push_str(part);
        }
        content(self);
        for part in ["</", name, ">"] {
            self.0.push_str(part);
        }
    }

    pub(super) fn text(&mut self, name: &str, text: impl Display) {
        self.element(name, |xml| {
            for character in text.to_string().chars() {
                match character {
                    '<' => xml.0.push_str("&lt;"),
                    '>' => xml.0.push_str("&gt;"),
                    '&' => xml.0.push_str("&amp;"),
                    other => xml.0.push(other),
                }
            }
        });
    }

    pub(super) fn moment(&mut self, name: &str, moment: OffsetDateTime) {
        // Every moment that a clock shows has this form.
        self.text(name, moment.format(&Rfc3339).unwrap_or_default());
    }

    /// A whole list: one page of it.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        members: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Self, T),
    ) {
        self.element(name, |xml| {
            for member in members {
                xml.element("member", |xml| write(xml, member));
            }
        });
        self.text("IsTruncated", false);
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, name: &str, texts: impl IntoIterator<Item = impl Display>) {
        self.element(name, |xml| {
            for text in texts {
                xml.text("member", text);
            }
        });
        self.text("IsTruncated", false);
    }

    pub(super) fn append(&mut self, content: &Self) {
        self.0.push_str(&content.0);
    }
}

impl From<Xml> for String {
    fn from(xml: Xml) -> Self {
        xml.0
    }
}
