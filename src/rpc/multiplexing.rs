//! `pluginutil.multiplexing.PluginMultiplexing`: one process may serve several mounts.

use tonic::{Request, Response, Status};

use crate::pb::multiplexing::plugin_multiplexing_server::{
    PluginMultiplexing, PluginMultiplexingServer,
};
use crate::pb::multiplexing::{MultiplexingSupportRequest, MultiplexingSupportResponse};

/// The gRPC service.
pub(super) fn service() -> PluginMultiplexingServer<impl PluginMultiplexing> {
    PluginMultiplexingServer::new(Supported)
}

struct Supported;

#[tonic::async_trait]
impl PluginMultiplexing for Supported {
    async fn multiplexing_support(
        &self,
        _request: Request<MultiplexingSupportRequest>,
    ) -> Result<Response<MultiplexingSupportResponse>, Status> {
        Ok(Response::new(MultiplexingSupportResponse {
            supported: true,
        }))
    }
}
