//! What strangers reach with bytes of their own: one function for each decoder, which panics where
//! something does not hold that must always hold.
//!
//! `scripts/fuzz` looks for bytes that make one panic; a test runs every one of them over what is
//! kept in `fuzz/corpus`. The functions stand beside what they decode with.

mod names;
#[cfg(test)]
mod tests;

use crate::{aws, engine, framework, go_duration, go_plugin, rpc, template};

/// One decoder.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name for `scripts/fuzz`, and of the folder in the corpus.
    pub name: &'static str,
    /// Panics if something does not hold.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("answers", answers),
    target("denials", engine::fuzzing::denials),
    target("durations", go_duration::fuzzing::durations),
    target("fields", framework::fuzzing::fields),
    target("handshake", go_plugin::fuzzing::handshake),
    target("names", names::names),
    target("policies", engine::fuzzing::policies),
    target("records", engine::fuzzing::records),
    target("requests", requests),
    target("schedules", engine::fuzzing::schedules),
    target("templates", template::fuzzing::templates),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// A request as the host sends it, up to the answer as the host reads it.
fn requests(data: &[u8]) {
    engine::fuzzing::on_a_mount(|mount| async move {
        if let Some(request) = rpc::fuzzing::request(data, mount.storage) {
            let outcome = mount.backend.handle_request(request).await;
            rpc::fuzzing::reply(outcome);
        }
    });
}

/// An answer of AWS, up to what is told of it.
fn answers(data: &[u8]) {
    if let Some(error) = aws::fuzzing::answer(data) {
        engine::fuzzing::told(&error);
    }
}
