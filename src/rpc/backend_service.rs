//! `pb.Backend`: each call finds its instance, translates, runs detached in a span of its own, and
//! translates back.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::timeout_at;
use tonic::{Request, Response, Status};
use tracing::{Instrument, Span, error_span};

use super::host_channel::HostChannel;
use super::instances::{self, Instance, Instances, MultiplexId};
use super::storage::RemoteStorage;
use super::system_view::RemoteSystemView;
use super::{MAX_MESSAGE, time_limit, translate, unread};
use crate::go_plugin::{Broker, Shutdown};
use crate::logical::{self, BackendConfig, Error, Factory, Operation};
use crate::memory;
use crate::pb::backend::backend_server::{Backend, BackendServer};
use crate::pb::backend::{
    Empty, HandleExistenceCheckArgs, HandleExistenceCheckReply, HandleRequestArgs,
    HandleRequestReply, InitializeArgs, InitializeReply, InvalidateKeyArgs, SetupArgs, SetupReply,
    SpecialPathsReply, TypeReply,
};

/// `TypeReply` of a secrets engine.
const SECRETS_ENGINE: u32 = 1;

/// The gRPC service.
pub(super) fn service(
    factory: Arc<dyn Factory>,
    broker: Arc<Broker>,
    shutdown: Shutdown,
) -> BackendServer<impl Backend> {
    BackendServer::new(BackendService {
        factory,
        broker,
        shutdown,
        instances: Instances::default(),
    })
    .max_decoding_message_size(MAX_MESSAGE)
    .max_encoding_message_size(MAX_MESSAGE)
}

struct BackendService {
    factory: Arc<dyn Factory>,
    broker: Arc<Broker>,
    shutdown: Shutdown,
    instances: Instances,
}

#[tonic::async_trait]
impl Backend for BackendService {
    async fn setup(&self, request: Request<SetupArgs>) -> Result<Response<SetupReply>, Status> {
        let id = MultiplexId::of(request.metadata())?;
        let making = make_instance(
            request.into_inner(),
            Arc::clone(&self.factory),
            Arc::clone(&self.broker),
            self.shutdown.clone(),
        );
        let made = self.shutdown.spawn(making.instrument(error_span!("setup")));
        let made = made
            .await
            .unwrap_or_else(|_| Err(instances::PANICKED.to_owned()));
        let made = made.map(|instance| {
            if let Some(replaced) = self.instances.insert(id, instance) {
                self.shutdown.spawn(async move { replaced.close().await });
            }
        });
        Ok(Response::new(translate::setup_reply(made)))
    }

    async fn r#type(&self, _request: Request<Empty>) -> Result<Response<TypeReply>, Status> {
        Ok(Response::new(TypeReply {
            r#type: SECRETS_ENGINE,
        }))
    }

    async fn special_paths(
        &self,
        request: Request<Empty>,
    ) -> Result<Response<SpecialPathsReply>, Status> {
        let backend = self.instances.find(request.metadata())?.backend();
        Ok(Response::new(SpecialPathsReply {
            paths: Some(translate::special_paths(backend.special_paths())),
        }))
    }

    async fn initialize(
        &self,
        request: Request<InitializeArgs>,
    ) -> Result<Response<InitializeReply>, Status> {
        let instance = self.instances.find(request.metadata())?;
        let (backend, storage) = (instance.backend(), instance.storage());
        let outcome = instance
            .run(error_span!("initialize"), async move {
                backend.initialize(storage).await
            })
            .await;
        Ok(Response::new(translate::initialize_reply(outcome)))
    }

    async fn handle_existence_check(
        &self,
        request: Request<HandleExistenceCheckArgs>,
    ) -> Result<Response<HandleExistenceCheckReply>, Status> {
        let instance = self.instances.find(request.metadata())?;
        let told = time_limit::of(request.metadata());
        let storage = instance.storage_of(request.metadata());
        let request = present(request.into_inner().request)?;
        let outcome = match translate::request(request, told, storage) {
            Ok(request) => {
                let (span, backend) = (request_span(&request), instance.backend());
                let check = async move { backend.handle_existence_check(request).await };
                instance.run(span, check).await
            }
            Err(error) => Err(error),
        };
        Ok(Response::new(translate::existence_check_reply(outcome)))
    }

    async fn handle_request(
        &self,
        request: Request<HandleRequestArgs>,
    ) -> Result<Response<HandleRequestReply>, Status> {
        let instance = self.instances.find(request.metadata())?;
        let told = time_limit::of(request.metadata());
        let storage = instance.storage_of(request.metadata());
        let request = present(request.into_inner().request)?;
        let outcome = match translate::request(request, told, storage) {
            Ok(request) => {
                let (span, backend) = (request_span(&request), instance.backend());
                let (reply, replied) = oneshot::channel();
                let _line = request.caller.line();
                let answer_by = request.caller.answer_by();
                let handle = async move {
                    let asked = request.without_content();
                    let outcome = backend.handle_request(request).await;
                    report(&outcome);
                    if asked.operation == Operation::Rollback {
                        // The host's timer, once a minute for each mount.
                        memory::give_back();
                    }
                    unread::deliver(outcome, reply, asked, &*backend).await;
                    Ok(())
                };
                let handled = instance.run(span, handle);
                let answered = async {
                    // Without an outcome it has panicked, and the work says so.
                    tokio::select! {
                        Ok(outcome) = replied => outcome,
                        Err(error) = handled => Err(error),
                        else => Err(instances::panicked()),
                    }
                };
                timeout_at(answer_by, answered)
                    .await
                    .unwrap_or_else(|_| Err(too_late()))
            }
            Err(error) => Err(error),
        };
        Ok(Response::new(translate::handle_request_reply(outcome)))
    }

    async fn invalidate_key(
        &self,
        request: Request<InvalidateKeyArgs>,
    ) -> Result<Response<Empty>, Status> {
        let instance = self.instances.find(request.metadata())?;
        let backend = instance.backend();
        let key = request.into_inner().key;
        let span = error_span!("invalidate_key", key);
        let forget = async move {
            backend.invalidate_key(&key).await;
            Ok(())
        };
        // The host does not look at the answer, and a panic is in the log already.
        let _ = instance.run(span, forget).await;
        Ok(Response::new(Empty {}))
    }

    async fn cleanup(&self, request: Request<Empty>) -> Result<Response<Empty>, Status> {
        let id = MultiplexId::of(request.metadata())?;
        if let Some(instance) = self.instances.remove(&id) {
            let closing = async move { instance.close().await };
            // Goes on if the host hangs up; a panic is in the log already.
            let _ = self.shutdown.spawn(closing).await;
        }
        Ok(Response::new(Empty {}))
    }
}

/// Makes the instance of a mount. Nothing is asked of the host: at registration it has neither
/// storage nor system view, and the connection is made with the first call.
async fn make_instance(
    args: SetupArgs,
    factory: Arc<dyn Factory>,
    broker: Arc<Broker>,
    shutdown: Shutdown,
) -> Result<Instance, String> {
    let channel = broker.channel(args.broker_id).await;
    let host = HostChannel::new(channel.map_err(|error| error.to_string())?);
    let host = Arc::new(host);
    let storage = Arc::new(RemoteStorage::new(Arc::clone(&host)));
    let config = BackendConfig {
        storage: Arc::<RemoteStorage>::clone(&storage),
        system: Arc::new(RemoteSystemView::new(Arc::clone(&host))),
        backend_uuid: args.backend_uuid,
        config: args.config.into_iter().collect(),
    };
    let backend = factory.create(config).await;
    let backend = backend.map_err(|error| error.to_string())?;
    Ok(Instance::new(backend, storage, host, shutdown))
}

/// Everything that takes long ends by itself before this: AWS's calls have the caller's time.
fn too_late() -> Error {
    Error::internal(
        "the request took too long, and is undone: see the server's log for what held it up",
    )
}

fn present<T>(request: Option<T>) -> Result<T, Status> {
    request.ok_or_else(|| Status::invalid_argument("the call has no request in it"))
}

/// At the highest level, so that every message about the request names it.
fn request_span(request: &logical::Request) -> Span {
    error_span!(
        "request",
        request_id = request.id,
        operation = %request.operation,
        path = request.path,
        mount = request.mount_point,
    )
}

/// Says how a request ended, never what was in it.
fn report(outcome: &Result<Option<logical::Response>, Error>) {
    match outcome {
        Ok(_) => tracing::debug!("request done"),
        // OpenBao asks for an operation of its own, `resolve-path`, before every request.
        Err(error @ Error::UnsupportedOperation) => tracing::trace!(%error, "request refused"),
        Err(error @ Error::Internal(_)) => tracing::warn!(%error, "request failed"),
        Err(error) => tracing::debug!(%error, "request refused"),
    }
}
