//! The same as an AWS sees it that judges the conditions of policies.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use vault_plugin_secrets_aws::aws::PolicyName;
use vault_plugin_secrets_aws::aws::fake::{Call, FakeAws, Outcome};

use super::{denied_by, names, read_with, revoke_prefix, token};
use crate::fixture::{A_ROLLBACK, SOON, fixture};
use crate::host::{Host, text};
use crate::issued::Issued;
use crate::process::wait_for;
use crate::simulated::SimulatedAws;

/// What AWS says to whom a policy denies everything.
const DENIED: &str = "AccessDenied";

fn working<'a>(aws: &SimulatedAws, issued: impl IntoIterator<Item = &'a Issued>) -> usize {
    issued.into_iter().filter(|one| aws.lets(one)).count()
}

fn issue(host: &Host, role: &str, count: usize) -> Vec<Issued> {
    (0..count).map(|_| Issued::by(host, role)).collect()
}

#[test]
fn the_next_call_of_a_revoked_session_is_denied_and_none_of_its_neighbour() {
    let aws = SimulatedAws::start();
    let fixture = fixture!(configured);
    let host = &fixture.host;
    aws.configure(host, &json!({}));
    let (revoked, neighbour) = (Issued::by(host, "assumed"), Issued::by(host, "assumed"));
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
    aws.configure(host, &json!({}));
    let (revoked, neighbour) = (Issued::by(host, "federated"), Issued::by(host, "federated"));
    assert!(aws.lets(&revoked));

    fixture.revoke(&revoked.lease);

    assert!(!aws.lets(&revoked));
    assert!(aws.lets(&neighbour));
    for role in ["federated", "assumed"] {
        assert!(aws.lets(&Issued::by(host, role)), "{role}");
    }
    let user = Issued::by(host, "user");
    assert_eq!(aws.call(&user.keys), Ok(()));
    assert_eq!(aws.ended_of_engine().iter().count(), 1);
}

#[test]
fn the_key_id_of_a_clients_answer_finds_who_has_it_and_the_key_dies_by_one_command() {
    let aws = SimulatedAws::start();
    let fixture = fixture!(configured);
    let host = &fixture.host;
    aws.configure(host, &json!({}));
    let token = token(host, "build-7");
    for role in ["user", "assumed", "federated"] {
        let read = || Issued::of(&read_with(host, &token, &format!("aws/creds/{role}")));
        let (leaked, neighbour) = (read(), read());
        assert!(aws.lets(&leaked), "{role}");
        let path = format!("aws/issued/{}", leaked.keys.access_key);

        let found = host.read(&path).succeeded();

        assert_eq!(found["role"], role);
        assert_eq!(found["display_name"], "token-build-7", "{found}");
        assert_eq!(found["username"], json!(leaked.name), "{found}");
        host.cli(&["write", "-f", &format!("{path}/revoke")])
            .succeeded();
        assert!(!aws.lets(&leaked), "{role}");
        assert!(aws.lets(&neighbour), "{role}");
        host.read(&path).refused(404);
        fixture.revoke(&leaked.lease);
        assert!(aws.lets(&neighbour), "{role}");
    }
}

#[test]
fn containment_ends_users_by_their_keys_first_and_then_sessions_by_their_time() {
    let aws = SimulatedAws::start();
    let fixture = fixture!(configured);
    let host = &fixture.host;
    aws.configure(host, &json!({}));
    // A session that has no record ends, too.
    let arn = aws.aws.arn("iam", "role/deploy");
    let plain = json!({ "credential_type": "assumed_role", "role_arns": [arn.as_str()] });
    host.write("aws/roles/plain", &plain).succeeded();
    let mut out = issue(host, "user", 3);
    for role in ["assumed", "plain", "federated"] {
        out.extend(issue(host, role, 2));
    }
    assert_eq!(working(&aws, &out), 9);
    aws.aws.forget_calls();

    host.cli(&["write", "-f", "aws/contain/"]).succeeded();

    assert_eq!(working(&aws, &out), 0);
    let order = order_of(&aws.aws.calls());
    let of_keys = order.iter().take_while(|one| **one == "keys").count();
    assert!(of_keys >= 3, "{order:?}");
    let of_users = order.iter().position(|one| *one == "users");
    let of_sessions = order.iter().rposition(|one| *one == "sessions");
    assert!(of_sessions < of_users, "{order:?}");
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
        assert!(aws.lets(&Issued::by(host, role)), "{role}");
    }
    assert_eq!(working(&aws, &out), 0);
}

/// What was ended, in the order in which that began; a removal may look for keys again.
fn order_of(calls: &[Call]) -> Vec<&'static str> {
    let ends = calls.iter().filter_map(|call| match call.operation {
        "iam:DeleteAccessKey" => Some("keys"),
        "iam:PutRolePolicy" | "iam:PutUserPolicy" => Some("sessions"),
        "iam:DeleteUser" => Some("users"),
        _ => None,
    });
    ends.collect()
}

#[test]
fn a_hundred_sessions_of_a_prefix_end_by_two_changes_of_the_policy_at_most() {
    const SESSIONS: usize = 100;
    let aws = SimulatedAws::start();
    let fixture = fixture!(configured);
    let host = &fixture.host;
    aws.configure(host, &json!({}));
    let sessions = issue(host, "assumed", SESSIONS);
    aws.aws.forget_calls();
    // AWS takes its time, while the host goes through its list.
    aws.aws.set_delay(Duration::from_secs(2));

    revoke_prefix(host, "assumed", false);

    wait_for("all sessions to be denied", SOON, || {
        (working(&aws, &sessions) == 0).then_some(())
    });
    let changes = aws.aws.calls_of("iam:PutRolePolicy").len();
    assert!(changes <= 2, "{changes} changes");
    let document = aws.ended_of_role().expect("a policy");
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
    aws.configure(host, &json!({ "revoke_older_sessions": true }));
    let mut sessions = Vec::new();
    for batch in 1..=BATCHES {
        sessions.extend(issue(host, "assumed", OF_A_BATCH));
        let ahead = time::Duration::seconds(10) * i32::try_from(batch).expect("few");
        aws.aws.set_clock_ahead(ahead);
    }
    aws.aws.forget_calls();

    revoke_prefix(host, "assumed", false);

    wait_for("all sessions to be denied", SOON, || {
        (working(&aws, &sessions) == 0).then_some(())
    });
    let puts = aws.aws.calls_of("iam:PutRolePolicy");
    // AWS refuses what has no room.
    for put in &puts {
        assert_eq!(put.outcome, Some(Outcome::Done), "{put:?}");
    }
    let document = aws.ended_of_role().expect("a policy");
    assert!(document.len() <= 10_240, "{} characters", document.len());
    assert!(document.contains("aws:TokenIssueTime"), "{document}");
    assert_eq!(aws.call(&Issued::by(host, "assumed").keys), Ok(()));
    assert!(puts.len() < BATCHES * OF_A_BATCH / 4, "{}", puts.len());
}

#[test]
fn a_revocation_for_which_there_is_no_room_fails_loudly_and_comes_through_when_there_is() {
    let aws = SimulatedAws::start();
    let fixture = fixture!(configured);
    let host = &fixture.host;
    aws.configure(host, &json!({}));
    take_room_but(&aws.aws, 700);
    let sessions = issue(host, "assumed", 12);
    let mut told = BTreeSet::new();
    let mut waiting = Vec::new();
    for session in &sessions {
        let asked = json!({ "lease_id": session.lease, "sync": true });
        let answer = host.write("sys/leases/revoke", &asked);
        // Not half ended: either it is denied, or the revocation has failed.
        assert_eq!(answer.is_success(), !aws.lets(session));
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
        (working(&aws, waiting.iter().copied()) == 0).then_some(())
    });
    let document = aws.ended_of_role().expect("a policy");
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
