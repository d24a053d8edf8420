//! The clients of one configuration, and whom they belong to.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::acceptance::Acceptance;
use super::found::Found;
use super::key_date::KeyDate;
use super::root_config::RootConfig;
use super::root_keys::HeldKey;
use super::sts::{StsAnswer, StsCandidates};
use crate::aws::{self, AccountIam, CallerIdentity, Sts};
use crate::caller::Caller;
use crate::clock::Clock;
use crate::engine::usernames::Names;
use crate::logical::Error;

/// The clients of one configuration.
pub(crate) struct Connected {
    /// What they were made of.
    pub(crate) root: RootConfig,
    /// The configuration's `username_template`.
    pub(crate) names: Names,
    /// IAM of the account.
    pub(crate) iam: AccountIam,
    pub(super) sts: Arc<StsCandidates>,
    pub(super) acceptance: Arc<Acceptance>,
    pub(super) caller: Found<CallerIdentity, ()>,
    pub(super) key_date: KeyDate,
    pub(super) _key: HeldKey,
    // Dropped with the last request that holds these clients.
    pub(super) _held: TaskTrackerToken,
    pub(super) holders: TaskTracker,
}

impl Connected {
    /// STS of the account, for a request of `caller`.
    ///
    /// With one address it is that one. With several, it is the first that answers
    /// `sts:GetCallerIdentity`, found out once, and again when it cannot be reached any more.
    pub(crate) async fn sts(&self, caller: &Caller) -> Result<Box<dyn Sts>, Error> {
        let chosen = self.sts.choose(caller).await.map_err(Error::from)?;
        Ok(Box::new(chosen))
    }

    /// Who AWS takes us for, asked once; `None` when AWS does not say in two thirds of the time.
    pub(crate) async fn caller(&self, caller: &Caller) -> Option<CallerIdentity> {
        let ask = || {
            let (sts, caller) = (Arc::clone(&self.sts), caller.committed());
            async move {
                let sts = sts.choose(&caller).await.map_err(drop)?.beginning();
                sts.get_caller_identity().await.map_err(drop)
            }
            .boxed()
        };
        tokio::select! {
            biased;
            identity = self.caller.get_or_ask(ask) => identity.ok(),
            () = caller.gone() => None,
        }
    }

    /// By how much AWS's clock is ahead of `clock`, as far as AWS tells it: to the second; `None` when it
    /// does not say soon.
    pub(crate) async fn clock_ahead(
        &self,
        clock: &dyn Clock,
        caller: &Caller,
    ) -> Option<time::Duration> {
        const SOON: Duration = Duration::from_secs(3);
        let ask = async {
            let sts = self.sts.choose(caller).await.ok()?.beginning();
            // Before the answer, which may take its time: rather a little too far ahead.
            let asked = clock.now();
            let told = match sts.get_caller_identity().await {
                Ok(identity) => identity.aws_time,
                Err(error) => error.aws_time(),
            };
            Some(told? - asked)
        };
        timeout(SOON, ask).await.ok().flatten()
    }

    /// What each STS of the configuration answers when it is asked who we are, the first wish first.
    pub(crate) async fn every_sts(&self, caller: &Caller) -> Vec<StsAnswer> {
        self.sts.ask_each(caller).await
    }

    /// Whether STS takes our credentials: false when it does not say, an error when it refuses them.
    pub(crate) async fn sts_accepts_us(&self, caller: &Caller) -> Result<bool, aws::Error> {
        self.sts.accepts_us(caller).await
    }
}
