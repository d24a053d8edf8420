//! What the programs that drive a real host have in common.

pub(crate) mod aws;
pub(crate) mod connection;
pub(crate) mod machine;
pub(crate) mod plugin;
pub(crate) mod progress;
pub(crate) mod server;

use std::error::Error;

use tokio::signal::unix::{SignalKind, signal};

pub(crate) type Fallible<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// Returns when somebody wants this to end, so that what it started is ended first.
pub(crate) async fn interrupted() -> Fallible<&'static str> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok("interrupted")
}
