//! What is made to go wrong.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{FakeAws, Request};

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// AWS refuses for want of permission.
    Denied,
    /// AWS answers with this error code, such as `Throttling` or `ServiceFailure`, and does nothing.
    Code(&'static str),
    /// The request does not reach AWS.
    Unreachable,
    /// AWS does what was asked, but its answer gets lost.
    AnswerLost,
    /// AWS does what was asked, and its answer comes so much later.
    AnswerLate(Duration),
    /// A user that is younger than this is not known yet, as where IAM has not spread it.
    NotSpreadYet(Duration),
    /// The request waits on its way to AWS until [`FakeAws::heal`].
    HeldBefore,
    /// AWS does what was asked, and its answer waits until [`FakeAws::heal`].
    HeldAfter,
}

/// Which calls meet a [`Fault`].
#[derive(Clone, Debug)]
pub struct FaultRule {
    operation: String,
    region: Option<String>,
    skipping: usize,
    times: Option<usize>,
    chance: f64,
    fault: Fault,
}

impl FaultRule {
    /// Every call of `operation` meets `fault`. A trailing `*` makes a prefix: `iam:Delete*`, `*`.
    pub fn on(operation: &str, fault: Fault) -> Self {
        Self {
            operation: operation.to_owned(),
            region: None,
            skipping: 0,
            times: None,
            chance: 1.0,
            fault,
        }
    }

    /// Only calls of clients that were opened for this region.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Lets so many calls pass first.
    #[must_use]
    pub fn skipping(mut self, calls: usize) -> Self {
        self.skipping = calls;
        self
    }

    /// Only for so many calls.
    #[must_use]
    pub fn times(mut self, calls: usize) -> Self {
        self.times = Some(calls);
        self
    }

    /// Only for so many calls of a hundred, as chance has it.
    #[must_use]
    pub fn percent(mut self, percent: u8) -> Self {
        self.chance = f64::from(percent) / 100.0;
        self
    }

    fn denies(&self, operation: &str) -> bool {
        self.fault == Fault::Denied && self.times.is_none() && self.is_on(operation)
    }

    fn is_on(&self, operation: &str) -> bool {
        match self.operation.strip_suffix('*') {
            Some(prefix) => operation.starts_with(prefix),
            None => operation == self.operation,
        }
    }

    fn matches(&self, request: &Request) -> bool {
        self.is_on(request.operation) && (self.region.is_none() || self.region == request.region)
    }
}

/// The faults in force, oldest first.
#[derive(Debug)]
pub(super) struct Faults {
    rules: Vec<FaultRule>,
    chance: StdRng,
}

impl Faults {
    pub(super) fn new() -> Self {
        Self {
            rules: Vec::new(),
            chance: StdRng::seed_from_u64(0),
        }
    }

    /// The fault that this call meets, which uses up one of its times.
    pub(super) fn meet(&mut self, request: &Request) -> Option<Fault> {
        for rule in self.rules.iter_mut().filter(|rule| rule.matches(request)) {
            if rule.chance < 1.0 && !self.chance.random_bool(rule.chance) {
                continue;
            }
            if rule.skipping > 0 {
                rule.skipping -= 1;
                continue;
            }
            match &mut rule.times {
                Some(0) => {}
                Some(left) => {
                    *left -= 1;
                    return Some(rule.fault);
                }
                None => return Some(rule.fault),
            }
        }
        None
    }
}

impl FakeAws {
    /// Those of the actions for which the permission is missing, as far as that is for good.
    pub(super) fn denied(&self, actions: &[String]) -> Vec<String> {
        let state = self.state();
        let is_denied =
            |action: &&String| state.faults.rules.iter().any(|rule| rule.denies(action));
        actions.iter().filter(is_denied).cloned().collect()
    }

    /// Puts a fault in force. Of several that match a call, the oldest counts.
    pub fn inject(&self, rule: FaultRule) {
        self.state().faults.rules.push(rule);
    }

    /// What [`FaultRule::percent`] draws from now on follows from this.
    pub fn seed_faults(&self, seed: u64) {
        self.state().faults.chance = StdRng::seed_from_u64(seed);
    }

    /// From now on the permission for `operation` is missing.
    pub fn deny(&self, operation: &str) {
        self.inject(FaultRule::on(operation, Fault::Denied));
    }

    /// The next calls of `operation` are answered with this error code.
    pub fn fail_next(&self, operation: &str, times: usize, code: &'static str) {
        self.inject(FaultRule::on(operation, Fault::Code(code)).times(times));
    }

    /// The process dies on its way through its calls to AWS: so many more are answered, the next one
    /// never is, nor is any after it. With `Fault::HeldAfter` AWS still does what that one asks.
    ///
    /// # Panics
    /// With any other fault than the two that hold a call.
    pub fn die_after(&self, calls: usize, at: Fault) {
        assert!(
            matches!(at, Fault::HeldBefore | Fault::HeldAfter),
            "a dead process gets no answer at all"
        );
        self.inject(FaultRule::on("*", at).skipping(calls).times(1));
        self.inject(FaultRule::on("*", Fault::HeldBefore).skipping(calls));
    }

    /// Ends every fault, and lets go of the calls that are held.
    pub fn heal(&self) {
        let mut state = self.state();
        state.faults.rules.clear();
        self.shared.healed.send_modify(|healings| *healings += 1);
    }
}
