mod fairness;
mod overload;
mod queue;
mod rate;
mod sts;
mod waiting;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::*;
use crate::aws::fake::{FakeAws, FakeRole, RateLimit};
use crate::aws::{
    AccessKey, AssumeRoleSource, ClientConfig, CredentialSource, Endpoint, ErrorKind, Iam, Region,
    RoleSessionName, StsAddress, UserName,
};
use crate::caller::Caller;
use crate::clock::ManualClock;

/// What one call takes.
const CALL: Duration = Duration::from_millis(50);
const LIMIT: RateLimit = RateLimit {
    per_second: 20,
    burst: 20,
};

/// An AWS that throttles, and the limits of one process.
struct Scene {
    aws: FakeAws,
    limits: Arc<Limits>,
}

impl Scene {
    fn new() -> Self {
        let aws = FakeAws::new(Arc::new(ManualClock::default()));
        aws.set_delay(CALL);
        Self {
            aws,
            limits: Arc::default(),
        }
    }

    fn throttled() -> Self {
        let scene = Self::new();
        scene.aws.limit_iam(Some(LIMIT));
        scene
    }

    /// A mount with an access key of its own.
    fn mount(&self) -> AccountIam {
        self.mount_with(&self.aws.admin_key())
    }

    fn mount_with(&self, key: &AccessKey) -> AccountIam {
        self.limits.mount().iam(&self.aws, &signed_by(key)).unwrap()
    }

    /// What uses up the limit: so many requests of one call each.
    fn load(iam: &AccountIam, class: Class, requests: usize) -> Vec<JoinHandle<Duration>> {
        let start = Instant::now();
        (0..requests)
            .map(|_| {
                let iam = iam.for_request(class, &Caller::host(None));
                tokio::spawn(async move {
                    iam.get_user(None).await.unwrap();
                    start.elapsed()
                })
            })
            .collect()
    }
}

fn signed_by(key: &AccessKey) -> ClientConfig {
    ClientConfig {
        credentials: CredentialSource::Static {
            access_key_id: key.access_key_id.clone(),
            secret_access_key: key.secret_access_key.clone(),
            session_token: None,
        },
        ..ClientConfig::default()
    }
}

/// When the last of them was served.
async fn last(served: Vec<JoinHandle<Duration>>) -> Duration {
    let served = join_all(served).await;
    served.into_iter().map(Result::unwrap).max().unwrap()
}
