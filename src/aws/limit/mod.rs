//! How fast the engine calls IAM.
//!
//! AWS limits how often an account may call IAM and refuses what is too much, so that of a thousand
//! calls at once most are wasted, and those that matter most come last. Hosts revoke up to 200
//! leases at once. So every mount calls IAM through here: [`Limits`] has one limiter for each
//! account, which finds out what AWS takes (`rate`), serves what waits in the order in which it
//! matters (`queue`): the end of access keys, credentials for somebody who waits, everything else;
//! and turns away whom it could not serve in time (`request`). While AWS refuses nothing, nothing
//! waits.
//!
//! STS has limits of its own, far higher, and no storms: its sessions are not revoked. Only how many
//! of its calls are under way is limited (`sts`); the SDK repeats what STS throttles.

mod account;
mod counts;
mod iam;
mod limiter;
mod load;
mod queue;
mod rate;
mod request;
mod sts;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

pub use counts::Counts;
pub use iam::{AccountIam, LimitedIam};
pub use queue::Class;
pub use sts::{AccountSts, LimitedSts};

use super::{ClientConfig, Closed, Connector, Error, ErrorKind, Obstacle, Road};
use account::Account;
use limiter::Limiter;

/// The limiters of all accounts, shared by all mounts of the process.
#[derive(Debug, Default)]
pub struct Limits {
    // A std mutex: nothing awaits under it.
    limiters: Mutex<HashMap<Account, Weak<Limiter>>>,
    mounts: AtomicU64,
}

impl Limits {
    /// The share of a new mount.
    pub fn mount(self: &Arc<Self>) -> MountLimits {
        MountLimits {
            limits: Arc::clone(self),
            mount: self.mounts.fetch_add(1, Ordering::Relaxed),
            counts: Arc::default(),
        }
    }

    fn limiter(&self, config: &ClientConfig) -> Arc<Limiter> {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        let account = Account::of(config);
        if let Some(known) = limiters.get(&account).and_then(Weak::upgrade) {
            return known;
        }
        limiters.retain(|_, limiter| limiter.strong_count() > 0);
        let limiter = Arc::new(Limiter::new(account.name.clone()));
        limiters.insert(account, Arc::downgrade(&limiter));
        limiter
    }
}

/// One mount's share of the limits: in each account, mounts take turns.
#[derive(Clone, Debug)]
pub struct MountLimits {
    limits: Arc<Limits>,
    mount: u64,
    counts: Arc<Counts>,
}

impl MountLimits {
    /// What became of the mount's calls so far.
    pub fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// An IAM client.
    pub fn iam(
        &self,
        connector: &dyn Connector,
        config: &ClientConfig,
    ) -> Result<AccountIam, Error> {
        Ok(AccountIam {
            iam: connector.iam(config)?,
            limiter: self.limits.limiter(config),
            mount: self.mount,
            counts: Arc::clone(&self.counts),
            road: Arc::new(connector.road_to_iam(config)),
        })
    }

    /// An STS client.
    pub fn sts(
        &self,
        connector: &dyn Connector,
        config: &ClientConfig,
    ) -> Result<AccountSts, Error> {
        Ok(AccountSts {
            sts: connector.sts(config)?,
            limiter: self.limits.limiter(config),
            counts: Arc::clone(&self.counts),
            road: Arc::new(connector.road_to_sts(config)),
        })
    }
}

fn nobody_waits(operation: &'static str) -> Error {
    let message = "whoever asked does not wait any more";
    Error::unasked(operation, ErrorKind::CallerGone, message)
}

/// The error of a call that was not sent because the time for its request was over.
pub fn out_of_time(operation: &'static str) -> Error {
    let message = "the time for this request was over before AWS could be asked";
    Error::unreachable(operation, message, false)
}

fn unanswered(operation: &'static str, road: &Road) -> Error {
    let message = format!("AWS did not answer at {road} until the time for this request was over");
    Error::unreachable(operation, message, true).on_a_closed_road(Closed {
        road: road.clone(),
        before_proxy: false,
        obstacle: Obstacle::NoAnswerInTime,
    })
}
