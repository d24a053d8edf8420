//! Sessions that a role has given: the one place where they are ended, or it is told that they are not.

use time::OffsetDateTime;

use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::roles::{CredentialType, RoleName, RoleRecord};
use crate::go_duration::GoDuration;
use crate::logical::{Error, Storage};

/// What becomes of the sessions of a role that were issued before a moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sessions {
    /// The role gives none.
    None,
    /// They live until they end by themselves; a sentence that says so.
    LiveOn(String),
}

/// Ends all sessions of this role that were issued before now.
///
/// Nothing ends a session yet: whatever does goes here, for each of the role's `role_arns`, and is
/// called again at each tick until it succeeds.
pub(super) async fn end_issued_before(
    _engine: &Engine,
    _storage: &dyn Storage,
    _caller: &Caller,
    name: &RoleName,
    role: &RoleRecord,
    _before: OffsetDateTime,
) -> Result<Sessions, Error> {
    Ok(outlook(name, role))
}

/// What will become of them, without doing anything.
pub(super) fn outlook(name: &RoleName, role: &RoleRecord) -> Sessions {
    let mut kinds = role.types();
    kinds.retain(|kind| *kind != CredentialType::IamUser);
    if kinds.is_empty() {
        return Sessions::None;
    }
    let kinds: Vec<_> = kinds.iter().map(|kind| kind.as_str()).collect();
    let longest = if role.max_sts_ttl.is_zero() {
        "the mount's maximum lease TTL".to_owned()
    } else {
        GoDuration(role.max_sts_ttl).to_string()
    };
    Sessions::LiveOn(format!(
        "sessions that role {:?} gave ({}) are not ended: they live until they end by themselves, within {longest}; to end them now, attach a policy to their AWS role that denies everything where aws:TokenIssueTime is earlier than now",
        name.as_str(),
        kinds.join(", ")
    ))
}
