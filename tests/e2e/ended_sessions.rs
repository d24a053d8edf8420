//! Sessions that end with their leases. moto looks at no condition of a policy, so it is the policy
//! itself that is looked at here.

use std::process::Command;

use serde_json::{Value, json};

use crate::aws::ADMINISTRATOR_ACCESS;
use crate::fixture::{Fixture, SOON, fixture};
use crate::host::text;
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

/// A session: its lease, the id of its access key, and its name in AWS.
struct Session {
    lease: String,
    access_key: String,
    name: String,
}

fn open(fixture: &Fixture) -> Session {
    let body = fixture.host.read("aws/creds/deploy").body();
    Session {
        lease: text(&body["lease_id"]),
        access_key: text(&body["data"]["access_key"]),
        name: text(&body["data"]["username"]),
    }
}

/// The names of the sessions to which the AWS role's only inline policy denies everything.
fn denied(fixture: &Fixture, role: &str) -> Vec<String> {
    let policies = fixture.aws.inline_policies_of_role(role);
    let Some((name, document)) = policies.first_key_value() else {
        return Vec::new();
    };
    assert_eq!(policies.len(), 1, "{policies:?}");
    assert!(name.starts_with("vault-ended-sessions-"), "{name}");
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
    let ids = &statement["Condition"]["StringEquals"]["aws:userid"];
    let names = ids.as_array().expect("ids").iter().map(|id| {
        let id = text(id);
        let (role, name) = id
            .split_once(':')
            .expect("a role's id and a session's name");
        assert!(role.starts_with("AROA"), "{id}");
        name.to_owned()
    });
    names.collect()
}

#[test]
fn a_revoked_lease_and_no_other_has_its_session_in_the_policy_of_the_aws_role() {
    let fixture = fixture!(configured);
    let role = revocable_role(&fixture);
    let (one, other) = (open(&fixture), open(&fixture));
    assert_eq!(denied(&fixture, &role), [""; 0]);

    fixture.revoke(&one.lease);

    assert_eq!(denied(&fixture, &role), [one.name]);
    let listed = fixture.host.list("aws/issued").succeeded();
    assert_eq!(listed["keys"], json!([other.access_key]));
}

#[test]
fn the_sessions_of_a_prefix_end_together() {
    let fixture = fixture!(configured);
    let role = revocable_role(&fixture);
    let mut names: Vec<_> = (0..20).map(|_| open(&fixture).name).collect();
    names.sort();

    let actions = fixture.proxy.actions_while(|| {
        fixture
            .host
            .write(
                "sys/leases/revoke-prefix/aws/creds/deploy",
                &json!({ "sync": true }),
            )
            .succeeded();
    });

    assert_eq!(denied(&fixture, &role), names);
    assert!(actions.contains("PutRolePolicy"), "{actions:?}");
    let stored = fixture.host.stored_keys("aws", "sessions");
    assert_eq!(stored, [""; 0], "records of sessions that were ended");
}

#[test]
fn what_the_host_revokes_at_once_is_gathered_into_few_changes_of_the_policy() {
    const SESSIONS: usize = 60;
    let fixture = fixture!(configured);
    let role = revocable_role(&fixture);
    let mut names: Vec<_> = (0..SESSIONS).map(|_| open(&fixture).name).collect();
    names.sort();
    // AWS takes its time for the first, and moto would take none.
    let first = fixture.proxy.on("PutRolePolicy").hold_before();

    fixture
        .host
        .write(
            "sys/leases/revoke-prefix/aws/creds/deploy",
            &json!({ "sync": false }),
        )
        .succeeded();

    first.wait();
    drop(first);
    wait_for("all sessions to be denied", SOON, || {
        (denied(&fixture, &role) == names).then_some(())
    });
    let changes = fixture.proxy.calls_of("PutRolePolicy").len();
    assert!(changes < SESSIONS / 2, "{changes} changes");
}

#[test]
fn the_death_of_the_token_ends_the_session_that_it_asked_for() {
    let fixture = fixture!(configured);
    let role = revocable_role(&fixture);
    let token = fixture
        .host
        .write(
            "auth/token/create",
            &json!({ "policies": ["root"], "ttl": "5m" }),
        )
        .body();
    let token = text(&token["auth"]["client_token"]);
    let host = &fixture.host;
    let mut read = Command::new(&settings().host);
    read.args(["read", "-format=json", "aws/creds/deploy"])
        .env(format!("{}_TOKEN", host.product.variables()), &token);
    let printed = host.run(&mut read).succeeded();
    let body: Value = serde_json::from_str(&printed).expect("it was asked for JSON");

    fixture
        .host
        .write("auth/token/revoke", &json!({ "token": token }))
        .succeeded();

    let name = text(&body["data"]["username"]);
    wait_for("the session to be denied", SOON, || {
        (denied(&fixture, &role) == [name.clone()]).then_some(())
    });
}

#[test]
fn a_leaked_session_ends_by_its_access_key_and_its_lease_then_quietly() {
    let fixture = fixture!(configured);
    let role = revocable_role(&fixture);
    let session = open(&fixture);
    let path = format!("aws/issued/{}", session.access_key);
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
    assert_eq!(denied(&fixture, &role), [session.name]);
    fixture.revoke(&session.lease);
    fixture.host.read(&path).refused(404);
}

#[test]
fn a_permission_that_is_missing_is_named_and_the_next_try_ends_the_session() {
    let fixture = fixture!(configured);
    let role = revocable_role(&fixture);
    let session = open(&fixture);
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
    assert_eq!(denied(&fixture, &role), [""; 0]);
    fixture.revoke(&session.lease);
    assert_eq!(denied(&fixture, &role), [session.name]);
}
