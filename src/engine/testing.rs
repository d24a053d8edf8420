//! A mount for tests: the real framework and engine on the simulated AWS, with storage in memory
//! and a clock that is set by hand.
//!
//! Every success answer is checked against what its path declares, and when the mount is dropped no
//! secret may stand in any log line of the test.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, registry};

use super::{Engine, EngineFactory};
use crate::aws::fake::FakeAws;
use crate::aws::{self, AccessKeyId, ClientConfig, Connector, CredentialSource, Iam, Road, Sts};
use crate::clock::{Clock, ManualClock};
use crate::framework::Answer;
use crate::logical::testing::{InMemoryStorage, StaticSystemView};
use crate::logical::{
    Backend, BackendConfig, Error, Factory, JsonObject, Operation, Request, Response, Secret,
};
use crate::secret::ExposeSecret;

/// A policy of AWS that every account knows.
pub(super) const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

/// A shorter secret may stand in a log by chance.
const SHORTEST_SECRET: usize = 8;

pub(super) struct TestMount {
    aws: FakeAws,
    storage: Arc<InMemoryStorage>,
    clock: Arc<ManualClock>,
    system: Arc<StaticSystemView>,
    backend: Arc<dyn Backend>,
    /// What was written as `secret_key`.
    secret_keys: Mutex<Vec<String>>,
    log: Log,
    _subscriber: tracing::subscriber::DefaultGuard,
}

/// What the host keeps of a leased answer.
#[derive(Clone, Debug)]
pub(super) struct Lease {
    pub(super) path: String,
    pub(super) data: JsonObject,
    pub(super) secret: Secret,
}

impl Lease {
    pub(super) fn text(&self, key: &str) -> &str {
        self.data[key].as_str().unwrap()
    }
}

impl TestMount {
    /// A mount without configuration.
    pub(super) async fn new() -> Self {
        Self::on(StaticSystemView::default()).await
    }

    /// A mount on a host of this kind.
    pub(super) async fn on(system: StaticSystemView) -> Self {
        let log = Log::default();
        let subscriber = tracing::subscriber::set_default(registry().with(log.clone()));
        let clock = Arc::new(ManualClock::default());
        let aws = FakeAws::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let storage = Arc::new(InMemoryStorage::default());
        let system = Arc::new(system);
        let backend = start(Arc::new(aws.clone()), &clock, &storage, &system).await;
        Self {
            aws,
            storage,
            clock,
            system,
            backend,
            secret_keys: Mutex::default(),
            log,
            _subscriber: subscriber,
        }
    }

    /// A mount with the key of an administrator as root credentials.
    pub(super) async fn configured() -> Self {
        let mount = Self::new().await;
        mount.configure(json!({})).await;
        mount
    }

    /// Writes the key of an administrator, and `more`, to the root configuration.
    pub(super) async fn configure(&self, more: Value) {
        let key = self.aws.admin_key();
        let mut data = json!({
            "access_key": key.access_key_id.as_str(),
            "secret_key": key.secret_access_key.expose_secret(),
            "region": "us-east-1",
        });
        if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
            data.extend(more);
        }
        self.write("config/root", data).await;
        self.aws.forget_calls();
    }

    /// Another node stores a text, and the host tells us so.
    pub(super) async fn store_elsewhere(&self, key: &str, text: &str) {
        self.storage.set_text(key, text);
        self.backend.invalidate_key(key).await;
    }

    /// The process dies and a new one takes over the mount.
    pub(super) async fn restart(&mut self) {
        let connector = Arc::new(self.aws.clone());
        self.backend = start(connector, &self.clock, &self.storage, &self.system).await;
    }

    /// Another node that serves the mount at the same time.
    pub(super) async fn another_node(&self) -> Arc<dyn Backend> {
        let connector = Arc::new(self.aws.clone());
        start(connector, &self.clock, &self.storage, &self.system).await
    }

    /// The process dies and a new one takes over the mount, which finds the credentials of a
    /// session around it.
    pub(super) async fn restart_with_session(&mut self, session: &Lease) {
        let surroundings = Surroundings {
            aws: self.aws.clone(),
            credentials: CredentialSource::Static {
                access_key_id: AccessKeyId::new(session.text("access_key")).unwrap(),
                secret_access_key: session.text("secret_key").into(),
                session_token: Some(session.text("session_token").into()),
            },
        };
        let connector = Arc::new(surroundings);
        self.backend = start(connector, &self.clock, &self.storage, &self.system).await;
    }

    /// What comes of a piece of work, unless it waits for AWS, as it does when AWS is told that the
    /// process dies. Needs paused time, which passes only when nothing else can happen.
    pub(super) async fn unless_dead<F: Future>(&self, work: F) -> Option<F::Output> {
        // Longer than any pause of ours, and shorter than the time of a request.
        tokio::time::timeout(Duration::from_secs(20), work)
            .await
            .ok()
    }

    /// The process died. Whatever went wrong is over, a new process takes over, and the host's
    /// timer comes when unfinished work is old enough to be undone.
    pub(super) async fn recover(&mut self) {
        self.aws.heal();
        self.storage.heal();
        self.restart().await;
        self.clock.advance(Duration::from_mins(6));
        self.roll_back().await.unwrap();
    }

    /// The process dies and a new one, on a node of this kind, takes over the mount.
    pub(super) async fn restart_on(&mut self, system: StaticSystemView) {
        self.system = Arc::new(system);
        self.restart().await;
    }

    /// The engine of another node, on the same storage.
    pub(super) fn another_engine(&self) -> Engine {
        let factory = EngineFactory::new(
            Arc::new(self.aws.clone()),
            Arc::clone(&self.clock) as Arc<_>,
        );
        factory
            .engine(&config(&self.storage, &self.system))
            .unwrap()
    }

    pub(super) fn aws(&self) -> &FakeAws {
        &self.aws
    }

    pub(super) fn storage(&self) -> &InMemoryStorage {
        &self.storage
    }

    pub(super) fn system(&self) -> &StaticSystemView {
        &self.system
    }

    pub(super) fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// The same, for what outlives this borrow.
    pub(super) fn shared_clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }

    /// The engine itself, to run requests beside one another.
    pub(super) fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.backend)
    }

    /// A request of this mount.
    pub(super) fn request(&self, operation: Operation, path: &str, data: Value) -> Request {
        let mut request = Request::new(operation, path, Arc::clone(&self.storage) as Arc<_>);
        request.display_name = "token-alice".to_owned();
        request.mount_point = "aws/".to_owned();
        request.mount_type = "aws".to_owned();
        if let Value::Object(data) = data {
            request.data = data;
        }
        request
    }

    /// Sends a request, with the existence check that a host makes before a write.
    pub(super) async fn send(&self, operation: Operation, path: &str, data: Value) -> Answer {
        if let Some(secret) = data.get("secret_key").and_then(Value::as_str)
            && secret.len() >= SHORTEST_SECRET
        {
            lock(&self.secret_keys).push(secret.to_owned());
        }
        let mut request = self.request(operation.clone(), path, data);
        if operation == Operation::Update {
            let exists = self.backend.handle_existence_check(request.clone()).await?;
            if exists == Some(false) {
                request.operation = Operation::Create;
            }
        }
        let operation = request.operation.clone();
        let answer = self.backend.handle_request(request).await;
        if let Ok(Some(response)) = &answer {
            check_declared(&operation, path, response);
        }
        answer
    }

    /// A write that succeeds; its warnings.
    pub(super) async fn write(&self, path: &str, data: Value) -> Vec<String> {
        match self.send(Operation::Update, path, data).await {
            Ok(response) => response.unwrap_or_default().warnings,
            Err(error) => panic!("writing {path} failed: {error}"),
        }
    }

    /// A read that finds something; its data.
    pub(super) async fn read(&self, path: &str) -> JsonObject {
        match self.send(Operation::Read, path, json!({})).await {
            Ok(Some(response)) => response.data,
            Ok(None) => panic!("{path} has nothing"),
            Err(error) => panic!("reading {path} failed: {error}"),
        }
    }

    /// The names below a path.
    pub(super) async fn list(&self, path: &str) -> Vec<String> {
        let answer = self.send(Operation::List, path, json!({})).await;
        let data = answer.unwrap().unwrap_or_default().data;
        let keys = data.get("keys").cloned().unwrap_or_else(|| json!([]));
        serde_json::from_value(keys).unwrap()
    }

    pub(super) async fn delete(&self, path: &str) {
        assert_eq!(
            self.send(Operation::Delete, path, json!({})).await.unwrap(),
            None
        );
    }

    /// A write that fails.
    pub(super) async fn write_error(&self, path: &str, data: Value) -> Error {
        self.send(Operation::Update, path, data).await.unwrap_err()
    }

    /// A write that is the caller's mistake; what the caller is told.
    pub(super) async fn write_refusal(&self, path: &str, data: Value) -> String {
        match self.write_error(path, data).await {
            Error::Invalid(text) => text,
            other => panic!("writing {path} is not the caller's mistake: {other:?}"),
        }
    }

    /// A request for credentials that is answered with 400; what the caller is told.
    pub(super) async fn generate_refusal(&self, path: &str, data: Value) -> String {
        match self.send(Operation::Read, path, data).await {
            Err(Error::Invalid(text)) => text,
            other => panic!("{path} is not refused: {other:?}"),
        }
    }

    /// A read that fails.
    pub(super) async fn read_error(&self, path: &str) -> Error {
        self.send(Operation::Read, path, json!({}))
            .await
            .unwrap_err()
    }

    /// Reads credentials, as a host that then registers the lease.
    pub(super) async fn generate(&self, path: &str) -> Lease {
        self.generate_with(path, json!({})).await
    }

    pub(super) async fn generate_with(&self, path: &str, data: Value) -> Lease {
        match self.send(Operation::Read, path, data).await {
            Ok(Some(response)) => self.lease(path, response),
            Ok(None) => panic!("{path} gives nothing"),
            Err(error) => panic!("{path} gives no credentials: {error}"),
        }
    }

    /// The lease that the host makes of an answer.
    pub(super) fn lease(&self, path: &str, response: Response) -> Lease {
        let mut secret = response.secret.unwrap();
        secret.lease.issue_time = Some(self.clock.now());
        Lease {
            path: path.to_owned(),
            data: response.data,
            secret,
        }
    }

    pub(super) async fn renew(&self, lease: &Lease) -> Answer {
        self.with_lease(Operation::Renew, lease).await
    }

    pub(super) async fn revoke(&self, lease: &Lease) -> Result<(), Error> {
        let answer = self.with_lease(Operation::Revoke, lease).await?;
        assert_eq!(answer, None, "a revocation answers nothing");
        Ok(())
    }

    async fn with_lease(&self, operation: Operation, lease: &Lease) -> Answer {
        let mut request = self.request(operation, &lease.path, json!({}));
        request.data = lease.data.clone();
        request.secret = Some(lease.secret.clone());
        self.backend.handle_request(request).await
    }

    /// The host's timer.
    pub(super) async fn roll_back(&self) -> Result<(), Error> {
        let request = self.request(Operation::Rollback, "", json!({}));
        self.backend.handle_request(request).await.map(drop)
    }

    /// All that was logged so far.
    pub(super) fn log(&self) -> String {
        lock(&self.log.0).clone()
    }

    /// The WAL entries in storage.
    pub(super) fn wal(&self) -> Vec<String> {
        let keys = self.storage.keys();
        keys.into_iter()
            .filter(|key| key.starts_with("wal/"))
            .collect()
    }

    /// Nothing of ours is left at AWS nor in the log of unfinished work.
    pub(super) fn assert_nothing_left(&self) {
        let users: Vec<_> = self
            .aws
            .iam_users()
            .into_iter()
            .map(|user| user.user_name)
            .collect();
        assert!(users.is_empty(), "users left: {users:?}");
        assert_eq!(self.wal(), Vec::<String>::new(), "WAL entries left");
        assert_eq!(self.issued(), Vec::<String>::new(), "users in the register");
    }

    /// The users in the register.
    pub(super) fn issued(&self) -> Vec<String> {
        let keys = self.storage.keys().into_iter();
        keys.filter_map(|key| key.strip_prefix("issued/").map(str::to_owned))
            .collect()
    }

    /// How many calls followed one another: the elapsed time in units of one call's time.
    pub(super) async fn round_trips<F: Future>(&self, work: F) -> (F::Output, u128) {
        const CALL: Duration = Duration::from_millis(100);
        self.aws.set_delay(CALL);
        let start = tokio::time::Instant::now();
        let output = work.await;
        let elapsed = start.elapsed();
        self.aws.set_delay(Duration::ZERO);
        (output, elapsed.as_millis().div_ceil(CALL.as_millis()))
    }
}

impl Drop for TestMount {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let log = self.log();
        let written = lock(&self.secret_keys).clone();
        for secret in self.aws.secrets().into_iter().chain(written) {
            assert!(!log.contains(&secret), "a secret stands in the log:\n{log}");
        }
    }
}

/// An AWS to whose clients the environment has credentials to offer.
#[derive(Debug)]
struct Surroundings {
    aws: FakeAws,
    credentials: CredentialSource,
}

impl Surroundings {
    fn look_around(&self, config: &ClientConfig) -> ClientConfig {
        let mut config = config.clone();
        if matches!(config.credentials, CredentialSource::DefaultChain) {
            config.credentials = self.credentials.clone();
        }
        config
    }
}

impl Connector for Surroundings {
    fn iam(&self, config: &ClientConfig) -> Result<Arc<dyn Iam>, aws::Error> {
        self.aws.iam(&self.look_around(config))
    }

    fn sts(&self, config: &ClientConfig) -> Result<Arc<dyn Sts>, aws::Error> {
        self.aws.sts(&self.look_around(config))
    }

    fn road_to_iam(&self, config: &ClientConfig) -> Road {
        self.aws.road_to_iam(config)
    }

    fn road_to_sts(&self, config: &ClientConfig) -> Road {
        self.aws.road_to_sts(config)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn start(
    connector: Arc<dyn Connector>,
    clock: &Arc<ManualClock>,
    storage: &Arc<InMemoryStorage>,
    system: &Arc<StaticSystemView>,
) -> Arc<dyn Backend> {
    let factory = EngineFactory::new(connector, Arc::clone(clock) as Arc<_>);
    let backend = factory.create(config(storage, system)).await.unwrap();
    backend
        .initialize(Arc::clone(storage) as Arc<_>)
        .await
        .unwrap();
    backend
}

fn config(storage: &Arc<InMemoryStorage>, system: &Arc<StaticSystemView>) -> BackendConfig {
    BackendConfig {
        storage: Arc::clone(storage) as Arc<_>,
        system: Arc::clone(system) as Arc<_>,
        backend_uuid: "11111111-2222-3333-4444-555555555555".to_owned(),
        config: std::collections::BTreeMap::default(),
    }
}

/// Fails when an answer holds a key that its path does not declare.
fn check_declared(operation: &Operation, path: &str, response: &Response) {
    let is_raw = response.raw_body().is_some();
    if matches!(operation, Operation::Help) || is_raw {
        return;
    }
    let declaration = super::declaration().unwrap();
    let declared = declaration
        .response_fields(operation, path)
        .unwrap_or_default();
    for key in response.data.keys() {
        assert!(
            declared.iter().any(|field| field.name == key),
            "{operation} {path} answers {key:?}, which it does not declare"
        );
    }
}

/// Every event and span of a test, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Log {
    fn write(&self, record: impl FnOnce(&mut dyn Visit)) {
        let mut log = lock(&self.0);
        record(&mut Line(&mut log));
        log.push('\n');
    }
}

impl<S: tracing::Subscriber> Layer<S> for Log {
    fn on_new_span(
        &self,
        attributes: &tracing::span::Attributes<'_>,
        _id: &tracing::span::Id,
        _context: Context<'_, S>,
    ) {
        self.write(|line| attributes.record(line));
    }

    fn on_event(&self, event: &tracing::Event<'_>, _context: Context<'_, S>) {
        self.write(|line| event.record(line));
    }
}

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}
