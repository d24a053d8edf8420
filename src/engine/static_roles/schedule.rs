//! The host's timer: every static role that is due gets a new access key.

use futures_util::StreamExt;
use futures_util::stream;
use time::OffsetDateTime;
use tracing::Instrument;

use super::queue::Ticket;
use super::record::{ROLES, StaticCredentials, StaticRole};
use super::rotation::rotate;
use crate::aws::limit::Class;
use crate::caller::Caller;
use crate::engine::Engine;
use crate::logical::{Error, Storage, if_offered};

/// How many roles are rotated, or read, at a time.
const AT_A_TIME: usize = 8;

/// Rotates all roles that are due. One failure stops no other; all are reported together.
pub(crate) async fn rotate_due(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
) -> Result<(), Error> {
    if !may_write(engine).await? {
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

/// Whether this node is the one that rotates. A host that fails to answer gets an error: two nodes
/// that rotate one role take away each other's keys.
async fn may_write(engine: &Engine) -> Result<bool, Error> {
    let system = &engine.system;
    let state = if_offered(system.replication_state().await)?;
    if state.is_performance_standby() || state.is_dr_secondary() {
        return Ok(false);
    }
    Ok(!state.is_performance_secondary() || if_offered(system.local_mount().await)?)
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
        stored.expiration = Some(engine.clock.now() + role.rotation_period);
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
    let _role = static_roles.locks.lock(name).await;
    let role = StaticRole::load(storage, name).await?;
    let stored = StaticCredentials::load(storage, name).await?;
    let (Some(role), Some(stored)) = (role, stored) else {
        ticket.remove();
        return Ok(());
    };
    if let Some(later) = stored.expiration.filter(|due| *due > engine.clock.now()) {
        ticket.finish(later);
        return Ok(());
    }
    let account = static_roles
        .connect(engine, storage, &role, Class::Background, caller)
        .await?;
    account.check_user(&role.user_name()?, &role.id).await?;
    let rotated = rotate(engine, storage, account, &role, Some(&stored)).await?;
    ticket.finish(rotated.expiration);
    Ok(())
}
