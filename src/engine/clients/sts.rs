//! Which STS to use, where the root configuration names more than one.

use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::aws::{self, ClientConfig, Connector, ErrorKind, Sts};
use crate::engine::error::next_step;
use crate::logical::Error;

/// The addresses of STS, the wish first.
pub(super) struct StsCandidates {
    connector: Arc<dyn Connector>,
    configs: Vec<ClientConfig>,
    chosen: OnceCell<Arc<dyn Sts>>,
}

/// Why none of the candidates can be used.
pub(super) struct NoSts(Vec<(String, aws::Error)>);

impl StsCandidates {
    pub(super) fn new(connector: Arc<dyn Connector>, configs: Vec<ClientConfig>) -> Self {
        Self {
            connector,
            configs,
            chosen: OnceCell::new(),
        }
    }

    /// The only candidate, or the first that answers.
    pub(super) async fn choose(&self) -> Result<Arc<dyn Sts>, NoSts> {
        let chosen = self.chosen.get_or_try_init(|| async {
            let mut failures = Vec::new();
            for config in &self.configs {
                let sts = match self.connector.sts(config) {
                    Ok(sts) if self.configs.len() == 1 => return Ok(sts),
                    Ok(sts) => sts.get_caller_identity().await.map(|_| sts),
                    Err(error) => Err(error),
                };
                match sts {
                    Ok(sts) => return Ok(sts),
                    Err(error) => failures.push((address(config), error)),
                }
            }
            Err(NoSts(failures))
        });
        chosen.await.cloned()
    }

    /// Whether STS takes our credentials: false when it does not say, an error when it refuses them.
    pub(super) async fn accepts_us(&self) -> Result<bool, aws::Error> {
        let failures = match self.choose().await {
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
