//! What to change where the road to AWS is closed.

use crate::aws::{Closed, Obstacle, Road};

/// The next step of whoever reads that it is closed.
pub(super) fn step(closed: &Closed) -> String {
    let Closed {
        road,
        before_proxy,
        obstacle,
    } = closed;
    let variable = if road.is_plain() {
        "HTTP_PROXY"
    } else {
        "HTTPS_PROXY"
    };
    let host = road.host();
    match obstacle {
        Obstacle::NameNotFound
        | Obstacle::NoNameServer
        | Obstacle::Refused
        | Obstacle::NoRoute
        | Obstacle::NoConnectionInTime
        | Obstacle::HungUp
            if *before_proxy =>
        {
            format!(
                "check {variable} or ALL_PROXY in the server's environment and the proxy itself, or name {host} in NO_PROXY"
            )
        }
        Obstacle::NoConnectionInTime | Obstacle::HungUp if road.proxy.is_some() => format!(
            "the proxy's log says whether it reaches {host}; where none is needed, name {host} in NO_PROXY of the server's environment"
        ),
        Obstacle::NameNotFound => {
            "check region and endpoints in config/root, and the server's DNS; where only a proxy knows the name, set HTTPS_PROXY in the server's environment".to_owned()
        }
        Obstacle::NoNameServer => "check the server's DNS and its network".to_owned(),
        Obstacle::Refused => {
            "nothing listens there, or a firewall refuses: check region and endpoints in config/root, and the server's network".to_owned()
        }
        Obstacle::NoRoute | Obstacle::NoConnectionInTime => format!(
            "a firewall, a security group or a missing route keeps the server from it: open the way to {host}, set HTTPS_PROXY in the server's environment, or name an endpoint inside the network in config/root"
        ),
        Obstacle::HungUp => {
            "something there or on the way ends connections: check region and endpoints in config/root, and the server's network".to_owned()
        }
        Obstacle::NoAnswerInTime => silent(road),
        Obstacle::NoTls => format!(
            "if {host} has no TLS, write its endpoint in config/root with http://, else with the port of its TLS"
        ),
        Obstacle::WantsTls => {
            "write the endpoint in config/root with https://".to_owned()
        }
        Obstacle::UnknownAuthority if road.proxy.is_some() => format!(
            "a proxy that reads what passes signs with an authority of its own: {INSTALL}"
        ),
        Obstacle::UnknownAuthority => INSTALL.to_owned(),
        Obstacle::NotInBundle => {
            "add the authority's root certificate to that file, which counts in place of the machine's own".to_owned()
        }
        Obstacle::AuthorityItself => format!(
            "give {host} a certificate that is no authority's (basicConstraints CA:FALSE)"
        ),
        Obstacle::NoRootCertificates => {
            "install the package ca-certificates on the server, or name a file with root certificates in AWS_CA_BUNDLE or SSL_CERT_FILE of its environment".to_owned()
        }
        Obstacle::CertificateExpired | Obstacle::CertificateNotValidYet => format!(
            "correct the server's clock, or else the certificate of {host}"
        ),
        Obstacle::CertificateOfAnother => format!(
            "name the host that the certificate is for in the endpoint in config/root, or find out what else answers for {host}"
        ),
        Obstacle::ProxyRefuses => format!(
            "let the proxy connect to {host}, or name {host} in NO_PROXY of the server's environment"
        ),
        Obstacle::ProxyWantsPassword => format!(
            "write {variable}=http://NAME:PASSWORD@PROXY:PORT into the server's environment, or name {host} in NO_PROXY"
        ),
        Obstacle::Clock => format!(
            "the clocks of the server and of {} differ: correct the server's", road.address
        ),
        Obstacle::Other => {
            "check region and endpoints in config/root, and the server's network and proxy".to_owned()
        }
    }
}

const INSTALL: &str = "install the authority's root certificate on the server, or name a file with it in AWS_CA_BUNDLE of its environment";

fn silent(road: &Road) -> String {
    match &road.proxy {
        Some(proxy) => format!(
            "the proxy {} or {} is silent: check region and endpoints in config/root, and the proxy's log",
            proxy.address,
            road.host()
        ),
        None => "something there or on the way is silent: check region and endpoints in config/root, and the server's network".to_owned(),
    }
}
