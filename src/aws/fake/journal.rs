//! What was asked of AWS, in order.

use std::time::Duration;

use tokio::time::Instant;

use super::{FakeAws, Fault, Proof, Request};
use crate::aws::{AccessKeyId, Error};

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Such as `iam:CreateUser`.
    pub operation: &'static str,
    /// What it is about: names and ARNs, never secrets.
    pub target: String,
    /// Who signed it.
    pub access_key_id: Option<AccessKeyId>,
    /// The region that the client was opened for, if it named one.
    pub region: Option<String>,
    /// The endpoint that the client was opened for, if it named one.
    pub endpoint: Option<String>,
    /// What it met.
    pub fault: Option<Fault>,
    /// When it began, from the making of this AWS, in `tokio`'s time.
    pub began: Duration,
    /// When it ended; `None` while it is under way and for ever when its caller gave up.
    pub ended: Option<Duration>,
    /// How it ended.
    pub outcome: Option<Outcome>,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// AWS did it.
    Done,
    /// AWS refused with this code.
    Refused(String),
    /// The caller got no answer.
    Unanswered,
}

#[derive(Debug)]
pub(super) struct Journal {
    start: Instant,
    calls: Vec<Call>,
    /// How many calls were forgotten.
    forgotten: usize,
}

impl Journal {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            calls: Vec::new(),
            forgotten: 0,
        }
    }

    /// Returns what [`Journal::end`] knows the call by.
    pub(super) fn begin(
        &mut self,
        request: &Request,
        proof: Option<&Proof>,
        fault: Option<Fault>,
    ) -> usize {
        self.calls.push(Call {
            operation: request.operation,
            target: request.target.clone(),
            access_key_id: proof.map(|proof| proof.access_key_id.clone()),
            region: request.region.clone(),
            endpoint: request.endpoint.clone(),
            fault,
            began: self.start.elapsed(),
            ended: None,
            outcome: None,
        });
        self.forgotten + self.calls.len() - 1
    }

    pub(super) fn end(&mut self, index: usize, result: Result<(), &Error>) {
        let ended = self.start.elapsed();
        let Some(index) = index.checked_sub(self.forgotten) else {
            return;
        };
        if let Some(call) = self.calls.get_mut(index) {
            call.ended = Some(ended);
            call.outcome = Some(match result {
                Ok(()) => Outcome::Done,
                Err(error) => match error.code() {
                    Some(code) => Outcome::Refused(code.to_owned()),
                    None => Outcome::Unanswered,
                },
            });
        }
    }
}

impl FakeAws {
    /// Every call so far, in the order in which they began.
    pub fn calls(&self) -> Vec<Call> {
        self.state().journal.calls.clone()
    }

    /// The operations of every call so far.
    pub fn operations(&self) -> Vec<&'static str> {
        self.state()
            .journal
            .calls
            .iter()
            .map(|call| call.operation)
            .collect()
    }

    /// The calls of one operation.
    pub fn calls_of(&self, operation: &str) -> Vec<Call> {
        let mut calls = self.calls();
        calls.retain(|call| call.operation == operation);
        calls
    }

    /// Forgets the calls so far, so that a test sees only what comes next.
    pub fn forget_calls(&self) {
        let mut state = self.state();
        let journal = &mut state.journal;
        journal.forgotten += journal.calls.len();
        journal.calls.clear();
    }

    /// How long ago this AWS was made: the clock of [`Call::began`] and [`Call::ended`].
    pub fn age(&self) -> Duration {
        self.state().journal.start.elapsed()
    }

    /// How many clients were opened.
    pub fn connections(&self) -> usize {
        self.state().connections
    }
}
