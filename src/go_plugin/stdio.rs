//! The stream by which go-plugin carries what a plugin prints after the handshake. We print nothing.

use std::pin::Pin;

use futures_util::{Stream, StreamExt, stream};
use tonic::{Request, Response, Status};

use super::Shutdown;
use crate::pb::plugin::StdioData;
use crate::pb::plugin::grpc_stdio_server::{GrpcStdio, GrpcStdioServer};

/// The gRPC service.
pub(super) fn service(shutdown: Shutdown) -> GrpcStdioServer<impl GrpcStdio> {
    GrpcStdioServer::new(Silence { shutdown })
}

struct Silence {
    shutdown: Shutdown,
}

#[tonic::async_trait]
impl GrpcStdio for Silence {
    type StreamStdioStream = Pin<Box<dyn Stream<Item = Result<StdioData, Status>> + Send>>;

    async fn stream_stdio(
        &self,
        _request: Request<()>,
    ) -> Result<Response<Self::StreamStdioStream>, Status> {
        Ok(Response::new(
            stream::pending().take_until(self.shutdown.begun()).boxed(),
        ))
    }
}
