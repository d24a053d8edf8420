//! What a client needs to know: where AWS is and whose credentials to use.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::types::{AccessKeyId, InvalidName, RoleSessionName};
use super::{Arn, Tag};
use crate::secret::{ExposeSecret, SecretString};

/// How to reach one AWS service.
///
/// Equal configurations may share a client.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClientConfig {
    /// Where the service is and for which region requests are signed. `None`: `AWS_REGION`, else
    /// `AWS_DEFAULT_REGION`, else `us-east-1`. Without an endpoint, requests to IAM go to the
    /// region's partition and are signed for the region where that partition keeps IAM.
    pub region: Option<Region>,
    /// A place that speaks the service's protocol; `None` leaves it to AWS's own rules.
    pub endpoint: Option<Endpoint>,
    /// Use the FIPS 140 endpoints. `None`: as `AWS_USE_FIPS_ENDPOINT` says, else no.
    pub use_fips: Option<bool>,
    /// Use the endpoints with IPv6. `None`: as `AWS_USE_DUALSTACK_ENDPOINT` says, else no.
    pub use_dual_stack: Option<bool>,
    /// How often a failed request is tried again; `None` is twice, as AWS's SDKs do. What IAM
    /// throttles does not count: it waits for its turn ([`limit`](super::limit)).
    pub max_retries: Option<u32>,
    /// Whose credentials sign the requests.
    pub credentials: CredentialSource,
}

/// Where credentials come from.
#[derive(Clone, Default)]
pub enum CredentialSource {
    /// What the process finds around it, in the order of AWS's SDKs: environment variables, shared
    /// files, web identity file, container, instance metadata.
    #[default]
    DefaultChain,
    /// An access key.
    Static {
        /// The public half.
        access_key_id: AccessKeyId,
        /// The confidential half.
        secret_access_key: SecretString,
        /// Present with temporary credentials.
        session_token: Option<SecretString>,
    },
    /// A role that is assumed with other credentials, again before each session ends.
    AssumeRole(Box<AssumeRoleSource>),
    /// A role that is assumed with a token of an identity provider.
    WebIdentity(WebIdentitySource),
}

/// A role to assume (`sts:AssumeRole`).
#[derive(Clone, Debug, PartialEq)]
pub struct AssumeRoleSource {
    /// Whose credentials assume it.
    pub source: CredentialSource,
    /// The role.
    pub role_arn: Arn,
    /// The session's name.
    pub role_session_name: RoleSessionName,
    /// What the role's trust policy may ask for.
    pub external_id: Option<String>,
    /// Session tags.
    pub tags: Vec<Tag>,
    /// Which STS to ask.
    pub sts: StsAddress,
}

/// A role to assume with an identity provider's token (`sts:AssumeRoleWithWebIdentity`).
#[derive(Clone, Debug)]
pub struct WebIdentitySource {
    /// The role.
    pub role_arn: Arn,
    /// The session's name.
    pub role_session_name: RoleSessionName,
    /// Mints a token each time a session begins.
    pub tokens: Arc<dyn IdentityTokenSource>,
    /// Which STS to ask.
    pub sts: StsAddress,
}

impl PartialEq for WebIdentitySource {
    fn eq(&self, other: &Self) -> bool {
        self.role_arn == other.role_arn
            && self.role_session_name == other.role_session_name
            && Arc::ptr_eq(&self.tokens, &other.tokens)
            && self.sts == other.sts
    }
}

/// Which STS a credential source asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StsAddress {
    /// Its region; `None` is the client's own.
    pub region: Option<Region>,
    /// Its endpoint; `None` leaves it to AWS's own rules.
    pub endpoint: Option<Endpoint>,
}

/// Mints tokens by which an identity provider vouches for us.
#[async_trait]
pub trait IdentityTokenSource: fmt::Debug + Send + Sync + 'static {
    /// A fresh token (a JWT).
    async fn identity_token(&self) -> Result<SecretString, TokenSourceError>;
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TokenSourceError(String);

impl TokenSourceError {
    /// The source's own reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl PartialEq for CredentialSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::DefaultChain, Self::DefaultChain) => true,
            (
                Self::Static {
                    access_key_id,
                    secret_access_key,
                    session_token,
                },
                Self::Static {
                    access_key_id: other_id,
                    secret_access_key: other_secret,
                    session_token: other_token,
                },
            ) => {
                access_key_id == other_id
                    && secret_access_key.expose_secret() == other_secret.expose_secret()
                    && session_token.as_ref().map(ExposeSecret::expose_secret)
                        == other_token.as_ref().map(ExposeSecret::expose_secret)
            }
            (Self::AssumeRole(one), Self::AssumeRole(other)) => one == other,
            (Self::WebIdentity(one), Self::WebIdentity(other)) => one == other,
            _ => false,
        }
    }
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DefaultChain => f.write_str("DefaultChain"),
            Self::Static {
                access_key_id,
                session_token,
                ..
            } => f
                .debug_struct("Static")
                .field("access_key_id", access_key_id)
                .field("has_session_token", &session_token.is_some())
                .finish_non_exhaustive(),
            Self::AssumeRole(source) => f.debug_tuple("AssumeRole").field(source).finish(),
            Self::WebIdentity(source) => f.debug_tuple("WebIdentity").field(source).finish(),
        }
    }
}

/// An AWS region's code, such as `eu-central-1`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Region(String);

impl Region {
    /// Checks that the text can stand in a host name; which regions exist changes too often to be
    /// known here.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
        let text = text.into();
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || text.len() > 63 || !text.chars().all(inner) || text.starts_with('-') {
            let rule = "must consist of lower-case letters, digits and hyphens, such as us-east-1";
            return Err(InvalidName::new("region", &text, rule));
        }
        Ok(Self(text))
    }

    /// Takes what other services than AWS call a region, such as `ZoneGroup-1`: it stands in no host
    /// name of theirs, and yet the SDK wants it to be able to.
    pub fn of_any_service(text: impl Into<String>) -> Result<Self, InvalidName> {
        let text = text.into();
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if text.is_empty() || text.len() > 63 || !text.chars().all(inner) || text.starts_with('-') {
            let rule = "must consist of letters, digits and hyphens";
            return Err(InvalidName::new("region", &text, rule));
        }
        Ok(Self(text))
    }

    /// Where AWS began, and what its SDKs fall back to.
    pub(in crate::aws) fn us_east_1() -> Self {
        Self("us-east-1".to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The address of a service: `https://host`, `http://host:port/path`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint(String);

impl Endpoint {
    /// Takes an HTTP or HTTPS address; one without a scheme is HTTPS.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
        let text = text.into();
        let refuse = |rule: &str| Err(InvalidName::new("endpoint", &text, rule));
        let address = match text.split_once("://") {
            Some(("http" | "https", _)) => text.clone(),
            Some(_) => return refuse("must start with https:// or http://"),
            None => format!("https://{text}"),
        };
        let rest = address.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        // An address is logged and shown, so it must not carry a password.
        if authority.contains('@') {
            return refuse("must not contain credentials");
        }
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let visible = address.chars().all(|c| c.is_ascii_graphic());
        let port_is_valid = port.is_none_or(|port| port.parse::<u16>().is_ok());
        if host.is_empty() || !visible || !port_is_valid || rest.contains(['?', '#', '\\']) {
            return refuse("must be an address such as https://sts.eu-central-1.amazonaws.com");
        }
        Ok(Self(address))
    }

    /// The host's name or address, without the port.
    pub fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => authority,
        }
    }

    /// The address, with its scheme.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_secret(secret: &str) -> ClientConfig {
        ClientConfig {
            credentials: CredentialSource::Static {
                access_key_id: AccessKeyId::new("AKIAEXAMPLE").unwrap(),
                secret_access_key: secret.into(),
                session_token: Some("opensesame".into()),
            },
            ..ClientConfig::default()
        }
    }

    #[test]
    fn configurations_with_different_secrets_differ() {
        assert_eq!(with_secret("one"), with_secret("one"));
        assert_ne!(with_secret("one"), with_secret("two"));
        assert_ne!(with_secret("one"), ClientConfig::default());
    }

    #[test]
    fn a_configuration_shows_the_key_id_but_no_secret() {
        let shown = format!("{:?}", with_secret("hunter2"));

        assert!(shown.contains("AKIAEXAMPLE"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(!shown.contains("opensesame"), "{shown}");
    }

    #[test]
    fn an_endpoint_without_scheme_is_https() {
        let endpoint = |text| Endpoint::new(text).map(|e| e.to_string());

        assert_eq!(
            endpoint("sts.us-gov-west-1.amazonaws.com").unwrap(),
            "https://sts.us-gov-west-1.amazonaws.com"
        );
        assert_eq!(
            endpoint("http://[::1]:4566/aws").unwrap(),
            "http://[::1]:4566/aws"
        );
        assert_eq!(
            endpoint("localhost:4566").unwrap(),
            "https://localhost:4566"
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "https://",
            "ftp://example.com",
            "https://exam ple.com",
            "https://example.com:http",
            "https://:443",
            "https://alice:secret@example.com",
            "https://example.com/?a=b",
        ] {
            assert!(Endpoint::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_region_can_stand_in_a_host_name() {
        for text in ["us-east-1", "eusc-de-east-1", "us-isob-east-1", "local"] {
            assert!(Region::new(text).is_ok(), "{text:?}");
        }
        for text in ["", "us east", "us-east-1.example.com/", "-x", "US-EAST-1"] {
            assert!(Region::new(text).is_err(), "{text:?}");
        }
    }
}
