//! Sessions that are ended before their time.

mod clocks;
mod crashes;
mod federation;
mod incident;
mod operators;
mod room;
mod storms;

use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::fake::{FakeRole, FakeUser};
use crate::aws::{PolicyName, UserName};
use crate::caller::Caller;
use crate::engine::Engine;
use crate::engine::counters::RevokedBy;
use crate::engine::sessions::{IssuedSession, end};
use crate::engine::testing::{Lease, TestMount};
use crate::logical::Operation;
use crate::logical::testing::StaticSystemView;

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// A mount whose role `x` gives sessions of the AWS role `deploy` that can be ended.
async fn mount() -> TestMount {
    mount_with(json!({})).await
}

async fn mount_with(more: Value) -> TestMount {
    let mount = TestMount::configured().await;
    let trust = FakeRole {
        max_session_duration: 12 * HOUR,
        ..FakeRole::default()
    };
    let arn = mount.aws().add_role("deploy", trust);
    let mut role = json!({
        "credential_type": "assumed_role",
        "role_arns": [arn.as_str()],
        "revocable_sessions": true,
    });
    for (field, value) in more.as_object().unwrap() {
        role[field] = value.clone();
    }
    mount.write("roles/x", role).await;
    mount
}

/// So many sessions, one some seconds after the other.
async fn open(mount: &TestMount, count: usize) -> Vec<Lease> {
    let mut leases = Vec::new();
    for _ in 0..count {
        leases.push(mount.generate("creds/x").await);
        mount.clock().advance(Duration::from_secs(5));
    }
    leases
}

/// Whether AWS lets the session do anything.
fn works(mount: &TestMount, lease: &Lease) -> bool {
    mount.aws().lets(
        "s3:GetObject",
        lease.text("access_key"),
        lease.text("secret_key"),
        Some(lease.text("session_token")),
    )
}

/// How many of the sessions AWS lets do anything.
fn working(mount: &TestMount, leases: &[Lease]) -> usize {
    leases.iter().filter(|lease| works(mount, lease)).count()
}

/// The policy of ended sessions on the AWS role, with its name.
fn policy(mount: &TestMount) -> Option<(PolicyName, String)> {
    let policies = mount.aws().role("deploy").unwrap().inline_policies;
    policies
        .into_iter()
        .find(|(name, _)| name.as_str().starts_with("vault-ended-sessions-"))
}

/// A node ends the session.
async fn end_on(engine: &Engine, mount: &TestMount, session: &IssuedSession) {
    let caller = Caller::host(None);
    end(engine, mount.storage(), &caller, session, RevokedBy::Lease)
        .await
        .unwrap();
}

/// How often the policy was written.
fn writes(mount: &TestMount) -> usize {
    let put = mount.aws().calls_of("iam:PutRolePolicy").len();
    put + mount.aws().calls_of("iam:DeleteRolePolicy").len()
}

/// What of ended sessions is stored, beside the name of the policies.
fn stored(mount: &TestMount) -> Vec<String> {
    let mut keys = mount.storage().keys();
    keys.retain(|key| key.starts_with("session"));
    keys.retain(|key| key != "session-policy");
    keys
}

impl TestMount {
    /// So much time passes, with the host's timer in each minute.
    async fn wait(&self, time: Duration) {
        for _ in 0..time.as_secs() / 60 {
            self.clock().advance(MINUTE);
            self.roll_back().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_revoked_session_is_denied_everything_and_its_neighbour_nothing() {
    let mount = mount().await;
    let revoked = mount.generate("creds/x").await;
    let neighbour = mount.generate("creds/x").await;
    assert_eq!(working(&mount, &[revoked.clone(), neighbour.clone()]), 2);

    mount.revoke(&revoked).await.unwrap();

    assert!(!works(&mount, &revoked));
    assert!(works(&mount, &neighbour));
    let (_, document) = policy(&mount).unwrap();
    let role_id = mount.aws().role("deploy").unwrap().role_id;
    let id = format!("{role_id}:{}", revoked.text("username"));
    assert_eq!(
        serde_json::from_str::<Value>(&document).unwrap(),
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Sid": "EndedSessions",
                "Effect": "Deny",
                "Action": "*",
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:userid": [id]}},
            }],
        })
    );
}

#[tokio::test]
async fn every_session_has_a_name_of_its_own_whatever_was_wished_for() {
    let mount = mount().await;
    let wish = json!({"role_session_name": "alice"});
    let answer = mount.send(Operation::Update, "creds/x", wish.clone()).await;
    let response = answer.unwrap().unwrap();
    let one = mount.lease("creds/x", response.clone());
    let other = mount.generate_with("creds/x", wish).await;

    assert!(one.text("username").starts_with("alice-"));
    assert_ne!(one.text("username"), other.text("username"));
    assert!(
        response.warnings[0]
            .ends_with("no other session is called so, and this one can be ended alone"),
        "{:?}",
        response.warnings
    );
    mount.revoke(&one).await.unwrap();
    assert!(works(&mount, &other));
}

#[tokio::test]
async fn a_lease_that_ends_with_its_session_asks_nothing_of_aws() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount.clock().advance(HOUR);
    mount.aws().forget_calls();

    mount.revoke(&lease).await.unwrap();

    assert_eq!(mount.aws().operations(), [""; 0]);
    assert_eq!(stored(&mount), [""; 0]);
}

#[tokio::test]
async fn the_policy_is_gone_when_the_last_session_has_ended_by_itself() {
    let mount = mount().await;
    let short = mount.generate_with("creds/x", json!({"ttl": "15m"})).await;
    let long = mount.generate_with("creds/x", json!({"ttl": "1h"})).await;
    mount.revoke(&short).await.unwrap();
    mount.revoke(&long).await.unwrap();

    mount.wait(59 * MINUTE).await;
    let (_, document) = policy(&mount).unwrap();
    assert!(!document.contains(short.text("username")), "{document}");
    assert!(document.contains(long.text("username")), "{document}");

    mount.wait(9 * MINUTE).await;
    assert_eq!(policy(&mount), None);
    assert_eq!(stored(&mount), [""; 0]);
    let writes = writes(&mount);
    mount.wait(2 * HOUR).await;
    assert_eq!(self::writes(&mount), writes);
}

#[tokio::test]
async fn what_is_ended_twice_is_asked_of_aws_once() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount.revoke(&lease).await.unwrap();
    let document = policy(&mount);

    mount.revoke(&lease).await.unwrap();
    assert_eq!(writes(&mount), 1);

    mount.wait(4 * MINUTE).await;
    mount.aws().forget_calls();
    mount.revoke(&lease).await.unwrap();
    assert_eq!(mount.aws().operations(), [""; 0]);
    assert_eq!(policy(&mount), document);
}

#[tokio::test]
async fn a_policy_that_somebody_changed_or_removed_is_put_right_within_the_hour() {
    let mount = mount().await;
    let lease = mount.generate_with("creds/x", json!({"ttl": "12h"})).await;
    mount.revoke(&lease).await.unwrap();
    mount.wait(4 * MINUTE).await;
    mount
        .aws()
        .change_role("deploy", |role| role.inline_policies.clear());
    assert!(works(&mount, &lease));

    mount.wait(HOUR + MINUTE).await;

    assert!(!works(&mount, &lease));
}

#[tokio::test]
async fn a_policy_of_somebody_else_under_the_name_is_left_alone() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    let other = mount.generate("creds/x").await;
    mount.revoke(&lease).await.unwrap();
    let (name, ours) = policy(&mount).unwrap();
    for foreign in [
        r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#.to_owned(),
        ours.replace("\"Deny\"", "\"Allow\""),
        ours.replace("\"Resource\":\"*\"", "\"Resource\":\"arn:aws:s3:::x\""),
    ] {
        mount.aws().change_role("deploy", |role| {
            role.inline_policies.insert(name.clone(), foreign.clone());
        });

        let error = mount.revoke(&other).await.unwrap_err().to_string();

        assert!(error.contains(name.as_str()) && error.contains("left alone"), "{error}");
        assert_eq!(policy(&mount), Some((name.clone(), foreign)));
    }
    mount
        .aws()
        .change_role("deploy", |role| role.inline_policies.clear());
    mount.clock().advance(2 * MINUTE);
    mount.roll_back().await.unwrap();
    assert_eq!(working(&mount, &[lease, other]), 0);
}

#[tokio::test]
async fn a_missing_permission_is_named_and_the_session_ends_when_it_is_granted() {
    for operation in ["iam:GetRolePolicy", "iam:PutRolePolicy"] {
        let mount = mount().await;
        let lease = mount.generate("creds/x").await;
        mount.aws().deny(operation);

        let error = mount.revoke(&lease).await.unwrap_err().to_string();

        assert!(
            error.starts_with("error ending sessions of arn:aws:iam::111122223333:role/deploy: "),
            "{error}"
        );
        assert!(error.contains(&format!("grant {operation}")), "{error}");
        mount.clock().advance(2 * MINUTE);
        assert!(
            mount.roll_back().await.is_err(),
            "the server's log says so each minute"
        );
        mount.aws().heal();
        mount.wait(2 * MINUTE).await;
        assert!(!works(&mount, &lease));
        mount.revoke(&lease).await.unwrap();
    }
}

#[tokio::test]
async fn an_aws_role_that_is_gone_has_nothing_to_deny() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount.aws().remove_role("deploy");

    mount.revoke(&lease).await.unwrap();

    mount.wait(8 * MINUTE).await;
    assert_eq!(stored(&mount), [""; 0]);
}

#[tokio::test]
async fn a_role_of_another_account_gives_no_sessions_that_could_not_be_ended() {
    let mount = TestMount::configured().await;
    let there = mount.aws().in_account("444455556666");
    let arn = there.add_role("deploy", FakeRole::default());
    let role = json!({
        "credential_type": "assumed_role",
        "role_arns": [arn.as_str()],
        "revocable_sessions": true,
    });
    mount.write("roles/x", role).await;

    let refusal = mount.generate_refusal("creds/x", json!({})).await;

    assert!(
        refusal.contains("444455556666") && refusal.contains("assume_role_arn"),
        "{refusal}"
    );
    mount
        .write("roles/x", json!({"revocable_sessions": false}))
        .await;
    mount.generate("creds/x").await;
}

#[tokio::test]
async fn the_host_is_asked_for_one_put_to_open_and_three_to_end() {
    let mount = mount().await;
    mount
        .revoke(&mount.generate("creds/x").await)
        .await
        .unwrap();
    mount.storage().take_calls();

    let lease = mount.generate("creds/x").await;
    let record = format!("sessions/{}", lease.text("access_key"));
    assert_eq!(mount.storage().take_calls(), [format!("put {record}")]);

    mount.revoke(&lease).await.unwrap();
    let denials = "session-denials/aws:111122223333:role:deploy";
    assert_eq!(
        mount.storage().take_calls(),
        [
            format!("get {denials}"),
            // Before AWS hears of it.
            format!("put {denials}"),
            format!("delete {record}"),
        ]
    );
}

#[tokio::test]
async fn a_record_whose_lease_the_host_has_lost_goes_some_time_after_the_session() {
    let mut mount = mount().await;
    mount.generate("creds/x").await;
    assert_eq!(stored(&mount).len(), 1);
    mount.restart().await;

    mount.wait(3 * HOUR).await;

    assert_eq!(stored(&mount), [""; 0]);
    assert_eq!(writes(&mount), 0);
}

#[tokio::test]
async fn a_session_that_outlives_its_lease_ends_soon_after_it_though_the_host_has_given_that_up() {
    let mut mount = mount_with(json!({"max_sts_ttl": "12h", "default_sts_ttl": "12h"})).await;
    let system = StaticSystemView {
        max_lease_ttl: HOUR,
        ..StaticSystemView::default()
    };
    mount.restart_on(system).await;
    let given_up = mount.generate("creds/x").await;
    let before_the_process_died = mount.generate("creds/x").await;
    mount.restart().await;
    mount.wait(30 * MINUTE).await;
    let later = mount.generate("creds/x").await;
    let revoked = mount.generate("creds/x").await;
    mount.revoke(&revoked).await.unwrap();
    let all = [given_up, before_the_process_died, later];

    mount.wait(31 * MINUTE).await;
    assert_eq!(working(&mount, &all), 3);

    mount.wait(2 * MINUTE).await;
    assert_eq!(
        all.each_ref().map(|lease| works(&mount, lease)),
        [false, false, true]
    );
    // The revoked one, the first of the others, and whoever came meanwhile.
    assert_eq!(writes(&mount), 3);

    mount.wait(30 * MINUTE).await;
    assert_eq!(working(&mount, &all), 0);
    let records = stored(&mount);
    assert!(
        !records.iter().any(|key| key.starts_with("sessions/")),
        "{records:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_stored_gives_no_credentials_and_ends_nothing() {
    use crate::logical::testing::StorageFault;

    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount.storage().fail(StorageFault::Put, "session");

    let error = mount.read_error("creds/x").await.to_string();
    assert!(
        error.starts_with("error writing the register of sessions: "),
        "{error}"
    );
    mount.aws().forget_calls();
    let error = mount.revoke(&lease).await.unwrap_err().to_string();
    assert!(
        error.starts_with("error writing down which sessions are ended: "),
        "{error}"
    );

    assert_eq!(mount.aws().operations(), [""; 0]);
    mount.storage().heal();
    mount.revoke(&lease).await.unwrap();
    assert!(!works(&mount, &lease));
}

#[tokio::test]
async fn a_lease_of_a_session_that_cannot_be_ended_is_as_it_was() {
    let mount = mount_with(json!({"revocable_sessions": false})).await;

    let lease = mount.generate("creds/x").await;

    assert_eq!(lease.secret.internal_data.get("session"), None);
    assert_eq!(stored(&mount), [""; 0]);
    mount.revoke(&lease).await.unwrap();
    assert!(works(&mount, &lease));
    assert!(!mount.storage().text("role/x").unwrap().contains("revo"));
}

/// The engine's own user.
fn own_user(mount: &TestMount) -> FakeUser {
    mount
        .aws()
        .user(UserName::new("administrator").unwrap().as_str())
        .unwrap()
}
