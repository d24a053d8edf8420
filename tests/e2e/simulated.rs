//! The simulated AWS of the engine's own tests, served to a real host: it judges what policies say of
//! sessions and takes identity tokens for what they are, which moto does not.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;

use serde_json::{Value, json};
use vault_plugin_secrets_aws::aws::fake::{FakeAws, FakeRole, InlinePolicies};
use vault_plugin_secrets_aws::clock::SystemClock;
use vault_plugin_secrets_aws::secret::ExposeSecret as _;

use crate::aws::{KeyPair, READ_ONLY_ACCESS};
use crate::host::Host;
use crate::issued::Issued;

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

    /// Has the mount at `aws` act as the administrator of this AWS, with a role of each kind of session
    /// that can be ended, and one of users. What is in `more` is of the role of `assumed_role`.
    pub(crate) fn configure(&self, host: &Host, more: &Value) {
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
        let arn = self.aws.add_role("deploy", FakeRole::default());
        let mut assumed = json!({
            "credential_type": "assumed_role",
            "role_arns": [arn.as_str()],
            "revocable_sessions": true,
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            assumed[field] = value.clone();
        }
        let federated = json!({
            "credential_type": "federation_token",
            "policy_arns": READ_ONLY_ACCESS,
            "revocable_sessions": true,
        });
        let user = json!({ "credential_type": "iam_user", "policy_arns": READ_ONLY_ACCESS });
        for (name, role) in [
            ("assumed", assumed),
            ("federated", federated),
            ("user", user),
        ] {
            host.write(&format!("aws/roles/{name}"), &role).succeeded();
        }
    }

    /// Sends a call with these keys; the error's code when it is refused.
    pub(crate) fn call(&self, keys: &KeyPair) -> Result<(), String> {
        keys.list_users_at(&self.address.to_string())
    }

    /// Whether it takes these credentials and no policy denies them everything: asked without a call, of
    /// which federated sessions may not send any that anybody here answers.
    pub(crate) fn lets(&self, issued: &Issued) -> bool {
        let KeyPair {
            access_key,
            secret_key,
            session_token,
        } = &issued.keys;
        let token = session_token.as_deref();
        self.aws.lets("s3:GetObject", access_key, secret_key, token)
    }

    /// The document of ended sessions on the AWS role of [`configure`](Self::configure).
    pub(crate) fn ended_of_role(&self) -> Option<String> {
        let role = self.aws.role("deploy").expect("it is there");
        ended(role.inline_policies)
    }

    /// The same on the engine's own user.
    pub(crate) fn ended_of_engine(&self) -> Option<String> {
        let user = self.aws.user(FakeAws::ADMIN).expect("it is there");
        ended(user.inline_policies)
    }
}

fn ended(policies: InlinePolicies) -> Option<String> {
    let mut policies = policies.into_iter();
    let ours = policies.find(|(name, _)| name.as_str().starts_with("vault-ended-sessions-"));
    ours.map(|(_, document)| document)
}
