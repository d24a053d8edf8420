use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// What is in a folder, by name.
fn inside(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort_unstable();
    paths
}

#[test]
fn every_target_holds_for_all_of_its_corpus() {
    for target in TARGETS {
        for path in inside(&corpus().join(target.name)) {
            // Shown when the test fails, which is then about the last one.
            println!("{}", path.display());
            (target.run)(&fs::read(&path).unwrap());
        }
    }
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let folders: Vec<_> = inside(&corpus())
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let names: BTreeSet<_> = TARGETS.iter().map(|target| target.name).collect();

    assert!(folders.iter().eq(names), "{folders:?}");
    for folder in folders {
        assert!(!inside(&corpus().join(&folder)).is_empty(), "{folder}");
    }
}
