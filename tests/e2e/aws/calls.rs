//! Calls to AWS past the proxy, signed with any keys.

use std::future::Future;
use std::sync::OnceLock;

use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::config::timeout::TimeoutConfig;
use aws_sdk_iam::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::moto::moto;

/// What signs calls.
#[derive(Clone)]
pub(crate) struct KeyPair {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
    pub(crate) session_token: Option<String>,
}

impl KeyPair {
    /// A read of IAM; the error's code when refused.
    pub(crate) fn list_users(&self) -> Result<(), String> {
        self.list_users_at(&moto().address)
    }

    /// The same of another AWS, at `127.0.0.1:port`.
    pub(crate) fn list_users_at(&self, address: &str) -> Result<(), String> {
        run(iam(address, self).list_users().send())
            .map(drop)
            .map_err(|error| code(&error))
    }

    /// A write to IAM; the error's code when refused.
    pub(crate) fn create_user(&self, name: &str) -> Result<(), String> {
        run(iam(&moto().address, self)
            .create_user()
            .user_name(name)
            .send())
        .map(drop)
        .map_err(|error| code(&error))
    }

    /// Who AWS takes the bearer for, an ARN; the error's code when it knows nobody.
    pub(crate) fn identity(&self) -> Result<String, String> {
        run(sts(&moto().address, self).get_caller_identity().send())
            .map(|identity| identity.arn.unwrap_or_default())
            .map_err(|error| code(&error))
    }
}

/// Waits for calls of the SDK, from a test's own thread.
pub(crate) fn run<F: Future>(calls: F) -> F::Output {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME
        .get_or_init(|| tokio::runtime::Runtime::new().expect("threads can be started"))
        .block_on(calls)
}

pub(super) fn iam(address: &str, keys: &KeyPair) -> aws_sdk_iam::Client {
    aws_sdk_iam::Client::from_conf(
        aws_sdk_iam::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .endpoint_url(format!("http://{address}"))
            .credentials_provider(credentials(keys))
            .retry_config(past_its_own_faults())
            .timeout_config(patience())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build(),
    )
}

fn sts(address: &str, keys: &KeyPair) -> aws_sdk_sts::Client {
    aws_sdk_sts::Client::from_conf(
        aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static("us-east-1"))
            .endpoint_url(format!("http://{address}"))
            .credentials_provider(credentials(keys))
            .retry_config(past_its_own_faults())
            .timeout_config(patience())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build(),
    )
}

/// moto answers 500 where two requests meet in its tables ("dictionary changed size during iteration").
fn past_its_own_faults() -> RetryConfig {
    RetryConfig::standard().with_initial_backoff(std::time::Duration::from_millis(50))
}

/// A call that is never answered ends its test, and does not hold up all others.
fn patience() -> TimeoutConfig {
    let minute = std::time::Duration::from_mins(1);
    TimeoutConfig::builder().operation_timeout(minute).build()
}

fn credentials(keys: &KeyPair) -> Credentials {
    Credentials::new(
        &keys.access_key,
        &keys.secret_key,
        keys.session_token.clone(),
        None,
        "test",
    )
}

/// The AWS error code. moto wraps what its door-keeper refuses in one element more than AWS
/// does, where the SDK does not look.
pub(super) fn code<E: ProvideErrorMetadata + std::fmt::Debug>(
    error: &SdkError<E, HttpResponse>,
) -> String {
    let in_body = || {
        let body = std::str::from_utf8(error.raw_response()?.body().bytes()?).ok()?;
        let (_, after) = body.split_once("<Code>")?;
        Some(after.split_once("</Code>")?.0.to_owned())
    };
    error
        .code()
        .map(ToOwned::to_owned)
        .or_else(in_body)
        .unwrap_or_else(|| panic!("AWS did not answer: {error:?}"))
}
