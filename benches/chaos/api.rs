//! One request to a host, as clients make them: with a patience of their own, and following a standby
//! that sends them to the active node.

use std::net::SocketAddr;
use std::time::Duration;

use hyper::header::LOCATION;
use serde_json::Value;
use tokio::time::timeout;

use crate::driver::connection::{Ask, Connection};

/// What a host answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Lost {
    /// Nobody took the request.
    Unreachable,
    /// The client gave up.
    HungUp,
    /// The connection broke.
    Broken,
}

impl Answer {
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What the host says went wrong, in one line.
    pub(crate) fn errors(&self) -> String {
        let errors = self.body["errors"].as_array();
        let texts = errors.into_iter().flatten().filter_map(Value::as_str);
        let texts = texts.collect::<Vec<_>>().join("; ");
        // Hosts write lists of one.
        let words: Vec<_> = texts.split_whitespace().collect();
        format!("{}: {}", self.status, words.join(" "))
    }
}

impl Lost {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::HungUp => "hung up",
            Self::Broken => "broken",
        }
    }
}

pub(crate) async fn send(
    address: SocketAddr,
    ask: &Ask,
    patience: Duration,
) -> Result<Answer, Lost> {
    let follow = async {
        match send_to(address, ask).await? {
            (307, _, Some(active)) => send_to(active, ask).await,
            other => Ok(other),
        }
    };
    let (status, body, _) = timeout(patience, follow)
        .await
        .map_err(|_| Lost::HungUp)??;
    Ok(Answer { status, body })
}

/// The answer of this very node, and where it sends its clients.
async fn send_to(address: SocketAddr, ask: &Ask) -> Result<(u16, Value, Option<SocketAddr>), Lost> {
    let opened = Connection::open(address).await;
    let mut connection = opened.map_err(|_| Lost::Unreachable)?;
    let answer = connection.send(ask).await.map_err(|_| Lost::Broken)?;
    let body = serde_json::from_slice(answer.body()).unwrap_or_default();
    let there = answer.headers().get(LOCATION);
    let there = there.and_then(|url| url.to_str().ok());
    Ok((answer.status().as_u16(), body, there.and_then(address_of)))
}

/// `http://<address>/…`
fn address_of(url: &str) -> Option<SocketAddr> {
    let rest = url.strip_prefix("http://")?;
    rest.split('/').next()?.parse().ok()
}
