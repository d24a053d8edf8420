//! Vault's services over a go-plugin process: `pb.Backend` and what belongs to it, served from
//! [`logical::Backend`](crate::logical::Backend)s, and the host's storage and system view as
//! [`logical::Storage`](crate::logical::Storage) and
//! [`logical::SystemView`](crate::logical::SystemView).
//!
//! One process serves every mount of its plugin. Each mount is an instance with its own backend and
//! its own connection to the host; the process keeps nothing else.
//!
//! May depend on: [`crate::pb`], [`crate::go_plugin`], [`crate::logical`], and the leaves.

mod backend_service;
#[cfg(any(test, feature = "test-util"))]
pub(crate) mod fuzzing;
mod host_channel;
mod instances;
mod multiplexing;
mod storage;
mod system_view;
mod time_limit;
mod translate;
mod unread;
mod vault_env;
mod version;

use std::sync::Arc;

use crate::go_plugin::{Broker, Protocol, Services, Shutdown};
use crate::logical::Factory;

pub use vault_env::VaultEnv;

/// Secrets and auth plugins, in version 5 of their protocol; the same in Vault and OpenBao.
pub const PROTOCOL: Protocol = Protocol {
    cookie_key: "VAULT_BACKEND_PLUGIN",
    cookie_value: "6669da05-b1c8-4f49-97d9-c8e5bed98e20",
    version: 5,
};

/// Hosts lift gRPC's message limits to this, and so do we: 2 GiB less one byte.
const MAX_MESSAGE: usize = i32::MAX as usize;

/// The services of a secrets plugin, with one backend of `factory` per mount.
pub fn services(factory: Arc<dyn Factory>, broker: Arc<Broker>, shutdown: &Shutdown) -> Services {
    Services::default()
        .with(backend_service::service(factory, broker, shutdown.clone()))
        .with(multiplexing::service())
        .with(version::service())
}
