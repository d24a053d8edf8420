//! Sessions that end with their leases. moto looks at no condition of a policy, so it is the policy
//! itself that is looked at here; what AWS makes of it is in `judged`.

mod clusters;
mod judged;

use std::process::Command;

use serde_json::{Value, json};

use crate::aws::{ADMINISTRATOR_ACCESS, Aws};
use crate::fixture::{A_ROLLBACK, Fixture, SOON, fixture};
use crate::host::{Host, strings, text};
use crate::issued::Issued;
use crate::process::wait_for;
use crate::settings::settings;

/// Writes the role `deploy`, whose sessions can be ended; the name of its AWS role.
fn revocable_role(fixture: &Fixture) -> String {
    let name = fixture.aws.unique("revocable");
    let arn = fixture
        .aws
        .assumable_role(&name, &fixture.aws.root_user, ADMINISTRATOR_ACCESS);
    fixture.role(
        "deploy",
        &json!({
            "credential_type": "assumed_role",
            "role_arns": [arn],
            "revocable_sessions": true,
        }),
    );
    name
}

/// As the bearer of a token, reads credentials of a role.
fn read_with(host: &Host, token: &str, path: &str) -> Value {
    let mut read = Command::new(&settings().host);
    read.args(["read", "-format=json", path])
        .env(format!("{}_TOKEN", host.product.variables()), token);
    let printed = host.run(&mut read).succeeded();
    serde_json::from_str(&printed).expect("it was asked for JSON")
}

/// A token that may do everything, with that name for people.
fn token(host: &Host, name: &str) -> String {
    let asked = json!({ "policies": ["root"], "ttl": "15m", "display_name": name });
    let body = host.write("auth/token/create", &asked).body();
    text(&body["auth"]["client_token"])
}

/// Has the host revoke the leases of a role, one after the other or as many at once as it likes.
fn revoke_prefix(host: &Host, role: &str, sync: bool) {
    host.write(
        &format!("sys/leases/revoke-prefix/aws/creds/{role}"),
        &json!({ "sync": sync }),
    )
    .succeeded();
}

/// The names of the sessions to which the AWS role's only inline policy denies everything.
fn denied(aws: &Aws, role: &str) -> Vec<String> {
    let policies = aws.inline_policies_of_role(role);
    let Some((name, document)) = policies.first_key_value() else {
        return Vec::new();
    };
    assert_eq!(policies.len(), 1, "{policies:?}");
    assert!(name.starts_with("vault-ended-sessions-"), "{name}");
    denied_by(document)
}

/// The names of the sessions to which a policy of an AWS role denies everything.
fn denied_by(document: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(document).expect("a policy is JSON");
    let [statement] = document["Statement"]
        .as_array()
        .expect("statements")
        .as_slice()
    else {
        panic!("{document}");
    };
    assert_eq!(statement["Effect"], "Deny");
    assert_eq!(statement["Action"], "*");
    assert_eq!(statement["Resource"], "*");
    let ids = strings(&statement["Condition"]["StringEquals"]["aws:userid"]);
    assert!(!ids.is_empty(), "{document}");
    let names = ids.iter().map(|id| {
        let (role, name) = id
            .split_once(':')
            .expect("a role's id and a session's name");
        assert!(role.starts_with("AROA"), "{id}");
        name.to_owned()
    });
    names.collect()
}

/// Their names in the order in which a policy lists them.
fn names<'a>(sessions: impl IntoIterator<Item = &'a Issued>) -> Vec<String> {
    let sessions = sessions.into_iter();
    let mut names: Vec<_> = sessions.map(|session| session.name.clone()).collect();
    names.sort();
    names
}

#[test]
fn a_revoked_lease_and_no_other_has_its_session_in_the_policy_of_the_aws_role() {
    let fixture = fixture!(configured);
    let role = revocable_role(&fixture);
    let (one, other) = (
        Issued::by(&fixture.host, "deploy"),
        Issued::by(&fixture.host, "deploy"),
    );
    assert_eq!(denied(&fixture.aws, &role), [""; 0]);

    fixture.revoke(&one.lease);

    assert_eq!(denied(&fixture.aws, &role), [one.name]);
    let listed = fixture.host.list("aws/issued").succeeded();
    assert_eq!(listed["keys"], json!([other.keys.access_key]));
}

#[test]
fn the_sessions_of_a_prefix_end_together() {
    let fixture = fixture!(configured);
    let role = revocable_role(&fixture);
    let mut names: Vec<_> = (0..20)
        .map(|_| Issued::by(&fixture.host, "deploy").name)
        .collect();
    names.sort();

    let actions = fixture.proxy.actions_while(|| {
        revoke_prefix(&fixture.host, "deploy", true);
    });

    assert_eq!(denied(&fixture.aws, &role), names);
    assert!(actions.contains("PutRolePolicy"), "{actions:?}");
    let stored = fixture.host.stored_keys("aws", "sessions");
    assert_eq!(stored, [""; 0], "records of sessions that were ended");
}

#[test]
fn what_the_host_revokes_at_once_is_gathered_into_few_changes_of_the_policy() {
    const SESSIONS: usize = 60;
    let fixture = fixture!(configured);
    let role = revocable_role(&fixture);
    let mut names: Vec<_> = (0..SESSIONS)
        .map(|_| Issued::by(&fixture.host, "deploy").name)
        .collect();
    names.sort();
    // AWS takes its time for the first, and moto would take none.
    let first = fixture.proxy.on("PutRolePolicy").hold_before();

    revoke_prefix(&fixture.host, "deploy", false);

    first.wait();
    drop(first);
    wait_for("all sessions to be denied", SOON, || {
        (denied(&fixture.aws, &role) == names).then_some(())
    });
    let changes = fixture.proxy.calls_of("PutRolePolicy").len();
    assert!(changes < SESSIONS / 2, "{changes} changes");
}

#[test]
fn the_death_of_the_token_ends_the_session_that_it_asked_for() {
    let fixture = fixture!(configured);
    let role = revocable_role(&fixture);
    let token = token(&fixture.host, "short-lived");
    let session = Issued::of(&read_with(&fixture.host, &token, "aws/creds/deploy"));

    fixture
        .host
        .write("auth/token/revoke", &json!({ "token": token }))
        .succeeded();

    wait_for("the session to be denied", SOON, || {
        (denied(&fixture.aws, &role) == [session.name.clone()]).then_some(())
    });
}

#[test]
fn a_leaked_session_ends_by_its_access_key_and_its_lease_then_quietly() {
    let fixture = fixture!(configured);
    let role = revocable_role(&fixture);
    let session = Issued::by(&fixture.host, "deploy");
    let path = format!("aws/issued/{}", session.keys.access_key);
    let found = fixture.host.read(&path).succeeded();
    assert_eq!(found["role"], "deploy");
    assert_eq!(found["username"], json!(session.name));

    let body = fixture
        .host
        .write(&format!("{path}/revoke"), &json!({}))
        .body();

    assert!(
        text(&body["warnings"][0]).contains("within seconds, sometimes minutes"),
        "{body}"
    );
    assert_eq!(denied(&fixture.aws, &role), [session.name]);
    fixture.revoke(&session.lease);
    fixture.host.read(&path).refused(404);
}

#[test]
fn a_permission_that_is_missing_is_named_and_the_next_try_ends_the_session() {
    let fixture = fixture!(configured);
    let role = revocable_role(&fixture);
    let session = Issued::by(&fixture.host, "deploy");
    for permission in ["iam:GetRolePolicy", "iam:PutRolePolicy"] {
        fixture.aws.deny_root(&[permission]);

        let refusal = fixture
            .host
            .write(
                "sys/leases/revoke",
                &json!({ "lease_id": session.lease, "sync": true }),
            )
            .failed();

        assert!(refusal.contains(permission), "{refusal}");
        fixture.aws.allow_root();
    }
    assert_eq!(denied(&fixture.aws, &role), [""; 0]);
    fixture.revoke(&session.lease);
    assert_eq!(denied(&fixture.aws, &role), [session.name]);
}

#[test]
fn the_policy_is_gone_when_the_last_of_its_sessions_has_ended_by_itself() {
    let fixture = fixture!(configured);
    let role = revocable_role(&fixture);
    let sessions = [
        Issued::by(&fixture.host, "deploy"),
        Issued::by(&fixture.host, "deploy"),
    ];
    for session in &sessions {
        fixture.revoke(&session.lease);
    }
    assert_eq!(denied(&fixture.aws, &role), names(&sessions));

    let ended = "session-denials";
    for holder in fixture.host.stored_keys("aws", ended) {
        let key = format!("{ended}/{holder}");
        let mut denials = fixture.host.stored("aws", &key);
        for session in denials["sessions"].as_array_mut().expect("sessions") {
            let seconds = session["expires_at"].as_i64().expect("seconds");
            session["expires_at"] = json!(seconds - 7200);
        }
        fixture.host.store("aws", &key, &denials);
    }
    // Another process looks at once what there is.
    fixture.reload();

    wait_for("the policy to go", A_ROLLBACK, || {
        fixture
            .aws
            .inline_policies_of_role(&role)
            .is_empty()
            .then_some(())
    });
}
