//! What the host tells of itself and of the mount.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;

/// The host's system view of one mount (`pb.SystemView`).
#[async_trait]
pub trait SystemView: Send + Sync + 'static {
    /// The mount's default lease TTL.
    async fn default_lease_ttl(&self) -> Result<Duration, HostError>;

    /// The mount's maximum lease TTL.
    async fn max_lease_ttl(&self) -> Result<Duration, HostError>;

    /// Whether the mount is being removed.
    async fn tainted(&self) -> Result<bool, HostError>;

    /// The node's part in replication.
    async fn replication_state(&self) -> Result<ReplicationState, HostError>;

    /// Whether the mount is kept on this cluster only.
    async fn local_mount(&self) -> Result<bool, HostError>;

    /// The host's version.
    async fn plugin_env(&self) -> Result<PluginEnvironment, HostError>;

    /// A JWT of the host that names this mount (plugin workload identity; Vault Enterprise).
    /// `ttl` of zero leaves the choice to the host.
    async fn generate_identity_token(
        &self,
        audience: &str,
        ttl: Duration,
    ) -> Result<IdentityToken, HostError>;

    /// Asks the host's rotation manager to call us (Vault Enterprise).
    async fn register_rotation_job(&self, job: RotationJob) -> Result<String, HostError>;

    /// Takes a job off the host's rotation manager.
    async fn deregister_rotation_job(&self, mount_point: &str, path: &str)
    -> Result<(), HostError>;
}

/// Why the host did not do what we asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// The host has no such call: a missing feature, never a failed request.
    #[error("this host does not offer {0}")]
    Unsupported(&'static str),

    /// The host's own text.
    #[error("{0}")]
    Failed(String),
}

/// A host without the call answers what a host without the feature would.
pub fn if_offered<T: Default>(answer: Result<T, HostError>) -> Result<T, HostError> {
    match answer {
        Err(HostError::Unsupported(_)) => Ok(T::default()),
        other => other,
    }
}

/// A node's part in replication: a set of bits (`consts.ReplicationState`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicationState(pub u32);

impl ReplicationState {
    const PERFORMANCE_SECONDARY: u32 = 1 << 6;
    const DR_SECONDARY: u32 = 1 << 9;
    const PERFORMANCE_STANDBY: u32 = 1 << 14;

    /// A secondary cluster of performance replication.
    pub fn is_performance_secondary(self) -> bool {
        self.0 & Self::PERFORMANCE_SECONDARY != 0
    }

    /// A secondary cluster of disaster recovery.
    pub fn is_dr_secondary(self) -> bool {
        self.0 & Self::DR_SECONDARY != 0
    }

    /// A standby that answers reads.
    pub fn is_performance_standby(self) -> bool {
        self.0 & Self::PERFORMANCE_STANDBY != 0
    }
}

/// The host's version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginEnvironment {
    /// Such as `1.21.1` or `2.7.2`.
    pub version: String,
}

/// A JWT that the host minted.
#[derive(Clone)]
pub struct IdentityToken {
    /// The JWT.
    pub token: SecretString,
    /// How long it is good for.
    pub ttl: Duration,
}

impl fmt::Debug for IdentityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdentityToken")
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

/// A rotation that the host's rotation manager is asked to trigger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RotationJob {
    /// A name for logs.
    pub name: String,
    /// The mount, with trailing slash.
    pub mount_point: String,
    /// The path that is rotated.
    pub path: String,
    /// Cron expression; excludes `period`.
    pub schedule: String,
    /// How long after a scheduled time a rotation may still start; zero is without limit.
    pub window: Duration,
    /// Time from one rotation to the next; excludes `schedule`.
    pub period: Duration,
    /// Name of a rotation policy of the host.
    pub policy: String,
}
