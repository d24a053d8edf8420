//! The broker: the host numbers the services that it serves for us, says on one long stream where
//! each of them listens, and we dial it. In a session, the same stream carries our knocks.

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use tokio::sync::{Notify, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::Shutdown;
use super::channel::{Channel, Way};
use super::door::Door;
use super::tls::MutualTls;
use crate::pb::plugin::ConnInfo;
use crate::pb::plugin::grpc_broker_server::{GrpcBroker, GrpcBrokerServer};

/// How long an address is waited for, and how long one that nobody asks for is kept, as in
/// go-plugin.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a brokered service cannot be reached.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The host did not say where the service is.
    #[error("the host did not say within 5 seconds where its brokered service {0} listens")]
    NoAddress(u32),

    /// The host serves on something else than a Unix socket.
    #[error("the host's brokered service listens on network {0:?}, only \"unix\" is known")]
    Network(String),
}

/// The addresses of the host's services, and the way to them.
pub struct Broker {
    tls: Arc<MutualTls>,
    /// Addresses that nobody has asked for yet. They may come before or after the question.
    addresses: Mutex<HashMap<u32, ConnInfo>>,
    arrived: Notify,
    /// Where all connections are in one session, which has no addresses.
    door: Option<Arc<Door>>,
    /// Until the host listens.
    knocks: Mutex<Option<mpsc::Receiver<ConnInfo>>>,
}

impl Broker {
    pub(super) fn new(tls: Arc<MutualTls>) -> Self {
        Self {
            tls,
            addresses: Mutex::default(),
            arrived: Notify::new(),
            door: None,
            knocks: Mutex::default(),
        }
    }

    /// The broker of a host that wants one session. Lets the process end when its door is no longer to be
    /// trusted.
    pub(super) fn in_session(tls: Arc<MutualTls>, shutdown: Shutdown) -> Self {
        let (door, knocks) = Door::new(Arc::clone(&tls), shutdown);
        Self {
            door: Some(door),
            knocks: Mutex::new(Some(knocks)),
            ..Self::new(tls)
        }
    }

    pub(super) fn door(&self) -> Option<Arc<Door>> {
        self.door.clone()
    }

    /// A channel to the host's service of this number, once the host has said where it is. It
    /// connects with the first call, and again whenever it has lost its connection.
    pub async fn channel(&self, service_id: u32) -> Result<Channel, BrokerError> {
        if let Some(door) = self.door() {
            return Ok(Channel::new(Way::Door(door, service_id)));
        }
        let address = tokio::time::timeout(PATIENCE, self.address(service_id))
            .await
            .map_err(|_| BrokerError::NoAddress(service_id))?;
        if address.network != "unix" {
            return Err(BrokerError::Network(address.network));
        }
        let path = PathBuf::from(address.address);
        Ok(Channel::new(Way::Socket(Arc::clone(&self.tls), path)))
    }

    async fn address(&self, service_id: u32) -> ConnInfo {
        loop {
            // Listens before it looks, so that an address cannot slip through in between.
            let arrived = self.arrived.notified();
            if let Some(address) = self.take(service_id) {
                return address;
            }
            arrived.await;
        }
    }

    fn take(&self, service_id: u32) -> Option<ConnInfo> {
        // Nothing can panic while the lock is held, and nothing awaits.
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&service_id)
    }

    /// Keeps an address for a while. The host never uses a number twice.
    async fn keep(self: Arc<Self>, address: ConnInfo) {
        let service_id = address.service_id;
        if let Some(door) = &self.door {
            return door.answered(service_id, address.knock.unwrap_or_default());
        }
        self.addresses
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(service_id, address);
        self.arrived.notify_waiters();
        tokio::time::sleep(PATIENCE).await;
        if self.take(service_id).is_some() {
            tracing::debug!(service_id, "dropped an address that nobody asked for");
        }
    }
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Broker").finish_non_exhaustive()
    }
}

/// The gRPC service that the host's addresses come through.
pub(super) fn service(
    broker: Arc<Broker>,
    shutdown: Shutdown,
) -> GrpcBrokerServer<impl GrpcBroker> {
    GrpcBrokerServer::new(BrokerService { broker, shutdown })
}

struct BrokerService {
    broker: Arc<Broker>,
    shutdown: Shutdown,
}

#[tonic::async_trait]
impl GrpcBroker for BrokerService {
    type StartStreamStream = Pin<Box<dyn Stream<Item = Result<ConnInfo, Status>> + Send>>;

    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        let broker = Arc::clone(&self.broker);
        let addresses = request.into_inner().take_until(self.shutdown.begun());
        let mut addresses = addresses.boxed();
        tokio::spawn(async move {
            while let Some(Ok(address)) = addresses.next().await {
                tokio::spawn(Arc::clone(&broker).keep(address));
            }
        });
        // We announce nothing: in this protocol only the host serves on brokered connections.
        let knocks = self
            .broker
            .knocks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let knocks = match knocks {
            Some(knocks) => ReceiverStream::new(knocks).map(Ok).boxed(),
            None => stream::pending().boxed(),
        };
        Ok(Response::new(
            knocks.take_until(self.shutdown.begun()).boxed(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::go_plugin::tls::testing::mutual_tls;

    fn broker() -> Arc<Broker> {
        Arc::new(Broker::new(mutual_tls()))
    }

    fn socket(service_id: u32) -> ConnInfo {
        ConnInfo {
            service_id,
            network: "unix".to_owned(),
            address: "/tmp/plugin1".to_owned(),
            knock: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_may_come_before_the_question() {
        let broker = broker();
        tokio::spawn(Arc::clone(&broker).keep(socket(1)));
        tokio::time::sleep(Duration::from_secs(1)).await;

        assert!(broker.channel(1).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_may_come_after_the_question_and_among_others() {
        let broker = broker();
        let asking = Arc::clone(&broker);
        let asking = tokio::spawn(async move { asking.channel(2).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        tokio::spawn(Arc::clone(&broker).keep(socket(1)));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!asking.is_finished());
        tokio::spawn(Arc::clone(&broker).keep(socket(2)));

        assert!(asking.await.unwrap().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_never_comes_is_waited_for_five_seconds() {
        let broker = broker();
        let started = tokio::time::Instant::now();

        let error = broker.channel(7).await.unwrap_err();

        assert_eq!(started.elapsed(), PATIENCE);
        assert!(matches!(error, BrokerError::NoAddress(7)), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_nobody_asks_for_is_dropped_after_five_seconds() {
        let broker = broker();
        tokio::spawn(Arc::clone(&broker).keep(socket(1)));
        tokio::time::sleep(PATIENCE + Duration::from_millis(1)).await;

        assert!(broker.addresses.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_that_is_not_known_is_an_error_at_once() {
        let broker = broker();
        let knock = ConnInfo {
            network: "tcp".to_owned(),
            ..socket(1)
        };
        tokio::spawn(Arc::clone(&broker).keep(knock));

        let error = broker.channel(1).await.unwrap_err();

        assert!(
            matches!(&error, BrokerError::Network(name) if name == "tcp"),
            "{error}"
        );
    }
}
