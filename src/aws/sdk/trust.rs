//! Whom to trust: the root certificates of this machine, or those that somebody named.

use std::path::Path;

use aws_smithy_http_client::tls::TrustStore;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::http::variable;
use crate::environment::Environment;

/// What the environment says of root certificates. `AWS_CA_BUNDLE` goes before what other programs
/// know too, and each of them stands in place of what the machine has.
pub(super) struct Trust {
    aws_ca_bundle: Option<String>,
    ssl_cert_file: Option<String>,
    ssl_cert_dir: Option<String>,
}

/// No certificate of AWS's can be checked.
#[derive(Debug, thiserror::Error)]
pub(super) enum Untrusting {
    /// Somebody has named root certificates that cannot be had.
    #[error("environment variable {variable} names {path}, {reason}")]
    Named {
        variable: &'static str,
        path: String,
        reason: String,
    },
    /// As in an image that holds nothing but programs.
    #[error("no root certificates")]
    Nothing,
}

impl Trust {
    pub(super) fn from_environment(environment: &dyn Environment) -> Self {
        Self {
            aws_ca_bundle: variable(environment, "AWS_CA_BUNDLE"),
            ssl_cert_file: variable(environment, "SSL_CERT_FILE"),
            ssl_cert_dir: variable(environment, "SSL_CERT_DIR"),
        }
    }

    /// Whether `AWS_CA_BUNDLE` names a file.
    pub(super) fn has_bundle(&self) -> bool {
        self.aws_ca_bundle.is_some()
    }

    /// Reads the certificates, which blocks. There is one at least.
    pub(super) fn store(&self) -> Result<TrustStore, Untrusting> {
        if let Some(path) = &self.aws_ca_bundle {
            return bundle("AWS_CA_BUNDLE", path);
        }
        let mut certificates = Vec::new();
        if let Some(path) = &self.ssl_cert_file {
            certificates = read("SSL_CERT_FILE", path)?;
        }
        for directory in self.ssl_cert_dir.iter().flat_map(std::env::split_paths) {
            certificates.extend(within(&directory));
        }
        if self.ssl_cert_file.is_none() && self.ssl_cert_dir.is_none() {
            certificates = rustls_native_certs::load_native_certs().certs;
        }
        // Of a machine's many certificates some may be too old or too odd to be read.
        let mut known = RootCertStore::empty();
        certificates.retain(|certificate| known.add(certificate.clone()).is_ok());
        match certificates.as_slice() {
            [] => Err(self.nothing()),
            some => Ok(store(some)),
        }
    }

    fn nothing(&self) -> Untrusting {
        match &self.ssl_cert_dir {
            Some(path) => Untrusting::Named {
                variable: "SSL_CERT_DIR",
                path: path.clone(),
                reason: "where no certificate is".to_owned(),
            },
            None => Untrusting::Nothing,
        }
    }
}

fn within(directory: &Path) -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_certs_from_paths(None, Some(directory)).certs
}

/// The certificates in a file that somebody made for this, so each has to be one.
fn bundle(variable: &'static str, path: &str) -> Result<TrustStore, Untrusting> {
    let mut roots = RootCertStore::empty();
    let certificates = read(variable, path)?;
    for certificate in &certificates {
        let added = roots.add(certificate.clone());
        added.map_err(|_| refused(variable, path, "which has a broken certificate"))?;
    }
    Ok(store(&certificates))
}

fn read(variable: &'static str, path: &str) -> Result<Vec<CertificateDer<'static>>, Untrusting> {
    let pem = std::fs::read(path)
        .map_err(|error| refused(variable, path, &format!("unreadable: {error}")))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates =
        certificates.map_err(|_| refused(variable, path, "which is not PEM text"))?;
    if certificates.is_empty() {
        return Err(refused(variable, path, "which has no certificate"));
    }
    Ok(certificates)
}

fn refused(variable: &'static str, path: &str, reason: &str) -> Untrusting {
    Untrusting::Named {
        variable,
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

/// In the one form that the AWS SDK takes.
fn store(certificates: &[CertificateDer<'static>]) -> TrustStore {
    let mut pem = String::new();
    for certificate in certificates {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        BASE64_STANDARD.encode_string(certificate, &mut pem);
        pem.push_str("\n-----END CERTIFICATE-----\n");
    }
    TrustStore::empty().with_pem_certificate(pem)
}
