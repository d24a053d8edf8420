//! What closes the road, told from the error of a connection.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;

use aws_smithy_runtime_api::client::result::ConnectorError;
use rustls::CertificateError;

use super::trust::Untrusting;
use crate::aws::{Closed, Obstacle, Road};

/// No answer.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.message())]
pub(super) struct Unanswered {
    pub(super) closed: Box<Closed>,
    /// Whether there was a connection, so that the request may have been heard.
    pub(super) was_connected: bool,
    source: ConnectorError,
}

impl Unanswered {
    /// `believes_a_file`: authorities are those of `AWS_CA_BUNDLE`, not those of the machine.
    pub(super) fn new(error: ConnectorError, road: Road, believes_a_file: bool) -> Self {
        let was_connected = !failed_to_connect(&error);
        let mut obstacle = if error.is_timeout() && was_connected {
            Obstacle::NoAnswerInTime
        } else if error.is_timeout() {
            Obstacle::NoConnectionInTime
        } else {
            parts(&error).find_map(named).unwrap_or(Obstacle::Other)
        };
        if obstacle == Obstacle::UnknownAuthority && believes_a_file {
            obstacle = Obstacle::NotInBundle;
        }
        if obstacle == Obstacle::WantsTls && !road.is_plain() {
            obstacle = Obstacle::Other;
        }
        let reaches_proxy = || parts(&error).any(|part| part.to_string() == BEFORE_TUNNEL);
        let before_proxy = !was_connected
            && road.proxy.is_some()
            && obstacle != Obstacle::NoRootCertificates
            && (road.is_plain() || reaches_proxy());
        Self {
            closed: Box::new(Closed {
                road,
                before_proxy,
                obstacle,
            }),
            was_connected,
            source: error,
        }
    }

    /// Which address was asked, through which proxy, and what came of it.
    pub(super) fn message(&self) -> String {
        let Closed {
            road,
            before_proxy,
            obstacle,
        } = &*self.closed;
        if let Some(message) = of_proxy(road, *obstacle) {
            return message;
        }
        let place = match &road.proxy {
            Some(proxy) if *before_proxy => {
                format!(
                    "the proxy {}, on the way to {}",
                    proxy.address, road.address
                )
            }
            _ => road.to_string(),
        };
        let what = if self.was_connected {
            "no answer from"
        } else {
            "no connection to"
        };
        let mut message = format!("{what} {place}");
        let _ = match obstacle {
            Obstacle::NoAnswerInTime => write!(message, " in {} s", super::READ_TIMEOUT.as_secs()),
            Obstacle::NoConnectionInTime => {
                write!(message, " in {} s", super::CONNECT_TIMEOUT.as_secs())
            }
            Obstacle::Other => write!(message, ": {}", told(self.source.source())),
            known => write!(message, ": {}", words(*known)),
        };
        message
    }
}

/// What the HTTP client says when there is no connection to the proxy itself.
const BEFORE_TUNNEL: &str = "tunnel error: failed to create underlying connection";

/// The answer of a proxy that was asked for a connection.
fn of_proxy(road: &Road, obstacle: Obstacle) -> Option<String> {
    let address = &road.address;
    let proxy = road.proxy.as_ref()?;
    let its = &proxy.address;
    match obstacle {
        Obstacle::ProxyRefuses => Some(format!("the proxy {its} makes no connection to {address}")),
        Obstacle::ProxyWantsPassword if proxy.has_password => Some(format!(
            "the proxy {its} does not take the password that it is given, and makes no connection to {address}"
        )),
        Obstacle::ProxyWantsPassword => Some(format!(
            "the proxy {its} wants a password before it makes a connection to {address}"
        )),
        _ => None,
    }
}

fn words(obstacle: Obstacle) -> &'static str {
    match obstacle {
        Obstacle::NameNotFound => "the name is not found",
        Obstacle::NoNameServer => "no name server answers",
        Obstacle::Refused => "connection refused",
        Obstacle::NoRoute => "no route leads there",
        Obstacle::HungUp => "it ended the connection",
        Obstacle::NoTls => "what answers there does not speak TLS",
        Obstacle::WantsTls => "what answers there does not speak plain HTTP",
        Obstacle::UnknownAuthority => {
            "its certificate is of an authority that this machine does not know"
        }
        Obstacle::NotInBundle => {
            "its certificate is of an authority that is not in the file which AWS_CA_BUNDLE names"
        }
        Obstacle::AuthorityItself => "its certificate is that of an authority, not of a server",
        Obstacle::NoRootCertificates => {
            "this machine has no root certificates by which to check the other side's"
        }
        Obstacle::CertificateExpired => {
            "by this machine's clock, the time of its certificate is over"
        }
        Obstacle::CertificateNotValidYet => {
            "by this machine's clock, the time of its certificate has not come"
        }
        Obstacle::CertificateOfAnother => "its certificate is for another name",
        // Each has a sentence of its own.
        Obstacle::NoConnectionInTime
        | Obstacle::NoAnswerInTime
        | Obstacle::ProxyRefuses
        | Obstacle::ProxyWantsPassword
        | Obstacle::Clock
        | Obstacle::Other => "",
    }
}

fn named(error: &(dyn StdError + 'static)) -> Option<Obstacle> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return of_tls(error);
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return match () {
            () if error.is_parse() => Some(Obstacle::WantsTls),
            () if error.is_incomplete_message() => Some(Obstacle::HungUp),
            () => None,
        };
    }
    if has_no_roots(error) {
        return Some(Obstacle::NoRootCertificates);
    }
    let text = error.to_string();
    if let Some(answer) = text.strip_prefix("tunnel error: ") {
        return match answer {
            _ if text == BEFORE_TUNNEL => None,
            "proxy authorization required" => Some(Obstacle::ProxyWantsPassword),
            _ => Some(Obstacle::ProxyRefuses),
        };
    }
    if let Some(reason) = text.strip_prefix("failed to lookup address information: ") {
        return Some(if reason.starts_with("Temporary failure") {
            Obstacle::NoNameServer
        } else {
            Obstacle::NameNotFound
        });
    }
    // What can be nobody's name is not looked up.
    if text == "invalid dns name" {
        return Some(Obstacle::NameNotFound);
    }
    of_system(error.downcast_ref::<io::Error>()?)
}

fn of_tls(error: &rustls::Error) -> Option<Obstacle> {
    let rustls::Error::InvalidCertificate(error) = error else {
        let no_tls = matches!(error, rustls::Error::InvalidMessage(_));
        return no_tls.then_some(Obstacle::NoTls);
    };
    match error {
        // The latter is of an authority of a known name, with another key.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            Some(Obstacle::UnknownAuthority)
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            Some(Obstacle::CertificateExpired)
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            Some(Obstacle::CertificateNotValidYet)
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some(Obstacle::CertificateOfAnother)
        }
        CertificateError::Other(error) if format!("{error:?}").contains("CaUsedAsEndEntity") => {
            Some(Obstacle::AuthorityItself)
        }
        _ => None,
    }
}

fn of_system(error: &io::Error) -> Option<Obstacle> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(Obstacle::Refused),
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::PermissionDenied => Some(Obstacle::NoRoute),
        io::ErrorKind::TimedOut => Some(Obstacle::NoConnectionInTime),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => Some(Obstacle::HungUp),
        _ => None,
    }
}

fn has_no_roots(error: &(dyn StdError + 'static)) -> bool {
    matches!(error.downcast_ref(), Some(Untrusting::Nothing))
}

fn failed_to_connect(error: &ConnectorError) -> bool {
    parts(error)
        .find_map(|error| {
            if has_no_roots(error) {
                return Some(true);
            }
            let error = error.downcast_ref::<hyper_util::client::legacy::Error>()?;
            Some(error.is_connect())
        })
        .unwrap_or(false)
}

/// The error and its causes, the last one first: it says the most. What an I/O error holds, which its
/// own causes leave out, is among them.
fn parts<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut parts = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        parts.push(error);
        next = match error.downcast_ref::<io::Error>() {
            Some(error) => error.get_ref().map(|inner| inner as _),
            None => error.source(),
        };
    }
    parts.reverse();
    parts.into_iter()
}

/// The error and its causes in one line, without repetitions and without the layers of the HTTP
/// client, which say no more than that it failed.
pub(super) fn told(error: Option<&(dyn StdError + 'static)>) -> String {
    let says_little = |error: &(dyn StdError + 'static)| {
        error.is::<ConnectorError>() || error.is::<hyper_util::client::legacy::Error>()
    };
    let mut text = String::new();
    let causes = std::iter::successors(error, |&error| error.source());
    for error in causes.filter(|&error| error.source().is_none() || !says_little(error)) {
        let part = error.to_string();
        if text.is_empty() {
            text = part;
        } else if !text.contains(&part) {
            let _ = write!(text, ": {part}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unanswered(error: impl StdError + Send + Sync + 'static, road: Road) -> String {
        let error = ConnectorError::io(Box::new(error));
        Unanswered::new(error, road, false).message()
    }

    /// What no test can bring about on every machine.
    #[test]
    fn the_words_of_the_system_are_told_apart() {
        let lookup = |reason: &str| {
            io::Error::other(format!("failed to lookup address information: {reason}"))
        };
        for (error, obstacle) in [
            (io::ErrorKind::HostUnreachable.into(), Obstacle::NoRoute),
            (io::ErrorKind::NetworkUnreachable.into(), Obstacle::NoRoute),
            (io::ErrorKind::TimedOut.into(), Obstacle::NoConnectionInTime),
            (
                lookup("Temporary failure in name resolution"),
                Obstacle::NoNameServer,
            ),
            (lookup("Name or service not known"), Obstacle::NameNotFound),
            (lookup("Name does not resolve"), Obstacle::NameNotFound),
        ] {
            let text = error.to_string();
            let error = ConnectorError::io(Box::new(error));
            let unanswered = Unanswered::new(error, Road::direct("https://x"), false);
            assert_eq!(unanswered.closed.obstacle, obstacle, "{text}");
        }
    }

    #[test]
    fn what_has_no_words_of_ours_keeps_its_own() {
        let error = io::Error::other("the dog ate it");

        assert_eq!(
            unanswered(error, Road::direct("https://x")),
            "no answer from https://x: the dog ate it"
        );
    }
}
