//! The life of a user that should not be there, or that should: what AWS was asked about it, what its
//! client saw, and what the hand did at that time.

use std::time::Duration;

use vault_plugin_secrets_aws::aws::fake::{Call, FakeAws};

use crate::clients::{CLIENT, is_unanswered};
use crate::ledger::{Ledger, Note};

/// How far from a call something may be that has to do with it.
const AROUND: Duration = Duration::from_secs(3);

pub(crate) fn tell(user: &str, aws: &FakeAws, ledger: &Ledger) -> Vec<String> {
    let calls = aws.calls();
    let calls: Vec<_> = calls.iter().filter(|call| is_about(call, user)).collect();
    let mut story: Vec<Note> = calls.iter().copied().map(describe).collect();
    let grants = ledger.grants();
    let grant = grants.iter().find(|grant| grant.name == user);
    match grant {
        Some(grant) => story.extend(grant.story.iter().map(|note| Note {
            at: note.at,
            what: format!("its client: {}", note.what),
        })),
        None => story.push(Note {
            at: Duration::ZERO,
            what: "no client was given it".to_owned(),
        }),
    }
    // Of other clients' requests only those that may have asked for this user.
    let may_matter = |note: &Note| {
        !note.what.starts_with(CLIENT) || grant.is_none() && is_unanswered(&note.what)
    };
    let is_near = |note: &Note| {
        let near = |at: Duration| note.at.abs_diff(at) < AROUND;
        calls.iter().any(|call| near(call.began)) || grant.is_some_and(|grant| near(grant.given))
    };
    let notes = ledger.notes().into_iter();
    story.extend(notes.filter(may_matter).filter(is_near));
    story.sort_by_key(|note| note.at);
    let line = |note: Note| format!("{:9.3} {}", note.at.as_secs_f64(), note.what);
    story.into_iter().map(line).collect()
}

fn is_about(call: &Call, user: &str) -> bool {
    call.target.split(' ').next() == Some(user)
}

fn describe(call: &Call) -> Note {
    let outcome = match &call.outcome {
        None => "never ended".to_owned(),
        Some(outcome) => format!("{outcome:?}"),
    };
    let fault = call
        .fault
        .map_or(String::new(), |fault| format!(", met {fault:?}"));
    let ended = call.ended.map_or(String::new(), |ended| {
        format!(
            " after {:.3} s",
            ended.saturating_sub(call.began).as_secs_f64()
        )
    });
    Note {
        at: call.began,
        what: format!(
            "AWS: {} {}: {outcome}{ended}{fault}",
            call.operation, call.target
        ),
    }
}
