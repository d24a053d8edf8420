//! Containment, as a specification.

mod crashes;

use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::fake::{FakeRole, Fault, FaultRule};
use crate::engine::testing::{Lease, READ_ONLY, TestMount};
use crate::logical::testing::{StaticSystemView, StorageFault};
use crate::logical::{Error, JsonObject, Operation, ReplicationState, Response};

const MINUTE: Duration = Duration::from_mins(1);

/// A mount with two roles of users, `x` and `y`.
async fn mount() -> TestMount {
    let mount = TestMount::configured().await;
    for role in ["roles/x", "roles/y"] {
        let fields = json!({"credential_type": "iam_user", "policy_arns": READ_ONLY});
        mount.write(role, fields).await;
    }
    mount
}

impl TestMount {
    async fn contain(&self, path: &str, data: Value) -> Response {
        let answer = self.send(Operation::Update, path, data).await;
        answer.unwrap().unwrap()
    }

    async fn status(&self, id: &str) -> JsonObject {
        self.read(&format!("contain-status/{id}")).await
    }

    /// So many users of a role, old enough that AWS's word counts.
    async fn give_out(&self, role: &str, count: usize) -> Vec<Lease> {
        let mut leases = Vec::new();
        for _ in 0..count {
            leases.push(self.generate(&format!("creds/{role}")).await);
        }
        self.clock().advance(10 * MINUTE);
        leases
    }

    /// Ticks of the host's timer until the work has ended.
    async fn wait_for(&self, id: &str) -> JsonObject {
        for _ in 0..20 {
            let status = self.status(id).await;
            if status["state"] == "finished" {
                return status;
            }
            self.clock().advance(MINUTE);
            self.roll_back().await.unwrap();
        }
        panic!("it does not end: {:?}", self.status(id).await);
    }

    fn accepts(&self, lease: &Lease) -> bool {
        let (id, secret) = (lease.text("access_key"), lease.text("secret_key"));
        self.aws().identify(id, secret, None).is_some()
    }
}

fn id(response: &Response) -> &str {
    response.data["id"].as_str().unwrap()
}

#[tokio::test]
async fn a_role_gives_nothing_more_and_all_that_it_gave_ends_and_nothing_else() {
    let mount = mount().await;
    let held = mount.give_out("x", 5).await;
    let other = mount.give_out("y", 1).await;

    let response = mount.contain("contain/x", json!({})).await;

    let status = &response.data;
    assert_eq!(status["role"], "x");
    assert_eq!(status["state"], "finished");
    assert_eq!(status["display_name"], "token-alice");
    for field in ["users", "keys_ended", "users_removed"] {
        assert_eq!(status[field], 5, "{field}");
    }
    assert_eq!(status["failures"], json!({}));
    assert_eq!(mount.status(id(&response)).await, *status);
    for lease in &held {
        assert!(!mount.accepts(lease));
        // The lease ends quietly.
        mount.revoke(lease).await.unwrap();
    }
    let refusal = mount.generate_refusal("creds/x", json!({})).await;
    assert!(refusal.contains("is disabled"), "{refusal}");
    assert!(mount.accepts(&other[0]));
    assert_eq!(mount.issued(), [other[0].text("username")]);
}

#[tokio::test]
async fn every_access_key_ends_before_the_first_user_is_removed() {
    let mount = mount().await;
    mount.give_out("x", 20).await;
    mount.aws().forget_calls();

    mount.contain("contain/x", json!({})).await;

    let calls = mount.aws().operations();
    let keys = calls
        .iter()
        .take_while(|operation| **operation == "iam:DeleteAccessKey");
    assert_eq!(keys.count(), 20, "{calls:?}");
    assert!(calls.contains(&"iam:DeleteUser"));
}

#[tokio::test]
async fn a_dry_run_counts_and_names_and_changes_nothing() {
    let mount = mount().await;
    let held = mount.give_out("x", 3).await;
    mount.give_out("y", 1).await;
    mount.aws().forget_calls();

    let response = mount.contain("contain/x", json!({"dry_run": true})).await;

    let mut names: Vec<_> = held.iter().map(|lease| lease.text("username")).collect();
    names.sort_unstable();
    assert_eq!(
        json!(response.data),
        json!({
            "dry_run": true,
            "role": "x",
            "users": 3,
            "usernames": names,
            "holders": {"token-alice": 3},
        })
    );
    assert_eq!(mount.aws().operations(), [""; 0]);
    assert_eq!(mount.list("contain-status/").await, [""; 0]);
    mount.generate("creds/x").await;
    let all = mount.contain("contain", json!({"dry_run": true})).await;
    assert_eq!(all.data["users"], 5);
}

#[tokio::test]
async fn without_a_role_everything_of_the_mount_ends() {
    let mount = mount().await;
    let held = [mount.give_out("x", 2).await, mount.give_out("y", 2).await].concat();
    // A role that is gone by now.
    mount.delete("roles/y").await;

    let response = mount.contain("contain/", json!({})).await;

    assert_eq!(response.data["role"], "");
    assert_eq!(response.data["users_removed"], 4);
    assert!(held.iter().all(|lease| !mount.accepts(lease)));
    mount.generate_refusal("creds/x", json!({})).await;
    mount.assert_nothing_left();
}

#[tokio::test]
async fn a_role_that_is_gone_is_contained_and_a_name_that_nobody_knows_is_told() {
    let mount = mount().await;
    let held = mount.give_out("x", 1).await;
    mount.delete("roles/x").await;

    let response = mount.contain("contain/x", json!({})).await;

    assert!(!mount.accepts(&held[0]));
    assert!(
        response.warnings[0].starts_with("there is no role \"x\": "),
        "{:?}",
        response.warnings
    );
}

/// A role `s` that gives sessions of an AWS role.
async fn with_sessions(mount: &TestMount, more: Value) {
    let arn = mount.aws().add_role("deploy", FakeRole::default());
    let mut role = json!({"credential_type": "assumed_role", "role_arns": arn.as_str()});
    for (field, value) in more.as_object().unwrap() {
        role[field] = value.clone();
    }
    mount.write("roles/s", role).await;
}

/// Whether AWS lets the session do anything.
fn works(mount: &TestMount, session: &Lease) -> bool {
    let (id, secret) = (session.text("access_key"), session.text("secret_key"));
    let token = Some(session.text("session_token"));
    mount.aws().lets("s3:GetObject", id, secret, token)
}

#[tokio::test]
async fn sessions_that_were_opened_before_end_whether_or_not_they_were_revocable() {
    let mount = mount().await;
    with_sessions(&mount, json!({})).await;
    let session = mount.generate("creds/s").await;
    assert!(works(&mount, &session));

    let seen = mount.contain("contain/s", json!({"dry_run": true})).await;
    assert!(
        seen.warnings[0].contains("role/deploy all sessions that were opened until now end"),
        "{:?}",
        seen.warnings
    );
    assert!(works(&mount, &session));

    let response = mount.contain("contain/s", json!({})).await;

    assert_eq!(response.data["state"], "finished");
    let [told] = &response.data["sessions"].as_array().unwrap()[..] else {
        panic!("{:?}", response.data);
    };
    assert!(
        told.as_str().unwrap().contains("are denied everything"),
        "{told}"
    );
    assert!(!works(&mount, &session));
    mount.clock().advance(2 * MINUTE);
    mount.write("roles/s", json!({"disabled": false})).await;
    let later = mount.generate("creds/s").await;
    assert!(works(&mount, &later));
}

#[tokio::test]
async fn an_aws_role_to_which_many_roles_lead_is_dealt_with_once() {
    let mount = mount().await;
    with_sessions(&mount, json!({})).await;
    for role in ["roles/t", "roles/u"] {
        let arn = "arn:aws:iam::111122223333:role/deploy";
        let role_of_it = json!({"credential_type": "assumed_role", "role_arns": arn});
        mount.write(role, role_of_it).await;
    }

    let response = mount.contain("contain", json!({})).await;

    assert_eq!(response.data["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(mount.aws().calls_of("iam:GetRolePolicy").len(), 1);
    assert_eq!(mount.aws().calls_of("iam:PutRolePolicy").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn sessions_that_aws_does_not_let_us_end_hold_up_nothing_else_and_are_tried_again() {
    let mount = mount().await;
    with_sessions(&mount, json!({})).await;
    let session = mount.generate("creds/s").await;
    let held = mount.give_out("x", 1).await;
    mount.aws().deny("iam:PutRolePolicy");

    let response = mount.contain("contain", json!({})).await;

    assert!(!mount.accepts(&held[0]));
    assert_eq!(response.data["users_removed"], 1);
    assert_eq!(
        response.data["state"],
        "ending sessions, some of which are tried again"
    );
    let told = response.data["sessions"].to_string();
    assert!(told.contains("iam:PutRolePolicy"), "{told}");
    assert!(works(&mount, &session));

    mount.aws().heal();
    mount.clock().advance(MINUTE);
    mount.roll_back().await.unwrap();

    let id = response.data["id"].as_str().unwrap();
    assert_eq!(mount.status(id).await["state"], "finished");
    assert!(!works(&mount, &session));
}

#[tokio::test]
async fn the_answer_says_which_sessions_live_until_they_end() {
    let mount = mount().await;
    let role = json!({"credential_type": "session_token", "max_sts_ttl": "1h"});
    mount.write("roles/s", role).await;

    for data in [json!({"dry_run": true}), json!({})] {
        let response = mount.contain("contain/s", data).await;

        let [warning] = response.warnings.try_into().unwrap();
        assert!(
            warning.contains("live until they end by themselves, within 1h0m0s"),
            "{warning}"
        );
    }
    mount.generate_refusal("creds/s", json!({})).await;
}

#[tokio::test(start_paused = true)]
async fn what_aws_refuses_is_told_and_tried_again_at_each_tick() {
    let mount = mount().await;
    let held = mount.give_out("x", 3).await;
    mount.aws().deny("iam:DeleteUser");

    let response = mount.contain("contain/x", json!({})).await;

    assert!(held.iter().all(|lease| !mount.accepts(lease)));
    assert_eq!(
        response.data["state"],
        "removing users, some of which are tried again"
    );
    assert_eq!(response.data["users_removed"], 0);
    let failures = response.data["failures"].as_object().unwrap();
    assert_eq!(failures.len(), 3);
    for lease in &held {
        let reason = failures[lease.text("username")].as_str().unwrap();
        assert!(reason.contains("grant iam:DeleteUser"), "{reason}");
    }
    mount.roll_back().await.unwrap();
    assert_eq!(
        mount.status(id(&response)).await["failures"]
            .as_object()
            .unwrap()
            .len(),
        3
    );

    mount.aws().heal();
    let status = mount.wait_for(id(&response)).await;
    assert_eq!(status["users_removed"], 3);
    assert_eq!(status["failures"], json!({}));
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_key_that_could_not_be_ended_dies_with_its_user() {
    let mount = mount().await;
    let held = mount.give_out("x", 2).await;
    mount
        .aws()
        .inject(FaultRule::on("iam:DeleteAccessKey", Fault::Code("ServiceFailure")).times(1));

    let response = mount.contain("contain/x", json!({})).await;

    assert_eq!(response.data["keys_ended"], 1);
    let status = mount.wait_for(id(&response)).await;
    assert_eq!(status["users_removed"], 2);
    assert!(held.iter().all(|lease| !mount.accepts(lease)));
}

#[tokio::test(start_paused = true)]
async fn it_is_answered_within_seconds_and_the_rest_goes_on_at_the_timer_and_in_the_next_life() {
    let mut mount = mount().await;
    mount.give_out("x", 200).await;
    // Too much for the first seconds: seven calls for each user.
    mount.aws().set_delay(Duration::from_secs(1));
    let began = tokio::time::Instant::now();

    let response = mount.contain("contain/x", json!({})).await;

    assert!(began.elapsed() < Duration::from_secs(9));
    assert_ne!(response.data["state"], "finished");
    mount.restart().await;
    let status = mount.wait_for(id(&response)).await;
    assert_eq!(status["users"], 200);
    assert_eq!(status["users_removed"], 200);
    mount.aws().set_delay(Duration::ZERO);
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_under_way_hands_nothing_out() {
    let mount = mount().await;
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateAccessKey", Fault::HeldAfter).times(1));
    let backend = mount.backend();
    let request = mount.request(Operation::Read, "creds/x", json!({}));
    let under_way = tokio::spawn(async move { backend.handle_request(request).await });
    while mount.aws().calls_of("iam:CreateAccessKey").is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let response = mount.contain("contain/x", json!({})).await;
    mount.aws().heal();

    let error = under_way.await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::Invalid(_)), "{error:?}");
    assert!(error.to_string().contains("is disabled"), "{error}");
    mount.wait_for(id(&response)).await;
    mount.clock().advance(10 * MINUTE);
    mount.roll_back().await.unwrap();
    mount.assert_nothing_left();
}

#[tokio::test(start_paused = true)]
async fn whoever_is_given_out_after_the_role_was_enabled_again_lives() {
    let mount = mount().await;
    mount.give_out("x", 2).await;
    mount.aws().deny("iam:DeleteUser");
    let response = mount.contain("contain/x", json!({})).await;
    mount.aws().heal();
    mount.clock().advance(2 * MINUTE);
    mount.write("roles/x", json!({"disabled": false})).await;
    let new = mount.generate("creds/x").await;

    let status = mount.wait_for(id(&response)).await;

    assert_eq!(status["users_removed"], 2);
    assert!(mount.accepts(&new));
    assert_eq!(mount.issued(), [new.text("username")]);
}

#[tokio::test]
async fn a_young_user_that_aws_does_not_know_yet_is_looked_for_until_that_is_certain() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    mount
        .aws()
        .inject(FaultRule::on("*", Fault::NotSpreadYet(2 * MINUTE)));

    let response = mount.contain("contain/x", json!({})).await;

    assert_ne!(response.data["state"], "finished");
    let why = response.data["failures"][lease.text("username")].as_str();
    assert!(
        why.is_some_and(|why| why.contains("AWS does not know this user")),
        "{response:?}"
    );
    let told = mount.wait_for(id(&response)).await;
    assert_eq!(told["failures"], json!({}));
    assert!(!mount.accepts(&lease));
    mount.assert_nothing_left();
}

#[tokio::test]
async fn a_node_that_may_not_write_hands_it_over_and_leaves_nothing() {
    let mut mount = mount().await;
    mount.give_out("x", 1).await;
    mount.aws().forget_calls();
    mount.storage().fail(StorageFault::ReadOnly, "role/");
    let error = mount.write_error("contain/x", json!({})).await;
    assert!(matches!(error, Error::ReadOnly(_)), "{error:?}");
    mount.storage().heal();
    let standby = StaticSystemView {
        replication_state: ReplicationState(1 << 14),
        ..StaticSystemView::default()
    };
    mount.restart_on(standby).await;
    let error = mount.write_error("contain/x", json!({})).await;
    assert!(matches!(error, Error::ReadOnly(_)), "{error:?}");

    assert_eq!(mount.aws().operations(), [""; 0]);
    let keys = mount.storage().keys();
    assert!(
        !keys.iter().any(|key| key.starts_with("contain/")),
        "{keys:?}"
    );
}

#[tokio::test]
async fn the_last_twenty_that_have_ended_are_remembered() {
    let mount = mount().await;
    for _ in 0..25 {
        mount.contain("contain/x", json!({})).await;
        mount.clock().advance(MINUTE);
    }

    let listed = mount.list("contain-status/").await;

    assert_eq!(listed.len(), 20);
    let oldest = mount.status(&listed[0]).await;
    let youngest = mount.status(&listed[19]).await;
    assert!(oldest["began_at"].as_str() < youngest["began_at"].as_str());
    let none = mount
        .send(Operation::Read, "contain-status/no-such-work", json!({}))
        .await;
    assert_eq!(none.unwrap(), None);
}
