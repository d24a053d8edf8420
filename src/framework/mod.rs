//! A secrets engine from declarations: paths with typed fields, leases, the write-ahead log,
//! help texts and the OpenAPI document.
//!
//! It knows nothing of AWS nor of gRPC; an engine of another kind could be written on it unchanged.
//! May depend on: [`crate::logical`] and the leaves.

mod field;
mod field_type;
#[cfg(any(test, feature = "test-util"))]
pub(crate) mod fuzzing;
mod help;
mod openapi;
mod path;
pub mod pattern;
mod rollback;
mod secret_type;
#[cfg(any(test, feature = "test-util"))]
pub mod testing;
mod unknown;
pub mod wal;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::Mutex;

pub use field::{Field, FieldData, FieldSchema};
pub use field_type::{FieldType, FieldValue};
pub use path::{Answer, OperationDocs, Path, PathDocs, ResponseField};
pub use secret_type::{SecretType, leased_response};

use self::path::Route;
use self::pattern::{Captures, PatternError};
use crate::caller::Caller;
use crate::clock::Clock;
use crate::logical::{
    self, Error, JsonObject, Operation, READ_ONLY_STORAGE, Request, Response, SpecialPaths,
    Storage, SystemView, if_offered,
};

/// What an engine does beside answering its paths. Every method may be left out.
#[async_trait]
pub trait Lifecycle: Send + Sync + 'static {
    /// Storage is writable for the first time.
    async fn initialize(self: Arc<Self>, _storage: Arc<dyn Storage>) -> Result<(), Error> {
        Ok(())
    }

    /// The host's timer: about once a minute on the active node.
    async fn periodic(
        self: Arc<Self>,
        _storage: Arc<dyn Storage>,
        _caller: Caller,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// Undoes the work that a WAL entry speaks of.
    async fn roll_back(
        self: Arc<Self>,
        _storage: Arc<dyn Storage>,
        _caller: Caller,
        _entry: wal::WalEntry,
    ) -> Result<Undone, Error> {
        Err(Error::internal("unknown type to rollback"))
    }

    /// Whether an entry need not wait for the age of all others, because nobody works on it any more.
    fn is_abandoned(&self, _entry: &wal::WalEntry) -> bool {
        false
    }

    /// The host's timer has looked at the write-ahead log.
    fn looked_at_wal(&self, _look: wal::Look) {}

    /// Another node changed what is stored under `key`.
    async fn invalidate_key(&self, _key: &str) {}

    /// The host's rotation manager says that it is time (Vault Enterprise).
    async fn rotate(self: Arc<Self>, _request: Request) -> Answer {
        Err(Error::UnsupportedOperation)
    }

    /// The mount goes away. Storage may be gone already.
    async fn cleanup(self: Arc<Self>, _storage: Arc<dyn Storage>) {}
}

/// What became of work that is rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undone {
    /// Nothing is left, and the entry goes.
    Certainly,
    /// Nothing is seen now, but it is too early to be sure: the entry stays.
    LookAgain,
}

/// All that an engine declares, shared by its mounts.
pub struct Declaration<S> {
    routes: Vec<Route<S>>,
    secret_types: Vec<SecretType<S>>,
    description: &'static str,
    operation_prefix: &'static str,
    special_paths: SpecialPaths,
    wal_rollback_min_age: Duration,
}

impl<S: Lifecycle> Declaration<S> {
    /// Compiles the paths. `description` is the engine's own help text.
    pub fn new(
        description: &'static str,
        paths: Vec<Path<S>>,
        secret_types: Vec<SecretType<S>>,
    ) -> Result<Self, PatternError> {
        Ok(Self {
            routes: paths
                .into_iter()
                .map(Path::compile)
                .collect::<Result<_, _>>()?,
            secret_types,
            description,
            operation_prefix: "",
            special_paths: SpecialPaths::default(),
            wal_rollback_min_age: Duration::from_mins(10),
        })
    }

    /// Sets what operation ids of the OpenAPI document begin with; the type that the engine is
    /// mounted as if not set.
    #[must_use]
    pub fn operation_prefix(mut self, prefix: &'static str) -> Self {
        self.operation_prefix = prefix;
        self
    }

    /// Sets the paths that the host treats in a special way.
    #[must_use]
    pub fn special_paths(mut self, special_paths: SpecialPaths) -> Self {
        self.special_paths = special_paths;
        self
    }

    /// Sets how old a WAL entry must be before it is rolled back; ten minutes if not set.
    #[must_use]
    pub fn wal_rollback_min_age(mut self, age: Duration) -> Self {
        self.wal_rollback_min_age = age;
        self
    }

    /// The keys that the answer to `operation` on `path` may hold; `None` when nothing answers it.
    pub fn response_fields(
        &self,
        operation: &Operation,
        path: &str,
    ) -> Option<&'static [ResponseField]> {
        let (route, _) = self.route(path).ok()?;
        let (_, docs) = route.operation(operation)?;
        Some(docs.response)
    }

    fn route(&self, path: &str) -> Result<(&Route<S>, Captures), Error> {
        self.routes
            .iter()
            .find_map(|route| Some((route, route.pattern.captures(path)?)))
            .ok_or(Error::UnsupportedPath)
    }
}

impl<S> fmt::Debug for Declaration<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.routes.iter().map(|route| route.pattern.template()))
            .finish()
    }
}

/// One mount of a declared engine.
pub struct Backend<S> {
    declaration: Arc<Declaration<S>>,
    state: Arc<S>,
    system: Arc<dyn SystemView>,
    clock: Arc<dyn Clock>,
    /// Whether the host has said that this node is no standby.
    active: AtomicBool,
    rolling_back: Mutex<()>,
}

impl<S: Lifecycle> Backend<S> {
    /// A mount with its own state.
    pub fn new(
        declaration: Arc<Declaration<S>>,
        state: Arc<S>,
        system: Arc<dyn SystemView>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            declaration,
            state,
            system,
            clock,
            active: AtomicBool::new(false),
            rolling_back: Mutex::new(()),
        }
    }

    async fn handle(&self, mut request: Request) -> Answer {
        let state = Arc::clone(&self.state);
        match request.operation {
            Operation::Renew => {
                let (found, secret) =
                    secret_type::find(&self.declaration.secret_types, &mut request)?;
                found.renew(state, request, secret).await
            }
            Operation::Revoke => {
                let (found, secret) =
                    secret_type::find(&self.declaration.secret_types, &mut request)?;
                found.revoke(state, request, secret).await
            }
            Operation::Rollback => {
                // Hosts send it to standbys, too, which would take the active node's work for that of
                // a life that has ended.
                if self.is_standby().await? {
                    return Ok(None);
                }
                // The host gives up a tick after a while and sends the next while ours goes on.
                let Ok(_alone) = self.rolling_back.try_lock() else {
                    return Ok(None);
                };
                let youngest = self.clock.now() - self.declaration.wal_rollback_min_age;
                rollback::run(&state, &request, youngest).await?;
                Ok(None)
            }
            Operation::Rotate => state.rotate(request).await,
            Operation::Help => self.help(&request).await,
            _ => self.answer(request).await,
        }
    }

    async fn answer(&self, mut request: Request) -> Answer {
        let (route, captures) = self.declaration.route(&request.path)?;
        let (handler, docs) = route
            .operation(&request.operation)
            .ok_or(Error::UnsupportedOperation)?;
        let active_only = docs.leased || docs.of_active_node;
        if docs.forward && self.must_forward().await? || active_only && self.is_standby().await? {
            return Err(Error::ReadOnly(READ_ONLY_STORAGE.to_owned()));
        }
        let raw = std::mem::take(&mut request.data);
        let data = FieldData::decode(raw, captures, Arc::clone(&route.fields))?;
        let unknown = data.unknown();
        // What a write does not know was meant to change something, so it is always told.
        let tell = !unknown.is_empty()
            && matches!(request.operation, Operation::Create | Operation::Update);
        if tell {
            route.refuse_unknown(&unknown)?;
        }
        let mut warnings = route.unknown(&unknown);
        warnings.extend(data.replaced());
        let answer = handler(Arc::clone(&self.state), request, data).await?;
        let answer = answer.or_else(|| tell.then(Response::default));
        Ok(answer.map(|mut response| {
            response.warnings.extend(warnings);
            response
        }))
    }

    async fn exists(&self, mut request: Request) -> Result<Option<bool>, Error> {
        let (route, captures) = self.declaration.route(&request.path)?;
        let Some(exists) = &route.exists else {
            return Ok(None);
        };
        let raw = std::mem::take(&mut request.data);
        let data = FieldData::decode(raw, captures, Arc::clone(&route.fields))?;
        exists(Arc::clone(&self.state), request, data)
            .await
            .map(Some)
    }

    /// Whether this node leaves the request to another one. A host that has the calls and fails to
    /// answer them gets an error: guessing could change the world outside from the wrong node.
    async fn must_forward(&self) -> Result<bool, Error> {
        let state = if_offered(self.system.replication_state().await)?;
        Ok(state.is_performance_standby()
            || state.is_performance_secondary() && !if_offered(self.system.local_mount().await)?)
    }

    /// Asked only until the host says no: when a node becomes a standby, the host sets its mounts up
    /// anew.
    async fn is_standby(&self) -> Result<bool, Error> {
        if self.active.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let state = if_offered(self.system.replication_state().await)?;
        let standby = state.is_performance_standby();
        self.active.store(!standby, Ordering::Relaxed);
        Ok(standby)
    }

    async fn help(&self, request: &Request) -> Answer {
        let declaration = &self.declaration;
        let path = request.path.trim_end_matches('/');
        let (text, routes) = if path.is_empty() {
            let text = help::engine(declaration.description, &declaration.routes);
            (text, declaration.routes.iter().collect())
        } else {
            let (route, _) = declaration.route(path)?;
            (help::path(path, route), vec![route])
        };
        let prefix = match declaration.operation_prefix {
            // The type of the mount, which a plugin is not told otherwise.
            "" => request
                .data
                .get("requestResponsePrefix")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            prefix => prefix,
        };
        let document = openapi::Document {
            special_paths: &declaration.special_paths,
            prefix,
            // A help without version is better than none: the host merges it into the document of
            // all its mounts, which an error would spoil.
            version: &self.system.plugin_env().await.unwrap_or_default().version,
        }
        .of(&routes);
        Ok(Some(Response::data(JsonObject::from_iter([
            ("help".to_owned(), Value::from(text)),
            ("see_also".to_owned(), Value::Null),
            ("openapi".to_owned(), document),
        ]))))
    }
}

#[async_trait]
impl<S: Lifecycle> logical::Backend for Backend<S> {
    fn special_paths(&self) -> SpecialPaths {
        self.declaration.special_paths.clone()
    }

    async fn initialize(&self, storage: Arc<dyn Storage>) -> Result<(), Error> {
        Arc::clone(&self.state).initialize(storage).await
    }

    async fn handle_request(&self, request: Request) -> Answer {
        self.handle(request).await.map_err(Error::brief)
    }

    async fn abandon(&self, mut request: Request) -> Result<(), Error> {
        let (found, secret) = secret_type::find(&self.declaration.secret_types, &mut request)?;
        let state = Arc::clone(&self.state);
        found.abandon(state, request, secret).await.map(drop)
    }

    async fn handle_existence_check(&self, request: Request) -> Result<Option<bool>, Error> {
        self.exists(request).await.map_err(Error::brief)
    }

    async fn invalidate_key(&self, key: &str) {
        self.state.invalidate_key(key).await;
    }

    async fn cleanup(&self, storage: Arc<dyn Storage>) {
        Arc::clone(&self.state).cleanup(storage).await;
    }
}

impl<S> fmt::Debug for Backend<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").finish_non_exhaustive()
    }
}
