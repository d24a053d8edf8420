//! The credentials that the process finds around it, and where it found them.

use std::error::Error as StdError;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::WebIdentityTokenCredentialsProvider;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_iam::config::Credentials as SdkCredentials;

use crate::environment::Environment;

/// Where a client's credentials were found; `None` as long as they were not, and where they are
/// written in a configuration. Clones are of the same client.
#[derive(Clone, Debug, Default)]
pub(super) struct Origin(Arc<Mutex<Option<&'static str>>>);

impl Origin {
    pub(super) fn get(&self) -> Option<&'static str> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is another one than before.
    fn set(&self, source: &'static str) -> bool {
        let before = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(source);
        before != Some(source)
    }
}

/// The sources, in the order of AWS's SDKs.
#[derive(Debug)]
pub(super) struct Chain {
    sources: Vec<(&'static str, Box<dyn ProvideCredentials>)>,
    /// Of the clients that use the chain.
    pub(super) origin: Origin,
    /// Of all chains of the process, of which each is for a region.
    pub(super) logged: Origin,
}

/// A source that is there, and brings nothing.
#[derive(Debug, thiserror::Error)]
#[error("{place}")]
pub(super) struct SourceFailed {
    pub(super) place: &'static str,
    source: CredentialsError,
}

/// `AWS_ACCESS_KEY` and `AWS_SECRET_KEY`, each of which counts where the usual name is missing.
#[derive(Debug)]
struct OlderNames(Option<SdkCredentials>);

impl OlderNames {
    fn of(environment: &dyn Environment) -> Self {
        let given = |name| {
            environment
                .var(name)
                .filter(|value| !value.trim().is_empty())
        };
        let first = |usual, older| given(usual).or_else(|| given(older));
        let keys = first("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY")
            .zip(first("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY"));
        Self(keys.map(|(id, secret)| {
            let token = given("AWS_SESSION_TOKEN");
            SdkCredentials::new(id, secret, token, None, "Environment")
        }))
    }
}

impl ProvideCredentials for OlderNames {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let given = self
            .0
            .clone()
            .ok_or_else(CredentialsError::not_loaded_no_source);
        future::ProvideCredentials::ready(given)
    }
}

impl SourceFailed {
    pub(super) fn reason(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.source()
    }
}

impl Chain {
    pub(super) fn new(origin: Origin, logged: Origin) -> Self {
        Self {
            sources: Vec::new(),
            origin,
            logged,
        }
    }

    /// All that AWS's SDKs look at.
    pub(super) fn of_the_machine(
        config: &ProviderConfig,
        environment: &dyn Environment,
        origin: Origin,
        logged: Origin,
    ) -> Self {
        let pod = environment
            .var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
            .is_some();
        let container = if pod {
            "the agent of EKS Pod Identity (AWS_CONTAINER_CREDENTIALS_FULL_URI)"
        } else {
            "the container's metadata, as of ECS (AWS_CONTAINER_CREDENTIALS_…)"
        };
        let profile = ProfileFileCredentialsProvider::builder().configure(config);
        let web_identity = WebIdentityTokenCredentialsProvider::builder().configure(config);
        let ecs = EcsCredentialsProvider::builder().configure(config);
        let imds = ImdsCredentialsProvider::builder().configure(config);
        Self::new(origin, logged)
            .with(
                "the environment variables of the server (AWS_ACCESS_KEY_ID)",
                EnvironmentVariableCredentialsProvider::new(),
            )
            .with(
                "the environment variables of the server (AWS_ACCESS_KEY)",
                OlderNames::of(environment),
            )
            .with(
                "the shared files of the server's user (~/.aws)",
                profile.build(),
            )
            .with(
                "the web identity token file, as of IRSA (AWS_WEB_IDENTITY_TOKEN_FILE)",
                web_identity.build(),
            )
            .with(container, ecs.build())
            .with("the metadata of the EC2 instance", imds.build())
    }

    /// Adds a source.
    pub(super) fn with(
        mut self,
        place: &'static str,
        source: impl ProvideCredentials + 'static,
    ) -> Self {
        self.sources.push((place, Box::new(source)));
        self
    }

    pub(super) async fn load(&self) -> Result<SdkCredentials, CredentialsError> {
        for (place, source) in &self.sources {
            match source.provide_credentials().await {
                Ok(credentials) => {
                    self.found(place, &credentials);
                    return Ok(credentials);
                }
                Err(CredentialsError::CredentialsNotLoaded(_)) => {}
                Err(source) => {
                    return Err(CredentialsError::provider_error(SourceFailed {
                        place,
                        source,
                    }));
                }
            }
        }
        Err(CredentialsError::not_loaded_no_source())
    }

    fn found(&self, place: &'static str, credentials: &SdkCredentials) {
        self.origin.set(place);
        if self.logged.set(place) {
            let access_key = credentials.access_key_id();
            tracing::info!(
                source = place,
                access_key,
                "using AWS credentials of the server's surroundings"
            );
        }
    }

    /// What was fetched last.
    pub(super) fn fallback(&self) -> Option<SdkCredentials> {
        self.sources
            .iter()
            .find_map(|(_, source)| source.fallback_on_interrupt())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Gives what it is told to, one after the other.
    #[derive(Debug)]
    struct Told(Mutex<VecDeque<Result<&'static str, CredentialsError>>>);

    impl ProvideCredentials for Told {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let next = self.0.lock().unwrap().pop_front().unwrap();
            let given = next.map(|id| SdkCredentials::new(id, "s3cret", None, None, "Told"));
            future::ProvideCredentials::ready(given)
        }
    }

    fn told<const N: usize>(answers: [Result<&'static str, CredentialsError>; N]) -> Told {
        Told(Mutex::new(answers.into()))
    }

    fn nothing() -> Result<&'static str, CredentialsError> {
        Err(CredentialsError::not_loaded_no_source())
    }

    #[tokio::test]
    async fn the_first_source_that_has_credentials_is_remembered_and_a_later_change_too() {
        let origin = Origin::default();
        let chain = Chain::new(origin.clone(), Origin::default())
            .with("one", told([nothing(), nothing(), Ok("AKIA1")]))
            .with("two", told([Ok("ASIA2"), nothing()]))
            .with("three", told([Ok("ASIA3")]));
        assert_eq!(origin.get(), None);

        for (id, place) in [("ASIA2", "two"), ("ASIA3", "three"), ("AKIA1", "one")] {
            assert_eq!(chain.load().await.unwrap().access_key_id(), id);
            assert_eq!(origin.get(), Some(place));
        }
    }

    #[tokio::test]
    async fn a_source_that_fails_is_named_and_no_other_is_asked_in_its_place() {
        let failure = CredentialsError::provider_error("no such file");
        let chain = Chain::new(Origin::default(), Origin::default())
            .with("one", told([Err(failure)]))
            .with("two", told([Ok("AKIA2")]));

        let error = chain.load().await.unwrap_err();

        let source = std::error::Error::source(&error).unwrap();
        let failed = source.downcast_ref::<SourceFailed>().unwrap();
        assert_eq!(failed.place, "one");
    }

    #[tokio::test]
    async fn each_older_name_of_the_variables_counts_where_the_usual_one_is_missing() {
        let load = async |variables: &[(&str, &str)]| {
            let environment: crate::environment::FixedEnvironment =
                variables.iter().copied().collect();
            let given = OlderNames::of(&environment).provide_credentials().await;
            given.ok().map(|given| given.access_key_id().to_owned())
        };

        let (id, secret) = (("AWS_ACCESS_KEY", "AKIA1"), ("AWS_SECRET_KEY", "s3cret"));
        assert_eq!(load(&[id, secret]).await.as_deref(), Some("AKIA1"));
        assert_eq!(load(&[id]).await, None);
        assert_eq!(load(&[secret]).await, None);
        assert_eq!(load(&[("AWS_ACCESS_KEY", ""), secret]).await, None);
        let usual = ("AWS_ACCESS_KEY_ID", "AKIA2");
        assert_eq!(load(&[usual, id, secret]).await.as_deref(), Some("AKIA2"));
    }
}
