//! The way to a service of AWS, and what closes it.

use std::fmt;

/// The way from here to one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Road {
    /// Where the service is, with its scheme.
    pub address: String,
    /// What lies between.
    pub proxy: Option<Proxy>,
}

/// A proxy that requests pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Host and port, without name and password.
    pub address: String,
    /// Whether we have a name and a password for it.
    pub has_password: bool,
}

impl Road {
    /// A road without a proxy.
    pub fn direct(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            proxy: None,
        }
    }

    /// The service's host, without scheme, port and path.
    pub fn host(&self) -> &str {
        let rest = self.address.split_once("://").map_or("", |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => authority,
        }
    }

    /// Whether requests go without TLS.
    pub fn is_plain(&self) -> bool {
        self.address.starts_with("http://")
    }
}

impl fmt::Display for Road {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)?;
        match &self.proxy {
            Some(proxy) => write!(f, " through the proxy {}", proxy.address),
            None => Ok(()),
        }
    }
}

/// A road that is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Which one.
    pub road: Road,
    /// Whether it is closed before the proxy already.
    pub before_proxy: bool,
    /// What closes it.
    pub obstacle: Obstacle,
}

/// What closes a road.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Obstacle {
    /// The name has no address.
    NameNotFound,
    /// Nobody answers who could know the name.
    NoNameServer,
    /// Nothing listens, or a firewall says so.
    Refused,
    /// The system knows no way there.
    NoRoute,
    /// What is sent gets lost on the way.
    NoConnectionInTime,
    /// The connection ends.
    HungUp,
    /// There is a connection, and silence.
    NoAnswerInTime,
    /// What answers has no TLS.
    NoTls,
    /// What answers wants TLS.
    WantsTls,
    /// The certificate is of an authority that the machine does not know.
    UnknownAuthority,
    /// The certificate is of an authority that is not in the file that is to be believed.
    NotInBundle,
    /// The certificate is an authority's own.
    AuthorityItself,
    /// The machine knows no authority at all.
    NoRootCertificates,
    /// The certificate's time is over, or this machine's clock is wrong.
    CertificateExpired,
    /// The certificate's time has not come, or this machine's clock is wrong.
    CertificateNotValidYet,
    /// The certificate is for another name.
    CertificateOfAnother,
    /// The proxy does not connect to the service.
    ProxyRefuses,
    /// The proxy wants a password.
    ProxyWantsPassword,
    /// AWS was reached, and its clock shows another time.
    Clock,
    /// Something else.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_road_tells_its_host() {
        for (address, host) in [
            ("https://sts.amazonaws.com", "sts.amazonaws.com"),
            ("http://[::1]:4566/aws", "[::1]"),
            ("http://127.0.0.1:80", "127.0.0.1"),
            ("https://[::1]", "[::1]"),
        ] {
            assert_eq!(Road::direct(address).host(), host);
        }
    }
}
