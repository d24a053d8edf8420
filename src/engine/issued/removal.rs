//! The removal of a user by name, when it may be another one's by now.

use time::{Duration, OffsetDateTime};

use super::record::IssuedUser;
use crate::aws::limit::LimitedIam;
use crate::aws::{ErrorKind, Iam, UserName};
use crate::engine::clients::Connected;
use crate::engine::error::failed;
use crate::engine::iam_user_removal::{Removal, remove_all};
use crate::logical::Error;

/// How far AWS's clock and ours may be apart where AWS's own id of the user is not known. The AWS SDK
/// signs with AWS's time when ours is off, so that calls succeed however far off it is; STS takes 15
/// minutes by itself.
const CLOCK_TOLERANCE: Duration = Duration::minutes(20);

/// A user that must go.
pub(super) struct Condemned<'a> {
    pub(super) name: &'a UserName,
    /// AWS's own id of it; empty where AWS's answer is not known.
    pub(super) user_id: &'a str,
    /// Its AWS account; may be empty.
    pub(super) account: &'a str,
    /// When it began to be made.
    pub(super) begun: OffsetDateTime,
}

impl<'a> Condemned<'a> {
    /// A user of the register.
    pub(super) fn registered(name: &'a UserName, record: &'a IssuedUser) -> Self {
        Self {
            name,
            user_id: &record.user_id,
            account: &record.account,
            begun: record.issued_at(),
        }
    }
}

/// Removes the user; `None` when the name is somebody else's.
pub(super) async fn remove(
    clients: &Connected,
    iam: &LimitedIam,
    condemned: &Condemned<'_>,
) -> Result<Option<Removal>, Error> {
    let name = condemned.name;
    clients
        .must_be_of(condemned.account, name.as_str(), iam.caller())
        .await?;
    let removed = match whose(iam, condemned).await? {
        Whose::Another => return Ok(None),
        Whose::Nobodys => Removal::Unknown,
        Whose::Ours => remove_all(iam, name)
            .await
            .map_err(|error| Error::internal(format!("error removing IAM user {name}: {error}")))?,
    };
    Ok(Some(removed))
}

enum Whose {
    Ours,
    Another,
    /// AWS does not know it.
    Nobodys,
}

async fn whose(iam: &LimitedIam, condemned: &Condemned<'_>) -> Result<Whose, Error> {
    let user = match iam.get_user(Some(condemned.name)).await {
        Ok(user) => user,
        // Without the permission to look, our word that we made it has to do.
        Err(error) if error.kind() == ErrorKind::Denied => return Ok(Whose::Ours),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Whose::Nobodys),
        Err(error) => {
            let context = format!("error removing IAM user {}", condemned.name);
            return Err(failed(&context, &error));
        }
    };
    let ours = if condemned.user_id.is_empty() {
        user.create_date >= condemned.begun.saturating_sub(CLOCK_TOLERANCE)
    } else {
        user.user_id == condemned.user_id
    };
    Ok(if ours { Whose::Ours } else { Whose::Another })
}
