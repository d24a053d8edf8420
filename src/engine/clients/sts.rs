//! Which STS to use, where the root configuration names more than one.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, future};
use tokio::time::{Instant, sleep};

use super::found::Found;
use crate::aws::limit::{AccountSts, LimitedSts, MountLimits};
use crate::aws::{
    self, AssumeRole, AssumedRole, CallerIdentity, ClientConfig, Connector, ErrorKind,
    FederatedUser, GetFederationToken, GetSessionToken, SessionCredentials, Sts,
};
use crate::caller::Caller;
use crate::engine::error::next_step;
use crate::logical::Error;

/// How long an address may take to answer before the next one is asked as well.
const HEAD_START: Duration = Duration::from_secs(3);

/// The addresses of STS, the wish first.
#[derive(Debug)]
pub(super) struct StsCandidates {
    connector: Arc<dyn Connector>,
    limits: MountLimits,
    configs: Vec<ClientConfig>,
    chosen: Found<Chosen, NoSts>,
}

/// A candidate by its number.
#[derive(Clone, Debug)]
struct Chosen {
    number: usize,
    sts: AccountSts,
}

/// What an STS answers when it is asked who we are.
pub(crate) struct StsAnswer {
    /// The way to it.
    pub(crate) road: String,
    pub(crate) took: Duration,
    pub(crate) answered: Instant,
    pub(crate) answer: Result<CallerIdentity, aws::Error>,
}

/// Why none of the candidates can be used.
#[derive(Clone, Debug)]
pub(super) struct NoSts(Vec<(String, aws::Error)>);

impl StsCandidates {
    pub(super) fn new(
        connector: Arc<dyn Connector>,
        limits: MountLimits,
        configs: Vec<ClientConfig>,
    ) -> Self {
        Self {
            connector,
            limits,
            configs,
            chosen: Found::new(),
        }
    }

    /// The only candidate, or the first that answers, for a request of `caller`.
    pub(super) async fn choose(self: &Arc<Self>, caller: &Caller) -> Result<CandidateSts, NoSts> {
        let ask = || {
            let (candidates, caller) = (Arc::clone(self), caller.committed());
            async move { candidates.ask(&caller).await }.boxed()
        };
        let chosen = tokio::select! {
            biased;
            chosen = self.chosen.get_or_ask(ask) => chosen?,
            () = caller.gone() => return Err(self.none_in_time()),
        };
        Ok(CandidateSts {
            sts: chosen.sts.for_request(caller),
            number: chosen.number,
            candidates: Arc::clone(self),
        })
    }

    /// What each of the candidates answers when it is asked who we are, the wish first.
    pub(super) async fn ask_each(self: &Arc<Self>, caller: &Caller) -> Vec<StsAnswer> {
        if let [_] = self.configs.as_slice() {
            // Whose session there is need not be opened again.
            let _ = self.choose(caller).await;
        }
        let known = self.chosen.known();
        let asked = self
            .configs
            .iter()
            .enumerate()
            .map(async |(number, config)| {
                let known = known.clone().filter(|chosen| chosen.number == number);
                let sts = known.map_or_else(|| self.connect(config), |chosen| Ok(chosen.sts));
                let road = match &sts {
                    Ok(sts) => sts.road().to_string(),
                    Err(_) => address(config),
                };
                let began = Instant::now();
                let answer = async {
                    sts?.for_request(caller)
                        .beginning()
                        .get_caller_identity()
                        .await
                };
                let answer = answer.await;
                StsAnswer {
                    road,
                    took: began.elapsed(),
                    answered: Instant::now(),
                    answer,
                }
            });
        future::join_all(asked).await
    }

    async fn ask(&self, caller: &Caller) -> Result<Chosen, NoSts> {
        if let [only] = self.configs.as_slice() {
            let sts = self.connect(only);
            let failed = |error| NoSts(vec![(address(only), error)]);
            return sts.map(|sts| Chosen { number: 0, sts }).map_err(failed);
        }
        let share = caller.begin_by() - Instant::now();
        let share = share / u32::try_from(self.configs.len()).unwrap_or(u32::MAX);
        let head_start = HEAD_START.min(share);
        let mut failures: Vec<_> = self.configs.iter().map(|_| None).collect();
        let mut asked = FuturesUnordered::new();
        let mut waiting = self.configs.iter().enumerate();
        let mut next = waiting.next();
        loop {
            if let Some((number, config)) = next.take() {
                let answer = self.probe(config, caller);
                asked.push(answer.map(move |answer| (number, answer)));
            }
            let is_late = async {
                if waiting.len() == 0 {
                    future::pending::<()>().await;
                }
                sleep(head_start).await;
            };
            tokio::select! {
                biased;
                answer = asked.next() => match answer {
                    Some((number, Ok(sts))) => return Ok(Chosen { number, sts }),
                    Some((number, Err(error))) => {
                        failures[number] = Some(error);
                        next = waiting.next();
                    }
                    None => break,
                },
                () = is_late => next = waiting.next(),
            }
        }
        let addresses = self.configs.iter().map(address);
        let failures = addresses.zip(failures.into_iter().flatten());
        Err(NoSts(failures.collect()))
    }

    async fn probe(
        &self,
        config: &ClientConfig,
        caller: &Caller,
    ) -> Result<AccountSts, aws::Error> {
        let sts = self.connect(config)?;
        let asked = sts.for_request(caller).beginning();
        asked.get_caller_identity().await.map(|_| sts)
    }

    fn connect(&self, config: &ClientConfig) -> Result<AccountSts, aws::Error> {
        self.limits.sts(&*self.connector, config)
    }

    fn none_in_time(&self) -> NoSts {
        let failed = |config| (address(config), aws::limit::out_of_time("sts:*"));
        NoSts(self.configs.iter().map(failed).collect())
    }

    /// Whether STS takes our credentials: false when it does not say, an error when it refuses them.
    pub(super) async fn accepts_us(self: &Arc<Self>, caller: &Caller) -> Result<bool, aws::Error> {
        let failures = match self.choose(caller).await {
            Ok(sts) => match sts.get_caller_identity().await {
                Ok(_) => return Ok(true),
                Err(error) => vec![error],
            },
            Err(NoSts(failures)) => failures.into_iter().map(|(_, error)| error).collect(),
        };
        let refused = |error: &aws::Error| error.kind() == ErrorKind::InvalidCredentials;
        if !failures.iter().all(refused) {
            return Ok(false);
        }
        failures.into_iter().next().map_or(Ok(false), Err)
    }
}

/// The chosen STS, for one request. When it cannot be reached any more, the next request chooses
/// anew.
#[derive(Debug)]
pub(super) struct CandidateSts {
    sts: LimitedSts,
    number: usize,
    candidates: Arc<StsCandidates>,
}

impl CandidateSts {
    /// What is asked before the call that matters.
    pub(super) fn beginning(self) -> Self {
        Self {
            sts: self.sts.beginning(),
            ..self
        }
    }

    async fn unless_unreachable<T>(
        &self,
        call: impl Future<Output = Result<T, aws::Error>>,
    ) -> Result<T, aws::Error> {
        let answer = call.await;
        let unreachable = |error: &aws::Error| error.kind() == ErrorKind::Unreachable;
        if self.candidates.configs.len() > 1 && answer.as_ref().is_err_and(unreachable) {
            let chosen = &self.candidates.chosen;
            chosen.forget(|chosen| chosen.number == self.number);
        }
        answer
    }
}

#[async_trait]
impl Sts for CandidateSts {
    async fn get_caller_identity(&self) -> Result<CallerIdentity, aws::Error> {
        self.unless_unreachable(self.sts.get_caller_identity())
            .await
    }

    async fn assume_role(&self, request: AssumeRole) -> Result<AssumedRole, aws::Error> {
        self.unless_unreachable(self.sts.assume_role(request)).await
    }

    async fn get_federation_token(
        &self,
        request: GetFederationToken,
    ) -> Result<FederatedUser, aws::Error> {
        self.unless_unreachable(self.sts.get_federation_token(request))
            .await
    }

    async fn get_session_token(
        &self,
        request: GetSessionToken,
    ) -> Result<SessionCredentials, aws::Error> {
        self.unless_unreachable(self.sts.get_session_token(request))
            .await
    }
}

fn address(config: &ClientConfig) -> String {
    match (&config.endpoint, &config.region) {
        (Some(endpoint), _) => endpoint.to_string(),
        (None, Some(region)) => region.to_string(),
        (None, None) => "default region".to_owned(),
    }
}

impl From<NoSts> for Error {
    fn from(NoSts(failures): NoSts) -> Self {
        let each: Vec<_> = failures
            .iter()
            .map(|(address, error)| format!("{address}: {error}"))
            .collect();
        let mut steps: Vec<_> = failures
            .iter()
            .filter_map(|(_, error)| next_step(error))
            .collect();
        steps.dedup();
        let mut text = format!("could not obtain sts client: {}", each.join("; "));
        if !steps.is_empty() {
            text.push_str(&format!(" ({})", steps.join("; ")));
        }
        let throttled = |error: &aws::Error| error.kind() == ErrorKind::Throttled;
        if failures.iter().all(|(_, error)| throttled(error)) {
            Self::UpstreamRateLimited(text)
        } else {
            Self::Invalid(text)
        }
    }
}
