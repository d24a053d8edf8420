//! A host of our own starts the plugin the way go-plugin's client does: over a real socket, with a
//! P-521 certificate that calls itself an authority, and with the two streams that a host keeps
//! open. It serves storage and system view the way Vault and OpenBao do.
//!
//! The protocol is tested with a toy backend in this process, which has nothing of AWS; the process
//! itself with the real binary. A host that we wrote shares our misreadings, so the walkthrough on a
//! real server has the last word.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where it finds something wrong"
)]

mod binary;
mod connection;
mod fake_host;
mod files;
mod instances;
mod launch;
mod logs;
mod memory;
mod requests;
mod session;
mod storage;
mod system_view;
mod toy;
