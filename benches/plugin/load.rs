//! Clients that ask one after the other, each on its own connection.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::body::Bytes;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::Fallible;
use crate::driver::connection::{Ask, Connection};
use crate::driver::progress::say;
use crate::progress::pulse;

/// No new request is sent after this; what is left is not asked.
const LONGEST: Duration = Duration::from_mins(3);

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// Of the requests that succeeded.
    pub(crate) latencies: Vec<Duration>,
    pub(crate) bodies: Vec<Bytes>,
    /// What the others were answered.
    pub(crate) failures: Vec<String>,
    /// From the first request to the last answer.
    pub(crate) elapsed: Duration,
}

/// Sends each request once.
pub(crate) async fn run(
    address: SocketAddr,
    clients: usize,
    asks: impl IntoIterator<Item = Ask>,
) -> Fallible<Run> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(address).await?);
    }
    let asks = Arc::new(Mutex::new(asks.into_iter().collect::<VecDeque<_>>()));
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for mut connection in connections {
        let asks = Arc::clone(&asks);
        clients.spawn(async move {
            let mut run = Run::default();
            while began.elapsed() < LONGEST {
                let ask = waiting(&asks).pop_front();
                let Some(ask) = ask else { break };
                let sent = Instant::now();
                match connection.send(&ask).await {
                    Ok(answer) if answer.status().is_success() => {
                        run.latencies.push(sent.elapsed());
                        run.bodies.push(answer.into_body());
                    }
                    Ok(answer) => {
                        let body = String::from_utf8_lossy(answer.body());
                        run.failures.push(format!("{}: {body}", answer.status()));
                    }
                    Err(error) => {
                        run.failures.push(error.to_string());
                        break;
                    }
                }
            }
            run
        });
    }
    let mut all = Run::default();
    let mut pulse = pulse();
    while !clients.is_empty() {
        tokio::select! {
            Some(run) = clients.join_next() => {
                let run = run?;
                all.latencies.extend(run.latencies);
                all.bodies.extend(run.bodies);
                all.failures.extend(run.failures);
            }
            _ = pulse.tick() => say(&format!("… {} requests to go", waiting(&asks).len())),
        }
    }
    all.elapsed = began.elapsed();
    Ok(all)
}

fn waiting(asks: &Mutex<VecDeque<Ask>>) -> MutexGuard<'_, VecDeque<Ask>> {
    asks.lock().unwrap_or_else(PoisonError::into_inner)
}
