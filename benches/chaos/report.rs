//! What is written: numbers with their units in their names.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use vault_plugin_secrets_aws::aws::fake::{Call, FakeAws, Fault, Outcome};

use crate::account::Account;
use crate::driver::machine::Machine;
use crate::ledger::Counts;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) host: String,
    pub(crate) nodes: usize,
    pub(crate) seed: u64,
    pub(crate) quick: bool,
    pub(crate) machine: Machine,
    /// From the first act of the hand to its last.
    pub(crate) chaos_s: f64,
    pub(crate) kills: usize,
    /// What the hand, the clients and AWS did, and how often.
    pub(crate) counts: Counts,
    pub(crate) aws: Aws,
    pub(crate) leases_given: usize,
    pub(crate) sessions_given: usize,
    /// When all was mended.
    pub(crate) at_once: Account,
    /// From then until nothing was left but doubts.
    pub(crate) healed_s: Option<f64>,
    /// Two minutes after then, or when it was healed.
    pub(crate) healed: Account,
    /// From when all was mended until nothing was left at all; not awaited by a quick run.
    pub(crate) settled_s: Option<f64>,
    pub(crate) settled: Account,
    /// When the whole mount was contained.
    pub(crate) contained: Account,
    /// When every lease was given back, too.
    pub(crate) end: Account,
    pub(crate) took_s: f64,
    /// What fell short, in sentences.
    pub(crate) failures: Vec<String>,
    /// Of some that should not be there, or should.
    pub(crate) lives: Vec<Vec<String>>,
}

impl Report {
    /// All that were made since everything was mended, in the order of time.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Account> {
        [
            &self.at_once,
            &self.healed,
            &self.settled,
            &self.contained,
            &self.end,
        ]
        .into_iter()
    }

    /// What worked although it should not, at any time.
    pub(crate) fn undead(&self) -> BTreeSet<&str> {
        let all = self.accounts().flat_map(|account| &account.undead);
        all.map(String::as_str).collect()
    }
}

/// What AWS saw.
#[derive(Debug, Serialize)]
pub(crate) struct Aws {
    pub(crate) calls: usize,
    pub(crate) users: usize,
    pub(crate) access_keys: usize,
    pub(crate) sessions: usize,
    /// How many calls met which fault.
    pub(crate) faults: BTreeMap<String, usize>,
}

impl Aws {
    pub(crate) fn of(aws: &FakeAws) -> Self {
        let calls = aws.calls();
        let done = |operation: &str| {
            let calls = calls.iter().filter(|call| call.operation == operation);
            calls.filter(|call| is_done(call)).count()
        };
        let mut faults = BTreeMap::new();
        for fault in calls.iter().filter_map(|call| call.fault) {
            *faults.entry(name(fault)).or_default() += 1;
        }
        Self {
            calls: calls.len(),
            users: done("iam:CreateUser"),
            access_keys: done("iam:CreateAccessKey"),
            sessions: aws.sessions().len(),
            faults,
        }
    }
}

fn is_done(call: &Call) -> bool {
    call.outcome == Some(Outcome::Done) || call.fault == Some(Fault::AnswerLost)
}

fn name(fault: Fault) -> String {
    match fault {
        Fault::Code(code) => code.to_owned(),
        Fault::Denied => "denied".to_owned(),
        Fault::Unreachable => "connection reset".to_owned(),
        Fault::AnswerLost => "answer lost".to_owned(),
        Fault::AnswerLate(_) => "answer late".to_owned(),
        Fault::NotSpreadYet(_) => "user perhaps not known yet".to_owned(),
        Fault::HeldBefore | Fault::HeldAfter => "held".to_owned(),
    }
}
