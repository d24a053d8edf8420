//! The removal of a user by name, when it may be another one's by now; and the end of its key alone.

use time::{Duration, OffsetDateTime};

use super::record::IssuedUser;
use crate::aws::limit::LimitedIam;
use crate::aws::{AccessKeyId, ErrorKind, Iam, User, UserName};
use crate::engine::clients::Connected;
use crate::engine::error::failed;
use crate::engine::iam_user_removal::{Removal, remove_all};
use crate::engine::{Engine, busy};
use crate::logical::{Error, Storage};

/// How far AWS's clock and ours may be apart where AWS's own id of the user is not known. The AWS SDK
/// signs with AWS's time when ours is off, so that calls succeed however far off it is; STS takes 15
/// minutes by itself.
const CLOCK_TOLERANCE: Duration = Duration::minutes(20);

/// A user that must go.
pub(super) struct Condemned<'a> {
    pub(super) name: &'a UserName,
    /// AWS's own id of it; empty where AWS's answer is not known.
    pub(super) user_id: &'a str,
    /// Id of its access key; empty where AWS's answer is not known.
    pub(super) access_key_id: &'a str,
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
            access_key_id: &record.access_key_id,
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
        Whose::Ours => remove_all(iam, name, AccessKeyId::new(condemned.access_key_id).ok())
            .await
            .map_err(|error| Error::internal(format!("error removing IAM user {name}: {error}")))?,
    };
    Ok(Some(removed))
}

/// Ends the access key of a user of the register, and nothing else: one call. It is an error when AWS
/// has not done it.
pub(in crate::engine) async fn end_key(
    clients: &Connected,
    iam: &LimitedIam,
    user: &UserName,
    record: &IssuedUser,
) -> Result<(), Error> {
    // One that is being made has none that is known, and goes with its user.
    let Ok(key) = AccessKeyId::new(&record.access_key_id) else {
        return Ok(());
    };
    let account = &record.account;
    clients
        .must_be_of(account, user.as_str(), iam.caller())
        .await?;
    // No two keys have one id, so whose the name is by now does not matter.
    match busy::retry(|| iam.delete_access_key(user, &key)).await {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            let context = format!("error deleting access key {key} of IAM user {user}");
            Err(failed(&context, &error))
        }
        _ => Ok(()),
    }
}

/// Removes a user of the register from AWS, and then its record; answers whether it is certainly gone.
pub(in crate::engine) async fn end(
    engine: &Engine,
    storage: &dyn Storage,
    clients: &Connected,
    iam: &LimitedIam,
    (user, record): (&UserName, &IssuedUser),
) -> Result<bool, Error> {
    let since = record.issued_at();
    let removal = remove(clients, iam, &Condemned::registered(user, record)).await?;
    if removal.is_some_and(|removal| !removal.is_certain(since, engine.clock.now())) {
        return Ok(false);
    }
    IssuedUser::forget(engine, storage, user).await;
    Ok(true)
}

/// Removes a user that AWS has and the register does not.
pub(in crate::engine) async fn end_unregistered(
    clients: &Connected,
    iam: &LimitedIam,
    user: &User,
    name: &UserName,
) -> Result<Option<Removal>, Error> {
    let condemned = Condemned {
        name,
        user_id: &user.user_id,
        access_key_id: "",
        account: user.arn.account(),
        begun: user.create_date,
    };
    remove(clients, iam, &condemned).await
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
