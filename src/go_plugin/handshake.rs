//! What host and plugin agree on before they talk: magic cookie, protocol version, one line.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustls::pki_types::CertificateDer;

use super::{HostEnv, StartError};

/// Version of go-plugin's own handshake.
const CORE_PROTOCOL: u32 = 1;

/// The kind of plugin this is, in the words of the handshake.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// The variable by which a host says which kind of plugin it starts.
    pub cookie_key: &'static str,
    /// Its value for this kind.
    pub cookie_value: &'static str,
    /// The version of the services that is spoken.
    pub version: u32,
}

impl Protocol {
    /// Makes sure that the host offers our version.
    pub(super) fn choose_version(&self, host: &HostEnv) -> Result<(), StartError> {
        let offered = &host.protocol_versions;
        if offered
            .split(',')
            .any(|version| version.trim().parse() == Ok(self.version))
        {
            Ok(())
        } else {
            Err(StartError::VersionNotOffered {
                offered: offered.clone(),
                ours: self.version,
            })
        }
    }

    /// The one line that the host reads. It has a seventh field (broker multiplexing) only for hosts that
    /// ask for it: those before go-plugin 1.6 would read it as part of the certificate.
    pub(super) fn handshake_line(
        &self,
        host: &HostEnv,
        socket: &Path,
        certificate: &CertificateDer<'_>,
    ) -> Result<String, StartError> {
        let path = socket.to_str().filter(|path| !path.contains(['|', '\n']));
        let path = path.ok_or_else(|| StartError::SocketPath(socket.to_owned()))?;
        let multiplexing = if host.wants_multiplexing { "|true" } else { "" };
        Ok(format!(
            "{CORE_PROTOCOL}|{}|unix|{path}|grpc|{}{multiplexing}\n",
            self.version,
            STANDARD_NO_PAD.encode(certificate)
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::FixedEnvironment;

    const PROTOCOL: Protocol = Protocol {
        cookie_key: "TOY_PLUGIN",
        cookie_value: "biscuit",
        version: 5,
    };

    fn host(variables: &[(&str, &str)]) -> HostEnv {
        let environment: FixedEnvironment = variables.iter().copied().collect();
        HostEnv::read(&PROTOCOL, &environment)
    }

    fn choose(offered: &str) -> Result<(), StartError> {
        PROTOCOL.choose_version(&host(&[("PLUGIN_PROTOCOL_VERSIONS", offered)]))
    }

    #[test]
    fn our_version_is_found_wherever_the_host_puts_it() {
        for offered in ["5", "5,3", "3,5", "4, 5 ,6"] {
            assert!(choose(offered).is_ok(), "{offered}");
        }
    }

    #[test]
    fn a_host_that_does_not_offer_our_version_is_refused_with_both_sides_named() {
        for offered in ["", "3,4", "15", "five"] {
            let error = choose(offered).expect_err(offered).to_string();
            assert!(error.contains(&format!("{offered:?}")), "{error}");
            assert!(error.contains("version 5"), "{error}");
        }
    }

    #[test]
    fn the_line_has_six_fields_and_ends_in_unpadded_standard_base64() {
        // These bytes need `+`, `/` and two characters of padding.
        let certificate = CertificateDer::from(vec![0xfb, 0xff, 0xfe, 0xfb]);

        let line = PROTOCOL.handshake_line(&host(&[]), Path::new("/tmp/plugin1"), &certificate);

        assert_eq!(line.unwrap(), "1|5|unix|/tmp/plugin1|grpc|+//++w\n");
    }

    #[test]
    fn a_host_that_wants_one_session_reads_so_in_a_seventh_field() {
        let certificate = CertificateDer::from(vec![1]);
        let host = host(&[("PLUGIN_MULTIPLEX_GRPC", "true")]);

        let line = PROTOCOL.handshake_line(&host, Path::new("/tmp/plugin1"), &certificate);

        assert_eq!(line.unwrap(), "1|5|unix|/tmp/plugin1|grpc|AQ|true\n");
    }

    #[test]
    fn a_socket_that_the_line_cannot_name_is_refused() {
        let certificate = CertificateDer::from(vec![1]);
        for path in ["/tmp/a|b/plugin1", "/tmp/a\nb/plugin1"] {
            let line = PROTOCOL.handshake_line(&host(&[]), Path::new(path), &certificate);
            let error = line.expect_err(path).to_string();
            assert!(error.contains(&format!("{path:?}")), "{error}");
        }
    }
}
