//! Mutual TLS in which each side accepts one certificate: the other's, byte for byte.
//!
//! The host's certificate comes by environment variable, ours goes out in the handshake line. Both
//! are self-signed, and both are used in both directions: the host dials us, and we dial the host
//! for brokered services. go-plugin's certificate is a P-521 one that calls itself an authority, so
//! the stock verifiers of rustls refuse it as an end entity; the pin replaces the chain, never the
//! signature.

use std::io;
use std::sync::Arc;

use rcgen::{
    CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ParsedCertificate};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, ServerConfig,
    SignatureScheme, SupportedProtocolVersion,
};
use time::Duration;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::session::Wire;
use crate::clock::Clock;

/// The only name in either certificate.
const NAME: &str = "localhost";

/// gRPC's protocol name; grpc-go refuses a peer that does not choose it.
const ALPN_H2: &[u8] = b"h2";

/// 1.2 for hosts whose FIPS modules offer nothing newer. Who is let in does not depend on it.
const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// As long as the certificates of go-plugin's own plugins live, so that no clock that is set wrong
/// or corrected while the process runs puts it out of service.
const VALIDITY: Duration = Duration::days(30 * 365);

/// How far the clock may be set back while the process runs.
const BACKDATING: Duration = Duration::days(1);

/// Why there can be no TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The host's certificate cannot be read.
    #[error("PLUGIN_CLIENT_CERT is not a certificate in PEM form")]
    HostCertificate(#[source] rustls::pki_types::pem::Error),

    /// What the host sent as its certificate is none, so that no peer could ever prove to be it.
    #[error("PLUGIN_CLIENT_CERT holds no certificate")]
    NoCertificate(#[source] rustls::Error),

    /// Our certificate cannot be made.
    #[error("cannot make a certificate")]
    OwnCertificate(#[from] rcgen::Error),

    /// rustls refuses the configuration.
    #[error("cannot configure TLS")]
    Configuration(#[from] rustls::Error),
}

/// Our certificate, and both ends of TLS with the host.
pub(super) struct MutualTls {
    certificate: CertificateDer<'static>,
    acceptor: TlsAcceptor,
    connector: TlsConnector,
}

impl MutualTls {
    /// Makes a certificate of our own and pins the host's.
    pub(super) fn with_host(
        host_certificate_pem: &str,
        clock: &dyn Clock,
    ) -> Result<Self, TlsError> {
        let host = CertificateDer::from_pem_slice(host_certificate_pem.as_bytes())
            .map_err(TlsError::HostCertificate)?;
        ParsedCertificate::try_from(&host).map_err(TlsError::NoCertificate)?;
        let (certificate, key) = self_signed(clock)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pinned = Arc::new(PinnedPeer {
            certificate: host,
            algorithms: provider.signature_verification_algorithms,
        });
        let server = server_config(&provider, &pinned, &certificate, key.clone_key())?;
        let client = client_config(&provider, pinned, &certificate, key)?;
        Ok(Self {
            certificate,
            acceptor: TlsAcceptor::from(Arc::new(server)),
            connector: TlsConnector::from(Arc::new(client)),
        })
    }

    /// Ours, for the handshake line.
    pub(super) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The host dialed us.
    pub(super) async fn accept(&self, stream: Wire) -> io::Result<server::TlsStream<Wire>> {
        self.acceptor.accept(stream).await
    }

    /// We dialed the host.
    pub(super) async fn connect(&self, stream: Wire) -> io::Result<client::TlsStream<Wire>> {
        let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
        self.connector.connect(name, stream).await
    }
}

/// A certificate for both roles, and its key.
fn self_signed(
    clock: &dyn Clock,
) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), TlsError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new([NAME.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.not_before = clock.now() - BACKDATING;
    params.not_after = clock.now() + VALIDITY;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let certificate = params.self_signed(&key)?;
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    Ok((certificate.der().clone(), key.into()))
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    pinned: &Arc<PinnedPeer>,
    certificate: &CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsError> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(VERSIONS)?
        .with_client_cert_verifier(Arc::<PinnedPeer>::clone(pinned))
        .with_single_cert(vec![certificate.clone()], key)?;
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    // Every connection proves who it is.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client_config(
    provider: &Arc<CryptoProvider>,
    pinned: Arc<PinnedPeer>,
    certificate: &CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
) -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(pinned)
        .with_client_auth_cert(vec![certificate.clone()], key)?;
    config.alpn_protocols = vec![ALPN_H2.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Accepts exactly one certificate, from a peer that proves to hold its key.
#[derive(Debug)]
struct PinnedPeer {
    certificate: CertificateDer<'static>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedPeer {
    fn check(&self, presented: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        if *presented == self.certificate {
            Ok(())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }
}

impl ClientCertVerifier for PinnedPeer {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A Go client sends its certificate only if a hint names its issuer, or if there is none.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(end_entity)
            .map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ServerCertVerifier for PinnedPeer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(end_entity)
            .map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use crate::clock::SystemClock;

    /// With some host.
    pub(in crate::go_plugin) fn mutual_tls() -> Arc<MutualTls> {
        use base64::Engine as _;

        let host = rcgen::generate_simple_self_signed([NAME.to_owned()]).unwrap();
        let text = base64::engine::general_purpose::STANDARD.encode(host.cert.der());
        let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        Arc::new(MutualTls::with_host(&pem, &SystemClock).unwrap())
    }
}
