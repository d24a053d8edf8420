//! Identity tokens of the host (Vault Enterprise).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::aws::{IdentityTokenSource, TokenSourceError};
use crate::logical::SystemView;
use crate::secret::SecretString;

/// Identity tokens that the host mints for this mount.
pub(super) struct HostTokens {
    pub(super) system: Arc<dyn SystemView>,
    pub(super) audience: String,
    pub(super) ttl: Duration,
}

#[async_trait]
impl IdentityTokenSource for HostTokens {
    async fn identity_token(&self) -> Result<SecretString, TokenSourceError> {
        self.system
            .generate_identity_token(&self.audience, self.ttl)
            .await
            .map(|answer| answer.token)
            .map_err(|error| {
                TokenSourceError::new(format!("failed to generate plugin identity token: {error}"))
            })
    }
}

impl fmt::Debug for HostTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostTokens")
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}
