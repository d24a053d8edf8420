//! `logical.PluginVersion`: the version that the host compares, as text, with the registered one.

use tonic::{Request, Response, Status};

use crate::pb::logical::plugin_version_server::{PluginVersion, PluginVersionServer};
use crate::pb::logical::{Empty, VersionReply};

/// Hosts keep versions with a leading `v`.
const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// The gRPC service.
pub(super) fn service() -> PluginVersionServer<impl PluginVersion> {
    PluginVersionServer::new(Version)
}

struct Version;

#[tonic::async_trait]
impl PluginVersion for Version {
    async fn version(&self, _request: Request<Empty>) -> Result<Response<VersionReply>, Status> {
        Ok(Response::new(VersionReply {
            plugin_version: VERSION.to_owned(),
        }))
    }
}
