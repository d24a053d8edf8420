//! The host's system view of one mount (`pb.SystemView`).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tonic::{Code, Status};

use super::host_channel::{HostChannel, text};
use super::{MAX_MESSAGE, translate};
use crate::go_plugin::Channel;
use crate::logical::{
    HostError, IdentityToken, PluginEnvironment, ReplicationState, RotationJob, SystemView,
};
use crate::pb::backend::system_view_client::SystemViewClient;
use crate::pb::backend::{
    DeregisterRotationJobRequest, DeregisterRotationRequestInput, Empty,
    GenerateIdentityTokenRequest, RegisterRotationJobRequest,
};

/// A system view on the other end of a channel.
pub(super) struct RemoteSystemView {
    host: Arc<HostChannel>,
}

impl RemoteSystemView {
    pub(super) fn new(host: Arc<HostChannel>) -> Self {
        Self { host }
    }
}

#[async_trait]
impl SystemView for RemoteSystemView {
    async fn default_lease_ttl(&self) -> Result<Duration, HostError> {
        let call = |channel| async move { client(channel).default_lease_ttl(Empty {}).await };
        let reply = self.host.call(call).await;
        let reply = reply.map_err(failed("DefaultLeaseTTL"))?;
        Ok(translate::nanoseconds(reply.ttl))
    }

    async fn max_lease_ttl(&self) -> Result<Duration, HostError> {
        let call = |channel| async move { client(channel).max_lease_ttl(Empty {}).await };
        let reply = self.host.call(call).await;
        let reply = reply.map_err(failed("MaxLeaseTTL"))?;
        Ok(translate::nanoseconds(reply.ttl))
    }

    async fn tainted(&self) -> Result<bool, HostError> {
        let call = |channel| async move { client(channel).tainted(Empty {}).await };
        let reply = self.host.call(call).await.map_err(failed("Tainted"))?;
        Ok(reply.tainted)
    }

    async fn replication_state(&self) -> Result<ReplicationState, HostError> {
        let call = |channel| async move { client(channel).replication_state(Empty {}).await };
        let reply = self.host.call(call).await;
        let reply = reply.map_err(failed("ReplicationState"))?;
        Ok(ReplicationState(reply.state.cast_unsigned()))
    }

    async fn local_mount(&self) -> Result<bool, HostError> {
        let call = |channel| async move { client(channel).local_mount(Empty {}).await };
        let reply = self.host.call(call).await.map_err(failed("LocalMount"))?;
        Ok(reply.local)
    }

    async fn plugin_env(&self) -> Result<PluginEnvironment, HostError> {
        let call = |channel| async move { client(channel).plugin_env(Empty {}).await };
        let reply = self.host.call(call).await.map_err(failed("PluginEnv"))?;
        check(reply.err)?;
        Ok(PluginEnvironment {
            version: reply.plugin_environment.unwrap_or_default().vault_version,
        })
    }

    async fn generate_identity_token(
        &self,
        audience: &str,
        ttl: Duration,
    ) -> Result<IdentityToken, HostError> {
        let request = GenerateIdentityTokenRequest {
            audience: audience.to_owned(),
            ttl: translate::seconds_to_wire(ttl),
        };
        let call = |channel| async move { client(channel).generate_identity_token(request).await };
        let reply = self.host.call(call).await;
        let reply = reply.map_err(failed("GenerateIdentityToken"))?;
        Ok(IdentityToken {
            token: reply.token.into(),
            ttl: translate::seconds(reply.ttl),
        })
    }

    async fn register_rotation_job(&self, job: RotationJob) -> Result<String, HostError> {
        let request = RegisterRotationJobRequest {
            job: Some(translate::rotation_job_to_wire(job)),
        };
        let call = |channel| async move { client(channel).register_rotation_job(request).await };
        let reply = self.host.call(call).await;
        let reply = reply.map_err(failed("RegisterRotationJob"))?;
        check(reply.err)?;
        Ok(reply.rotation_id)
    }

    async fn deregister_rotation_job(
        &self,
        mount_point: &str,
        path: &str,
    ) -> Result<(), HostError> {
        let request = DeregisterRotationJobRequest {
            req: Some(DeregisterRotationRequestInput {
                mount_point: mount_point.to_owned(),
                req_path: path.to_owned(),
            }),
        };
        let call = |channel| async move { client(channel).deregister_rotation_job(request).await };
        let reply = self.host.call(call).await;
        reply.map_err(failed("DeregisterRotationJob"))?;
        Ok(())
    }
}

fn client(channel: Channel) -> SystemViewClient<Channel> {
    SystemViewClient::with_origin(channel, Channel::origin())
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE)
}

fn failed(method: &'static str) -> impl Fn(Status) -> HostError {
    move |status| match status.code() {
        Code::Unimplemented => HostError::Unsupported(method),
        _ => HostError::Failed(text(&status)),
    }
}

fn check(err: String) -> Result<(), HostError> {
    if err.is_empty() {
        Ok(())
    } else {
        Err(HostError::Failed(err))
    }
}
