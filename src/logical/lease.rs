//! A leased response, and the times of its lease.

use std::fmt;
use std::time::Duration;

use time::OffsetDateTime;

use super::JsonObject;

/// What the host keeps of a leased response, and sends back to renew and revoke it.
#[derive(Clone, Default, PartialEq)]
pub struct Secret {
    /// The times of the lease.
    pub lease: LeaseOptions,
    /// What the engine needs to renew and revoke. Kept by the host, never shown to clients.
    pub internal_data: JsonObject,
    /// Set by the host on renew and revoke.
    pub lease_id: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret")
            .field("lease", &self.lease)
            .field("lease_id", &self.lease_id)
            .finish_non_exhaustive()
    }
}

/// The times of a lease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseOptions {
    /// Wished lifetime; zero takes the mount's default.
    pub ttl: Duration,
    /// Wished limit of all renewals together; zero takes the mount's maximum.
    pub max_ttl: Duration,
    /// Whether the host may ask to renew it.
    pub renewable: bool,
    /// On renew: the extension that the client asked for; zero if it named none.
    pub increment: Duration,
    /// On renew and revoke: when the lease was issued.
    pub issue_time: Option<OffsetDateTime>,
}
