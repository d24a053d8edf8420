//! Every variable by which a go-plugin host tells a plugin how to start, read once.

use std::path::PathBuf;

use super::Protocol;
use crate::environment::Environment;

/// What the host set for this process.
///
/// `PLUGIN_MIN_PORT` and `PLUGIN_MAX_PORT` are not read: they are for TCP sockets.
#[derive(Clone, Debug)]
pub struct HostEnv {
    /// Whether the magic cookie is there with its exact value. A host that looks for another kind
    /// of plugin sends another cookie.
    pub(super) cookie_matches: bool,
    /// `PLUGIN_PROTOCOL_VERSIONS`: comma-separated numbers in no order.
    pub(super) protocol_versions: String,
    /// `PLUGIN_CLIENT_CERT`: the host's certificate as PEM.
    pub(super) certificate: Option<String>,
    /// `PLUGIN_UNIX_SOCKET_DIR`, else `TMPDIR`, else `/tmp`.
    pub(super) socket_dir: PathBuf,
    /// `PLUGIN_UNIX_SOCKET_GROUP`: number or name of the group that may connect.
    pub(super) socket_group: Option<String>,
    /// `PLUGIN_MULTIPLEX_GRPC`: the host wants all connections inside one.
    pub(super) wants_multiplexing: bool,
}

impl HostEnv {
    /// Reads the variables. An empty one counts as unset.
    pub fn read(protocol: &Protocol, environment: &dyn Environment) -> Self {
        let var = |name| environment.var(name).filter(|value| !value.is_empty());
        Self {
            cookie_matches: var(protocol.cookie_key).as_deref() == Some(protocol.cookie_value),
            protocol_versions: var("PLUGIN_PROTOCOL_VERSIONS").unwrap_or_default(),
            certificate: var("PLUGIN_CLIENT_CERT"),
            socket_dir: var("PLUGIN_UNIX_SOCKET_DIR")
                .or_else(|| var("TMPDIR"))
                .map_or_else(|| PathBuf::from("/tmp"), PathBuf::from),
            socket_group: var("PLUGIN_UNIX_SOCKET_GROUP"),
            wants_multiplexing: var("PLUGIN_MULTIPLEX_GRPC").is_some(),
        }
    }

    /// Whether a host started this process, not a person.
    pub fn started_by_host(&self) -> bool {
        self.cookie_matches
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

    #[test]
    fn only_the_exact_cookie_means_that_a_host_started_us() {
        let started = |environment| {
            HostEnv::read(&PROTOCOL, &FixedEnvironment::from(environment)).started_by_host()
        };

        assert!(started([("TOY_PLUGIN", "biscuit")]));
        assert!(!started([("TOY_PLUGIN", "Biscuit")]));
        assert!(!started([("TOY_PLUGIN", "")]));
        assert!(!started([("OTHER_PLUGIN", "biscuit")]));
    }

    #[test]
    fn the_socket_directory_is_the_hosts_choice_before_the_temporary_directory() {
        let directory =
            |environment: FixedEnvironment| HostEnv::read(&PROTOCOL, &environment).socket_dir;

        assert_eq!(
            directory(FixedEnvironment::default()),
            PathBuf::from("/tmp")
        );
        assert_eq!(
            directory([("TMPDIR", "/var/t")].into()),
            PathBuf::from("/var/t")
        );
        assert_eq!(
            directory([("TMPDIR", "/var/t"), ("PLUGIN_UNIX_SOCKET_DIR", "/run/p")].into()),
            PathBuf::from("/run/p")
        );
    }

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let host = HostEnv::read(
            &PROTOCOL,
            &FixedEnvironment::from([
                ("PLUGIN_CLIENT_CERT", ""),
                ("PLUGIN_MULTIPLEX_GRPC", ""),
                ("PLUGIN_UNIX_SOCKET_GROUP", ""),
            ]),
        );

        assert!(host.certificate.is_none());
        assert!(!host.wants_multiplexing);
        assert!(host.socket_group.is_none());
    }
}
