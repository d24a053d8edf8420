//! The texts of `vault path-help`.

use super::path::Route;

const NO_SYNOPSIS: &str = "<no synopsis>";
const NO_DESCRIPTION: &str = "<no description>";

/// The whole engine: its own text, then each path with its synopsis.
pub(super) fn engine<S>(description: &str, routes: &[Route<S>]) -> String {
    let mut lines: Vec<(&str, &str)> = routes
        .iter()
        .map(|route| (route.pattern.expression(), route.docs.synopsis))
        .collect();
    lines.sort_unstable();
    let mut text = format!(
        "## DESCRIPTION\n\n{}\n\n## PATHS\n\nThese are the paths of this engine, each as the regular expression that requests\nare matched against. `path-help` with a path that matches one tells more about it.\n",
        or(description, NO_DESCRIPTION),
    );
    for (expression, synopsis) in lines {
        text.push_str(&format!(
            "\n    {expression}\n{}\n",
            indented(or(synopsis, NO_SYNOPSIS), 8)
        ));
    }
    text
}

/// One path: its synopsis, its fields in alphabetical order, its description.
pub(super) fn path<S>(path: &str, route: &Route<S>) -> String {
    let mut text = format!(
        "Request:        {path}\nMatching Route: {}\n\n{}\n",
        route.pattern.expression(),
        or(route.docs.synopsis, NO_SYNOPSIS),
    );
    if !route.fields.is_empty() {
        text.push_str("\n## PARAMETERS\n");
    }
    let mut fields: Vec<_> = route.fields.iter().collect();
    fields.sort_unstable_by_key(|field| field.name);
    for field in fields {
        let deprecated = if field.deprecated {
            "(DEPRECATED) "
        } else {
            ""
        };
        let description = format!("{deprecated}{}", or(field.description, NO_DESCRIPTION));
        text.push_str(&format!(
            "\n    {} ({})\n{}\n",
            field.name,
            field.field_type.help_name(),
            indented(&description, 8),
        ));
    }
    text.push_str(&format!(
        "\n## DESCRIPTION\n\n{}\n",
        or(route.docs.description, NO_DESCRIPTION)
    ));
    text
}

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    let text = text.trim();
    if text.is_empty() { otherwise } else { text }
}

/// Wraps the text at 80 columns and indents it.
fn indented(text: &str, by: usize) -> String {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && by + line.len() + 1 + word.len() > 80 {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    let indent = " ".repeat(by);
    lines
        .iter()
        .map(|line| format!("{indent}{line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
