//! A simulated AWS with AWS's own rules, for tests and benchmarks.
//!
//! [`FakeAws`] is the service: accounts with users, groups, policies, roles and sessions, whose
//! rules live in `World` and are written once. A [`Connector`] is one door to it: each client acts
//! with the credentials it was opened with, so a key that was rotated away really stops working.
//! HTTP is another ([`FakeAws::serve`]), for plugins that run as processes of their own.
//!
//! Beside the service stand switches for what goes wrong ([`FaultRule`], [`RateLimit`]), a journal of
//! every call ([`Call`]), and methods to set the scene and to look at the outcome.

mod access_keys;
mod belongings;
mod client_credentials;
mod clock;
mod door;
mod faults;
mod groups;
mod http;
mod identity_providers;
mod journal;
mod judgement;
mod limit;
mod outcome;
mod policies;
mod refused;
mod roles;
mod scene;
mod sessions;
mod simulation;
#[cfg(test)]
mod tests;
mod users;
mod world;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

pub use faults::{Fault, FaultRule};
pub use identity_providers::FakeTrust;
pub use journal::{Call, Outcome};
pub use limit::{Bucket, RateLimit};
pub use policies::InlinePolicies;
pub use scene::{FakeAccessKey, FakeRole, FakeSession, FakeUser};
pub use simulation::simulate;

use super::error::Refusal;
use super::{AccessKeyId, ClientConfig, Connector, Error, Iam, Road, Sts};
use crate::clock::Clock;
use crate::secret::SecretString;
use client_credentials::ClientCredentials;
use door::Client;
use faults::Faults;
use journal::Journal;
use world::{Caller, Refused, Service, World};

/// The simulated AWS. Clones are handles to the same one.
///
/// A handle looks at one account: [`FakeAws::in_account`] gives a handle to another.
#[derive(Clone)]
pub struct FakeAws {
    shared: Arc<Shared>,
    account: String,
}

struct Shared {
    state: Mutex<State>,
    /// Changes when faults are healed, which lets go of the calls that are held.
    healed: watch::Sender<u64>,
}

struct State {
    world: World,
    faults: Faults,
    /// Of IAM, which every account shares here.
    bucket: Option<Bucket>,
    journal: Journal,
    delay: Duration,
    default_credentials: Option<Proof>,
    connections: usize,
}

/// What a request is signed with.
#[derive(Clone)]
struct Proof {
    access_key_id: AccessKeyId,
    secret_access_key: SecretString,
    session_token: Option<SecretString>,
}

/// One request on its way.
struct Request {
    operation: &'static str,
    /// What it is about, for the journal and for messages.
    target: String,
    region: Option<String>,
    endpoint: Option<String>,
}

impl FakeAws {
    /// The account that a new handle looks at.
    pub const HOME_ACCOUNT: &'static str = "111122223333";

    /// An AWS with one account, in which there is nothing yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(State {
                    world: World::new(clock),
                    faults: Faults::new(),
                    bucket: None,
                    journal: Journal::new(),
                    delay: Duration::ZERO,
                    default_credentials: None,
                    connections: 0,
                }),
                healed: watch::Sender::new(0),
            }),
            account: Self::HOME_ACCOUNT.to_owned(),
        }
    }

    /// The same AWS, looking at another account, which comes into being by this.
    #[must_use]
    pub fn in_account(&self, account: &str) -> Self {
        self.state().world.open_account(account);
        Self {
            shared: Arc::clone(&self.shared),
            account: account.to_owned(),
        }
    }

    /// Every call takes this long from now on, in `tokio`'s time. Under paused time, elapsed time
    /// divided by it is the number of calls that followed one another.
    pub fn set_delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one request through faults, authentication and the rule, and writes the journal.
    async fn call<T>(
        &self,
        request: Request,
        proof: Option<&Proof>,
        rule: impl FnOnce(&mut World, &Caller) -> Result<T, Refused> + Send,
    ) -> Result<T, Error> {
        let (index, fault, delay, healed) = {
            let mut state = self.state();
            let fault = state.faults.meet(&request).or_else(|| {
                let bucket = state.bucket.as_mut();
                bucket
                    .filter(|_| Service::of(request.operation) == Service::Iam)?
                    .meet()
            });
            let index = state.journal.begin(&request, proof, fault);
            (index, fault, state.delay, self.shared.healed.subscribe())
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if fault == Some(Fault::HeldBefore) {
            wait(healed.clone()).await;
        }

        let result = self.answer(&request, proof, fault, rule);

        match fault {
            Some(Fault::HeldAfter) => wait(healed).await,
            Some(Fault::AnswerLate(by)) => tokio::time::sleep(by).await,
            _ => {}
        }
        self.state().journal.end(index, result.as_ref().map(|_| ()));
        result
    }

    fn answer<T>(
        &self,
        request: &Request,
        proof: Option<&Proof>,
        fault: Option<Fault>,
        rule: impl FnOnce(&mut World, &Caller) -> Result<T, Refused>,
    ) -> Result<T, Error> {
        let operation = request.operation;
        if fault == Some(Fault::Unreachable) {
            let message = "no connection to the simulated AWS";
            return Err(Error::unreachable(operation, message, false));
        }
        let mut state = self.state();
        let world = &mut state.world;
        let result = match fault {
            Some(Fault::Code(code)) => Err(Refused::told(code)),
            _ => Self::judge(world, request, proof, fault, rule),
        };
        if fault == Some(Fault::AnswerLost) {
            let message = "the simulated AWS did not answer in time";
            return Err(Error::unreachable(operation, message, true));
        }
        result.map_err(|refused| {
            let request_id = world.next_request_id();
            let aws_time = world.aws_time();
            Error::refused(
                operation,
                &Refusal {
                    status: refused.status(),
                    code: Some(refused.code),
                    message: Some(&refused.message),
                    request_id: Some(&request_id),
                },
            )
            .answered_at(Some(aws_time))
        })
    }

    fn judge<T>(
        world: &mut World,
        request: &Request,
        proof: Option<&Proof>,
        fault: Option<Fault>,
        rule: impl FnOnce(&mut World, &Caller) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let caller = match proof {
            Some(proof) => {
                world.check_time()?;
                world.authenticate(proof, Service::of(request.operation))?
            }
            None => Caller::anonymous(),
        };
        if fault == Some(Fault::Denied) {
            return Err(Refused::denied(&caller, request.operation, &request.target));
        }
        if let Some(Fault::NotSpreadYet(age)) = fault {
            world.know_user(&caller, &request.target, age)?;
        }
        world.judge(&caller, request.operation)?;
        rule(world, &caller)
    }
}

/// Waits until somebody heals.
async fn wait(mut healed: watch::Receiver<u64>) {
    // An error means that the simulated AWS is gone, and with it whoever could heal.
    if healed.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl Connector for FakeAws {
    fn iam(&self, config: &ClientConfig) -> Result<Arc<dyn Iam>, Error> {
        Ok(Arc::new(self.client(config)))
    }

    fn sts(&self, config: &ClientConfig) -> Result<Arc<dyn Sts>, Error> {
        Ok(Arc::new(self.client(config)))
    }

    fn road_to_iam(&self, config: &ClientConfig) -> Road {
        road("iam", config)
    }

    fn road_to_sts(&self, config: &ClientConfig) -> Road {
        road("sts", config)
    }
}

fn road(service: &str, config: &ClientConfig) -> Road {
    Road::direct(match (&config.endpoint, &config.region) {
        (Some(endpoint), _) => endpoint.to_string(),
        (None, Some(region)) => format!("https://{service}.{region}.aws.example"),
        (None, None) => format!("https://{service}.aws.example"),
    })
}

impl FakeAws {
    fn client(&self, config: &ClientConfig) -> Client {
        self.state().connections += 1;
        Client {
            aws: self.clone(),
            region: config.region.as_ref().map(ToString::to_string),
            endpoint: config.endpoint.as_ref().map(ToString::to_string),
            credentials: ClientCredentials::new(&config.credentials),
        }
    }
}

impl fmt::Debug for FakeAws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeAws")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}
