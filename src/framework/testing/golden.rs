//! Golden files: texts that users read, kept whole under `tests/golden`, so that a change of them
//! shows as a diff.

use std::path::Path;

use crate::environment::{Environment, ProcessEnvironment};

/// Set to anything, it makes [`assert_golden`] write the files instead of comparing.
pub const UPDATE_GOLDEN: &str = "UPDATE_GOLDEN";

/// Compares a text with the file `tests/golden/<name>`.
///
/// # Panics
///
/// When they differ, with the first line that does.
pub fn assert_golden(name: &str, actual: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if ProcessEnvironment.var(UPDATE_GOLDEN).is_some() {
        let written = file
            .parent()
            .map_or(Ok(()), std::fs::create_dir_all)
            .and_then(|()| std::fs::write(&file, actual));
        if let Err(error) = written {
            panic!("cannot write {}: {error}", file.display());
        }
        return;
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_else(|error| {
        panic!(
            "cannot read {}: {error}; {UPDATE_GOLDEN}=1 makes it",
            file.display()
        )
    });
    if expected == actual {
        return;
    }
    let line = expected
        .lines()
        .zip(actual.lines())
        .position(|(expected, actual)| expected != actual)
        .unwrap_or_else(|| expected.lines().count().min(actual.lines().count()));
    let shown = |text: &str| text.lines().nth(line).unwrap_or("<end>").to_owned();
    panic!(
        "{} differs from line {} on\n  expected: {}\n  actual:   {}\nIf the change is meant, {UPDATE_GOLDEN}=1 accepts it.",
        file.display(),
        line + 1,
        shown(&expected),
        shown(actual),
    );
}

/// Compares a text with what stands in a document between `<!-- begin NAME -->` and
/// `<!-- end NAME -->`.
///
/// # Panics
///
/// When they differ, or when the document has no such place.
pub fn assert_part_of_document(document: &str, name: &str, actual: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
    let (begin, end) = (
        format!("<!-- begin {name} -->\n"),
        format!("<!-- end {name} -->\n"),
    );
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let parts = text.split_once(&begin).and_then(|(before, rest)| {
        let (part, after) = rest.split_once(&end)?;
        Some((before, part, after))
    });
    let Some((before, part, after)) = parts else {
        panic!("{document} has no place between {begin:?} and {end:?}");
    };
    if part == actual {
        return;
    }
    assert!(
        ProcessEnvironment.var(UPDATE_GOLDEN).is_some(),
        "{document} says of {name}:\n{part}\nand it should say:\n{actual}\nIf the change is meant, {UPDATE_GOLDEN}=1 accepts it."
    );
    let written = std::fs::write(&file, format!("{before}{begin}{actual}{end}{after}"));
    if let Err(error) = written {
        panic!("cannot write {document}: {error}");
    }
}
