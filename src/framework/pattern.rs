//! Path templates: `roles/{name}`, `(creds|sts)/{name}`, `roles/?`.
//!
//! One template matches requests, and gives the regular expression of help texts and the paths of the
//! OpenAPI document. Its parts:
//!
//! | part | matches |
//! |---|---|
//! | text | itself |
//! | `{field}` | a name: word characters, `-` and `.`, a word character at both ends |
//! | `{field@}` | the same, `@` also allowed inside |
//! | `{field=}` | the same, all characters of AWS's names also allowed inside |
//! | `(a\|b)` | one of the texts |
//! | `/?` | at the end: an optional slash |

/// A path that cannot be declared like this.
#[derive(Debug, Clone, thiserror::Error)]
#[error("path template {template:?}: {reason}")]
pub struct PatternError {
    template: String,
    reason: String,
}

impl PatternError {
    pub(super) fn new(template: &str, reason: impl Into<String>) -> Self {
        Self {
            template: template.to_owned(),
            reason: reason.into(),
        }
    }
}

/// The captured names and values of a path.
pub type Captures = Vec<(&'static str, String)>;

/// A compiled path template.
#[derive(Clone, Debug)]
pub struct Pattern {
    template: &'static str,
    parts: Vec<Part>,
    expression: String,
}

#[derive(Clone, Debug)]
enum Part {
    Text(&'static str),
    Name {
        field: &'static str,
        /// Characters allowed inside beside word characters, as a regular expression writes them.
        inside: &'static str,
    },
    Choice(Vec<&'static str>),
    OptionalSlash,
}

impl Pattern {
    /// Compiles a template.
    pub fn new(template: &'static str) -> Result<Self, PatternError> {
        let parts = parse(template).map_err(|reason| PatternError::new(template, reason))?;
        let mut expression = String::from("^");
        for part in &parts {
            match part {
                Part::Text(text) => expression.push_str(&literal(text)),
                Part::Name { field, inside } => {
                    expression.push_str(&format!(r"(?P<{field}>\w(?:[\w{inside}]*\w)?)"));
                }
                Part::Choice(choices) => {
                    let choices: Vec<String> = choices.iter().map(|text| literal(text)).collect();
                    expression.push_str(&format!("({})", choices.join("|")));
                }
                Part::OptionalSlash => expression.push_str("/?"),
            }
        }
        expression.push('$');
        Ok(Self {
            template,
            parts,
            expression,
        })
    }

    /// The captured names and values, when the path matches. Every request asks each path, so this
    /// looks at the parts instead of running the regular expression.
    pub fn captures(&self, path: &str) -> Option<Captures> {
        let mut captures = Captures::new();
        let mut rest = path;
        for part in &self.parts {
            rest = match part {
                Part::Text(text) => rest.strip_prefix(text)?,
                Part::Choice(choices) => choices.iter().find_map(|text| rest.strip_prefix(text))?,
                Part::OptionalSlash => rest.strip_prefix('/').unwrap_or(rest),
                Part::Name { field, inside } => {
                    let allowed = |c: char| is_word(c) || inside.contains(c);
                    let end = rest.find(|c| !allowed(c)).unwrap_or(rest.len());
                    let (name, after) = rest.split_at(end);
                    if !(name.starts_with(is_word) && name.ends_with(is_word)) {
                        return None;
                    }
                    captures.push((*field, name.to_owned()));
                    after
                }
            };
        }
        rest.is_empty().then_some(captures)
    }

    /// Names of the fields that the path captures.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Name { field, .. } => Some(*field),
            _ => None,
        })
    }

    /// The regular expression, for help texts.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// The template itself.
    pub fn template(&self) -> &'static str {
        self.template
    }

    /// The paths of the OpenAPI document: choices spelled out, an optional slash dropped.
    pub fn openapi_paths(&self) -> Vec<String> {
        let mut paths = vec![String::from("/")];
        for part in &self.parts {
            match part {
                Part::Text(text) => paths.iter_mut().for_each(|path| path.push_str(text)),
                Part::Name { field, .. } => paths
                    .iter_mut()
                    .for_each(|path| path.push_str(&format!("{{{field}}}"))),
                Part::Choice(choices) => {
                    paths = paths
                        .iter()
                        .flat_map(|path| choices.iter().map(move |text| format!("{path}{text}")))
                        .collect();
                }
                Part::OptionalSlash => {}
            }
        }
        paths
    }
}

fn parse(template: &'static str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('{') {
            let (capture, after) = inside.split_once('}').ok_or("missing }")?;
            let (field, inside) = match capture.strip_suffix(['@', '=']) {
                Some(field) if capture.ends_with('@') => (field, ".@-"),
                Some(field) => (field, ".@+=,-"),
                None => (capture, ".-"),
            };
            parts.push(Part::Name { field, inside });
            rest = after;
        } else if let Some(inside) = rest.strip_prefix('(') {
            let (choices, after) = inside.split_once(')').ok_or("missing )")?;
            let choices: Vec<&str> = choices.split('|').collect();
            choices.iter().try_for_each(|text| plain(text))?;
            parts.push(Part::Choice(choices));
            rest = after;
        } else if rest == "/?" {
            parts.push(Part::OptionalSlash);
            rest = "";
        } else {
            let end = rest
                .find(['{', '('])
                .unwrap_or_else(|| rest.strip_suffix("/?").unwrap_or(rest).len());
            let (text, after) = rest.split_at(end);
            plain(text)?;
            parts.push(Part::Text(text));
            rest = after;
        }
    }
    if parts.is_empty() {
        return Err("it is empty".to_owned());
    }
    unambiguous(&parts)?;
    Ok(parts)
}

/// Refuses what could match in more than one way: matching takes the first and never looks back.
fn unambiguous(parts: &[Part]) -> Result<(), String> {
    let mut names = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        match part {
            Part::Name { field, .. } => {
                if field.is_empty() || names.contains(field) {
                    return Err(format!("{field:?} is no name of its own"));
                }
                names.push(field);
                let ends = match parts.get(at + 1) {
                    None | Some(Part::OptionalSlash) => true,
                    Some(Part::Text(text)) => text.starts_with('/'),
                    Some(Part::Name { .. } | Part::Choice(_)) => false,
                };
                if !ends {
                    return Err(format!("a slash must follow {field:?}"));
                }
            }
            Part::Choice(choices) => {
                for (before, text) in choices.iter().enumerate() {
                    if choices[..before]
                        .iter()
                        .any(|other| text.starts_with(other))
                    {
                        return Err(format!("{text:?} begins with another choice"));
                    }
                }
            }
            Part::Text(_) | Part::OptionalSlash => {}
        }
    }
    Ok(())
}

/// As `\w` in Go: ASCII only.
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Refuses what looks like a regular expression, which a template is not.
fn plain(text: &str) -> Result<(), String> {
    match text
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && !"/-_.".contains(*c))
    {
        Some(c) => Err(format!("{c:?} has no meaning there")),
        None => Ok(()),
    }
}

fn literal(text: &str) -> String {
    text.replace('.', r"\.")
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
        let of_aws = "issued/{name=}";
        assert_eq!(
            captured(of_aws, "issued/a+b=c,d.e@f-g").as_deref(),
            Some("a+b=c,d.e@f-g")
        );
        assert_eq!(captured(of_aws, "issued/a b"), None);
    }

    #[test]
    fn what_follows_a_name_must_be_there_and_nothing_else() {
        let rotate = |path| captured("roles/{name}/rotate", path);
        assert_eq!(rotate("roles/a.b/rotate").as_deref(), Some("a.b"));
        for path in ["roles/a", "roles/a/", "roles/a/rotate/", "roles/a/rotated"] {
            assert_eq!(rotate(path), None, "{path}");
        }
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
        assert_eq!(
            paths("(a|b)/x/(c|d)/?"),
            ["/a/x/c", "/a/x/d", "/b/x/c", "/b/x/d"]
        );
        assert_eq!(paths("roles/?"), ["/roles"]);
        assert_eq!(paths("config/root"), ["/config/root"]);
    }

    #[test]
    fn the_regular_expression_is_legible_in_help_texts() {
        let expression = |template| Pattern::new(template).unwrap().expression().to_owned();
        assert_eq!(expression("static-roles/?"), "^static-roles/?$");
        assert_eq!(
            expression("(creds|sts)/{name}"),
            r"^(creds|sts)/(?P<name>\w(?:[\w.-]*\w)?)$"
        );
    }

    #[test]
    fn a_template_that_cannot_mean_what_it_says_is_refused() {
        for template in [
            "",
            "roles/{name",
            "roles/name}",
            "(a|b",
            "a|b",
            "(a|b*)/c",
            "roles/?x",
            "roles/.*",
            "roles/{name}/{name}",
            "roles/{}",
            "roles/{name}.json",
            "roles/{name}{other}",
            "(a|ab)/c",
            "röles",
        ] {
            assert!(Pattern::new(template).is_err(), "{template:?}");
        }
    }
}
