//! TLS in front of a server that has none.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Running until the tests end.
pub(crate) struct Terminator {
    address: String,
}

impl Terminator {
    /// Listens on a free port of the loopback, with that certificate.
    pub(crate) fn start(certificate: &Path, key: &Path, behind: &str) -> Self {
        let certificate = CertificateDer::from_pem_file(certificate).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(key).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let configuration = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(vec![certificate], key)
            })
            .expect("they fit");
        let acceptor = TlsAcceptor::from(Arc::new(configuration));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound").to_string();
        listener.set_nonblocking(true).expect("it can be");
        let behind = behind.to_owned();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(serve(listener, acceptor, behind));
        });
        Self { address }
    }

    /// The URL to configure as an endpoint.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }
}

async fn serve(listener: std::net::TcpListener, acceptor: TlsAcceptor, behind: String) {
    let listener = TcpListener::from_std(listener).expect("it does not block");
    while let Ok((connection, _)) = listener.accept().await {
        let (acceptor, behind) = (acceptor.clone(), behind.clone());
        tokio::spawn(async move {
            // An error here is a peer that does not trust us, or went away.
            let mut outer = acceptor.accept(connection).await?;
            let mut inner = TcpStream::connect(behind).await?;
            copy_bidirectional(&mut outer, &mut inner).await
        });
    }
}
