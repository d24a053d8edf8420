//! Whether AWS accepts the credentials of `config/root`, seen by each call that is signed with them.
//!
//! AWS has many front ends, and each learns by itself of a new access key. So in the first seconds
//! of a key a refusal says little, and the call is repeated. Later it may say that the credentials
//! in memory are not the stored ones any more, so it is noted down for the cache to look.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep};

use crate::aws::{
    AccessKey, AccessKeyId, AccessKeyMetadata, AccessKeyStatus, Arn, AssumeRole, AssumedRole,
    CallerIdentity, CertificateId, ClientConfig, Connector, CreateUser, Error, ErrorKind,
    FederatedUser, GetFederationToken, GetSessionToken, GroupName, Iam, MfaSerialNumber,
    PolicyName, Road, RoleName, ServiceSpecificCredentialId, SessionCredentials,
    SimulatePrincipalPolicy, Simulated, SshPublicKeyId, Sts, User, UserName,
};

/// How long after a key came into use a front end may not know it yet. Before it did, others knew
/// it several times in a row.
const YOUTH: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(500);

/// What AWS says of the credentials of one configuration.
#[derive(Debug, Default)]
pub(super) struct Acceptance {
    /// Set for a key that was made just now.
    young_until: OnceLock<Instant>,
    refused: AtomicBool,
}

impl Acceptance {
    /// A key that AWS has just made comes into use.
    pub(super) fn begin(&self) {
        // Set once: a key comes into use once.
        let _ = self.young_until.set(Instant::now() + YOUTH);
        self.refused.store(false, Ordering::Relaxed);
    }

    /// Whether AWS refused the credentials since storage was looked at.
    pub(super) fn is_doubtful(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Storage has the same credentials.
    pub(super) fn confirm(&self) {
        self.refused.store(false, Ordering::Relaxed);
    }

    async fn watch<'a, T>(
        &self,
        send: impl Fn() -> BoxFuture<'a, Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        loop {
            match send().await {
                Err(error) if error.kind() == ErrorKind::InvalidCredentials => {
                    let young_until = self.young_until.get();
                    if young_until.is_none_or(|until| Instant::now() + PAUSE > *until) {
                        self.refused.store(true, Ordering::Relaxed);
                        return Err(error);
                    }
                    sleep(PAUSE).await;
                }
                other => return other,
            }
        }
    }
}

/// Opens clients that are watched.
#[derive(Debug)]
pub(super) struct WatchedConnector {
    pub(super) connector: Arc<dyn Connector>,
    pub(super) acceptance: Arc<Acceptance>,
}

impl Connector for WatchedConnector {
    fn iam(&self, config: &ClientConfig) -> Result<Arc<dyn Iam>, Error> {
        Ok(Arc::new(Watched {
            client: self.connector.iam(config)?,
            acceptance: Arc::clone(&self.acceptance),
        }))
    }

    fn sts(&self, config: &ClientConfig) -> Result<Arc<dyn Sts>, Error> {
        Ok(Arc::new(Watched {
            client: self.connector.sts(config)?,
            acceptance: Arc::clone(&self.acceptance),
        }))
    }

    fn road_to_iam(&self, config: &ClientConfig) -> Road {
        self.connector.road_to_iam(config)
    }

    fn road_to_sts(&self, config: &ClientConfig) -> Road {
        self.connector.road_to_sts(config)
    }
}

#[derive(Debug)]
struct Watched<C: ?Sized> {
    client: Arc<C>,
    acceptance: Arc<Acceptance>,
}

#[async_trait]
impl Sts for Watched<dyn Sts> {
    async fn get_caller_identity(&self) -> Result<CallerIdentity, Error> {
        let send = || self.client.get_caller_identity();
        self.acceptance.watch(send).await
    }

    async fn assume_role(&self, request: AssumeRole) -> Result<AssumedRole, Error> {
        let send = || self.client.assume_role(request.clone());
        self.acceptance.watch(send).await
    }

    async fn get_federation_token(
        &self,
        request: GetFederationToken,
    ) -> Result<FederatedUser, Error> {
        let send = || self.client.get_federation_token(request.clone());
        self.acceptance.watch(send).await
    }

    async fn get_session_token(
        &self,
        request: GetSessionToken,
    ) -> Result<SessionCredentials, Error> {
        let send = || self.client.get_session_token(request.clone());
        self.acceptance.watch(send).await
    }
}

/// Every call of IAM but the one whose request is not borrowed.
macro_rules! watched {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)+) => {
        #[async_trait]
        impl Iam for Watched<dyn Iam> {
            async fn create_user(&self, request: CreateUser) -> Result<User, Error> {
                let send = || self.client.create_user(request.clone());
                self.acceptance.watch(send).await
            }

            $(async fn $name(&self $(, $argument: $type)*) -> Result<$answer, Error> {
                let send = || self.client.$name($($argument),*);
                self.acceptance.watch(send).await
            })+
        }
    };
}

watched! {
    get_user(name: Option<&UserName>) -> User;
    list_users() -> Vec<User>;
    delete_user(name: &UserName) -> ();
    create_access_key(name: &UserName) -> AccessKey;
    delete_access_key(name: &UserName, id: &AccessKeyId) -> ();
    update_access_key(name: &UserName, id: &AccessKeyId, status: AccessKeyStatus) -> ();
    list_access_keys(name: &UserName) -> Vec<AccessKeyMetadata>;
    attach_user_policy(name: &UserName, policy: &Arn) -> ();
    detach_user_policy(name: &UserName, policy: &Arn) -> ();
    list_attached_user_policies(name: &UserName) -> Vec<Arn>;
    put_user_policy(name: &UserName, policy: &PolicyName, document: &str) -> ();
    delete_user_policy(name: &UserName, policy: &PolicyName) -> ();
    list_user_policies(name: &UserName) -> Vec<PolicyName>;
    add_user_to_group(group: &GroupName, name: &UserName) -> ();
    remove_user_from_group(group: &GroupName, name: &UserName) -> ();
    list_groups_for_user(name: &UserName) -> Vec<GroupName>;
    list_attached_group_policies(group: &GroupName) -> Vec<Arn>;
    list_group_policies(group: &GroupName) -> Vec<PolicyName>;
    get_group_policy(group: &GroupName, policy: &PolicyName) -> String;
    get_user_policy(name: &UserName, policy: &PolicyName) -> String;
    put_role_policy(role: &RoleName, policy: &PolicyName, document: &str) -> ();
    get_role_policy(role: &RoleName, policy: &PolicyName) -> String;
    delete_role_policy(role: &RoleName, policy: &PolicyName) -> ();
    list_role_policies(role: &RoleName) -> Vec<PolicyName>;
    delete_login_profile(name: &UserName) -> ();
    list_mfa_devices(name: &UserName) -> Vec<MfaSerialNumber>;
    deactivate_mfa_device(name: &UserName, serial: &MfaSerialNumber) -> ();
    delete_virtual_mfa_device(serial: &MfaSerialNumber) -> ();
    list_ssh_public_keys(name: &UserName) -> Vec<SshPublicKeyId>;
    delete_ssh_public_key(name: &UserName, id: &SshPublicKeyId) -> ();
    list_signing_certificates(name: &UserName) -> Vec<CertificateId>;
    delete_signing_certificate(name: &UserName, id: &CertificateId) -> ();
    list_service_specific_credentials(name: &UserName) -> Vec<ServiceSpecificCredentialId>;
    delete_service_specific_credential(name: &UserName, id: &ServiceSpecificCredentialId) -> ();
    simulate_principal_policy(request: &SimulatePrincipalPolicy) -> Vec<Simulated>;
}
