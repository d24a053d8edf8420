//! A host as one runs it: integrated storage, and TLS for its operators. The tests themselves speak
//! to a second, plain listener.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rcgen::{CertificateParams, KeyPair};

use super::{Host, free_port};

impl Host {
    /// A host of one node that can be sealed and unsealed.
    pub(crate) fn secured(directory: &Path) -> Self {
        let (certificate, key) = certificate(directory);
        let storage = directory.join("raft");
        fs::create_dir_all(&storage).expect("the directory can be made");
        let secured = free_port();
        let mut host = Self::start(directory, |port| {
            let configuration = directory.join("secured.hcl");
            let cluster = free_port();
            fs::write(
                &configuration,
                format!(
                    "storage \"raft\" {{\n  path = \"{}\"\n  node_id = \"{port}\"\n}}\n\
                     listener \"tcp\" {{\n  address = \"127.0.0.1:{secured}\"\n  \
                     tls_cert_file = \"{}\"\n  tls_key_file = \"{}\"\n  \
                     cluster_address = \"127.0.0.1:{cluster}\"\n}}\n\
                     listener \"tcp\" {{\n  address = \"127.0.0.1:{port}\"\n  \
                     cluster_address = \"127.0.0.1:{}\"\n  tls_disable = true\n}}\n\
                     api_addr = \"https://127.0.0.1:{secured}\"\n\
                     cluster_addr = \"https://127.0.0.1:{cluster}\"\n",
                    storage.display(),
                    certificate.display(),
                    key.display(),
                    free_port(),
                ),
            )
            .expect("the configuration can be written");
            vec![format!("-config={}", configuration.display())]
        });
        host.operators = Some((format!("https://127.0.0.1:{secured}"), certificate));
        host.initialize();
        host
    }
}

/// A certificate that is its own authority, and its key, as files.
pub(crate) fn certificate(directory: &Path) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(["127.0.0.1".to_owned()])
        .and_then(|parameters| parameters.self_signed(&key))
        .expect("a certificate");
    let written = |name: &str, label: &str, der: &[u8]| {
        let path = directory.join(name);
        let text = BASE64_STANDARD.encode(der);
        let pem = format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n");
        fs::write(&path, pem).expect("the file can be written");
        path
    };
    (
        written("tls.crt", "CERTIFICATE", certificate.der()),
        written("tls.key", "PRIVATE KEY", &key.serialize_der()),
    )
}
