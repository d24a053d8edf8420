//! AWS's rules for tags.

use std::collections::{BTreeMap, BTreeSet};

/// AWS's limits of tags on a user or a session.
pub(super) const MAX_TAGS: usize = 50;
const MAX_TAG_KEY: usize = 128;
const MAX_TAG_VALUE: usize = 256;

/// AWS's rules for the tags of a user and of a session, which are the same.
pub(super) fn problems(tags: &BTreeMap<String, String>) -> Vec<String> {
    let mut problems = Vec::new();
    if tags.len() > MAX_TAGS {
        problems.push(format!(
            "{} tags, and AWS takes at most {MAX_TAGS}",
            tags.len()
        ));
    }
    let mut seen = BTreeSet::new();
    for (key, value) in tags {
        problems.extend(problem_of_key(key));
        if !seen.insert(key.to_lowercase()) {
            problems.push(format!(
                "key {key:?} is there twice, because AWS does not tell upper case from lower case"
            ));
        }
        if value.chars().count() > MAX_TAG_VALUE {
            problems.push(format!(
                "value of {key:?} must have at most {MAX_TAG_VALUE} characters"
            ));
        }
        if !value.chars().all(is_tag_character) {
            problems.push(format!(
                "value of {key:?} must consist of letters, digits, spaces and _.:/=+-@"
            ));
        }
    }
    problems
}

/// What is wrong with the key of a tag.
pub(super) fn problem_of_key(key: &str) -> Option<String> {
    if key.is_empty() || key.chars().count() > MAX_TAG_KEY {
        return Some(format!(
            "key {key:?} must have 1 to {MAX_TAG_KEY} characters"
        ));
    }
    if key.to_lowercase().starts_with("aws:") {
        return Some(format!("key {key:?} begins with aws:, which is AWS's own"));
    }
    if !key.chars().all(is_tag_character) {
        return Some(format!(
            "{key:?} must consist of letters, digits, spaces and _.:/=+-@"
        ));
    }
    None
}

/// `[\p{L}\p{Z}\p{N}_.:/=+\-@]`
fn is_tag_character(c: char) -> bool {
    c.is_alphanumeric() || c.is_whitespace() && !c.is_control() || "_.:/=+-@".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_keep_the_rules_of_aws() {
        let check = |key: &str, value: &str| problems(&[(key.to_owned(), value.to_owned())].into());

        for (key, value) in [
            ("team", "platform"),
            ("Straße 1", "größe=2/3"),
            ("k", ""),
            (&"k".repeat(128), &"v".repeat(256)),
        ] {
            assert_eq!(check(key, value), [""; 0], "{key}={value}");
        }
        for (key, value, reason) in [
            ("", "v", "1 to 128 characters"),
            (&"k".repeat(129), "v", "1 to 128 characters"),
            ("k", &"v".repeat(257), "at most 256 characters"),
            ("AWS:x", "v", "AWS's own"),
            ("a#b", "v", "\"a#b\" must consist of"),
            ("k", "a\tb", "value of \"k\" must consist of"),
        ] {
            let problems = check(key, value);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].contains(reason), "{problems:?}");
        }
    }

    #[test]
    fn tags_are_at_most_fifty_and_differ_by_more_than_case() {
        let many = (0..51).map(|n| (n.to_string(), String::new())).collect();
        assert_eq!(problems(&many), ["51 tags, and AWS takes at most 50"]);

        let twice = ["Team", "team"].map(|key| (key.to_owned(), String::new()));
        let problems = problems(&twice.into());
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].contains("\"team\" is there twice"),
            "{problems:?}"
        );
    }
}
