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
