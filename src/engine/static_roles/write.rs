//! Writing a static role.

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use super::accounts::CrossAccount;
use super::record::{StaticCredentials, StaticRole};
use super::rotation::{Rotation, refuse_claimed};
use super::{
    ASSUME_ROLE_ARN, ASSUME_ROLE_SESSION_NAME, EXTERNAL_ID, NAME, ROTATION_PERIOD, SINGLE_KEY,
    USERNAME, answer,
};
use crate::aws::limit::Class;
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::schedule::{self, ROTATION_SCHEDULE, ROTATION_WINDOW, Schedule};
use crate::framework::{Answer, Field, FieldData, FieldValue};
use crate::logical::{Error, Request, Storage};

/// The host's timer ticks about once a minute.
const SHORTEST_PERIOD: Duration = Duration::from_mins(1);

pub(super) async fn write(engine: Arc<Engine>, request: Request, data: FieldData) -> Answer {
    let storage = &*request.storage;
    let caller = &request.caller;
    let name = data.value(&NAME);
    let _role = engine.static_roles.lock(&name, caller).await?;
    let before = StaticRole::load(storage, &name).await?;
    let role = merge(&name, before.as_ref(), &data, engine.clock.now())?;
    if let Some(before) = before
        && let Some(stored) = StaticCredentials::load(storage, &name).await?
    {
        return update(&engine, storage, caller, &before, role, stored).await;
    }
    take_over(&engine, storage, caller, role).await
}

/// Makes the first access key. A role of which AWS refuses a step is not stored.
async fn take_over(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    mut role: StaticRole,
) -> Answer {
    let (account, id) = engine
        .static_roles
        .adopt(engine, storage, &role, Class::Issue, caller)
        .await?;
    role.id = id;
    let rotation = Rotation {
        engine,
        storage,
        caller,
        class: Class::Issue,
        role: &role,
        stored: None,
        due: None,
    };
    let rotated = rotation.run(account).await?;
    let queue = &engine.static_roles.queue;
    queue.schedule(&role.name, rotated.expiration);
    Ok(Some(answer(role, rotated.warnings)))
}

/// Changes a role that has its credentials. AWS is asked only when the way to the user changes.
async fn update(
    engine: &Engine,
    storage: &dyn Storage,
    caller: &Caller,
    before: &StaticRole,
    role: StaticRole,
    mut stored: StaticCredentials,
) -> Answer {
    if role.username != before.username || role.account != before.account {
        engine
            .static_roles
            .adopt(engine, storage, &role, Class::Issue, caller)
            .await?;
    }
    if role.single_key && !before.single_key {
        refuse_claimed(storage, &role).await?;
    }
    // First the time, so that a write which fails between the two does the same when it is repeated.
    if role.times() != before.times() {
        let now = engine.clock.now();
        let due = role.plan(now).next(None, now);
        stored.expiration = Some(due);
        stored.store(storage, &role.name).await?;
        engine.static_roles.queue.schedule(&role.name, due);
    }
    role.store(storage).await?;
    Ok(Some(answer(role, Vec::new())))
}

/// The stored role with the fields that were sent put over it.
fn merge(
    name: &str,
    before: Option<&StaticRole>,
    data: &FieldData,
    now: OffsetDateTime,
) -> Result<StaticRole, Error> {
    let mut role = before.cloned().unwrap_or_else(|| StaticRole {
        name: name.to_owned(),
        ..StaticRole::default()
    });
    match data.get(&USERNAME) {
        Some(username) => username.trim().clone_into(&mut role.username),
        None if before.is_none() => return Err(missing(&USERNAME)),
        None => {}
    }
    merge_times(&mut role, before.is_none(), data, now)?;
    role.user_name()?;
    if let Some(single_key) = data.get(&SINGLE_KEY) {
        role.single_key = single_key;
    }
    role.account = merge_account(role.account, data).complete(name)?;
    for field in [
        &USERNAME,
        &ASSUME_ROLE_ARN,
        &ASSUME_ROLE_SESSION_NAME,
        &EXTERNAL_ID,
    ] {
        role.as_sent.note(data, field);
    }
    Ok(role)
}

/// Period and schedule exclude each other: the one that is sent takes the place of the other.
fn merge_times(
    role: &mut StaticRole,
    is_new: bool,
    data: &FieldData,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let sent = data.get(&ROTATION_SCHEDULE);
    let sent = sent.as_deref().map(str::trim);
    let new = sent.filter(|text| !text.is_empty());
    let period = data
        .get(&ROTATION_PERIOD)
        .filter(|_| !data.is_null(&ROTATION_PERIOD));
    let period_given = period.is_some_and(|period| !period.is_zero());
    let kept = Some(role.rotation_schedule.as_str())
        .filter(|text| !text.is_empty() && sent.is_none() && !period_given);
    let schedule = new.or(kept).unwrap_or_default().to_owned();
    if let Some(period) = period
        && period < SHORTEST_PERIOD
        && (period_given || schedule.is_empty())
    {
        return Err(Error::invalid(format!(
            "rotation_period: role rotation period out of range: must be at least 60 seconds, not {}",
            period.as_secs()
        )));
    }
    let (window, period) = (data.get(&ROTATION_WINDOW), period.filter(|_| period_given));
    schedule::check_fields(
        &schedule,
        window.unwrap_or_default(),
        period.unwrap_or_default(),
        SHORTEST_PERIOD,
    )?;
    if new.is_some() {
        let times = Schedule::new(ROTATION_SCHEDULE.name(), &schedule, now)?;
        let first = times.after(now).unwrap_or(now);
        let gap = times.after(first).map(|next| (next - first).unsigned_abs());
        role.rotation_period = gap.unwrap_or_default().max(SHORTEST_PERIOD);
        role.rotation_schedule = schedule;
    } else if let Some(period) = period {
        role.rotation_period = period;
        role.rotation_schedule.clear();
        role.rotation_window = Duration::ZERO;
    } else if is_new || schedule.is_empty() && !role.rotation_schedule.is_empty() {
        return Err(missing(&ROTATION_PERIOD));
    }
    if let Some(window) = window {
        role.rotation_window = window;
    }
    role.as_sent.note(data, &ROTATION_SCHEDULE);
    Ok(())
}

/// A role of the engine's own account has no other field of the three.
fn merge_account(mut account: CrossAccount, data: &FieldData) -> CrossAccount {
    let sent = |field| data.get(field).map(|text: String| text.trim().to_owned());
    if let Some(arn) = sent(&ASSUME_ROLE_ARN) {
        if arn.is_empty() {
            account = CrossAccount::default();
        }
        account.assume_role_arn = arn;
    }
    if let Some(session_name) = sent(&ASSUME_ROLE_SESSION_NAME) {
        account.assume_role_session_name = session_name;
    }
    if let Some(external_id) = sent(&EXTERNAL_ID) {
        account.external_id = external_id;
    }
    account
}

fn missing<T: FieldValue>(field: &Field<T>) -> Error {
    Error::invalid(format!("missing {:?} parameter", field.name()))
}
