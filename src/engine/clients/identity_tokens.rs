//! Identity tokens: of the host (Vault Enterprise), or of the mount itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::aws::{IdentityTokenSource, TokenSourceError};
use crate::engine::identity::{Claims, Identity};
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

/// Identity tokens that the mount signs itself.
#[derive(Debug)]
pub(super) struct MountTokens {
    pub(super) identity: Arc<Identity>,
    pub(super) claims: Claims,
}

#[async_trait]
impl IdentityTokenSource for MountTokens {
    async fn identity_token(&self) -> Result<SecretString, TokenSourceError> {
        let signed = self.identity.token(&self.claims).await;
        signed.map_err(|error| TokenSourceError::new(error.to_string()))
    }
}

/// One identity token, to see whether AWS takes it.
pub(super) struct OneToken(pub(super) SecretString);

#[async_trait]
impl IdentityTokenSource for OneToken {
    async fn identity_token(&self) -> Result<SecretString, TokenSourceError> {
        Ok(self.0.clone())
    }
}

impl fmt::Debug for OneToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneToken")
    }
}
