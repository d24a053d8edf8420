//! STS within the time of a request, and with a bound on how much of it is under way.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use super::counts::Counts;
use super::limiter::Limiter;
use super::{nobody_waits, out_of_time, unanswered};
use crate::aws::{
    AssumeRole, AssumedRole, CallerIdentity, Error, FederatedUser, GetFederationToken,
    GetSessionToken, Road, SessionCredentials, Sts,
};
use crate::caller::Caller;

/// STS at one address.
#[derive(Clone, Debug)]
pub struct AccountSts {
    pub(super) sts: Arc<dyn Sts>,
    pub(super) limiter: Arc<Limiter>,
    pub(super) counts: Arc<Counts>,
    pub(super) road: Arc<Road>,
}

impl AccountSts {
    /// The way to it.
    pub fn road(&self) -> &Road {
        &self.road
    }

    /// STS for a request of `caller`.
    pub fn for_request(&self, caller: &Caller) -> LimitedSts {
        LimitedSts {
            of: self.clone(),
            until: caller.answer_by(),
            caller: caller.clone(),
        }
    }
}

/// STS for one request. Each call ends with the caller's time, or when it hangs up: what it would
/// have got ends by itself.
#[derive(Clone, Debug)]
pub struct LimitedSts {
    of: AccountSts,
    until: Instant,
    caller: Caller,
}

impl LimitedSts {
    /// For what is asked before the call that matters: it leaves that one the last third of the
    /// time.
    #[must_use]
    pub fn beginning(&self) -> Self {
        Self {
            until: self.caller.begin_by(),
            ..self.clone()
        }
    }

    async fn call<T>(
        &self,
        operation: &'static str,
        send: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let counts = &self.of.counts;
        let answer = async {
            let waits = counts.waits_for_sts();
            let bound = timeout_at(self.until, self.of.limiter.sts.acquire());
            let place = if Instant::now() < self.until {
                bound.await.ok().and_then(Result::ok)
            } else {
                None
            };
            drop(waits);
            let Some(_place) = place else {
                let error = out_of_time(operation);
                counts.not_sent(&error);
                return Err(error);
            };
            let result = timeout_at(self.until, send)
                .await
                .unwrap_or_else(|_| Err(unanswered(operation, &self.of.road)));
            counts.called(operation, &result);
            result
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            () = self.caller.hangs_up() => Err(nobody_waits(operation)),
        }
    }
}

#[async_trait]
impl Sts for LimitedSts {
    async fn get_caller_identity(&self) -> Result<CallerIdentity, Error> {
        let send = self.of.sts.get_caller_identity();
        self.call("sts:GetCallerIdentity", send).await
    }

    async fn assume_role(&self, request: AssumeRole) -> Result<AssumedRole, Error> {
        let send = self.of.sts.assume_role(request);
        self.call("sts:AssumeRole", send).await
    }

    async fn get_federation_token(
        &self,
        request: GetFederationToken,
    ) -> Result<FederatedUser, Error> {
        let send = self.of.sts.get_federation_token(request);
        self.call("sts:GetFederationToken", send).await
    }

    async fn get_session_token(
        &self,
        request: GetSessionToken,
    ) -> Result<SessionCredentials, Error> {
        let send = self.of.sts.get_session_token(request);
        self.call("sts:GetSessionToken", send).await
    }
}
