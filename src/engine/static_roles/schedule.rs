//! The host's timer: every static role that is due gets a new access key.

use futures_util::StreamExt;
use futures_util::stream;
use time::OffsetDateTime;
use tracing::Instrument;

use super::queue::Ticket;
use super::record::{ROLES, StaticCredentials, StaticRole};
use super::rotation::Rotation;
use crate::aws::limit::Class;
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::counters::Failed;
use crate::engine::key_rotation::in_time;
use crate::engine::schedule::is_ours;
use crate::logical::{Error, Storage};

/// How many roles are rotated, or read, at a time. Most of a rotation is waiting for AWS.
const AT_A_TIME: usize = 16;

/// Rotates all roles that are due, as many as can be begun in time; the others wait for the next
/// tick. One failure stops no other; all are reported together.
pub(crate) async fn rotate_due(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
) -> Result<(), Error> {
    if !is_ours(engine).await? {
        return Ok(());
    }
    let queue = &engine.static_roles.queue;
    if let Some(era) = queue.incomplete() {
        load(engine, storage).await?;
        queue.complete(era);
    }
    let outcomes: Vec<_> = stream::iter(queue.take_due())
        .map(|ticket| async {
            let role = ticket.role().to_owned();
            let span = tracing::info_span!("rotation", static_role = %role);
            let rotated = rotate_if_due(engine, storage, caller, ticket).instrument(span);
            rotated.await.map_err(|error| (role, error))
        })
        .buffer_unordered(AT_A_TIME)
        .collect()
        .await;
    let mut reasons = Vec::new();
    for (role, error) in outcomes.into_iter().filter_map(Result::err) {
        if matches!(error, Error::ReadOnly(_)) {
            return Err(error);
        }
        engine.counters.failed(Failed::Rotate, &error);
        tracing::warn!(static_role = %role, %error, "static role not rotated; tried again soon");
        reasons.push(format!("{role}: {error}"));
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Error::internal(format!(
        "error(s) occurred while rotating expired static credentials: {}",
        reasons.join("; ")
    )))
}

/// Reads when each role in storage is due.
async fn load(engine: &Engine, storage: &dyn Storage) -> Result<(), Error> {
    let names = storage.list(ROLES).await?;
    stream::iter(names.into_iter().filter(|name| !name.ends_with('/')))
        .for_each_concurrent(AT_A_TIME, |name| async move {
            let due = match due_time(engine, storage, &name).await {
                Ok(Some(due)) => due,
                Ok(None) => return,
                // Its rotation will fail by the same reason, and be tried again.
                Err(_) => engine.clock.now(),
            };
            engine.static_roles.queue.schedule(&name, due);
        })
        .await;
    Ok(())
}

/// When a role is due; `None` when it has no credentials to rotate. Credentials of old engines have
/// no time, and get one.
async fn due_time(
    engine: &Engine,
    storage: &dyn Storage,
    name: &str,
) -> Result<Option<OffsetDateTime>, Error> {
    match StaticCredentials::load(storage, name).await? {
        Some(StaticCredentials {
            expiration: Some(expiration),
            ..
        }) => return Ok(Some(expiration)),
        Some(_) => {}
        None => {
            tracing::warn!(static_role = %name, "static role has no credentials: write it again, or delete it");
            return Ok(None);
        }
    }
    let _role = engine.static_roles.locks.lock(name).await;
    let Some(role) = StaticRole::load(storage, name).await? else {
        return Ok(None);
    };
    let Some(mut stored) = StaticCredentials::load(storage, name).await? else {
        return Ok(None);
    };
    if stored.expiration.is_none() {
        let now = engine.clock.now();
        stored.expiration = Some(role.plan(now).next(None, now));
        stored.store(storage, name).await?;
    }
    Ok(stored.expiration)
}

/// Rotates one role, unless storage says that it is not due any more.
async fn rotate_if_due(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    ticket: Ticket,
) -> Result<(), Error> {
    let name = ticket.role();
    let static_roles = &engine.static_roles;
    let locked = static_roles.lock(name, caller).await;
    let (Ok(_role), Ok(())) = (locked, in_time(caller)) else {
        ticket.put_back();
        return Ok(());
    };
    let role = StaticRole::load(storage, name).await?;
    let stored = StaticCredentials::load(storage, name).await?;
    let (Some(role), Some(mut stored)) = (role, stored) else {
        ticket.remove();
        return Ok(());
    };
    let now = engine.clock.now();
    let plan = role.plan(now);
    let due = stored.expiration.unwrap_or_else(|| plan.next(None, now));
    if stored.expiration.is_none() {
        stored.expiration = Some(due);
        stored.store(storage, name).await?;
    }
    if plan.is_missed(due, now) {
        let next = plan.next(None, now);
        stored.expiration = Some(next);
        stored.store(storage, name).await?;
        engine.counters.failed_by(Failed::Rotate, "missed");
        tracing::warn!(%next, "static role not rotated while its rotation_window was open; the next time counts");
        ticket.finish(next);
        return Ok(());
    }
    if due > now {
        ticket.finish(due);
        return Ok(());
    }
    let class = Class::Background;
    let (account, _) = static_roles
        .adopt(engine, storage, &role, class, caller)
        .await?;
    let rotation = Rotation {
        engine,
        storage,
        caller,
        class,
        role: &role,
        stored: Some(&stored),
        due: Some(due),
    };
    let rotated = rotation.run(account).await?;
    ticket.finish(rotated.expiration);
    Ok(())
}
