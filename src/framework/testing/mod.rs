//! What the tests of the framework and of an engine share.

mod golden;
mod host_document;

pub use golden::{UPDATE_GOLDEN, assert_golden, assert_part_of_document};
pub use host_document::assert_host_decodes;
