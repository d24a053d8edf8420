//! The seam over the AWS SDK for Rust: the only files that name its crates.

mod beside;
mod call;
mod closed;
mod credentials;
mod date;
mod form;
#[cfg(any(test, feature = "test-util"))]
pub(crate) mod fuzzing;
mod http;
mod iam;
mod machine;
mod retry;
mod simulation;
mod sts;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod trust;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region as SdkRegion, SdkConfig};
use aws_sdk_iam::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_iam::config::{SharedHttpClient, StalledStreamProtectionConfig};
use futures_util::FutureExt as _;

use super::{
    ClientConfig, Connector, CredentialSource, Endpoint, Error, ErrorKind, Iam, Region, Road, Sts,
    StsAddress,
};
use crate::environment::Environment;
use call::Calls;
use credentials::Credentials;
use form::PlusForSpace;
use http::{Http, Routes};
use iam::SdkIam;
use machine::Origin;
use retry::NotThrottled;
use sts::SdkSts;

/// To open a connection, with name resolution and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// For one try, until the answer begins. AWS answers in well under a second; this is for lost packets
/// and slow proxies. The tries that a call has unless told otherwise end before the first of a
/// request's moments, so that the reason is told and not that its time is over.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// For one try, with the whole answer. Longer than all that tells where it was held up.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);

/// For one call with all its tries. Hosts give up a request after 90 seconds, and by then the engine
/// must have said why it failed.
const OPERATION_TIMEOUT: Duration = Duration::from_mins(1);

/// How AWS's logs name us.
const APP_NAME: &str = concat!("vault-plugin-secrets-aws-", env!("CARGO_PKG_VERSION"));

/// How often AWS's SDKs try again unless told otherwise.
const DEFAULT_RETRIES: u32 = 2;

/// AWS itself.
///
/// One for the process: its clients share connections, and the credentials that the process finds
/// around itself are fetched once. Making it neither reads a file nor opens a connection.
///
/// Beside what [`ClientConfig`] says, these environment variables count: `AWS_REGION`,
/// `AWS_DEFAULT_REGION`, `AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT`,
/// `AWS_ENDPOINT_URL_IAM`, `AWS_ENDPOINT_URL_STS`, `AWS_ENDPOINT_URL`,
/// `AWS_IGNORE_CONFIGURED_ENDPOINT_URLS`, `AWS_CA_BUNDLE`, `SSL_CERT_FILE`, `SSL_CERT_DIR`,
/// `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`, and for [`CredentialSource::DefaultChain`] all that the SDK reads from
/// the process's own environment.
pub struct SdkConnector {
    environment: Arc<dyn Environment>,
    http: Mutex<Option<HttpOfAll>>,
    default_chains: Mutex<HashMap<Region, Credentials>>,
    /// Where the log says that credentials were found.
    logged: Origin,
}

/// The HTTP client of the process.
#[derive(Clone)]
struct HttpOfAll {
    client: SharedHttpClient,
    routes: Arc<Routes>,
}

impl SdkConnector {
    /// A connector that has not connected yet.
    pub fn new(environment: Arc<dyn Environment>) -> Self {
        Self {
            environment,
            http: Mutex::new(None),
            default_chains: Mutex::new(HashMap::new()),
            logged: Origin::default(),
        }
    }

    fn http(&self, service: Service) -> Result<HttpOfAll, Error> {
        let mut http = self.http.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(http) = &*http {
            return Ok(http.clone());
        }
        let made = Http::from_environment(&*self.environment)
            .map_err(|reason| Error::unasked(service.any(), ErrorKind::Invalid, reason))?;
        let of_all = HttpOfAll {
            routes: Arc::clone(&made.routes),
            client: SharedHttpClient::new(made),
        };
        Ok(http.insert(of_all).clone())
    }

    /// The way that requests to a service take.
    fn road(&self, config: &ClientConfig, service: Service) -> Road {
        let address = match self.endpoint(config, service) {
            Ok(Some(endpoint)) => endpoint.to_string(),
            // Whoever asks gets the reason of the failure elsewhere.
            Ok(None) | Err(_) => self.address_of_aws(config, service),
        };
        match self.http(service) {
            Ok(http) => http.routes.road(&address),
            Err(_) => Road::direct(address),
        }
    }

    /// Where AWS itself has the service.
    fn address_of_aws(&self, config: &ClientConfig, service: Service) -> String {
        let region = self.region(config.region.as_ref());
        let address =
            service.address_of_aws(&region, self.use_fips(config), self.use_dual_stack(config));
        address.unwrap_or_else(|| format!("{} in {region}", service.name()))
    }

    fn use_fips(&self, config: &ClientConfig) -> bool {
        config
            .use_fips
            .unwrap_or_else(|| self.is_true("AWS_USE_FIPS_ENDPOINT"))
    }

    fn use_dual_stack(&self, config: &ClientConfig) -> bool {
        config
            .use_dual_stack
            .unwrap_or_else(|| self.is_true("AWS_USE_DUALSTACK_ENDPOINT"))
    }

    fn region(&self, configured: Option<&Region>) -> Region {
        configured
            .cloned()
            .or_else(|| self.region_variable("AWS_REGION"))
            .or_else(|| self.region_variable("AWS_DEFAULT_REGION"))
            .unwrap_or_else(Region::us_east_1)
    }

    fn region_variable(&self, name: &str) -> Option<Region> {
        Region::new(self.environment.var(name)?).ok()
    }

    fn is_true(&self, variable: &str) -> bool {
        self.environment
            .var(variable)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The endpoint that was configured, or the one that the environment names.
    fn endpoint(&self, config: &ClientConfig, service: Service) -> Result<Option<Endpoint>, Error> {
        if config.endpoint.is_some() || self.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
            return Ok(config.endpoint.clone());
        }
        [service.endpoint_variable(), "AWS_ENDPOINT_URL"]
            .into_iter()
            .filter_map(|variable| Some((variable, self.environment.var(variable)?)))
            .find(|(_, value)| !value.is_empty())
            .map(|(variable, value)| {
                Endpoint::new(value).map_err(|refused| {
                    let message = format!("environment variable {variable}: {refused}");
                    Error::unasked(service.any(), ErrorKind::Invalid, message)
                })
            })
            .transpose()
    }

    fn sdk_config(
        &self,
        config: &ClientConfig,
        service: Service,
    ) -> Result<(SdkConfig, Calls), Error> {
        let http = self.http(service)?.client;
        let region = self.region(config.region.as_ref());
        let credentials = self.credentials(config, &region, &http)?;
        let retries = config.max_retries.unwrap_or(DEFAULT_RETRIES);
        let mut sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http)
            .region(SdkRegion::new(region.to_string()))
            .identity_cache(credentials.cache)
            .credentials_provider(credentials.provider)
            .retry_config(RetryConfig::standard().with_max_attempts(retries.saturating_add(1)))
            .timeout_config(timeouts())
            // Answers are small, so the time limit for the attempt is enough.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        sdk.set_app_name(AppName::new(APP_NAME).ok());
        if let Some(endpoint) = self.endpoint(config, service)? {
            // An endpoint of one's own is taken as it is: the SDK refuses to change it.
            sdk.set_endpoint_url(Some(endpoint.to_string()));
        } else {
            sdk.set_use_fips(Some(self.use_fips(config)));
            sdk.set_use_dual_stack(Some(self.use_dual_stack(config)));
        }
        let calls = Calls {
            road: self.road(config, service),
            origin: credentials.origin,
        };
        Ok((sdk.build(), calls))
    }

    fn credentials(
        &self,
        config: &ClientConfig,
        region: &Region,
        http: &SharedHttpClient,
    ) -> Result<Credentials, Error> {
        match &config.credentials {
            CredentialSource::DefaultChain => {
                let mut chains = self
                    .default_chains
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                Ok(chains
                    .entry(region.clone())
                    .or_insert_with(|| {
                        let environment = Arc::clone(&self.environment);
                        Credentials::of_the_machine(region, http, environment, &self.logged)
                    })
                    .clone())
            }
            CredentialSource::Static {
                access_key_id,
                secret_access_key,
                session_token,
            } => Ok(Credentials::of_key(
                access_key_id,
                secret_access_key,
                session_token.as_ref(),
            )),
            CredentialSource::AssumeRole(role) => {
                let source = role.source.clone();
                let sts = self.sdk_sts(&Self::at(config, &role.sts, source))?;
                Ok(Credentials::of_assumed_role(sts, role))
            }
            CredentialSource::WebIdentity(role) => {
                // This call to STS is not signed, so it is nobody's.
                let nobody = CredentialSource::DefaultChain;
                let sts = self.sdk_sts(&Self::at(config, &role.sts, nobody))?;
                Ok(Credentials::of_web_identity(sts, role))
            }
        }
    }

    /// How to reach the STS that opens a session for a client.
    fn at(
        client: &ClientConfig,
        address: &StsAddress,
        credentials: CredentialSource,
    ) -> ClientConfig {
        ClientConfig {
            region: address.region.clone().or_else(|| client.region.clone()),
            endpoint: address.endpoint.clone(),
            credentials,
            ..client.clone()
        }
    }

    fn sdk_sts(&self, config: &ClientConfig) -> Result<SdkSts, Error> {
        let (sdk, calls) = self.sdk_config(config, Service::Sts)?;
        let sts = aws_sdk_sts::config::Builder::from(&sdk)
            .retry_partition(retry_partition("sts"))
            .interceptor(PlusForSpace);
        let client = aws_sdk_sts::Client::from_conf(sts.build());
        Ok(SdkSts::new(client, calls))
    }
}

impl Connector for SdkConnector {
    fn iam(&self, config: &ClientConfig) -> Result<Arc<dyn Iam>, Error> {
        let (sdk, calls) = self.sdk_config(config, Service::Iam)?;
        let iam = aws_sdk_iam::config::Builder::from(&sdk)
            .retry_partition(retry_partition("iam"))
            .retry_classifier(NotThrottled)
            .interceptor(PlusForSpace);
        let client = aws_sdk_iam::Client::from_conf(iam.build());
        Ok(Arc::new(SdkIam::new(client, calls)))
    }

    fn sts(&self, config: &ClientConfig) -> Result<Arc<dyn Sts>, Error> {
        Ok(Arc::new(self.sdk_sts(config)?))
    }

    fn road_to_iam(&self, config: &ClientConfig) -> Road {
        self.road(config, Service::Iam)
    }

    fn road_to_sts(&self, config: &ClientConfig) -> Road {
        self.road(config, Service::Sts)
    }
}

impl fmt::Debug for SdkConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SdkConnector").finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
enum Service {
    Iam,
    Sts,
}

impl Service {
    fn endpoint_variable(self) -> &'static str {
        match self {
            Self::Iam => "AWS_ENDPOINT_URL_IAM",
            Self::Sts => "AWS_ENDPOINT_URL_STS",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Iam => "IAM",
            Self::Sts => "STS",
        }
    }

    /// The rules of the SDK, which are AWS's own.
    fn address_of_aws(self, region: &Region, fips: bool, dual_stack: bool) -> Option<String> {
        macro_rules! resolved {
            ($sdk:ident) => {{
                use $sdk::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
                let params = Params::builder()
                    .region(region.to_string())
                    .use_fips(fips)
                    .use_dual_stack(dual_stack)
                    .build()
                    .ok()?;
                let resolver = DefaultResolver::new();
                let resolved = ResolveEndpoint::resolve_endpoint(&resolver, &params);
                resolved.now_or_never()?.ok()?.url().to_owned()
            }};
        }
        Some(match self {
            Self::Iam => resolved!(aws_sdk_iam),
            Self::Sts => resolved!(aws_sdk_sts),
        })
    }

    /// Stands for the operation in an error that comes before any.
    fn any(self) -> &'static str {
        match self {
            Self::Iam => "iam:*",
            Self::Sts => "sts:*",
        }
    }
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

/// The SDK stops trying again when too many calls fail. Each client counts for itself, so that a
/// mount with a broken endpoint takes no retries from the others.
fn retry_partition(service: &'static str) -> RetryPartition {
    RetryPartition::custom(service).build()
}
