//! Black-box tests: a real host runs the built plugin against an AWS that checks signatures and
//! permissions.
//!
//! `scripts/test` builds the release binary and runs them with it. Without it they run just the
//! same, by `cargo test --test e2e`, on the binary that cargo built for testing. What they take
//! from the environment is in [`settings`]. They need Linux and Python 3.10 or later.
//!
//! Each test has a host of its own, an IAM user of its own as the engine's root, and a proxy of
//! its own between the two, which counts, fails, holds or drops calls. When a [`Fixture`] goes,
//! it revokes every lease and then insists that AWS holds nothing that the engine made, and that
//! nothing secret is in the host's log, which is at trace level.
//!
//! What moto, the AWS here, does not do, and so no test here shows: it lets keys sign that are
//! inactive; it looks at no session policy, permissions boundary or resource of a statement on
//! an IAM call; credentials of `GetFederationToken` and `GetSessionToken` are constants that sign
//! nothing; names and inline policies may have any length. That AWS deletes no user with keys,
//! groups or a login profile is what the proxy adds.
//!
//! [`Fixture`]: fixture::Fixture

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "what goes wrong here ends a test, and says where to look"
)]

// The harness, from the outside in.
mod aws;
mod fixture;
mod host;
mod issued;
mod moto;
mod process;
mod product;
mod proxy;
mod registry;
mod release;
mod settings;
mod simulated;
mod terminator;

// The tests, by topic.
mod answers;
mod bare_root;
mod callers;
mod changes;
mod clients;
mod clusters;
mod compatible;
mod config_check;
mod containment;
mod crashes;
mod ended_sessions;
mod images;
mod incident;
mod keyless;
mod leases;
mod metrics;
mod migration;
mod mounts;
mod permissions;
mod refusals;
mod registration;
mod releases;
mod removal;
mod roads;
mod roots;
mod round_trips;
mod seals;
mod sessions;
mod static_roles;
mod stored;
mod storms;
mod walkthrough;
