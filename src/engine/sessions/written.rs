//! One look at AWS's policy, and its change where it is not what it must be.

use std::collections::BTreeSet;

use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use super::Holder;
use super::denials::{CutOff, Denials, Denied};
use super::policy::{Plan, Policy};
use crate::aws::limit::{Class, LimitedIam};
use crate::aws::{self, ErrorKind, PolicyName};
use crate::caller::Caller;
use crate::chance;
use crate::engine::Engine;
use crate::engine::error::failed;
use crate::logical::{Error, Storage, get_json, put_json};

/// Where the name of the mount's policies is stored. Not replicated: no other cluster writes them.
pub(in crate::engine) const NAME_KEY: &str = "session-policy";

/// For whom the policy of which holder is looked at. Its lock is held.
pub(super) struct Work<'a> {
    pub(super) engine: &'a Engine,
    pub(super) storage: &'a dyn Storage,
    pub(super) caller: &'a Caller,
    pub(super) class: Class,
    pub(super) holder: &'a Holder,
    pub(super) id: &'a str,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) change: Change,
    /// Sessions for which there is no room.
    pub(super) left_out: BTreeSet<String>,
    /// Whether it could not be seen how much room there is.
    pub(super) is_blind: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// AWS has it already.
    None,
    Made,
    /// AWS does not know the holder.
    NobodyThere,
}

/// Makes AWS deny what `denials` say, as far as there is room. Where another node or an older storage
/// let AWS deny more, that is entered into them.
pub(super) async fn write(work: &Work<'_>, denials: &mut Denials) -> Result<Written, Error> {
    let Work {
        engine,
        storage,
        holder,
        ..
    } = *work;
    let clients = engine.clients.get(storage).await?;
    holder.must_be_ours(&clients, work.caller).await?;
    let iam = clients
        .iam
        .for_request(work.class, &work.caller.committed());
    let name = policy_name(engine, storage).await?;
    let now = engine.clock.now().unix_timestamp();
    let present = look(&iam, holder, &name).await?;
    let others_before = denials.others;
    if adopt(denials, &present, holder, now) {
        denials.store(storage, work.id).await?;
    }
    let mut measured = None;
    loop {
        let room = holder.room().saturating_sub(denials.others);
        let mut plan = Plan::of(denials, &present, holder, room, false, now);
        if plan.cut_off != denials.cut_off && holder.is_ours(&clients, work.caller).await {
            plan = Plan::of(denials, &present, holder, room, true, now);
        }
        if !plan.has_room && denials.others > 0 && measured.is_none() {
            // There may be more room by now.
            measured = Some(measure(&iam, holder, &name, &present, denials).await?);
            continue;
        }
        // Before AWS hears of it.
        if plan.cut_off != denials.cut_off
            && let Some(cut_off) = plan.cut_off
        {
            tracing::warn!(
                holder = %holder.arn(),
                before = cut_off.before,
                "no room to name every ended session in a policy, so the older ones are cut off by their time"
            );
            denials.cut(cut_off);
            denials.store(storage, work.id).await?;
        } else if denials.others != others_before {
            denials.store(storage, work.id).await?;
        }
        let changed = if plan.policy == present {
            Ok(Change::None)
        } else if plan.policy.is_empty() {
            holder.delete(&iam, &name).await.map(|()| Change::Made)
        } else {
            let document = plan.policy.document(holder);
            holder
                .put(&iam, &name, &document)
                .await
                .map(|()| Change::Made)
        };
        let change = match changed {
            Ok(change) => change,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if clients.account(work.caller).await.is_none() {
                    return Err(Error::internal(format!(
                        "error ending sessions of {}: {error}, and AWS does not tell at the moment which account it was asked about (sts:GetCallerIdentity), so that need not mean that it is gone",
                        holder.arn()
                    )));
                }
                Change::NobodyThere
            }
            Err(error) if error.kind() == ErrorKind::LimitExceeded && measured.is_none() => {
                measured = Some(measure(&iam, holder, &name, &present, denials).await?);
                continue;
            }
            Err(error) => return Err(refused(holder, &error)),
        };
        tracing::debug!(holder = %holder.arn(), ?change, "policy of ended sessions looked at");
        return Ok(Written {
            change,
            left_out: plan.left_out,
            is_blind: measured == Some(Sight::Blind),
        });
    }
}

/// What AWS has there now; somebody else's policy is not ours to change.
async fn look(iam: &LimitedIam, holder: &Holder, name: &PolicyName) -> Result<Policy, Error> {
    let document = holder.get(iam, name).await;
    match document.map_err(|error| refused(holder, &error))? {
        None => Ok(Policy::default()),
        Some(document) => Policy::read(&document, holder).ok_or_else(|| {
            Error::internal(format!(
                "error ending sessions of {arn}: its inline policy {name} is not as this mount writes it, so it is left alone: delete it there, and what was to be ended is denied within minutes",
                arn = holder.arn()
            ))
        }),
    }
}

fn refused(holder: &Holder, error: &aws::Error) -> Error {
    failed(&format!("error ending sessions of {}", holder.arn()), error)
}

/// Enters what AWS denies and nobody remembers, for as long as such a session can live.
pub(super) fn adopt(denials: &mut Denials, present: &Policy, holder: &Holder, now: i64) -> bool {
    let longest = i64::try_from(holder.longest_session().as_secs()).unwrap_or(i64::MAX);
    let expires_at = now.saturating_add(longest);
    let unknown: Vec<_> = present
        .user_ids
        .iter()
        .filter(|user_id| !denials.has(user_id))
        .cloned()
        .collect();
    let mut adopted = false;
    if let Some(before) = present.before
        && denials.cut_off.is_none_or(|known| known.before < before)
    {
        denials.deny_all(CutOff { before, expires_at });
        adopted = true;
    }
    for user_id in unknown {
        // When it was issued is not known, but not later than now.
        adopted |= denials.deny(Denied {
            user_id,
            issued_at: now,
            expires_at,
            may_cut_off: false,
        });
    }
    if adopted {
        denials.changed_at = now;
        denials.settled = false;
    }
    adopted
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    Clear,
    Blind,
}

/// Finds out how much of the room others have taken. Who may not look takes it that there is no more
/// than what the policy has now.
async fn measure(
    iam: &LimitedIam,
    holder: &Holder,
    name: &PolicyName,
    present: &Policy,
    denials: &mut Denials,
) -> Result<Sight, Error> {
    match holder.others(iam, name).await {
        Ok(characters) => {
            denials.others = characters;
            Ok(Sight::Clear)
        }
        Err(error) if error.kind() == ErrorKind::Denied => {
            let ours = present.document(holder).len();
            denials.others = holder.room().saturating_sub(ours);
            Ok(Sight::Blind)
        }
        Err(error) => Err(refused(holder, &error)),
    }
}

#[derive(Serialize, Deserialize)]
struct Named {
    name: String,
}

/// The name that the policies of this mount have, and those of no other.
async fn policy_name(engine: &Engine, storage: &dyn Storage) -> Result<PolicyName, Error> {
    let mut known = engine.sessions.policy_name.lock().await;
    if let Some(name) = &*known {
        return Ok(name.clone());
    }
    let stored = get_json::<Named>(storage, NAME_KEY).await?;
    let name = if let Some(stored) = stored {
        stored.name
    } else {
        let mut random = chance::generator().map_err(|error| Error::internal(error.to_string()))?;
        let own: u32 = random.random();
        let name = format!("vault-ended-sessions-{own:08x}");
        put_json(storage, NAME_KEY, &Named { name: name.clone() }).await?;
        name
    };
    let name = PolicyName::new(name).map_err(|error| Error::internal(error.to_string()))?;
    *known = Some(name.clone());
    Ok(name)
}
