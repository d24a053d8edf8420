//! The generated messages and services of the wire contract in `proto/`, and nothing else.
//!
//! May depend on: nothing.
#![expect(
    missing_docs,
    missing_debug_implementations,
    unused_qualifications,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated; the messages that can hold a secret have no `Debug` on purpose"
)]

/// go-plugin's own services: broker, controller, stdio.
pub mod plugin {
    tonic::include_proto!("plugin");
}

/// `pb.Backend`, which we serve, and `pb.Storage` and `pb.SystemView`, which the host serves.
pub mod backend {
    tonic::include_proto!("pb");
}

/// `logical.PluginVersion`.
pub mod logical {
    tonic::include_proto!("logical");
}

/// `pluginutil.multiplexing.PluginMultiplexing`.
pub mod multiplexing {
    tonic::include_proto!("pluginutil.multiplexing");
}
