//! The engine as a whole: what it shares with the Go engines, and what it says of itself.
//!
//! `conformance.md` beside this file tells which test shows each point of the Go engines' own tests.

mod changes;
mod documents;
mod go_engines;
mod roads;
mod storage_calls;

use std::path::Path;

#[test]
fn the_tests_that_the_table_of_conformance_names_are_there() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let table = include_str!("conformance.md");
    let named = table.split('`').filter(|name| name.starts_with("engine::"));
    for test in named {
        let (module, function) = test.rsplit_once("::").unwrap();
        let path = module.replace("::", "/");
        // A module of its own, or the tests at the end of a file.
        let files = [
            Some(format!("{path}.rs")),
            Some(format!("{path}/mod.rs")),
            path.strip_suffix("/tests").map(|path| format!("{path}.rs")),
        ];
        let found = files.into_iter().flatten().any(|file| {
            std::fs::read_to_string(sources.join(file))
                .is_ok_and(|text| text.contains(&format!("fn {function}()")))
        });
        assert!(found, "there is no test {test}");
    }
}
