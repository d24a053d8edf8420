//! A mount with an incident behind it: sessions that were ended, a role that was contained. The AWS here
//! judges conditions, so that it shows who may do what while the host's own engine serves the mount.

use std::time::Duration;

use serde_json::{Value, json};

use super::{assert_that_the_host_has_no_engine_of_its_own, move_to, running_version};
use crate::aws::READ_ONLY_ACCESS;
use crate::fixture::{A_ROLLBACK, Fixture, fixture};
use crate::host::{Host, strings, text};
use crate::issued::Issued;
use crate::process::wait_for;
use crate::product::Product;
use crate::simulated::SimulatedAws;

const OWNER_TAG: &str = "vault-mount";

/// What is out when the mount goes.
struct Out {
    /// Ended before, by their leases or by a containment.
    ended: Vec<Issued>,
    /// What nobody touches.
    alive: Vec<Issued>,
    /// Its lease is renewed over there.
    renewed: Issued,
    /// Their leases are revoked over there.
    revoked_user: Issued,
    revoked_session: Issued,
}

impl Out {
    /// Nothing that is alive was harmed, and what was denied stays denied.
    fn is_as_it_was(&self, aws: &SimulatedAws) {
        for (number, one) in self.ended.iter().enumerate() {
            assert!(!aws.lets(one), "{number} works again");
        }
        for (number, one) in self.alive.iter().chain([&self.renewed]).enumerate() {
            assert!(aws.lets(one), "{number} does not work any more");
        }
    }
}

fn lease(host: &Host, what: &str, lease: &str) -> crate::host::Answer {
    let asked = json!({ "lease_id": lease, "sync": true, "increment": 1500 });
    host.write(&format!("sys/leases/{what}"), &asked)
}

fn stored_role(host: &Host, role: &str) -> Value {
    host.stored("aws", &format!("role/{role}"))
}

/// Issues of each kind, ends some of it, and contains a role.
fn fill(fixture: &Fixture, aws: &SimulatedAws) -> Out {
    let host = &fixture.host;
    aws.configure(host, &json!({}));
    for (path, body) in [
        ("aws/config/root", json!({ "owner_tag": OWNER_TAG })),
        ("aws/roles/user", json!({ "max_active": 4 })),
        (
            "aws/roles/leaked",
            json!({ "credential_type": "iam_user", "policy_arns": READ_ONLY_ACCESS }),
        ),
    ] {
        host.write(path, &body).succeeded();
    }
    let [ended, session, revoked_session] = std::array::from_fn(|_| Issued::by(host, "assumed"));
    let [federated_ended, federated] = std::array::from_fn(|_| Issued::by(host, "federated"));
    let [user, renewed, revoked_user] = std::array::from_fn(|_| Issued::by(host, "user"));
    let leaked = Issued::by(host, "leaked");
    fixture.revoke(&ended.lease);
    fixture.revoke(&federated_ended.lease);
    host.write("aws/contain/leaked", &json!({})).succeeded();
    wait_for("the containment to end", A_ROLLBACK, || {
        let listed = host.list("aws/contain-status").succeeded();
        let id = text(&listed["keys"][0]);
        (listed["key_info"][&id]["state"] == "finished").then_some(())
    });
    Out {
        ended: vec![ended, federated_ended, leaked],
        alive: vec![session, federated, user],
        renewed,
        revoked_user,
        revoked_session,
    }
}

#[test]
fn what_is_out_after_an_incident_is_not_harmed_by_the_hosts_own_engine_and_ends_here_again() {
    let fixture = fixture!(bare);
    if fixture.host.product == Product::OpenBao {
        assert_that_the_host_has_no_engine_of_its_own(&fixture);
        return;
    }
    let aws = SimulatedAws::start();
    let host = &fixture.host;
    host.enable("aws");
    let own = running_version(&fixture);
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    host.register_plugin_as(Some(version));
    move_to(&fixture, version);
    let out = fill(&fixture, &aws);
    out.is_as_it_was(&aws);
    let denials = [aws.ended_of_role(), aws.ended_of_engine()];
    assert!(denials.iter().all(Option::is_some));

    move_to(&fixture, &own);

    out.is_as_it_was(&aws);
    lease(host, "renew", &out.renewed.lease).succeeded();
    let refusal = lease(host, "renew", &out.alive[0].lease).refused(400);
    assert!(refusal.contains("not renewable"), "{refusal}");
    lease(host, "revoke", &out.revoked_user.lease).succeeded();
    assert!(!aws.lets(&out.revoked_user));
    // That engine ends no sessions, and says nothing of it.
    lease(host, "revoke", &out.revoked_session.lease).succeeded();
    assert!(aws.lets(&out.revoked_session));
    // Nor does it know that a role is disabled, or full, or its users tagged.
    let theirs = [
        Issued::by(host, "leaked"),
        Issued::by(host, "user"),
        Issued::by(host, "user"),
        Issued::by(host, "assumed"),
    ];
    assert!(theirs.iter().all(|one| aws.lets(one)));
    for (role, field) in [
        ("leaked", "disabled"),
        ("user", "max_active"),
        ("assumed", "revocable_sessions"),
    ] {
        let path = format!("aws/roles/{role}");
        assert_ne!(stored_role(host, role)[field], Value::Null, "{role}");
        let theirs = host.read(&path).succeeded();
        assert_eq!(theirs.get(field), None, "{role}");
    }
    // Whoever writes a role there, drops what is only ours.
    host.write("aws/roles/leaked", &json!({ "user_path": "/people/" }))
        .succeeded();
    assert_eq!(stored_role(host, "leaked")["disabled"], Value::Null);
    host.write("aws/config/root", &json!({ "max_retries": 2 }))
        .succeeded();
    let root = host.stored("aws", "config/root");
    assert_eq!(root["owner_tag"], Value::Null, "{root}");

    move_to(&fixture, version);

    out.is_as_it_was(&aws);
    assert_eq!(denials, [aws.ended_of_role(), aws.ended_of_engine()]);
    // The role that was not written there is as it was, the other gives credentials again.
    assert_eq!(host.read("aws/roles/user").succeeded()["max_active"], 4);
    let again = Issued::by(host, "leaked");
    lease(host, "revoke", &again.lease).succeeded();
    host.write("aws/contain/leaked", &json!({})).succeeded();
    host.read("aws/creds/leaked").refused(400);
    assert!(aws.lets(&theirs[0]), "it has no record here");

    assert_that_tidy_takes_the_record_of_whom_the_other_engine_removed(&fixture, &aws, &out);
    // A session that was revoked there has kept its record.
    let path = format!("aws/issued/{}", out.revoked_session.keys.access_key);
    host.write(&format!("{path}/revoke"), &json!({}))
        .succeeded();
    assert!(!aws.lets(&out.revoked_session));
    out.is_as_it_was(&aws);
    for one in &out.alive {
        lease(host, "revoke", &one.lease).succeeded();
        assert!(!aws.lets(one), "{}", one.name);
    }
    lease(host, "revoke", &out.renewed.lease).succeeded();
    for one in &theirs {
        lease(host, "revoke", &one.lease).succeeded();
    }
    // Only the session of that engine goes on.
    assert!(aws.lets(&theirs[3]));
    assert_eq!(aws.aws.iam_users().len(), 0);
}

/// Until then the user counts as one that is out, of the four that may be.
fn assert_that_tidy_takes_the_record_of_whom_the_other_engine_removed(
    fixture: &Fixture,
    aws: &SimulatedAws,
    out: &Out,
) {
    let host = &fixture.host;
    let refusal = || host.read("aws/creds/user").refused(400);
    let fourth = Issued::by(host, "user");
    assert!(refusal().contains("max_active of 4"));
    let listed = strings(&host.list("aws/issued").succeeded()["keys"]);
    assert!(listed.contains(&out.revoked_user.name), "{listed:?}");
    let tag = json!({ "owner_tag": OWNER_TAG });
    host.write("aws/config/root", &tag).succeeded();
    let users = aws.aws.iam_users();
    for user in &users {
        // Old enough that tidy would remove it.
        let hours = Duration::from_hours(2);
        aws.aws.change_user(user.user_name.as_str(), |user| {
            user.create_date -= hours;
        });
    }
    age_record(host, &out.revoked_user.name);

    let done = host
        .write("aws/tidy", &json!({ "dry_run": false }))
        .succeeded();

    assert_eq!(done["users_removed"], 0, "{done}");
    assert_eq!(done["records_removed"], 1, "{done}");
    assert_eq!(aws.aws.iam_users().len(), users.len());
    lease(host, "revoke", &Issued::by(host, "user").lease).succeeded();
    lease(host, "revoke", &fourth.lease).succeeded();
}

fn age_record(host: &Host, user: &str) {
    let key = format!("issued/{user}");
    let mut record = host.stored("aws", &key);
    let seconds = record["issued_at"].as_i64().expect("seconds");
    record["issued_at"] = json!(seconds - 7200);
    host.store("aws", &key, &record);
}
