//! The AWS secrets engine of HashiCorp Vault and OpenBao as an external plugin.

pub mod clock;
pub mod environment;
pub mod framework;
pub mod go_duration;
pub mod logical;
pub mod secret;
pub mod template;
