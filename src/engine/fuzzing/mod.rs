//! What strangers reach of the engine: policy documents, stored records and leases, names, cron
//! expressions, and requests of a mount.

mod mount;
mod names;
mod policies;
mod records;
mod schedules;

pub(crate) use mount::on_a_mount;
pub(crate) use names::names;
pub(crate) use policies::policies;
pub(crate) use records::records;
pub(crate) use schedules::schedules;

use super::error::{failed, refused};
use super::sessions;
use crate::aws;

/// Longer than any error that is told to a client or a host, in bytes.
const LONG: usize = 20_000;

/// What is told of an error of AWS.
pub(crate) fn told(error: &aws::Error) {
    for told in [refused("error", error), failed("error", error)] {
        let told = told.to_string();
        assert!(told.len() < LONG, "{} bytes", told.len());
    }
}

/// The policy of ended sessions.
pub(crate) fn denials(data: &[u8]) {
    sessions::fuzzing::denials(data);
}
