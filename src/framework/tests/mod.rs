//! The rules of the framework, shown on a coupon shop.

mod decoding;
mod help;
mod leases;
mod requests;
mod rollback;
mod shop;

use std::sync::Arc;

use serde_json::Value;

use self::shop::{Shop, declaration};
use super::{Answer, Backend, Declaration};
use crate::logical::testing::{InMemoryStorage, StaticSystemView};
use crate::logical::{Backend as _, Error, JsonObject, Operation, Request, Response};

/// One mount of the shop, and all that surrounds it.
struct Mount {
    backend: Backend<Shop>,
    shop: Arc<Shop>,
    storage: Arc<InMemoryStorage>,
}

impl Mount {
    fn new() -> Self {
        Self::on(StaticSystemView::default())
    }

    fn on(system: StaticSystemView) -> Self {
        Self::of(declaration(), system)
    }

    fn of(declaration: Declaration<Shop>, system: StaticSystemView) -> Self {
        let shop = Arc::new(Shop::default());
        Self {
            backend: Backend::new(
                Arc::new(declaration),
                Arc::clone(&shop),
                Arc::new(system),
                Arc::clone(&shop.clock) as Arc<_>,
            ),
            shop,
            storage: Arc::default(),
        }
    }

    fn request(&self, operation: Operation, path: &str, data: Value) -> Request {
        let mut request = Request::new(operation, path, Arc::clone(&self.storage) as Arc<_>);
        request.data = object(data);
        request
    }

    async fn send(&self, operation: Operation, path: &str, data: Value) -> Answer {
        self.backend
            .handle_request(self.request(operation, path, data))
            .await
    }

    /// Sends a request that must be answered with something.
    async fn ask(&self, operation: Operation, path: &str, data: Value) -> Response {
        self.send(operation, path, data).await.unwrap().unwrap()
    }

    /// Sends a request that must fail.
    async fn fail(&self, operation: Operation, path: &str, data: Value) -> Error {
        self.send(operation, path, data).await.unwrap_err()
    }

    async fn exists(&self, path: &str, data: Value) -> Result<Option<bool>, Error> {
        self.backend
            .handle_existence_check(self.request(Operation::Update, path, data))
            .await
    }

    /// What happened outside since the last call.
    fn journal(&self) -> Vec<String> {
        std::mem::take(&mut *self.shop.journal.lock().unwrap())
    }
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}
