//! What a containment would do: counted and named, and nothing changed.

use std::collections::BTreeMap;

use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::time::Instant;

use super::steps::is_about;
use super::work::{LEFT, Work};
use super::{PAGE, READS_AT_A_TIME};
use crate::caller::Caller;
use crate::engine::issued::{self, IssuedUser};
use crate::engine::sessions::{self, IssuedSession};
use crate::engine::stored::unix;
use crate::logical::{Error, JsonObject, Request, Response, Storage};

/// A dry run names so many holders.
const HOLDERS: usize = 100;

pub(super) async fn dry_run(
    storage: &dyn Storage,
    request: &Request,
    work: &Work,
) -> Result<Response, Error> {
    let found = look(storage, &request.caller, work).await?;
    let mut holders: Vec<_> = found.holders.into_iter().collect();
    holders.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    holders.truncate(HOLDERS);
    let holders: JsonObject = holders
        .into_iter()
        .map(|(holder, count)| (holder, Value::from(count)))
        .collect();
    let mut response = Response::data(JsonObject::from_iter([
        ("dry_run".to_owned(), Value::from(true)),
        ("role".to_owned(), Value::from(work.role.as_str())),
        ("users".to_owned(), Value::from(found.users)),
        ("usernames".to_owned(), Value::from(found.names)),
        ("holders".to_owned(), Value::from(holders)),
        (
            "registered_sessions".to_owned(),
            Value::from(found.sessions),
        ),
    ]));
    if !found.whole {
        let warning = "the register could not be read whole, or not in the time for this request: there may be more users and sessions";
        response.warnings.push(warning.to_owned());
    }
    Ok(response)
}

/// What a containment would find: how many users, some of their names, how many sessions that are
/// known, and who has how many.
struct Found {
    users: usize,
    names: Vec<String>,
    sessions: usize,
    holders: BTreeMap<String, usize>,
    /// Whether there was time to read the whole register.
    whole: bool,
}

/// Looks, and changes nothing.
async fn look(storage: &dyn Storage, caller: &Caller, work: &Work) -> Result<Found, Error> {
    let mut names = storage
        .list(issued::PREFIX)
        .await
        .map_err(|error| Error::from(error).context("error listing issued users"))?;
    names.sort_unstable();
    let mut found = Found {
        users: 0,
        names: Vec::new(),
        sessions: 0,
        holders: BTreeMap::new(),
        whole: true,
    };
    for page in names.chunks(PAGE) {
        if Instant::now() >= caller.begin_by() {
            found.whole = false;
            break;
        }
        let mut records = stream::iter(0..page.len())
            .map(|at| async move { IssuedUser::named(storage, &page[at]).await })
            .buffered(READS_AT_A_TIME);
        while let Some(record) = records.next().await {
            let (user, record) = match record {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                // One that cannot be read hides no other.
                Err(error) => {
                    tracing::warn!(%error, "record of an IAM user cannot be read");
                    found.whole = false;
                    continue;
                }
            };
            if !is_about(work, &record) {
                continue;
            }
            found.users += 1;
            if found.names.len() < LEFT {
                found.names.push(user.to_string());
            }
            *found.holders.entry(record.display_name).or_default() += 1;
        }
    }
    look_at_sessions(storage, caller, work, &mut found).await?;
    Ok(found)
}

async fn look_at_sessions(
    storage: &dyn Storage,
    caller: &Caller,
    work: &Work,
    found: &mut Found,
) -> Result<(), Error> {
    let names = storage
        .list(sessions::PREFIX)
        .await
        .map_err(|error| Error::from(error).context("error listing issued sessions"))?;
    for page in names.chunks(PAGE) {
        if Instant::now() >= caller.begin_by() {
            found.whole = false;
            break;
        }
        let mut records = stream::iter(0..page.len())
            .map(|at| IssuedSession::named(storage, &page[at]))
            .buffered(READS_AT_A_TIME);
        while let Some(record) = records.next().await {
            let session = match record {
                Ok(Some(session)) => session,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(%error, "record of a session cannot be read");
                    found.whole = false;
                    continue;
                }
            };
            if work.is_about(&session.role) && !session.has_ended(unix(work.began_at)) {
                found.sessions += 1;
                *found.holders.entry(session.display_name).or_default() += 1;
            }
        }
    }
    Ok(())
}
