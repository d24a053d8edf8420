//! Prometheus's text format, version 0.0.4.

use std::fmt::{Display, Write as _};

/// What this text is, for whoever reads it.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether a figure only grows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
}

/// Figures, family by family.
#[derive(Debug, Default)]
pub(super) struct Text(String);

/// The figures of one name.
#[derive(Debug)]
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Text {
    /// Begins the figures of one name.
    pub(super) fn family(&mut self, kind: Kind, name: &'static str, help: &str) -> Family<'_> {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
        Family {
            text: &mut self.0,
            name,
        }
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// One figure.
    pub(super) fn is(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.text.push_str(self.name);
        for (at, (label, value)) in labels.iter().enumerate() {
            self.text.push(if at == 0 { '{' } else { ',' });
            let _ = write!(self.text, "{label}=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_stand_under_their_help_and_labels_are_escaped() {
        let mut text = Text::default();
        text.family(Kind::Counter, "a_total", "How many.")
            .is(&[("role", "x"), ("kind", "a\"b\\c\nd")], 3)
            .is(&[("role", "y")], 0);
        text.family(Kind::Gauge, "b", "How old.").is(&[], 1.5);

        assert_eq!(
            text.into_string(),
            "# HELP a_total How many.\n# TYPE a_total counter\n\
             a_total{role=\"x\",kind=\"a\\\"b\\\\c\\nd\"} 3\na_total{role=\"y\"} 0\n\
             # HELP b How old.\n# TYPE b gauge\nb 1.5\n"
        );
    }
}
