//! Which modules and words a source text names: as much of Rust's grammar as that takes.

use std::collections::BTreeSet;

/// What a source text names.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Scan {
    /// The modules at the root of the crate that `crate::…` and `super::…` lead to; `*` for all.
    pub(crate) layers: BTreeSet<String>,
    /// All identifiers outside of an inline `mod tests`.
    pub(crate) words: BTreeSet<String>,
    /// Where `crate::…` leads to outside of an inline `mod tests`: the layer and its part.
    parts: BTreeSet<(String, String)>,
    /// The same for `super::…`, by how many modules it goes up.
    above: BTreeSet<(usize, String)>,
}

impl Scan {
    /// The parts of `layer` that a file of it names whose module is `depth` below the root.
    pub(crate) fn parts(&self, layer: &str, depth: usize) -> BTreeSet<String> {
        let parts = self.parts.iter().filter(|(of, _)| of == layer);
        let above = self.above.iter().filter(|(ups, _)| *ups + 1 == depth);
        parts
            .map(|(_, part)| part.clone())
            .chain(above.map(|(_, part)| part.clone()))
            .collect()
    }
}

/// Reads the text of a file whose module is `depth` below the root of the crate.
pub(crate) fn scan(text: &str, depth: usize) -> Scan {
    let tokens = tokens(text);
    let word = |at: usize| tokens.get(at).map_or("", String::as_str);
    let is_path = |at: usize| word(at) == ":" && word(at + 1) == ":";
    let mut scan = Scan::default();
    let mut braces = 0;
    // The inline modules that are open: name, and braces before its own.
    let mut modules: Vec<(&str, usize)> = Vec::new();
    for at in 0..tokens.len() {
        match word(at) {
            "{" => braces += 1,
            "}" => {
                braces -= 1;
                modules.pop_if(|(_, before)| *before == braces);
            }
            "mod" if word(at + 2) == "{" => modules.push((word(at + 1), braces)),
            "crate" if is_path(at + 1) => {
                scan.layers.extend(heads(&tokens, at + 3));
                if is_path(at + 4) && !in_tests(&modules) {
                    let parts = heads(&tokens, at + 6);
                    let layer = word(at + 3).to_owned();
                    let parts = parts.into_iter().map(|part| (layer.clone(), part));
                    scan.parts.extend(parts);
                }
            }
            // Later ones of a chain have been counted with its first.
            "super" if at < 3 || !(is_path(at - 2) && word(at - 3) == "super") => {
                let mut ups = 1;
                let mut after = at + 1;
                while is_path(after) && word(after + 2) == "super" {
                    ups += 1;
                    after += 3;
                }
                if is_path(after) && modules.is_empty() {
                    let above = heads(&tokens, after + 2).into_iter();
                    scan.above.extend(above.map(|name| (ups, name)));
                }
                if ups == depth + modules.len() && is_path(after) {
                    scan.layers.extend(heads(&tokens, after + 2));
                }
            }
            name if !in_tests(&modules) => {
                scan.words.insert(name.to_owned());
            }
            _ => {}
        }
    }
    scan
}

fn in_tests(modules: &[(&str, usize)]) -> bool {
    modules.iter().any(|(module, _)| *module == "tests")
}

/// The first names of the path, or group of paths, that begins at `at`.
fn heads(tokens: &[String], at: usize) -> Vec<String> {
    if tokens[at] != "{" {
        return vec![tokens[at].clone()];
    }
    let mut heads = Vec::new();
    let mut open = 0;
    for pair in tokens[at..].windows(2) {
        match pair[0].as_str() {
            "{" => open += 1,
            "}" => open -= 1,
            _ => {}
        }
        if open == 0 {
            break;
        }
        if open == 1 && ["{", ","].contains(&pair[0].as_str()) && pair[1] != "}" {
            heads.push(pair[1].clone());
        }
    }
    heads
}

/// Identifiers and single signs; comments, literals and lifetimes are left out.
fn tokens(text: &str) -> Vec<String> {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if let Some(length) = raw_string(rest) {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' {
            // A lifetime has no second quote after its first character.
            let character = rest[1..].starts_with('\\') || rest.chars().nth(2) == Some('\'');
            if character { quoted(rest, '\'') } else { 1 }
        } else if in_word(first) {
            let length = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
            if !first.is_numeric() {
                tokens.push(rest[..length].to_owned());
            }
            length
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

fn block_comment(text: &str) -> usize {
    let mut open = 0;
    for (at, _) in text.char_indices() {
        if text[at..].starts_with("/*") {
            open += 1;
        } else if text[..at].ends_with("*/") {
            open -= 1;
            if open == 0 {
                return at;
            }
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let after = ["r", "br", "cr"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))?;
    let inside = after.trim_start_matches('#');
    let end = format!("\"{}", "#".repeat(after.len() - inside.len()));
    let inside = inside.strip_prefix('"')?;
    let closing = inside.find(&end)?;
    Some(text.len() - inside.len() + closing + end.len())
}

fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers(text: &str, depth: usize) -> Vec<String> {
        scan(text, depth).layers.into_iter().collect()
    }

    #[test]
    fn a_path_from_the_root_names_a_layer() {
        assert_eq!(layers("use crate::logical::Error;", 1), ["logical"]);
        assert_eq!(layers("fn f(x: crate::aws::Arn) {}", 2), ["aws"]);
        assert_eq!(
            layers("use crate::{self, aws::{Arn, sdk}, pb, clock::*};", 2),
            ["aws", "clock", "pb", "self"]
        );
        assert_eq!(layers("use crate::*;", 1), ["*"]);
        assert_eq!(layers("pub(crate) fn f() {}", 1), Vec::<String>::new());
    }

    #[test]
    fn super_names_a_layer_only_where_it_leads_to_the_root() {
        assert_eq!(layers("use super::wal;", 2), Vec::<String>::new());
        assert_eq!(layers("use super::super::aws;", 2), ["aws"]);
        assert_eq!(layers("use super::super::{aws, pb};", 2), ["aws", "pb"]);
        assert_eq!(layers("mod tests { use super::super::aws; }", 1), ["aws"]);
        assert_eq!(
            layers("mod a { mod b {} use super::super::aws; }", 1),
            ["aws"]
        );
        assert_eq!(layers("mod a {} mod b; use super::aws;", 1), ["aws"]);
    }

    #[test]
    fn comments_and_literals_name_nothing() {
        let text = r##"
            //! [`crate::aws`]
            /* crate::pb /* nested */ crate::rpc */
            const A: &str = "crate::aws \" crate::pb";
            const B: &str = r#"crate::aws " crate::pb"#;
            const C: char = '"'; const D: char = '\''; const E: &'static str = "crate::aws";
            use crate::logical;
        "##;
        assert_eq!(layers(text, 1), ["logical"]);
    }

    #[test]
    fn words_of_inline_tests_do_not_count() {
        let text = "fn f(a: A) { a.shown() } mod tests { fn g(b: B) { b.hidden() } } fn h() {}";
        let words = scan(text, 1).words;
        assert!(words.contains("shown") && words.contains("h"));
        assert!(!words.contains("hidden"));
    }
}
