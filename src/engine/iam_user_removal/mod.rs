//! Removes an IAM user with all that is attached to it: revoke, the undoing of a failed issue, and
//! rollback all end here.
//!
//! What is known to be attached is removed first, all at once with the access key, and then the
//! user: two round trips. When nothing is known, what engines attach is listed first; when AWS says
//! that something is left, everything is. What is already gone counts as removed.

mod parts;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::join;
use time::OffsetDateTime;

pub(crate) use parts::Attached;

use self::parts::{Part, Scope, looks};
use super::busy;
use super::error::explain;
use crate::aws::limit::LimitedIam;
use crate::aws::{self, AccessKeyId, ErrorKind, Iam, UserName};

/// Waits before everything is listed again when AWS goes on saying that something is left: the
/// lists may lag behind.
const RELISTINGS: [Duration; 3] = [
    Duration::ZERO,
    Duration::from_millis(500),
    Duration::from_secs(2),
];

/// For how long after a user's creation AWS may say that it does not know it, although it will.
const IAM_LAGS: Duration = Duration::from_mins(5);

/// Whether AWS still knew the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// The user is gone now.
    Removed,
    /// AWS did not know the user, which is to be looked at again until it is certain that it is
    /// gone.
    Unknown,
}

impl Removal {
    /// Whether a user that began to be made at `begun` is certainly gone.
    pub(crate) fn is_certain(self, begun: OffsetDateTime, now: OffsetDateTime) -> bool {
        match self {
            Self::Removed => true,
            // A time that far ahead is no time.
            Self::Unknown => now - begun >= IAM_LAGS || begun - now > time::Duration::DAY,
        }
    }
}

/// Why a user could not be removed.
#[derive(Debug)]
pub(crate) struct RemovalError {
    error: aws::Error,
    /// Permissions without which something may have been overlooked.
    missing: Vec<&'static str>,
}

impl fmt::Display for RemovalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&explain(&self.error))?;
        if self.missing.is_empty() {
            return Ok(());
        }
        write!(
            f,
            " (the AWS credentials of this engine may lack the permission to find or remove it: {})",
            self.missing.join(", ")
        )
    }
}

impl std::error::Error for RemovalError {}

impl From<aws::Error> for RemovalError {
    fn from(error: aws::Error) -> Self {
        Self {
            error,
            missing: Vec::new(),
        }
    }
}

/// Removes a user of which it is known what is attached to it.
pub(crate) async fn remove_known(
    iam: &LimitedIam,
    user: &UserName,
    attached: &Attached,
) -> Result<Removal, RemovalError> {
    remove_parts(iam, user, attached.parts()).await?;
    delete_stripped(iam, user).await
}

/// Removes a user of which nothing is known but perhaps its access key, which then dies even where keys
/// may not be listed.
pub(crate) async fn remove_all(
    iam: &LimitedIam,
    user: &UserName,
    key: Option<AccessKeyId>,
) -> Result<Removal, RemovalError> {
    // Most often there is nothing else, and an operator need not have granted the other lists.
    match strip(iam, user, Scope::OfEngines, key).await {
        Some(stripped) => {
            stripped.failure?;
            delete_stripped(iam, user).await
        }
        None => Ok(Removal::Unknown),
    }
}

/// Deletes a user that should have nothing attached any more, and sees to it when it has.
async fn delete_stripped(iam: &LimitedIam, user: &UserName) -> Result<Removal, RemovalError> {
    let mut conflict = match delete_user(iam, user).await {
        Err(error) if error.kind() == ErrorKind::DeleteConflict => error,
        other => return Ok(other?),
    };
    let mut missing = Vec::new();
    for wait in RELISTINGS {
        tokio::time::sleep(wait).await;
        let Some(stripped) = strip(iam, user, Scope::Everything, None).await else {
            return Ok(Removal::Unknown);
        };
        // Whatever failed: not every partition of AWS knows all of these calls, and what they are
        // about need not be there.
        conflict = match delete_user(iam, user).await {
            Err(error) if error.kind() == ErrorKind::DeleteConflict => error,
            other => return Ok(other?),
        };
        stripped.failure?;
        missing = stripped.missing;
        if !missing.is_empty() {
            break;
        }
    }
    Err(RemovalError {
        error: conflict,
        missing,
    })
}

async fn delete_user(iam: &LimitedIam, user: &UserName) -> Result<Removal, aws::Error> {
    match busy::retry(|| iam.delete_user(user)).await {
        Ok(()) => Ok(Removal::Removed),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Removal::Unknown),
        Err(error) => Err(error),
    }
}

/// Removes all at once. One failure stops no other; the first is reported.
async fn remove_parts(
    iam: &LimitedIam,
    user: &UserName,
    parts: Vec<Part>,
) -> Result<(), aws::Error> {
    join_all(parts.iter().map(|part| part.remove(iam, user)))
        .await
        .into_iter()
        .collect()
}

/// How far a user could be stripped.
struct Stripped {
    /// Permissions that were missing to see everything. What may not be seen may not be there
    /// either: whether it matters is for `iam:DeleteUser` to say.
    missing: Vec<&'static str>,
    /// The first other failure.
    failure: Result<(), aws::Error>,
}

/// Lists and removes what is attached to the user; `None` when AWS does not know the user.
async fn strip(
    iam: &LimitedIam,
    user: &UserName,
    scope: Scope,
    key: Option<AccessKeyId>,
) -> Option<Stripped> {
    let mut parts = Vec::new();
    let mut missing = Vec::new();
    let mut unknown = false;
    let mut failure = Ok(());
    // What cannot be listed in time must not keep the rest alive.
    let looking = iam.beginning();
    for look in join_all(looks(&looking, user, scope)).await {
        match look {
            Ok(found) => parts.extend(found),
            Err(error) => match error.kind() {
                ErrorKind::NotFound => unknown = true,
                ErrorKind::Denied => missing.push(error.operation()),
                _ => failure = failure.and(Err(error)),
            },
        }
    }
    if unknown && parts.is_empty() {
        return None;
    }
    // Where every list was answered, the one of keys is known.
    let is_whole = missing.is_empty() && failure.is_ok();
    if let Some(key) = key.filter(|_| !is_whole).map(Part::AccessKey)
        && !parts.contains(&key)
    {
        // First on the wire, and the first whose failure is told.
        parts.insert(0, key);
    }
    let login_profile = async {
        match scope {
            Scope::OfEngines => Ok(()),
            // There is no list of it, only a delete that says when there is none.
            Scope::Everything => Part::LoginProfile.remove(iam, user).await,
        }
    };
    let (removed, login_profile) = join!(remove_parts(iam, user, parts), login_profile);
    match login_profile {
        Err(error) if error.kind() == ErrorKind::Denied => missing.push(error.operation()),
        other => failure = failure.and(other),
    }
    // Whatever else failed, what was found is gone first, the access keys above all.
    Some(Stripped {
        missing,
        failure: removed.and(failure),
    })
}
