//! The URL under which AWS reads the documents of an identity provider.

use crate::aws::Endpoint;
use crate::excerpt::excerpt;

/// What AWS takes for the URL of an identity provider, or may take while it is tried out.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Issuer(Endpoint);

/// What no issuer can be.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(in crate::engine) struct NoIssuer(String);

impl Issuer {
    /// Takes an address as AWS compares it, letter by letter.
    pub(in crate::engine) fn new(text: &str) -> Result<Self, NoIssuer> {
        let rule = if !text.contains("://") {
            "must begin with https://, as it stands in the identity provider at AWS"
        } else if text.ends_with('/') {
            "must not end in /, because the documents are read at <issuer>/.well-known/openid-configuration"
        } else if text.ends_with("/.well-known/openid-configuration") {
            "must be what stands before /.well-known/openid-configuration"
        } else {
            let endpoint = Endpoint::new(text).map_err(|error| NoIssuer(error.to_string()))?;
            if text.starts_with("https://") || is_loopback(endpoint.host()) {
                return Ok(Self(endpoint));
            }
            "must begin with https://: AWS reads the documents in no other way"
        };
        Err(NoIssuer(format!("{:?} {rule}", excerpt(text))))
    }

    /// What AWS is known not to take.
    pub(in crate::engine) fn warnings(&self) -> Vec<String> {
        let text = self.0.as_str();
        let mut warnings = Vec::new();
        if text.starts_with("http://") {
            warnings.push(format!(
                "identity_token_issuer {text} is of this machine and without TLS, and AWS reads the documents by https only"
            ));
        }
        let rest = text.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        if authority != self.0.host() {
            warnings.push(format!(
                "identity_token_issuer {text} has a port, and AWS takes no identity provider with one"
            ));
        }
        warnings
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host == "[::1]" || host.starts_with("127.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_an_address_that_aws_can_read_from() {
        for text in [
            "https://vault.example.com/v1/aws",
            "https://vault.example.com/v1/team/a/aws",
            "https://documents.s3.eu-central-1.amazonaws.com/aws",
        ] {
            assert_eq!(Issuer::new(text).unwrap().warnings(), [""; 0], "{text}");
        }
        for (text, told) in [
            ("vault.example.com/v1/aws", "https://"),
            ("http://vault.example.com/v1/aws", "https://"),
            ("https://vault.example.com/v1/aws/", "must not end in /"),
            (
                "https://vault.example.com/v1/aws/.well-known/openid-configuration",
                "stands before",
            ),
            ("https://vault.example.com/v1/aws?x=1", "address"),
            ("https://a:b@vault.example.com/v1/aws", "credentials"),
            ("https://", "must not end"),
        ] {
            let error = Issuer::new(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn what_aws_takes_no_provider_for_can_be_tried_out_with_a_warning() {
        let warnings = Issuer::new("http://127.0.0.1:8200/v1/aws")
            .unwrap()
            .warnings();
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        let warnings = Issuer::new("https://vault.example.com:8200/v1/aws")
            .unwrap()
            .warnings();
        assert!(warnings[0].contains("port"), "{warnings:?}");
    }
}
