//! Whose limit a client's calls count against.

use crate::aws::{AccessKeyId, ClientConfig, CredentialSource, Endpoint};

/// A set of calls that AWS counts together, as far as the configuration of a client tells. IAM is
/// one for all regions, so the region does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Account {
    /// Behind another endpoint may be another AWS.
    endpoint: Option<String>,
    pub(super) name: String,
}

impl Account {
    pub(super) fn of(config: &ClientConfig) -> Self {
        Self {
            endpoint: config.endpoint.as_ref().map(Endpoint::to_string),
            name: name(&config.credentials),
        }
    }
}

fn name(credentials: &CredentialSource) -> String {
    match credentials {
        CredentialSource::DefaultChain => "default chain".to_owned(),
        CredentialSource::Static { access_key_id, .. } => of_key(access_key_id),
        CredentialSource::AssumeRole(role) => role.role_arn.account().to_owned(),
        CredentialSource::WebIdentity(role) => role.role_arn.account().to_owned(),
    }
}

/// The account's id, or else the key's.
fn of_key(id: &AccessKeyId) -> String {
    id.account().unwrap_or_else(|| id.to_string())
}
