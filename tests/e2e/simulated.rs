//! The simulated AWS of the engine's own tests, served to a real host: it judges what policies say of
//! sessions and takes identity tokens for what they are, which moto does not.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use serde_json::json;
use vault_plugin_secrets_aws::aws::fake::FakeAws;
use vault_plugin_secrets_aws::clock::SystemClock;
use vault_plugin_secrets_aws::secret::ExposeSecret as _;

use crate::aws::KeyPair;
use crate::host::Host;

/// An AWS that is served until this process ends.
pub(crate) struct SimulatedAws {
    /// Its rules, and what it has seen.
    pub(crate) aws: FakeAws,
    address: SocketAddr,
}

impl SimulatedAws {
    /// An AWS in which there is nothing yet, at a free port of the loopback.
    pub(crate) fn start() -> Self {
        let aws = FakeAws::new(Arc::new(SystemClock));
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        listener.set_nonblocking(true).expect("it is ours");
        let address = listener.local_addr().expect("it is bound");
        let served = aws.clone();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                served.serve(listener).await
            })
        });
        Self { aws, address }
    }

    /// The URL to configure as an endpoint.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Has the mount at `aws` act as the administrator of this AWS.
    pub(crate) fn configure(&self, host: &Host) {
        let root = self.aws.admin_key();
        host.write(
            "aws/config/root",
            &json!({
                "access_key": root.access_key_id.as_str(),
                "secret_key": root.secret_access_key.expose_secret(),
                "region": "us-east-1",
                "iam_endpoint": self.url(),
                "sts_endpoint": self.url(),
            }),
        )
        .succeeded();
    }

    /// A call with these keys; the error's code when it is refused.
    pub(crate) fn call(&self, keys: &KeyPair) -> Result<(), String> {
        keys.list_users_at(&self.address.to_string())
    }
}
