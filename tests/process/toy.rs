//! A backend with one path for each thing that the transport must get right, and a plugin process
//! around it that runs in a thread of the test.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Semaphore, oneshot};
use vault_plugin_secrets_aws::clock::SystemClock;
use vault_plugin_secrets_aws::environment::FixedEnvironment;
use vault_plugin_secrets_aws::go_plugin::{self, HostEnv, Shutdown, StartError};
use vault_plugin_secrets_aws::logical::{
    Backend, BackendConfig, Error, Factory, JsonObject, LeaseOptions, Operation, Request, Response,
    RotationJob, Secret, SpecialPaths, Storage, StorageEntry,
};
use vault_plugin_secrets_aws::rpc;
use vault_plugin_secrets_aws::secret::ExposeSecret;

use crate::fake_host::certificate::Identity;
use crate::fake_host::{FakeHost, Handshake, soon};

/// How a test and the toy backends meet.
#[derive(Debug)]
pub(crate) struct Gates {
    /// One permit per request at `slow/…` that has begun.
    pub(crate) begun: Semaphore,
    /// One permit lets one of them go on.
    pub(crate) go_on: Semaphore,
    /// A request at `block` stops the whole process of the plugin here, until the test comes too.
    pub(crate) unblock: Barrier,
    /// How many backends were told to clean up.
    pub(crate) cleaned_up: AtomicU32,
}

impl Gates {
    /// Waits for a request at `slow/…` to begin.
    pub(crate) async fn one_begins(&self) {
        soon(self.begun.acquire()).await.unwrap().forget();
    }
}

/// A plugin process with toy backends: a thread with a runtime of its own.
pub(crate) struct ToyPlugin {
    pub(crate) handshake: Handshake,
    pub(crate) gates: Arc<Gates>,
    process: oneshot::Receiver<Result<(), StartError>>,
    directory: TempDir,
}

impl ToyPlugin {
    /// Starts one for a host with this certificate.
    pub(crate) async fn start(host: &Identity) -> Self {
        Self::started(host, &[], Handshake::parse).await
    }

    /// The same for a host that wants one session.
    pub(crate) async fn start_for_session(host: &Identity) -> Self {
        let variables = [("PLUGIN_MULTIPLEX_GRPC", "true")];
        Self::started(host, &variables, Handshake::parse_with_session).await
    }

    async fn started(
        host: &Identity,
        variables: &[(&str, &str)],
        parse: fn(&str) -> Handshake,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let gates = Arc::new(Gates {
            begun: Semaphore::new(0),
            go_on: Semaphore::new(0),
            unblock: Barrier::new(2),
            cleaned_up: AtomicU32::new(0),
        });
        let certificate = host.pem();
        let usual = [
            (rpc::PROTOCOL.cookie_key, rpc::PROTOCOL.cookie_value),
            ("PLUGIN_PROTOCOL_VERSIONS", "5,4"),
            ("PLUGIN_CLIENT_CERT", &certificate),
            ("PLUGIN_UNIX_SOCKET_DIR", directory.path().to_str().unwrap()),
        ];
        let environment: FixedEnvironment = usual.iter().chain(variables).copied().collect();
        let factory = Arc::new(ToyFactory(Arc::clone(&gates)));
        let (line, announced) = oneshot::channel();
        let (end, process) = oneshot::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let ended = runtime.unwrap().block_on(async {
                let host = HostEnv::read(&rpc::PROTOCOL, &environment);
                let shutdown = Shutdown::default();
                let out = &mut FirstLine(Some(line));
                let services = |broker| rpc::services(factory, broker, &shutdown);
                let protocol = &rpc::PROTOCOL;
                go_plugin::serve(protocol, &host, &SystemClock, &shutdown, out, services).await
            });
            // A test that is over does not look at the end.
            let _ = end.send(ended);
        });
        let line = soon(announced).await.unwrap();
        Self {
            handshake: parse(&line),
            gates,
            process,
            directory,
        }
    }

    /// Starts one, with a host that is connected to it.
    pub(crate) async fn with_host() -> (Self, FakeHost) {
        let identity = Identity::new();
        let plugin = Self::start(&identity).await;
        let host = FakeHost::connect(identity, &plugin.handshake).await;
        (plugin, host)
    }

    /// Waits for the end of the process, and looks what it left.
    pub(crate) async fn ends(self) {
        soon(self.process).await.unwrap().unwrap();
        let left = std::fs::read_dir(self.directory.path()).unwrap();
        assert_eq!(left.count(), 0, "the socket is removed");
    }
}

/// A stdout whose reader wants one line.
struct FirstLine(Option<oneshot::Sender<String>>);

impl io::Write for FirstLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8(bytes.to_vec()).unwrap();
        let reader = self.0.take().expect("stdout is written once");
        reader.send(line).unwrap();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct ToyFactory(Arc<Gates>);

#[async_trait]
impl Factory for ToyFactory {
    async fn create(&self, config: BackendConfig) -> Result<Arc<dyn Backend>, Error> {
        match config.config.get("fail").map(String::as_str) {
            Some("panic") => panic!("told to"),
            Some(text) => return Err(Error::internal(text)),
            None => {}
        }
        Ok(Arc::new(Toy {
            config,
            gates: Arc::clone(&self.0),
            count: AtomicU32::new(0),
            invalidated: Mutex::default(),
        }))
    }
}

struct Toy {
    config: BackendConfig,
    gates: Arc<Gates>,
    count: AtomicU32,
    invalidated: Mutex<Vec<String>>,
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is no object"),
    }
}

fn answer(value: Value) -> Response {
    Response::data(object(value))
}

#[async_trait]
impl Backend for Toy {
    fn special_paths(&self) -> SpecialPaths {
        SpecialPaths {
            root: vec!["root/*".to_owned()],
            unauthenticated: vec!["open".to_owned()],
            local_storage: vec!["wal/".to_owned()],
            seal_wrap_storage: vec!["config/root".to_owned()],
        }
    }

    async fn initialize(&self, storage: Arc<dyn Storage>) -> Result<(), Error> {
        storage.put(StorageEntry::new("initialized", "yes")).await?;
        Ok(())
    }

    async fn handle_request(&self, request: Request) -> Result<Option<Response>, Error> {
        let (first, rest) = request.path.split_once('/').unwrap_or((&request.path, ""));
        match first {
            "store" => store(&request, rest).await,
            "slow" => {
                self.gates.begun.add_permits(1);
                self.gates.go_on.acquire().await.unwrap().forget();
                request.storage.put(StorageEntry::new(rest, "done")).await?;
                Ok(None)
            }
            "block" => {
                self.gates.begun.add_permits(1);
                self.gates.unblock.wait();
                Ok(None)
            }
            "panic" => panic!("hunter2"),
            "echo" => Ok(Some(answer(json!({ "data": request.data })))),
            "nothing" => Ok(Some(Response::default())),
            "count" => {
                let count = self.count.fetch_add(1, Ordering::SeqCst);
                Ok(Some(answer(json!({ "count": count }))))
            }
            "config" => Ok(Some(answer(json!({
                "uuid": self.config.backend_uuid,
                "config": self.config.config,
            })))),
            "invalidated" => {
                let keys = &*self.invalidated.lock().unwrap();
                Ok(Some(answer(json!({ "keys": keys }))))
            }
            "system" => self.system(rest).await,
            "lease" => Ok(Some(lease(&request))),
            "slow-lease" if request.operation == Operation::Revoke => {
                let user = &request.secret.unwrap().internal_data["user"];
                let entry = StorageEntry::new("revoked", user.as_str().unwrap());
                request.storage.put(entry).await?;
                Ok(None)
            }
            "slow-lease" => {
                self.gates.begun.add_permits(1);
                self.gates.go_on.acquire().await.unwrap().forget();
                Ok(Some(lease(&request)))
            }
            "error" => Err(error(rest)),
            _ => Err(Error::UnsupportedPath),
        }
    }

    async fn handle_existence_check(&self, request: Request) -> Result<Option<bool>, Error> {
        match request.path.split_once('/') {
            Some(("store", key)) => Ok(Some(request.storage.get(key).await?.is_some())),
            _ if request.path == "echo" => Ok(None),
            Some(("error", kind)) => Err(error(kind)),
            _ => Err(Error::UnsupportedPath),
        }
    }

    async fn invalidate_key(&self, key: &str) {
        self.invalidated.lock().unwrap().push(key.to_owned());
    }

    async fn cleanup(&self, _storage: Arc<dyn Storage>) {
        self.gates.cleaned_up.fetch_add(1, Ordering::SeqCst);
    }
}

impl Toy {
    async fn system(&self, call: &str) -> Result<Option<Response>, Error> {
        let system = &self.config.system;
        let value = match call {
            "default_lease_ttl" => json!(system.default_lease_ttl().await?.as_secs()),
            "max_lease_ttl" => json!(system.max_lease_ttl().await?.as_secs()),
            "tainted" => json!(system.tainted().await?),
            "standby" => json!(system.replication_state().await?.is_performance_standby()),
            "local_mount" => json!(system.local_mount().await?),
            "version" => json!(system.plugin_env().await?.version),
            "identity_token" => {
                let ttl = std::time::Duration::from_mins(5);
                let token = system.generate_identity_token("sts", ttl).await?;
                json!([token.token.expose_secret(), token.ttl.as_secs()])
            }
            "rotation_job" | "bad_rotation_job" => {
                let days = u64::from(call == "rotation_job");
                let job = RotationJob {
                    mount_point: "toy/".to_owned(),
                    path: "config/root".to_owned(),
                    period: std::time::Duration::from_hours(24 * days),
                    ..RotationJob::default()
                };
                json!(system.register_rotation_job(job).await?)
            }
            path => json!(system.deregister_rotation_job("toy/", path).await?),
        };
        Ok(Some(answer(json!({ "value": value }))))
    }
}

async fn store(request: &Request, key: &str) -> Result<Option<Response>, Error> {
    let storage = &request.storage;
    match request.operation {
        Operation::Read => Ok(storage.get(key).await?.map(|entry| {
            let text = String::from_utf8(entry.value).unwrap();
            Response::data(object(json!({ "value": text })))
        })),
        Operation::Create | Operation::Update => {
            let times = request.data.get("times").and_then(Value::as_u64);
            let value = request.data["value"].as_str().unwrap();
            let value = value.repeat(usize::try_from(times.unwrap_or(1)).unwrap());
            storage.put(StorageEntry::new(key, value)).await?;
            Ok(None)
        }
        Operation::Delete => {
            storage.delete(key).await?;
            Ok(None)
        }
        Operation::List => Ok(Some(Response::list(storage.list(key).await?))),
        _ => Err(Error::UnsupportedOperation),
    }
}

/// Answers a request for a lease, and its renewal with what the host sent back.
fn lease(request: &Request) -> Response {
    let secret = request.secret.clone().unwrap_or_else(|| Secret {
        lease: LeaseOptions {
            ttl: std::time::Duration::from_hours(1),
            renewable: true,
            ..LeaseOptions::default()
        },
        internal_data: object(json!({ "secret_type": "toy", "user": "u1" })),
        lease_id: String::new(),
    });
    Response {
        secret: Some(secret),
        ..Response::data(object(json!({ "key": "k1" })))
    }
}

fn error(kind: &str) -> Error {
    match kind {
        "invalid" => Error::invalid("this is your mistake"),
        "operation" => Error::UnsupportedOperation,
        "permission" => Error::PermissionDenied,
        "slow" => Error::UpstreamRateLimited("the toy factory is slow".to_owned()),
        "coded" => Error::Coded {
            status: 418,
            message: "teapot".to_owned(),
        },
        "internal" => Error::internal("this is our fault"),
        _ => Error::UnsupportedPath,
    }
}
