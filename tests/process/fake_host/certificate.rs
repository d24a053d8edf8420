//! Certificates as go-plugin makes them, and trust as Go's standard library understands it.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P521_SHA512,
};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

/// The plugin's certificate, from the sixth field of the handshake line.
#[derive(Clone, Debug)]
pub(crate) struct PluginCertificate(pub(crate) CertificateDer<'static>);

impl PluginCertificate {
    pub(crate) fn parse(field: &str) -> Self {
        let der = STANDARD_NO_PAD.decode(field);
        Self(der.expect("a host decodes unpadded standard base64").into())
    }

    /// A pool that holds the plugin's certificate and nothing else. The verifiers that use it check
    /// dates, name, extended key usage and signature, as Go does.
    fn pool(&self) -> Arc<RootCertStore> {
        let mut pool = RootCertStore::empty();
        pool.add(self.0.clone()).unwrap();
        Arc::new(pool)
    }
}

/// A certificate of a host, and its key.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
    versions: Versions,
}

/// Those of TLS that a host offers.
pub(crate) type Versions = &'static [&'static SupportedProtocolVersion];

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Identity {
    /// Self-signed on P-521, an authority, for `localhost`, for both roles.
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512).unwrap();
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "localhost");
        params
            .distinguished_name
            .push(DnType::OrganizationName, "HashiCorp");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
            KeyUsagePurpose::KeyAgreement,
            KeyUsagePurpose::KeyCertSign,
        ];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::ServerAuth,
        ];
        let certificate = params.self_signed(&key).unwrap();
        Self {
            certificate: certificate.der().clone(),
            key: key.serialize_der(),
            versions: rustls::ALL_VERSIONS,
        }
    }

    /// The same, offering these versions of TLS.
    pub(crate) fn over(self, versions: Versions) -> Self {
        Self { versions, ..self }
    }

    /// The certificate of `victim` with a key that does not belong to it.
    pub(crate) fn impostor(victim: &Self) -> Self {
        Self {
            certificate: victim.certificate.clone(),
            versions: victim.versions,
            ..Self::new()
        }
    }

    /// For `PLUGIN_CLIENT_CERT`.
    pub(crate) fn pem(&self) -> String {
        let text = STANDARD.encode(&self.certificate);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }

    /// For the main connection.
    pub(crate) fn client_config(&self, plugin: &PluginCertificate) -> ClientConfig {
        let mut config = server_trusting(plugin, self.versions)
            .with_client_cert_resolver(Arc::new(self.resolver()));
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    /// For brokered connections.
    pub(crate) fn server_config(&self, plugin: &PluginCertificate) -> ServerConfig {
        let verifier = WebPkiClientVerifier::builder_with_provider(plugin.pool(), provider());
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_cert_resolver(Arc::new(self.resolver()));
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    /// Shows the certificate whether or not the key belongs to it.
    fn resolver(&self) -> rustls::sign::SingleCertAndKey {
        let key = PrivatePkcs8KeyDer::from(self.key.clone()).into();
        let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
        rustls::sign::CertifiedKey::new(vec![self.certificate.clone()], key).into()
    }
}

/// A client that shows no certificate at all.
pub(crate) fn anonymous(plugin: &PluginCertificate, versions: Versions) -> ClientConfig {
    let mut config = server_trusting(plugin, versions).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

fn server_trusting(
    plugin: &PluginCertificate,
    versions: Versions,
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let verifier = WebPkiServerVerifier::builder_with_provider(plugin.pool(), provider());
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_webpki_verifier(verifier.build().unwrap())
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}
