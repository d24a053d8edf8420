//! `metrics`: figures for whoever watches over the mount, in Prometheus's text format.
//!
//! All of it is of this mount alone and kept in memory; a process that starts anew counts from zero,
//! as Prometheus expects. No label is chosen by clients: a role's name is an operator's, all other
//! values are of fixed sets.

#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;

use self::text::{CONTENT_TYPE, Kind, Text};
use super::Engine;
use super::config_root::RootConfig;
use super::counters::{Counted, MOST_ROLES, OTHER_ROLES};
use crate::framework::{
    Answer, FieldData, FieldType, OperationDocs, Path, PathDocs, ResponseField,
};
use crate::logical::{Error, Operation, Request, Response, Storage};

/// The host's timer comes once a minute, so that what is due waits a little.
const PATIENCE: Duration = Duration::from_mins(2);

/// By what a host knows that the answer is no JSON.
const RESPONSE: &[ResponseField] = &[
    ResponseField::new("http_status_code", FieldType::Int, "Status"),
    ResponseField::new("http_content_type", FieldType::String, "Content type"),
    ResponseField::new("http_raw_body", FieldType::String, "The text"),
];

pub(super) fn path() -> Path<Engine> {
    Path::new("metrics")
        .on_with(
            Operation::Read,
            OperationDocs {
                response: RESPONSE,
                raw: "text/plain",
                of_active_node: true,
                ..OperationDocs::NONE
            },
            read,
        )
        .docs(PathDocs {
            synopsis: "Figures of this mount for Prometheus.",
            description: "What was issued and revoked and what failed, which calls AWS had and \
                refused, what waits, how old unfinished work is, which rotations are overdue and \
                how many IAM users are out by role, as text for Prometheus. The answer is that \
                text and no JSON, so scrape it with a token that may read it, or look at it with \
                read -format=raw. Counters begin at zero when the plugin starts.",
            operation_suffix: "metrics",
        })
}

async fn read(engine: Arc<Engine>, request: Request, _data: FieldData) -> Answer {
    let mut text = Text::default();
    let counted = engine.counters.counted();
    let now = engine.clock.now();
    text.family(
        Kind::Gauge,
        "aws_secrets_build_info",
        "The plugin that answers.",
    )
    .is(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    credentials(&mut text, &engine, &counted);
    calls(&mut text, &engine);
    unfinished(&mut text, &counted, now);
    rotations(&mut text, &engine, &*request.storage, &counted, now).await?;
    Ok(Some(Response::raw(
        CONTENT_TYPE,
        "no-store",
        &text.into_string(),
    )))
}

fn credentials(text: &mut Text, engine: &Engine, counted: &Counted) {
    let mut issued = text.family(
        Kind::Counter,
        "aws_secrets_issued_total",
        "Credentials that were handed out, by role and credential type.",
    );
    for ((role, credential_type), count) in &counted.issued {
        issued.is(
            &[("role", role), ("credential_type", credential_type)],
            count,
        );
    }
    let mut revoked = text.family(
        Kind::Counter,
        "aws_secrets_users_revoked_total",
        "IAM users that were removed before or at the end of their time, by what asked for it.",
    );
    for (by, count) in &counted.revoked {
        revoked.is(&[("by", by.as_str())], count);
    }
    let mut revoked = text.family(
        Kind::Counter,
        "aws_secrets_sessions_revoked_total",
        "Sessions that were ended before their time one by one, by what asked for it.",
    );
    for (by, count) in &counted.sessions_revoked {
        revoked.is(&[("by", by.as_str())], count);
    }
    let mut failed = text.family(
        Kind::Counter,
        "aws_secrets_failures_total",
        "What failed, by what was tried and the kind of error.",
    );
    for ((what, kind), count) in &counted.failed {
        failed.is(&[("action", what.as_str()), ("kind", kind)], count);
    }
    // Not known until the register was read once.
    let Some(active) = engine.issued.active() else {
        return;
    };
    let mut users = text.family(
        Kind::Gauge,
        "aws_secrets_users_active",
        "IAM users that are out, by role.",
    );
    for (role, count) in active.iter().take(MOST_ROLES) {
        users.is(&[("role", role)], count);
    }
    let others: usize = active.values().skip(MOST_ROLES).sum();
    if others > 0 {
        users.is(&[("role", OTHER_ROLES)], others);
    }
}

fn calls(text: &mut Text, engine: &Engine) {
    let counts = &engine.aws_calls;
    let mut calls = text.family(
        Kind::Counter,
        "aws_secrets_aws_calls_total",
        "Calls to AWS, by operation and outcome: ok, or the kind of AWS's error.",
    );
    for (operation, outcome, count) in counts.calls() {
        calls.is(&[("operation", operation), ("outcome", outcome)], count);
    }
    let mut waiting = text.family(
        Kind::Gauge,
        "aws_secrets_limiter_waiting",
        "Calls that wait for their turn, by queue.",
    );
    for (queue, count) in counts.waiting() {
        waiting.is(&[("queue", queue)], count);
    }
    let mut refused = text.family(
        Kind::Counter,
        "aws_secrets_limiter_refused_total",
        "Calls that were not sent to AWS: too many wait (crowd), no time is left (late), or nobody waits any more (hung_up).",
    );
    let told = counts.refused();
    for reason in ["crowd", "hung_up", "late"] {
        let count = told.iter().find(|(known, _)| *known == reason);
        refused.is(&[("reason", reason)], count.map_or(0, |(_, count)| *count));
    }
}

fn unfinished(text: &mut Text, counted: &Counted, now: OffsetDateTime) {
    // Not known until the host's timer came.
    let Some(wal) = counted.wal else {
        return;
    };
    text.family(
        Kind::Gauge,
        "aws_secrets_wal_entries",
        "Entries of the write-ahead log that the host's timer left there.",
    )
    .is(&[], wal.entries);
    let age = wal.oldest.map_or(0, |oldest| seconds(now - oldest));
    text.family(
        Kind::Gauge,
        "aws_secrets_wal_oldest_entry_age_seconds",
        "Age of the oldest of them; 0 when there is none.",
    )
    .is(&[], age);
}

async fn rotations(
    text: &mut Text,
    engine: &Engine,
    storage: &dyn Storage,
    counted: &Counted,
    now: OffsetDateTime,
) -> Result<(), Error> {
    const ROOT: &str = "root";
    const STATIC_ROLE: &str = "static_role";
    let mut done = text.family(
        Kind::Counter,
        "aws_secrets_rotations_total",
        "Access keys that were rotated, by whose they are.",
    );
    for of in [ROOT, STATIC_ROLE] {
        let count = counted.rotated.get(of).copied().unwrap_or_default();
        done.is(&[("of", of)], count);
    }
    let root = RootConfig::load(storage)
        .await
        .map_err(|error| Error::from(error).context("error reading root configuration"))?;
    let of_root = root.and_then(|root| root.plan(now).and(root.next_rotation));
    let then = now - PATIENCE;
    let overdue = [
        (
            ROOT,
            Some(of_root.into_iter().filter(|due| *due <= then).collect()),
        ),
        (STATIC_ROLE, engine.static_roles.overdue(then)),
    ];
    let overdue: Vec<(&str, Vec<OffsetDateTime>)> = overdue
        .into_iter()
        .filter_map(|(of, overdue)| Some((of, overdue?)))
        .collect();
    let mut how_many = text.family(
        Kind::Gauge,
        "aws_secrets_rotations_overdue",
        "Access keys that should have been rotated and were not, by whose they are.",
    );
    for (of, overdue) in &overdue {
        how_many.is(&[("of", of)], overdue.len());
    }
    let mut how_long = text.family(
        Kind::Gauge,
        "aws_secrets_rotation_overdue_seconds",
        "For how long the one that is overdue longest has been so; 0 when none is.",
    );
    for (of, overdue) in &overdue {
        let longest = overdue.iter().min().map_or(0, |due| seconds(now - *due));
        how_long.is(&[("of", of)], longest);
    }
    Ok(())
}

fn seconds(duration: time::Duration) -> i64 {
    duration.whole_seconds().max(0)
}
