//! The register of the IAM users that were made for leases: `issued/<user>` in storage, from before
//! AWS is asked to make the user until AWS has certainly removed it.
//!
//! A user that is being made also has a WAL entry; that one is gone when its lease is handed out. No
//! order of two steps makes sure that the host then has the lease, so time does: a host renews or
//! revokes a lease before its time is over, and both come by here. Whoever is over and did not come
//! by has no lease, and is removed.
//!
//! - `record`: what is stored of a user;
//! - `census`: how many of each role are out, in memory;
//! - `limit`: how many of a role may be out;
//! - `making`: a user that is being made, with its WAL entry, and what becomes of that;
//! - `removal`: the end of a user that may be another one's by now;
//! - `path`: what operators see of it, and the end of one by name;
//! - `sweep`: who is over, a little at each tick of the host's timer;
//! - `watch`: since when the dates can be trusted.

mod census;
mod limit;
mod making;
mod path;
mod record;
mod removal;
mod sweep;
#[cfg(test)]
mod tests;
mod watch;

pub(super) use making::{
    KIND, Making, Planned, condemn, is_condemned, left_to_rollback, roll_back,
};
pub(super) use path::{list_path, path, revoke_path};
pub(super) use record::{IssuedUser, PREFIX, lifetime};
pub(super) use removal::{end, end_key, end_unregistered};
pub(super) use sweep::{Register, sweep};
pub(super) use watch::KEY as WATCH_KEY;
#[cfg(any(test, feature = "test-util"))]
pub(super) use watch::Noted;
