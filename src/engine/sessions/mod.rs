//! Sessions of STS that can be ended before their time.
//!
//! AWS cannot call a session back, yet it judges what a session may do at each call. So a session
//! ends when a policy of whoever it belongs to denies everything to it: an inline policy of this
//! mount, on the AWS role or on the engine's own user ([`Holder`]), that names the sessions which
//! have ended (`aws:userid`), or the time before which all have (`aws:TokenIssueTime`).
//!
//! What is to be denied is stored before AWS is asked, beside the WAL, whose entries the other engines
//! would stumble over, and with its role: it says at every moment what the policy must be. The host's
//! timer compares the two until AWS was seen to have it so, well after any node that was deposed can
//! still have asked for something else.
//!
//! - `record`: what is stored of a session that lives;
//! - `names`: names that no two sessions have;
//! - `holder`: whose policy it is, and the calls to AWS about it;
//! - `denials`: what is stored of the sessions that must be denied;
//! - `policy`: the document, and what of the denials has room in it;
//! - `written`: one look at AWS's policy, and its change;
//! - `ending`: revocations, gathered into one change for each holder;
//! - `tick`: what the host's timer finds to do.

mod denials;
mod ending;
#[cfg(any(test, feature = "test-util"))]
pub(super) mod fuzzing;
mod holder;
mod names;
mod policy;
mod record;
#[cfg(test)]
mod tests;
mod tick;
mod written;

#[cfg(any(test, feature = "test-util"))]
pub(super) use denials::Denials;
pub(super) use denials::PREFIX as DENIALS_PREFIX;
pub(super) use ending::{Endings, end, end_all_issued_before, is_being_ended};
pub(super) use holder::Holder;
pub(super) use names::alone;
pub(super) use record::{IssuedSession, Opened, PREFIX, register};
pub(super) use tick::tick;
pub(super) use written::NAME_KEY as POLICY_NAME_KEY;
