//! The host's way to end the process. It waits for the answer without limit and then two seconds
//! for the process, before it kills it.

use tonic::{Request, Response, Status};

use super::Shutdown;
use crate::pb::plugin::Empty;
use crate::pb::plugin::grpc_controller_server::{GrpcController, GrpcControllerServer};

/// The gRPC service.
pub(super) fn service(shutdown: Shutdown) -> GrpcControllerServer<impl GrpcController> {
    GrpcControllerServer::new(Controller { shutdown })
}

struct Controller {
    shutdown: Shutdown,
}

#[tonic::async_trait]
impl GrpcController for Controller {
    async fn shutdown(&self, _request: Request<Empty>) -> Result<Response<Empty>, Status> {
        self.shutdown.begin();
        Ok(Response::new(Empty {}))
    }
}
