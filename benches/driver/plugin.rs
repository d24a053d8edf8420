//! The file of a plugin.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::Fallible;

/// Its checksum, as the catalog wants it.
pub(crate) fn sha256(binary: &Path) -> Fallible<String> {
    let mut sha256 = String::new();
    for byte in Sha256::digest(fs::read(binary)?) {
        write!(sha256, "{byte:02x}")?;
    }
    Ok(sha256)
}
