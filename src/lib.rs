//! The AWS secrets engine of HashiCorp Vault and OpenBao as an external plugin.
//!
//! # The map
//!
//! ```text
//! main ──▶ engine ──▶ framework ──▶ logical ◀── rpc ──▶ go_plugin
//!             └─────▶ aws                        └─▶ pb ◀──┘
//! ```
//!
//! - [`logical`]: what a secrets engine and its host say to each other; nouns and traits, no I/O.
//! - [`engine`]: what each path of the AWS secrets engine does. Start there to change behaviour.
//! - [`framework`]: an engine from declarations: paths, fields, leases, the write-ahead log, help.
//! - [`aws`]: the seam to AWS, with the AWS SDK behind it, or a simulated AWS in tests.
//! - [`rpc`]: Vault's gRPC services and clients, translated from and to [`logical`].
//! - [`go_plugin`]: a go-plugin process: handshake, mutual TLS, broker, logs. Knows nothing of Vault.
//! - [`pb`]: the generated messages of the wire.
//! - `fuzzing`, for tests only: what strangers reach with bytes of their own, as functions of bytes.
//! - Leaves that anyone may use: [`caller`], [`chance`], [`clock`], [`environment`], [`excerpt`],
//!   [`secret`], [`go_duration`], [`memory`], [`template`].
//!
//! # Invariants
//!
//! - Arrows point as drawn; a test reads every file's imports and fails on any other.
//! - Before AWS is asked to make something, a WAL entry is stored: the process may die between any
//!   two lines, and nothing is left behind for ever.
//! - A user of AWS that was made for a lease is in the register until AWS has certainly removed it:
//!   what no order of steps can make sure of, time does.
//! - What ends a session of STS is a policy. What it must say is in storage before AWS hears of it, and
//!   stays there until it was seen to say so, and until the session has ended by itself.
//! - Every request carries its [`caller`]: who waits, and until when. Nothing begins at AWS for a
//!   caller that has gone. What has begun runs to its end, and whoever is about to commit looks whether
//!   anybody still waits; if not, it undoes. Every limit of time is a moment of the caller's.
//! - What cannot be undone now is in the WAL, never only in memory. "AWS does not know it" means "look
//!   again" until it is older than IAM's memory.
//! - One process serves every mount. Nothing that belongs to a mount is global; mounts share only
//!   the connections to AWS, how fast each AWS account may be called, and the ids of their root keys.
//! - The engine starts no background work: the host's timer and requests drive everything.
//! - Secrets are exposed in the few places that a test lists, and never printed.
//! - stdout belongs to the handshake; logs go to stderr, from a thread of their own: nobody waits for
//!   whoever reads them.

pub mod logical;

pub mod engine;

pub mod framework;

pub mod aws;

pub mod rpc;

pub mod go_plugin;
pub mod pb;

pub mod caller;
pub mod chance;
pub mod clock;
pub mod environment;
pub mod excerpt;
#[cfg(any(test, feature = "test-util"))]
pub mod fuzzing;
pub mod go_duration;
pub mod memory;
pub mod secret;
pub mod template;
