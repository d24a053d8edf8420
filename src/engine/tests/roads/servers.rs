//! What may be at the end of a road.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine as _;
use tempfile::NamedTempFile;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

/// An address at which nobody listens.
pub(super) fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

/// Takes connections, and says nothing.
pub(super) async fn mute() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            taken.push(stream);
        }
    });
    address
}

/// Takes no connection and refuses none, for as long as the second part lives: its queue is full.
pub(super) async fn dropping() -> (SocketAddr, (TcpListener, Vec<TcpStream>)) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    let limit = std::time::Duration::from_millis(300);
    // Real time: whether the system takes one more shows by its silence only.
    while let Ok(taken) =
        tokio::task::spawn_blocking(move || std::net::TcpStream::connect_timeout(&address, limit))
            .await
            .unwrap()
    {
        taken.set_nonblocking(true).unwrap();
        waiting.push(TcpStream::from_std(taken).unwrap());
    }
    (address, (listener, waiting))
}

/// What a server without TLS does when it has heard the head of a request, or what it takes for one.
#[derive(Clone)]
pub(super) enum Answer {
    Text(String),
    HangUp,
}

pub(super) fn answering(status: &str, body: &str) -> Answer {
    let length = body.len();
    Answer::Text(format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))
}

pub(super) async fn plain(answer: Answer) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut line = Vec::new();
                // A greeting of TLS has no line; some of it is enough.
                if stream
                    .fill_buf()
                    .await
                    .is_ok_and(|heard| heard.starts_with(b"\x16"))
                {
                    line = b"?".to_vec();
                }
                while line.is_empty() || (line != b"\r\n" && line != b"?") {
                    line.clear();
                    if stream.read_until(b'\n', &mut line).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                if let Answer::Text(text) = answer {
                    let _ = stream.write_all(text.as_bytes()).await;
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    address
}

/// The certificate of a server, signed by itself.
pub(super) struct Certificate {
    name: &'static str,
    begins: Duration,
    is_authority: bool,
}

impl Default for Certificate {
    fn default() -> Self {
        Self {
            name: "127.0.0.1",
            begins: Duration::hours(-1),
            is_authority: false,
        }
    }
}

impl Certificate {
    pub(super) fn of_the_past() -> Self {
        Self {
            begins: Duration::days(-10),
            ..Self::default()
        }
    }

    pub(super) fn of_the_future() -> Self {
        Self {
            begins: Duration::days(10),
            ..Self::default()
        }
    }

    pub(super) fn of_another() -> Self {
        Self {
            name: "sts.elsewhere.example.com",
            ..Self::default()
        }
    }

    pub(super) fn of_an_authority() -> Self {
        Self {
            is_authority: true,
            ..Self::default()
        }
    }
}

/// A file with a certificate.
pub(super) struct Bundle(NamedTempFile);

impl Bundle {
    pub(super) fn path(&self) -> String {
        self.0.path().to_str().unwrap().to_owned()
    }
}

/// A server with TLS, and the file that makes it believed.
pub(super) async fn tls(certificate: Certificate) -> (SocketAddr, Bundle) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new([certificate.name.to_owned()]).unwrap();
    parameters.not_before = OffsetDateTime::now_utc() + certificate.begins;
    parameters.not_after = parameters.not_before + Duration::days(1);
    if certificate.is_authority {
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    }
    let certificate = parameters.self_signed(&key).unwrap();
    let base64 = base64::prelude::BASE64_STANDARD.encode(certificate.der());
    let file = NamedTempFile::new().unwrap();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
    std::fs::write(file.path(), pem).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Nobody gets as far as a request.
                let _ = acceptor.accept(stream).await;
            });
        }
    });
    (address, Bundle(file))
}
