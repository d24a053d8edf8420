//! The same as an AWS sees it that judges the conditions of policies.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use vault_plugin_secrets_aws::aws::PolicyName;
use vault_plugin_secrets_aws::aws::fake::{Call, FakeAws, FakeRole, InlinePolicies, Outcome};

use super::{Session, denied_by, names, open, read_with, revoke_prefix, token};
use crate::aws::{KeyPair, READ_ONLY_ACCESS};
use crate::fixture::{A_ROLLBACK, SOON, fixture};
use crate::host::{Host, text};
use crate::process::wait_for;
use crate::simulated::SimulatedAws;

/// What AWS says to whom a policy denies everything.
const DENIED: &str = "AccessDenied";

/// Has the mount at `aws` act in that AWS, with a role of each kind of session that can be ended, and one
/// of users.
pub(super) fn configure(aws: &SimulatedAws, host: &Host, more: &Value) {
    aws.configure(host);
    let arn = aws.aws.add_role("deploy", FakeRole::default());
    for (name, mut role) in [
        (
            "assumed",
            json!({
                "credential_type": "assumed_role",
                "role_arns": [arn.as_str()],
                "revocable_sessions": true,
            }),
        ),
        (
            "federated",
            json!({
                "credential_type": "federation_token",
                "policy_arns": READ_ONLY_ACCESS,
                "revocable_sessions": true,
            }),
        ),
        (
            "user",
            json!({ "credential_type": "iam_user", "policy_arns": READ_ONLY_ACCESS }),
        ),
    ] {
        if name == "assumed" {
            for (field, value) in more.as_object().into_iter().flatten() {
                role[field] = value.clone();
            }
        }
        host.write(&format!("aws/roles/{name}"), &role).succeeded();
    }
}

fn keys_of_user(body: &Value) -> KeyPair {
    KeyPair {
        access_key: text(&body["data"]["access_key"]),
        secret_key: text(&body["data"]["secret_key"]),
        session_token: None,
    }
}

/// Whether AWS lets whoever has these keys do anything, asked without a call, for many.
fn works(aws: &FakeAws, keys: &KeyPair) -> bool {
    let token = keys.session_token.as_deref();
    aws.lets("s3:GetObject", &keys.access_key, &keys.secret_key, token)
}

fn working<'a>(aws: &FakeAws, sessions: impl IntoIterator<Item = &'a Session>) -> usize {
    let sessions = sessions.into_iter();
    sessions.filter(|one| works(aws, &one.keys)).count()
}

/// What is on the engine's own user.
fn policies_of_the_engine(aws: &FakeAws) -> InlinePolicies {
    let user = aws.user(FakeAws::ADMIN).expect("it is there");
    user.inline_policies
}

/// The document of ended sessions on the AWS role.
pub(super) fn policy(aws: &FakeAws) -> Option<String> {
    let policies = aws.role("deploy").expect("it is there").inline_policies;
    let ours = policies
        .into_iter()
        .find(|(name, _)| name.as_str().starts_with("vault-ended-sessions-"));
    ours.map(|(_, document)| document)
}

fn open_many(host: &Host, role: &str, count: usize) -> Vec<Session> {
    (0..count).map(|_| open(host, role)).collect()
}

#[test]
fn the_next_call_of_a_revoked_session_is_denied_and_none_of_its_neighbour() {
    let aws = SimulatedAws::start();
    let fixture = fixture!(configured);
    let host = &fixture.host;
    configure(&aws, host, &json!({}));
    let (revoked, neighbour) = (open(host, "assumed"), open(host, "assumed"));
    assert_eq!(aws.call(&revoked.keys), Ok(()));

    fixture.revoke(&revoked.lease);

    assert_eq!(aws.call(&revoked.keys), Err(DENIED.to_owned()));
    assert_eq!(aws.call(&neighbour.keys), Ok(()));
    let log = host.log();
    for secret in aws.aws.secrets() {
        assert!(!log.contains(&secret), "a secret is in the host's log");
    }
}

#[test]
fn a_revoked_federated_session_is_denied_and_neither_its_neighbour_nor_the_engine_is() {
    let aws = SimulatedAws::start();
    let fixture = fixture!(configured);
    let host = &fixture.host;
    configure(&aws, host, &json!({}));
    let (revoked, neighbour) = (open(host, "federated"), open(host, "federated"));
    assert!(works(&aws.aws, &revoked.keys));

    fixture.revoke(&revoked.lease);

    assert!(!works(&aws.aws, &revoked.keys));
    assert!(works(&aws.aws, &neighbour.keys));
    for role in ["federated", "assumed"] {
        assert!(works(&aws.aws, &open(host, role).keys), "{role}");
    }
    let user = keys_of_user(&host.read("aws/creds/user").body());
    assert_eq!(aws.call(&user), Ok(()));
    assert_eq!(policies_of_the_engine(&aws.aws).len(), 1);
}

#[test]
fn the_key_id_of_a_clients_answer_finds_who_has_it_and_the_key_dies_by_one_command() {
    let aws = SimulatedAws::start();
    let fixture = fixture!(configured);
    let host = &fixture.host;
    configure(&aws, host, &json!({}));
    let token = token(host, "build-7");
    for role in ["user", "assumed", "federated"] {
        let read = || read_with(host, &token, &format!("aws/creds/{role}"));
        let keys_of = |body: &Value| match role {
            "user" => keys_of_user(body),
            _ => Session::of(body).keys,
        };
        let answer = read();
        let (leaked, neighbour) = (keys_of(&answer), keys_of(&read()));
        assert!(works(&aws.aws, &leaked), "{role}");
        let path = format!("aws/issued/{}", leaked.access_key);

        let found = host.read(&path).succeeded();

        assert_eq!(found["role"], role);
        assert_eq!(found["display_name"], "token-build-7", "{found}");
        assert_eq!(found["username"], answer["data"]["username"], "{found}");
        host.cli(&["write", "-f", &format!("{path}/revoke")])
            .succeeded();
        assert!(!works(&aws.aws, &leaked), "{role}");
        assert!(works(&aws.aws, &neighbour), "{role}");
        host.read(&path).refused(404);
        fixture.revoke(&text(&answer["lease_id"]));
        assert!(works(&aws.aws, &neighbour), "{role}");
    }
}

#[test]
fn containment_ends_users_by_their_keys_first_and_then_sessions_by_their_time() {
    let aws = SimulatedAws::start();
    let fixture = fixture!(configured);
    let host = &fixture.host;
    configure(&aws, host, &json!({}));
    // A session that has no record ends, too.
    let arn = aws.aws.arn("iam", "role/deploy");
    let plain = json!({ "credential_type": "assumed_role", "role_arns": [arn.as_str()] });
    host.write("aws/roles/plain", &plain).succeeded();
    let mut out: Vec<KeyPair> = Vec::new();
    for _ in 0..3 {
        out.push(keys_of_user(&host.read("aws/creds/user").body()));
    }
    for role in ["assumed", "plain", "federated"] {
        out.extend(open_many(host, role, 2).into_iter().map(|one| one.keys));
    }
    assert!(out.iter().all(|keys| works(&aws.aws, keys)));
    aws.aws.forget_calls();

    host.cli(&["write", "-f", "aws/contain/"]).succeeded();

    for keys in &out {
        assert!(!works(&aws.aws, keys), "{}", keys.access_key);
    }
    assert_eq!(order_of(&aws.aws.calls()), ["keys", "sessions", "users"]);
    assert!(aws.aws.iam_users().is_empty());
    let status = wait_for("the containment to end", A_ROLLBACK, || {
        let ids = host.list("aws/contain-status").succeeded();
        let id = text(&ids["keys"][0]);
        let status = host.read(&format!("aws/contain-status/{id}")).succeeded();
        (status["state"] == "finished").then_some(status)
    });
    assert_eq!(status["users_removed"], 3, "{status}");

    // What is opened later is nobody's incident.
    aws.aws.set_clock_ahead(time::Duration::seconds(5));
    for role in ["assumed", "plain", "federated"] {
        let enabled = json!({ "disabled": false });
        host.write(&format!("aws/roles/{role}"), &enabled)
            .succeeded();
        assert!(works(&aws.aws, &open(host, role).keys), "{role}");
    }
    assert!(!out.iter().any(|keys| works(&aws.aws, keys)));
}

/// What was ended, in the order in which that began, if it was ended at one go each.
fn order_of(calls: &[Call]) -> Vec<&'static str> {
    let ends = calls.iter().filter_map(|call| match call.operation {
        "iam:DeleteAccessKey" => Some("keys"),
        "iam:PutRolePolicy" | "iam:PutUserPolicy" => Some("sessions"),
        "iam:DeleteUser" => Some("users"),
        _ => None,
    });
    let mut order: Vec<_> = ends.collect();
    order.dedup();
    order
}

#[test]
fn a_hundred_sessions_of_a_prefix_end_by_two_changes_of_the_policy_at_most() {
    const SESSIONS: usize = 100;
    let aws = SimulatedAws::start();
    let fixture = fixture!(configured);
    let host = &fixture.host;
    configure(&aws, host, &json!({}));
    let sessions = open_many(host, "assumed", SESSIONS);
    aws.aws.forget_calls();
    // AWS takes its time, while the host goes through its list.
    aws.aws.set_delay(Duration::from_secs(2));

    revoke_prefix(host, "assumed", false);

    wait_for("all sessions to be denied", SOON, || {
        (working(&aws.aws, &sessions) == 0).then_some(())
    });
    let changes = aws.aws.calls_of("iam:PutRolePolicy").len();
    assert!(changes <= 2, "{changes} changes");
    let document = policy(&aws.aws).expect("a policy");
    assert_eq!(denied_by(&document), names(&sessions));
    aws.aws.set_delay(Duration::ZERO);
}

#[test]
fn a_storm_never_lets_the_policy_outgrow_its_room_and_the_oldest_are_cut_off_by_their_time() {
    const BATCHES: usize = 5;
    const OF_A_BATCH: usize = 80;
    let aws = SimulatedAws::start();
    let fixture = fixture!(configured);
    let host = &fixture.host;
    configure(&aws, host, &json!({ "revoke_older_sessions": true }));
    let mut sessions = Vec::new();
    for batch in 1..=BATCHES {
        sessions.extend(open_many(host, "assumed", OF_A_BATCH));
        let ahead = time::Duration::seconds(10) * i32::try_from(batch).expect("few");
        aws.aws.set_clock_ahead(ahead);
    }
    aws.aws.forget_calls();

    revoke_prefix(host, "assumed", false);

    wait_for("all sessions to be denied", SOON, || {
        (working(&aws.aws, &sessions) == 0).then_some(())
    });
    let puts = aws.aws.calls_of("iam:PutRolePolicy");
    // AWS refuses what has no room.
    for put in &puts {
        assert_eq!(put.outcome, Some(Outcome::Done), "{put:?}");
    }
    let document = policy(&aws.aws).expect("a policy");
    assert!(document.len() <= 10_240, "{} characters", document.len());
    assert!(document.contains("aws:TokenIssueTime"), "{document}");
    assert_eq!(aws.call(&open(host, "assumed").keys), Ok(()));
    assert!(puts.len() < BATCHES * OF_A_BATCH / 4, "{}", puts.len());
}

#[test]
fn a_revocation_for_which_there_is_no_room_fails_loudly_and_comes_through_when_there_is() {
    let aws = SimulatedAws::start();
    let fixture = fixture!(configured);
    let host = &fixture.host;
    configure(&aws, host, &json!({}));
    take_room_but(&aws.aws, 700);
    let sessions = open_many(host, "assumed", 12);
    let mut told = BTreeSet::new();
    let mut waiting = Vec::new();
    for session in &sessions {
        let asked = json!({ "lease_id": session.lease, "sync": true });
        let answer = host.write("sys/leases/revoke", &asked);
        // Not half ended: either it is denied, or the revocation has failed.
        assert_eq!(answer.is_success(), !works(&aws.aws, &session.keys));
        if !answer.is_success() {
            told.insert(answer.failed());
            waiting.push(session);
        }
    }
    assert!((1..12).contains(&waiting.len()), "{}", waiting.len());
    for told in told {
        assert!(
            told.contains("10240 characters") && told.contains("revoke_older_sessions=true"),
            "{told}"
        );
    }
    for session in &waiting {
        // The host tries until it succeeds.
        let asked = json!({ "lease_id": session.lease, "sync": false });
        host.write("sys/leases/revoke", &asked).succeeded();
    }
    take_room_but(&aws.aws, 8000);

    wait_for("those who waited to be denied", A_ROLLBACK, || {
        (working(&aws.aws, waiting.iter().copied()) == 0).then_some(())
    });
    let document = policy(&aws.aws).expect("a policy");
    assert_eq!(denied_by(&document), names(&sessions));
}

/// Somebody else's inline policy on the AWS role leaves so many characters.
fn take_room_but(aws: &FakeAws, characters: usize) {
    let statement = |resource: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"s3:*","Resource":"{resource}"}}]}}"#
        )
    };
    let fill = 10_240 - characters - statement("").len();
    aws.change_role("deploy", |role| {
        let name = PolicyName::new("others").expect("a name");
        role.inline_policies
            .insert(name, statement(&"x".repeat(fill)));
    });
}
