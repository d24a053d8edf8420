//! A mount on the simulated AWS, with something of each kind in it.

use std::future::Future;
use std::sync::Arc;

use serde_json::json;
use tokio::runtime::Builder;

use crate::aws::fake::{FakeAws, FakeRole};
use crate::clock::{Clock, ManualClock};
use crate::engine::EngineFactory;
use crate::logical::testing::{InMemoryStorage, StaticSystemView};
use crate::logical::{Backend, BackendConfig, Factory, Storage, SystemView};
use crate::secret::ExposeSecret;

/// What is stored, beside the root configuration. The names are known to the corpus.
const STORED: &[(&str, &str)] = &[
    (
        "role/user",
        r#"{"credential_types":["iam_user"],"policy_arns":["arn:aws:iam::aws:policy/ReadOnlyAccess"],"policy_document":"{\"Statement\":[]}","iam_groups":["developers"],"iam_tags":{"team":"a"}}"#,
    ),
    (
        "role/assumed",
        r#"{"credential_types":["assumed_role"],"role_arns":["arn:aws:iam::111122223333:role/deploy"],"iam_groups":["developers"],"session_tags":{"team":"a"}}"#,
    ),
    (
        "role/federated",
        r#"{"credential_types":["federation_token"],"policy_document":"{\"Statement\":{\"Effect\":\"Allow\"}}","default_sts_ttl":3600000000000}"#,
    ),
    (
        "role/session",
        r#"{"credential_types":["session_token"],"max_sts_ttl":7200000000000}"#,
    ),
    (
        "role/revocable",
        r#"{"credential_types":["assumed_role"],"role_arns":["arn:aws:iam::111122223333:role/deploy"],"revocable_sessions":true,"revoke_older_sessions":true}"#,
    ),
    (
        "issued/vault-user",
        r#"{"making":"m","access_key_id":"AKIAVAULTUSER","role":"user","display_name":"token-alice","issued_at":1767323045,"expires_at":1767326645}"#,
    ),
    (
        "sessions/ASIAREVOCABLE",
        r#"{"access_key_id":"ASIAREVOCABLE","user_id":"AROADEPLOY:alice-abcdefghij","holder":"arn:aws:iam::111122223333:role/deploy","arn":"arn:aws:sts::111122223333:assumed-role/deploy/alice-abcdefghij","role":"revocable","issued_at":1767323045,"expires_at":1767326645,"lease_ends_at":1767326645}"#,
    ),
    ("contain/one", r#"{"role":"gone","step":"ended"}"#),
    (
        "static-roles/app",
        r#"{"name":"app","username":"app","rotation_period":86400000000000}"#,
    ),
];

pub(crate) struct Mount {
    pub(crate) aws: FakeAws,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) storage: Arc<InMemoryStorage>,
    pub(crate) backend: Arc<dyn Backend>,
}

impl Mount {
    async fn new() -> Option<Self> {
        let clock = Arc::new(ManualClock::default());
        let aws = FakeAws::new(Arc::clone(&clock) as Arc<dyn Clock>);
        let key = aws.admin_key();
        aws.set_default_credentials(&key);
        aws.add_user("app");
        aws.add_group("developers");
        aws.put_group_policy("developers", "all", r#"{"Statement":[{"Sid":"A"}]}"#);
        aws.add_role("deploy", FakeRole::default());
        let storage = Arc::new(InMemoryStorage::default());
        let root = json!({
            "access_key": key.access_key_id.as_str(),
            "secret_key": key.secret_access_key.expose_secret(),
        });
        storage.set_text("config/root", &root.to_string());
        for (key, text) in STORED {
            storage.set_text(key, text);
        }
        let connector = Arc::new(aws.clone());
        let factory = EngineFactory::new(connector, Arc::clone(&clock) as Arc<dyn Clock>);
        let config = BackendConfig {
            storage: Arc::clone(&storage) as Arc<dyn Storage>,
            system: Arc::new(StaticSystemView::default()) as Arc<dyn SystemView>,
            backend_uuid: String::new(),
            config: std::collections::BTreeMap::default(),
        };
        Some(Self {
            aws,
            clock,
            backend: factory.create(config).await.ok()?,
            storage,
        })
    }
}

/// Runs work on a mount of its own, in paused time.
///
/// # Panics
/// When there can be no such mount, or the work does.
pub(crate) fn on_a_mount<R: Future<Output = ()>>(work: impl FnOnce(Mount) -> R) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let Ok(runtime) = runtime else {
        panic!("no runtime");
    };
    runtime.block_on(async {
        let Some(mount) = Mount::new().await else {
            panic!("no mount");
        };
        work(mount).await;
    });
}
