//! The HTTP client that all clients share: proxies, trust, and how failures to connect are told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_iam::config::{HttpClient, RuntimeComponents, SharedAsyncSleep};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::sync::OnceCell;

use super::beside::Beside;
use super::closed::Unanswered;
use super::trust::{Trust, Untrusting};
use crate::aws::{Proxy, Road};
use crate::environment::Environment;

/// How long an unused connection is kept: shorter than AWS keeps it, so that few requests meet one
/// that AWS is just closing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Hosts that no proxy can reach for us: this machine, and where AWS offers credentials to the
/// machine or container it runs.
const NEVER_PROXIED: &str = "localhost,127.0.0.0/8,::1,169.254.0.0/16,fd00:ec2::/32";

/// The client. Root certificates are read when the first HTTPS request is made, beside the thread that
/// serves: plain HTTP endpoints work on a machine that has none, and a file that cannot be read now may
/// be readable later.
#[derive(Debug)]
pub(super) struct Http {
    pub(super) routes: Arc<Routes>,
    /// One per time limits asked for: those of a connection are fixed when it is opened.
    connectors: Mutex<HashMap<TimeLimits, SharedHttpConnector>>,
}

type TimeLimits = (Option<Duration>, Option<Duration>);

/// What the environment says of the way out.
pub(super) struct Routes {
    http_proxy: Option<ProxyConfig>,
    /// Whether requests without TLS pass a proxy with TLS.
    http_proxy_needs_trust: bool,
    https_proxy: Option<ProxyConfig>,
    /// Which proxy a request passes; it decides as the HTTP client does.
    matcher: Matcher,
    trust: Trust,
}

impl Routes {
    /// The way to an address.
    pub(super) fn road(&self, address: &str) -> Road {
        let uri = address.parse().ok();
        let proxy = uri.and_then(|uri| self.matcher.intercept(&uri));
        Road {
            address: address.to_owned(),
            proxy: proxy.map(|proxy| Proxy {
                has_password: proxy.basic_auth().is_some(),
                address: {
                    let (host, port) = (proxy.uri().host(), proxy.uri().port());
                    let host = host.unwrap_or_default();
                    port.map_or(host.to_owned(), |port| format!("{host}:{port}"))
                },
            }),
        }
    }
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A proxy's address may hold a password.
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

impl Http {
    /// Reads the variables of proxies and of trust.
    pub(super) fn from_environment(environment: &dyn Environment) -> Result<Self, String> {
        let http_proxy = proxy_address(environment, "HTTP_PROXY");
        let https_proxy = proxy_address(environment, "HTTPS_PROXY");
        let direct = no_proxy(environment);
        let matcher = Matcher::builder()
            .http(http_proxy.clone().unwrap_or_default())
            .https(https_proxy.clone().unwrap_or_default())
            .no(direct.clone())
            .build();
        Ok(Self {
            routes: Arc::new(Routes {
                matcher,
                http_proxy_needs_trust: http_proxy
                    .as_ref()
                    .is_some_and(|address| address.starts_with("https:")),
                http_proxy: proxy(http_proxy, &direct, "HTTP_PROXY", ProxyConfig::http)?,
                https_proxy: proxy(https_proxy, &direct, "HTTPS_PROXY", ProxyConfig::https)?,
                trust: Trust::from_environment(environment),
            }),
            connectors: Mutex::default(),
        })
    }
}

impl HttpClient for Http {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.connectors
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry((settings.connect_timeout(), settings.read_timeout()))
            .or_insert_with(|| {
                let pool = |is_https| {
                    Arc::new(LazyPool {
                        builder: PoolBuilder {
                            routes: Arc::clone(&self.routes),
                            settings: settings.clone(),
                            sleep: components.sleep_impl(),
                            is_https,
                        },
                        pool: OnceCell::new(),
                        building: Beside::default(),
                    })
                };
                SharedHttpConnector::new(LazyConnector {
                    http: pool(false),
                    https: pool(true),
                })
            })
            .clone()
    }
}

/// Two pools of connections.
#[derive(Debug)]
struct LazyConnector {
    http: Arc<LazyPool>,
    https: Arc<LazyPool>,
}

/// A pool that is made when it is first needed.
#[derive(Debug)]
struct LazyPool {
    builder: PoolBuilder,
    pool: OnceCell<Pool>,
    building: Beside<Result<Pool, Untrusting>>,
}

type Pool = aws_smithy_http_client::Connector;

#[derive(Clone, Debug)]
struct PoolBuilder {
    routes: Arc<Routes>,
    settings: HttpConnectorSettings,
    sleep: Option<SharedAsyncSleep>,
    is_https: bool,
}

impl LazyPool {
    async fn get(&self) -> Result<&Pool, ConnectorError> {
        let build = || async {
            let builder = self.builder.clone();
            let built = self.building.run(async move { builder.build() }).await;
            built
                .map_err(|error| ConnectorError::user(error.into()))?
                .map_err(|error| ConnectorError::user(error.into()))
        };
        self.pool.get_or_try_init(build).await
    }
}

impl PoolBuilder {
    /// Reads the root certificates.
    fn build(self) -> Result<Pool, Untrusting> {
        let routes = &self.routes;
        let proxy = if self.is_https {
            &routes.https_proxy
        } else {
            &routes.http_proxy
        };
        let trust = if self.is_https || routes.http_proxy_needs_trust {
            routes.trust.store()?
        } else {
            TrustStore::empty()
        };
        let mut builder = aws_smithy_http_client::Connector::builder()
            .connector_settings(self.settings)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .proxy_config(proxy.clone().unwrap_or_else(ProxyConfig::disabled));
        builder.set_sleep_impl(self.sleep);
        Ok(builder
            .tls_provider(Provider::rustls(CryptoMode::AwsLc))
            .tls_context(tls(trust))
            .build())
    }
}

impl HttpConnector for LazyConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (scheme, rest) = request.uri().split_once("://").unwrap_or_default();
        let host = rest.split('/').next().unwrap_or_default();
        let address = format!("{scheme}://{host}");
        let pool = if scheme == "https" {
            &self.https
        } else {
            &self.http
        };
        let pool = Arc::clone(pool);
        HttpConnectorFuture::new(async move {
            let answer = async { pool.get().await?.call(request).await };
            answer.await.map_err(|error| {
                let routes = &pool.builder.routes;
                told(error, routes.road(&address), routes.trust.has_bundle())
            })
        })
    }
}

/// Adds what the error leaves out: the road, and what closes it.
fn told(error: ConnectorError, road: Road, believes_a_file: bool) -> ConnectorError {
    let (is_timeout, is_io, is_user) = (error.is_timeout(), error.is_io(), error.is_user());
    let kind = error.as_other();
    let source = Box::new(Unanswered::new(error, road, believes_a_file));
    match () {
        () if is_timeout => ConnectorError::timeout(source),
        () if is_io => ConnectorError::io(source),
        () if is_user => ConnectorError::user(source),
        () => ConnectorError::other(source, kind),
    }
}

/// A variable in either spelling, unless it is empty.
pub(super) fn variable(environment: &dyn Environment, name: &str) -> Option<String> {
    environment
        .var(name)
        .or_else(|| environment.var(&name.to_lowercase()))
        .filter(|value| !value.is_empty())
}

fn proxy_address(environment: &dyn Environment, name: &str) -> Option<String> {
    let address = variable(environment, name).or_else(|| variable(environment, "ALL_PROXY"))?;
    Some(if address.contains("://") {
        address
    } else {
        format!("http://{address}")
    })
}

fn no_proxy(environment: &dyn Environment) -> String {
    match variable(environment, "NO_PROXY") {
        Some(hosts) => format!("{hosts},{NEVER_PROXIED}"),
        None => NEVER_PROXIED.to_owned(),
    }
}

fn proxy<E>(
    address: Option<String>,
    direct: &str,
    name: &str,
    make: fn(String) -> Result<ProxyConfig, E>,
) -> Result<Option<ProxyConfig>, String> {
    let Some(address) = address else {
        return Ok(None);
    };
    match make(address) {
        Ok(proxy) => Ok(Some(proxy.no_proxy(direct))),
        // The address is not shown, because it may hold a password.
        Err(_) => Err(format!(
            "environment variable {name} (or ALL_PROXY) must be an address such as \
             http://proxy.example.com:3128"
        )),
    }
}

fn tls(trust: TrustStore) -> TlsContext {
    TlsContext::builder()
        .with_trust_store(trust)
        .build()
        .unwrap_or_default()
}
