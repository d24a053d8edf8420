//! Sessions end with what contains their role, whatever became of the role meanwhile.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;

use super::{MINUTE, id, mount, with_sessions, works};
use crate::aws::fake::{FakeRole, Fault, FaultRule};
use crate::clock::ManualClock;
use crate::logical::{Backend, Operation, Request, Response, Storage, StorageEntry, StorageError};

const SECOND: Duration = Duration::from_secs(1);

/// A storage that takes its time to store a role, and a client that asks for credentials meanwhile.
struct Slow {
    storage: Arc<dyn Storage>,
    backend: Arc<dyn Backend>,
    clock: Arc<ManualClock>,
    asks: Request,
    answer: Arc<Mutex<Option<Response>>>,
}

#[async_trait]
impl Storage for Slow {
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        self.storage.list(prefix).await
    }

    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError> {
        self.storage.get(key).await
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError> {
        if entry.key.starts_with("role/") {
            self.clock.advance(10 * SECOND);
            let answer = self.backend.handle_request(self.asks.clone()).await;
            *self.answer.lock().unwrap() = answer.unwrap();
        }
        self.storage.put(entry).await
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.storage.delete(key).await
    }
}

#[tokio::test]
async fn a_session_that_was_handed_out_before_the_role_was_disabled_ends_however_long_that_took() {
    let mount = mount().await;
    with_sessions(&mount, json!({})).await;
    let answer = Arc::default();
    let mut request = mount.request(Operation::Update, "contain/s", json!({}));
    request.storage = Arc::new(Slow {
        storage: Arc::clone(&request.storage),
        backend: mount.backend(),
        clock: mount.shared_clock(),
        asks: mount.request(Operation::Read, "creds/s", json!({})),
        answer: Arc::clone(&answer),
    });

    let contained = mount.backend().handle_request(request).await.unwrap();

    assert_eq!(contained.unwrap().data["state"], "finished");
    let response = answer.lock().unwrap().take().unwrap();
    assert!(!works(&mount, &mount.lease("creds/s", response)));
}

#[tokio::test]
async fn the_youngest_session_ends_whichever_clock_is_ahead_and_who_comes_back_lives() {
    for ahead in [-120, -2, 0, 2, 120].map(time::Duration::seconds) {
        let mount = mount().await;
        with_sessions(&mount, json!({})).await;
        mount.aws().set_clock_ahead(ahead);
        let session = mount.generate("creds/s").await;

        mount.contain("contain/s", json!({})).await;

        assert!(!works(&mount, &session), "{ahead}");
        mount.clock().advance(5 * SECOND);
        mount.write("roles/s", json!({"disabled": false})).await;
        let later = mount.generate("creds/s").await;
        assert!(works(&mount, &later), "{ahead}");
    }
}

#[tokio::test]
async fn where_aws_does_not_tell_its_time_its_clock_may_be_a_minute_ahead() {
    let mount = mount().await;
    with_sessions(&mount, json!({})).await;
    mount.aws().set_clock_ahead(time::Duration::seconds(50));
    let session = mount.generate("creds/s").await;
    mount.aws().deny("sts:GetCallerIdentity");

    mount.contain("contain/s", json!({})).await;

    assert!(!works(&mount, &session));
}

#[tokio::test]
async fn sessions_of_a_role_that_was_deleted_or_leads_elsewhere_by_now_end_if_they_are_registered()
{
    let mount = mount().await;
    with_sessions(&mount, json!({"revocable_sessions": true})).await;
    let other = mount.aws().add_role("other", FakeRole::default());
    let of_other = json!({"credential_type": "assumed_role", "role_arns": other.as_str(), "revocable_sessions": true});
    mount.write("roles/t", of_other).await;
    let neighbour = mount.generate("creds/t").await;
    let before = mount.generate("creds/s").await;
    mount
        .write("roles/s", json!({"role_arns": other.as_str()}))
        .await;
    let seen = mount.contain("contain/s", json!({"dry_run": true})).await;
    assert_eq!(seen.data["dry_run"], true);
    assert!(works(&mount, &before));

    mount.contain("contain/s", json!({})).await;
    assert!(!works(&mount, &before), "the role leads elsewhere by now");

    mount.aws().add_role("third", FakeRole::default());
    let third = "arn:aws:iam::111122223333:role/third";
    mount
        .write("roles/s", json!({"role_arns": third, "disabled": false}))
        .await;
    mount.clock().advance(2 * MINUTE);
    let before = mount.generate("creds/s").await;
    let neighbour_of_third = mount.generate("creds/t").await;
    mount.delete("roles/s").await;

    let response = mount.contain("contain/s", json!({})).await;

    assert!(!works(&mount, &before), "the role is gone");
    let told = mount.status(id(&response)).await["sessions"].to_string();
    assert!(told.contains("role/third"), "{told}");
    assert!(!told.contains("role/other"), "{told}");
    assert!(works(&mount, &neighbour_of_third));
    assert!(!works(&mount, &neighbour), "it was of the same AWS role");
}

#[tokio::test]
async fn a_role_that_was_deleted_gives_nothing_to_who_asked_before() {
    let mount = mount().await;
    with_sessions(&mount, json!({})).await;
    mount
        .aws()
        .inject(FaultRule::on("sts:AssumeRole", Fault::HeldAfter).times(1));
    let backend = mount.backend();
    let request = mount.request(Operation::Read, "creds/s", json!({}));
    let under_way = async move { backend.handle_request(request).await };
    let meanwhile = async {
        while mount.aws().calls_of("sts:AssumeRole").is_empty() {
            tokio::task::yield_now().await;
        }
        mount.delete("roles/s").await;
        mount.contain("contain/s", json!({})).await;
        mount.aws().heal();
    };

    let (answer, ()) = futures_util::join!(under_way, meanwhile);

    let error = answer.unwrap_err().to_string();
    assert!(error.contains("was deleted"), "{error}");
}

#[tokio::test]
async fn a_role_that_cannot_be_read_holds_up_nothing() {
    let mount = mount().await;
    with_sessions(&mount, json!({})).await;
    let session = mount.generate("creds/s").await;
    let held = mount.give_out("x", 1).await;
    mount.storage().set_text("role/broken", "no JSON");

    let seen = mount.contain("contain", json!({"dry_run": true})).await;
    assert_eq!(seen.data["users"], 1);
    let response = mount.contain("contain", json!({})).await;

    assert_eq!(response.data["state"], "finished");
    assert!(!mount.accepts(&held[0]));
    assert!(!works(&mount, &session));
    let told = response.warnings.join("\n");
    assert!(told.contains("role \"broken\" cannot be read"), "{told}");
}

#[tokio::test]
async fn the_engine_does_not_shut_itself_out_of_the_aws_role_that_it_acts_as() {
    let mount = mount().await;
    with_sessions(
        &mount,
        json!({"revocable_sessions": true, "revoke_older_sessions": true}),
    )
    .await;
    let arn = "arn:aws:iam::111122223333:role/deploy";
    mount.configure(json!({"assume_role_arn": arn})).await;
    let mut sessions = Vec::new();
    for _ in 0..130 {
        sessions.push(mount.generate("creds/s").await);
        mount.clock().advance(SECOND);
    }
    for session in &sessions {
        // Where there is no room by name, none is made by time.
        let _ = mount.revoke(session).await;
    }
    assert!(!works(&mount, &sessions[0]));
    let held = mount.give_out("x", 1).await;

    let response = mount.contain("contain", json!({})).await;

    let told = response.data["sessions"].to_string();
    assert!(told.contains("acts as a session of"), "{told}");
    assert!(!mount.accepts(&held[0]));
    assert_eq!(response.data["users_removed"], 1);
}
