//! The keys that other mounts of the process act with are not taken away.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::aws::fake::FakeAws;
use crate::clock::{Clock, ManualClock};
use crate::engine::EngineFactory;
use crate::logical::testing::{InMemoryStorage, StaticSystemView};
use crate::logical::{Backend, BackendConfig, Factory, JsonObject, Operation, Request, Storage};
use crate::secret::ExposeSecret;

struct Mount {
    backend: Arc<dyn Backend>,
    storage: Arc<InMemoryStorage>,
}

/// A process with a mount for each storage.
async fn process<const N: usize>(aws: &FakeAws, storages: [Arc<InMemoryStorage>; N]) -> [Mount; N] {
    let clock = Arc::new(ManualClock::default());
    let factory = EngineFactory::new(Arc::new(aws.clone()), clock);
    let mounts = storages.map(async |storage| {
        let config = BackendConfig {
            storage: Arc::clone(&storage) as Arc<_>,
            system: Arc::new(StaticSystemView::default()),
            backend_uuid: String::new(),
            config: std::collections::BTreeMap::default(),
        };
        let backend = factory.create(config).await.unwrap();
        backend
            .initialize(Arc::clone(&storage) as Arc<dyn Storage>)
            .await
            .unwrap();
        Mount { backend, storage }
    });
    let mounts = futures_util::future::join_all(mounts).await;
    mounts.try_into().ok().unwrap()
}

impl Mount {
    async fn write(&self, path: &str, data: Value) -> Result<Vec<String>, String> {
        let mut request =
            Request::new(Operation::Update, path, Arc::clone(&self.storage) as Arc<_>);
        request.data = data.as_object().cloned().unwrap_or_else(JsonObject::new);
        let answer = self.backend.handle_request(request).await;
        answer
            .map(|response| response.unwrap_or_default().warnings)
            .map_err(|error| error.to_string())
    }

    async fn configure(&self, key: &crate::aws::AccessKey) {
        let data = json!({
            "access_key": key.access_key_id.as_str(),
            "secret_key": key.secret_access_key.expose_secret(),
        });
        self.write("config/root", data).await.unwrap();
    }
}

fn aws() -> FakeAws {
    FakeAws::new(Arc::new(ManualClock::default()) as Arc<dyn Clock>)
}

#[tokio::test(start_paused = true)]
async fn the_user_that_another_mount_acts_as_is_refused() {
    for restarted in [false, true] {
        let aws = aws();
        let storages = [Arc::default(), Arc::default()];
        let mut mounts = process(&aws, storages.clone()).await;
        let [one, other] = &mounts;
        one.configure(&aws.admin_key()).await;
        aws.add_user("other-engine");
        other.configure(&aws.add_access_key("other-engine")).await;
        if restarted {
            mounts = process(&aws, storages).await;
        }
        let data = json!({"username": "other-engine", "rotation_period": "24h"});

        let error = mounts[0].write("static-roles/app", data).await.unwrap_err();

        assert!(
            error.starts_with("username: another mount acts as other-engine (its config/root)"),
            "{error}"
        );
        assert_eq!(aws.access_key_ids("other-engine").len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_static_role_that_was_there_first_leaves_another_mount_its_key() {
    let aws = aws();
    let [one, other] = process(&aws, [Arc::default(), Arc::default()]).await;
    one.configure(&aws.admin_key()).await;
    aws.add_user("jane");
    let data = json!({"username": "jane", "rotation_period": "24h"});
    one.write("static-roles/app", data).await.unwrap();
    let key = aws.add_access_key("jane");
    other.configure(&key).await;

    for _ in 0..3 {
        one.write("static-roles/app/rotate", json!({}))
            .await
            .unwrap();
        assert!(aws.access_key_ids("jane").contains(&key.access_key_id));
    }
}
