//! Path templates: `roles/{name}`, `(creds|sts)/{name}`, `roles/?`.
//!
//! One template gives the regular expression that matches requests and the paths of the OpenAPI
//! document. Its parts:
//!
//! | part | matches |
//! |---|---|
//! | text | itself |
//! | `{field}` | a name: word characters, `-` and `.`, a word character at both ends |
//! | `{field@}` | the same, `@` also allowed inside |
//! | `(a\|b)` | one of the texts |
//! | `/?` | at the end: an optional slash |

use regex_lite::Regex;

/// Go's `\w` is ASCII, and so is this class; `\w` of other engines is not.
const WORD: &str = "[0-9A-Za-z_]";

/// A template that cannot be read: a mistake in a declaration.
#[derive(Debug, Clone, thiserror::Error)]
#[error("path template {template:?}: {reason}")]
pub struct PatternError {
    template: String,
    reason: String,
}

/// The captured names and values of a path.
pub type Captures = Vec<(&'static str, String)>;

/// A compiled path template.
#[derive(Clone, Debug)]
pub struct Pattern {
    template: &'static str,
    regex: Regex,
    captures: Vec<&'static str>,
}

impl Pattern {
    /// Compiles a template.
    pub fn new(template: &'static str) -> Result<Self, PatternError> {
        let fault = |reason: &str| PatternError {
            template: template.to_owned(),
            reason: reason.to_owned(),
        };
        let mut expression = String::from("^");
        let mut captures = Vec::new();
        let mut rest = template;
        while let Some(next) = rest.chars().next() {
            match next {
                '{' => {
                    let (capture, after) = rest[1..]
                        .split_once('}')
                        .ok_or_else(|| fault("missing }"))?;
                    let (name, inside) = match capture.strip_suffix('@') {
                        Some(name) => (name, r"[0-9A-Za-z_.@\-]"),
                        None => (capture, r"[0-9A-Za-z_.\-]"),
                    };
                    expression.push_str(&format!("(?P<{name}>{WORD}(?:{inside}*{WORD})?)"));
                    captures.push(name);
                    rest = after;
                }
                '(' => {
                    let (choices, after) = rest[1..]
                        .split_once(')')
                        .ok_or_else(|| fault("missing )"))?;
                    expression.push_str(&format!("(?:{choices})"));
                    rest = after;
                }
                '/' if rest == "/?" => {
                    expression.push_str("/?");
                    rest = "";
                }
                _ => {
                    let end = rest[1..]
                        .find(['{', '(', '/'])
                        .map_or(rest.len(), |at| at + 1);
                    let (text, after) = rest.split_at(end);
                    expression.push_str(&regex_lite::escape(text));
                    rest = after;
                }
            }
        }
        expression.push('$');
        Ok(Self {
            template,
            regex: Regex::new(&expression).map_err(|error| fault(&error.to_string()))?,
            captures,
        })
    }

    /// The captured names and values, when the path matches.
    pub fn captures(&self, path: &str) -> Option<Captures> {
        let found = self.regex.captures(path)?;
        Some(
            self.captures
                .iter()
                .filter_map(|name| Some((*name, found.name(name)?.as_str().to_owned())))
                .collect(),
        )
    }

    /// Names of the fields that the path captures.
    pub fn names(&self) -> &[&'static str] {
        &self.captures
    }

    /// The regular expression, for help texts.
    pub fn expression(&self) -> &str {
        self.regex.as_str()
    }

    /// The template itself.
    pub fn template(&self) -> &'static str {
        self.template
    }

    /// The paths of the OpenAPI document: choices spelled out, an optional slash dropped.
    pub fn openapi_paths(&self) -> Vec<String> {
        let template = self.template.trim_end_matches("/?").replace("@}", "}");
        let Some((before, rest)) = template.split_once('(') else {
            return vec![format!("/{template}")];
        };
        let Some((choices, after)) = rest.split_once(')') else {
            return vec![format!("/{template}")];
        };
        choices
            .split('|')
            .map(|choice| format!("/{before}{choice}{after}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(template: &'static str, path: &str) -> Option<String> {
        let pattern = Pattern::new(template).unwrap();
        let captures = pattern.captures(path)?;
        Some(captures.into_iter().map(|(_, value)| value).collect())
    }

    #[test]
    fn a_name_has_a_word_character_at_both_ends() {
        for name in ["a", "a-b", "a.b", "a@b", "A_9", "a--b", "0"] {
            assert_eq!(
                captured("roles/{name@}", &format!("roles/{name}")).as_deref(),
                Some(name)
            );
        }
        for name in ["", "-a", "a-", ".a", "a@", "a/b", "a b", "ä", "aéb"] {
            assert_eq!(
                captured("roles/{name@}", &format!("roles/{name}")),
                None,
                "{name:?}"
            );
        }
        assert_eq!(captured("roles/{name}", "roles/a@b"), None);
    }

    #[test]
    fn choices_and_an_optional_slash_match() {
        let pattern = Pattern::new("(creds|sts)/{name@}").unwrap();
        assert!(pattern.captures("creds/a").is_some());
        assert!(pattern.captures("sts/a").is_some());
        assert!(pattern.captures("other/a").is_none());
        assert!(pattern.captures("xcreds/a").is_none());
        let list = Pattern::new("roles/?").unwrap();
        assert!(list.captures("roles").is_some());
        assert!(list.captures("roles/").is_some());
        assert!(list.captures("roles/a").is_none());
    }

    #[test]
    fn the_dot_of_a_text_is_no_wildcard() {
        assert!(Pattern::new("a.b").unwrap().captures("axb").is_none());
    }

    #[test]
    fn openapi_paths_spell_out_choices_and_drop_the_optional_slash() {
        let paths = |template| Pattern::new(template).unwrap().openapi_paths();
        assert_eq!(
            paths("(creds|sts)/{name@}"),
            ["/creds/{name}", "/sts/{name}"]
        );
        assert_eq!(paths("roles/?"), ["/roles"]);
        assert_eq!(paths("config/root"), ["/config/root"]);
    }

    #[test]
    fn a_template_with_an_open_bracket_is_refused() {
        assert!(Pattern::new("roles/{name").is_err());
        assert!(Pattern::new("(a|b").is_err());
    }
}
