//! The environment in which a host starts the plugin.

use std::path::Path;

use super::HostEnv;
use super::handshake::Protocol;
use super::tls::MutualTls;
use crate::clock::ManualClock;
use crate::environment::FixedEnvironment;

const PROTOCOL: Protocol = Protocol {
    cookie_key: "TOY_PLUGIN",
    cookie_value: "biscuit",
    version: 5,
};

/// Variables as a process finds them, `NAME=value` with a zero byte between: what a host can be
/// told is one line of six fields.
pub(crate) fn handshake(data: &[u8]) {
    let Ok(block) = std::str::from_utf8(data) else {
        return;
    };
    let environment: FixedEnvironment = block
        .split('\0')
        .filter_map(|variable| variable.split_once('='))
        .collect();
    let host = HostEnv::read(&PROTOCOL, &environment);
    let chosen = PROTOCOL.choose_version(&host);
    let offered = |version: &str| version.trim().trim_start_matches(['+', '0']) == "5";
    assert_eq!(
        chosen.is_ok(),
        host.protocol_versions.split(',').any(offered)
    );
    let Some(certificate) = &host.certificate else {
        return;
    };
    let tls = match MutualTls::with_host(certificate, &ManualClock::default()) {
        Ok(tls) => tls,
        Err(error) => {
            assert!(error.to_string().len() < 200, "{error}");
            return;
        }
    };
    let socket = host.socket_dir.join("plugin1");
    let Ok(line) = PROTOCOL.handshake_line(&host, &socket, tls.certificate()) else {
        return;
    };
    let fields: Vec<_> = line.trim_end_matches('\n').split('|').collect();
    assert_eq!(line.matches('\n').count(), 1, "{line}");
    assert_eq!(
        fields.len(),
        6 + usize::from(host.wants_multiplexing),
        "{line}"
    );
    assert_eq!(Path::new(fields[3]), socket, "{line}");
}
