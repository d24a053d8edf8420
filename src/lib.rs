//! The AWS secrets engine of HashiCorp Vault and OpenBao as an external plugin.

pub mod clock;
pub mod environment;
pub mod go_plugin;
pub mod logical;
pub mod pb;
pub mod rpc;
pub mod secret;
