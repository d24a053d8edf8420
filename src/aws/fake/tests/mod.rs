mod credentials;
mod faults_and_journal;
mod identity_tokens;
mod judgement;
mod policies_and_groups;
mod sessions;
mod simulation;
mod users;

use std::time::Duration;

use super::*;
use crate::aws::*;
use crate::clock::ManualClock;
use crate::secret::ExposeSecret;

const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;
const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

struct Scene {
    aws: FakeAws,
    clock: Arc<ManualClock>,
    iam: Arc<dyn Iam>,
    sts: Arc<dyn Sts>,
}

/// An AWS, and clients with the administrator's key.
fn scene() -> Scene {
    let clock = Arc::new(ManualClock::default());
    let aws = FakeAws::new(clock.clone());
    let config = signed_by(&aws.admin_key());
    Scene {
        iam: aws.iam(&config).unwrap(),
        sts: aws.sts(&config).unwrap(),
        aws,
        clock,
    }
}

fn signed_by(key: &AccessKey) -> ClientConfig {
    with(CredentialSource::Static {
        access_key_id: key.access_key_id.clone(),
        secret_access_key: key.secret_access_key.clone(),
        session_token: None,
    })
}

fn signed_by_session(session: &SessionCredentials) -> ClientConfig {
    with(CredentialSource::Static {
        access_key_id: session.access_key_id.clone(),
        secret_access_key: session.secret_access_key.clone(),
        session_token: Some(session.session_token.clone()),
    })
}

fn with(credentials: CredentialSource) -> ClientConfig {
    ClientConfig {
        credentials,
        ..ClientConfig::default()
    }
}

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn arn(text: &str) -> Arn {
    Arn::new(text).unwrap()
}

fn session_name() -> RoleSessionName {
    RoleSessionName::new("vault-test").unwrap()
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

/// The code and message of a refusal.
fn refusal<T: fmt::Debug>(result: Result<T, Error>) -> String {
    result.unwrap_err().to_string()
}
