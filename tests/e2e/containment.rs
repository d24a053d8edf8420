//! An incident: how many may be out, the end of all that is out, and what nobody owns.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::READ_ONLY_ACCESS;
use crate::fixture::{A_ROLLBACK, Fixture, SOON, fixture};
use crate::host::{Host, strings, text};
use crate::process::{kill, wait_for};
use crate::settings::{checkout, settings};

/// The only containment that there is, when it has ended.
fn wait_for_the_end(host: &Host, how_long: Duration) -> Value {
    wait_for("the containment to end", how_long, || {
        let listed = host.list("aws/contain-status");
        if !listed.is_success() {
            return None;
        }
        let ids = strings(&listed.succeeded()["keys"]);
        let status = host.read(&format!("aws/contain-status/{}", ids[0]));
        let status = status.is_success().then(|| status.succeeded())?;
        (status["state"] == "finished").then_some(status)
    })
}

/// Makes every user that is out old enough that AWS's not knowing it counts.
fn age_records(fixture: &Fixture) {
    const AGE: u64 = 600;
    for user in fixture.host.stored_keys("aws", "issued") {
        let key = format!("issued/{user}");
        let mut record = fixture.host.stored("aws", &key);
        let issued_at = record["issued_at"].as_u64().expect("seconds");
        record["issued_at"] = json!(issued_at - AGE);
        fixture.host.store("aws", &key, &record);
    }
}

fn other_role(fixture: &Fixture) {
    fixture.role(
        "other",
        &json!({ "credential_type": "iam_user", "policy_arns": READ_ONLY_ACCESS }),
    );
}

#[test]
fn one_command_ends_all_that_a_role_gave_and_a_dry_run_tells_it_before() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    other_role(&fixture);
    let held = [fixture.generate("deploy"), fixture.generate("deploy")];
    let other = fixture.generate("other");
    let host = &fixture.host;

    let told = host
        .write("aws/contain/deploy", &json!({ "dry_run": true }))
        .succeeded();
    assert_eq!(told["users"], 2);
    assert_eq!(told["holders"], json!({ "token": 2 }));
    assert!(held.iter().all(|one| one.keys.identity().is_ok()));

    let status = host.write("aws/contain/deploy", &json!({})).succeeded();

    assert_eq!(status["keys_ended"], 2, "{status}");
    assert!(held.iter().all(|one| one.keys.identity().is_err()));
    assert!(other.keys.identity().is_ok());
    let refusal = host.read("aws/creds/deploy").refused(400);
    assert!(refusal.contains("is disabled"), "{refusal}");
    let status = wait_for_the_end(host, A_ROLLBACK);
    assert_eq!(status["users_removed"], 2, "{status}");
    for one in &held {
        assert!(!fixture.aws.has_user(&one.user));
        // The lease ends quietly.
        fixture.revoke(&one.lease);
    }
}

/// Its policy is the documentation's.
#[test]
fn who_is_on_call_contains_a_role_and_never_the_mount_by_mistake() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let held = fixture.generate("deploy");
    let host = &fixture.host;
    let operations = fs::read_to_string(checkout("docs/operations.md")).expect("it can be read");
    let (_, policy) = operations
        .split_once("```hcl\npath \"aws/issued\"")
        .expect("the policy");
    let (policy, _) = policy.split_once("```").expect("its end");
    let policy = format!("path \"aws/issued\"{policy}");
    host.write("sys/policies/acl/on-call", &json!({ "policy": policy }))
        .succeeded();
    let token = host
        .write("auth/token/create", &json!({ "policies": ["on-call"] }))
        .body();
    let token = text(&token["auth"]["client_token"]);
    let on_call = |arguments: &[&str]| {
        let mut command = Command::new(&settings().host);
        for variable in ["BAO_TOKEN", "VAULT_TOKEN"] {
            command.env(variable, &token);
        }
        host.run(command.args(arguments))
    };

    for (allowed, command) in [
        (true, "list -detailed aws/issued"),
        (true, "read aws/issued list=true limit=100"),
        (true, "write aws/contain/deploy dry_run=true"),
        (true, "list -detailed aws/contain-status"),
        (true, "write aws/roles/deploy disabled=true"),
        (true, "write aws/roles/deploy disabled=false"),
        (false, "write aws/roles/deploy iam_groups=administrators"),
        (false, "write -f aws/contain"),
        // As with a variable that is not set.
        (false, "write -f aws/contain/"),
        (false, "write -f aws/tidy"),
        (false, "read aws/creds/deploy"),
    ] {
        let arguments: Vec<_> = command.split(' ').collect();
        let printed = on_call(&arguments);
        if command.ends_with("contain-status") {
            // There is none yet.
            assert!(!printed.failed().contains("permission denied"), "{command}");
        } else if allowed {
            printed.succeeded();
        } else {
            assert!(printed.failed().contains("permission denied"), "{command}");
        }
    }
    assert!(held.keys.identity().is_ok());
    let key = &held.keys.access_key;
    on_call(&["write", "-f", &format!("aws/issued/{key}/revoke")]).succeeded();
    assert!(held.keys.identity().is_err());
    on_call(&["write", "-f", "aws/contain/deploy"]).succeeded();
    wait_for_the_end(host, A_ROLLBACK);
}

#[test]
fn a_misspelt_dry_run_ends_nothing() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let held = fixture.generate("deploy");
    let host = &fixture.host;

    for path in ["aws/contain/deploy", "aws/contain"] {
        for body in [json!({ "dryrun": true }), json!({ "dry_run": "" })] {
            let refusal = host.write(path, &body).refused(400);
            assert!(refusal.contains("nothing was done"), "{refusal}");
        }
    }
    let refusal = host
        .write("aws/tidy", &json!({ "dry_run": "" }))
        .refused(400);
    assert!(refusal.contains("nothing was done"), "{refusal}");

    assert!(held.keys.identity().is_ok());
    fixture.generate("deploy");
}

#[test]
fn the_whole_mount_is_contained_through_the_command_line() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    other_role(&fixture);
    let held = [fixture.generate("deploy"), fixture.generate("other")];

    fixture
        .host
        .cli(&["write", "-f", "aws/contain/"])
        .succeeded();

    assert!(held.iter().all(|one| one.keys.identity().is_err()));
    fixture.host.read("aws/creds/other").refused(400);
    wait_for_the_end(&fixture.host, A_ROLLBACK);
}

#[test]
fn containment_finishes_over_a_plugin_kill() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let held: Vec<_> = (0..4).map(|_| fixture.generate("deploy")).collect();
    age_records(&fixture);
    let gate = fixture.proxy.on("DeleteUser").hold_before();
    let host = &fixture.host;

    thread::scope(|scope| {
        let request = scope.spawn(|| host.write("aws/contain/deploy", &json!({})));
        gate.wait();
        assert!(held.iter().all(|one| one.keys.identity().is_err()));
        let processes = host.plugin_processes();
        assert_eq!(processes.len(), 1, "{processes:?}");
        kill(processes[0]);
        drop(gate);
        // The host may try again by itself, so either answer is right.
        request.join().expect("the host answers");
    });

    let status = wait_for_the_end(host, A_ROLLBACK);
    assert_eq!(status["role"], "deploy");
    assert_eq!(status["users"], 4, "{status}");
    assert!(held.iter().all(|one| !fixture.aws.has_user(&one.user)));
    host.read("aws/creds/deploy").refused(400);
}

#[test]
fn containment_finishes_over_a_leader_change() {
    let fixture = fixture!(clustered);
    fixture.deploy_role();
    let held: Vec<_> = (0..3).map(|_| fixture.generate("deploy")).collect();
    age_records(&fixture);
    let (first, second) = (&fixture.host, &fixture.others[0]);
    fixture.aws.deny_root(&["iam:DeleteUser"]);

    let status = first.write("aws/contain/deploy", &json!({})).succeeded();
    assert_ne!(status["state"], "finished");
    assert!(held.iter().all(|one| one.keys.identity().is_err()));
    first.step_down();
    wait_for("the other node to take over", SOON, || {
        (second.is_active() && second.read("aws/roles/deploy").is_success()).then_some(())
    });
    fixture.aws.allow_root();

    let status = wait_for_the_end(second, A_ROLLBACK);
    assert_eq!(status["users_removed"], 3, "{status}");
    assert!(held.iter().all(|one| !fixture.aws.has_user(&one.user)));
}

#[test]
fn no_more_users_are_out_than_max_active_also_after_a_crash() {
    let fixture = fixture!(configured);
    fixture.role(
        "deploy",
        &json!({ "credential_type": "iam_user", "policy_arns": READ_ONLY_ACCESS, "max_active": 2 }),
    );
    let host = &fixture.host;
    let first = fixture.generate("deploy");

    let won = thread::scope(|scope| {
        let requests: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| host.read("aws/creds/deploy").is_success()))
            .collect();
        let won = requests
            .into_iter()
            .filter_map(|request| request.join().ok());
        won.filter(|won| *won).count()
    });
    assert_eq!(won, 1);
    let refusal = host.read("aws/creds/deploy").refused(400);
    assert!(refusal.contains("\"token\" has 2"), "{refusal}");

    kill(host.plugin_processes()[0]);
    wait_for("the engine to answer", SOON, || {
        host.read("aws/roles/deploy").is_success().then_some(())
    });
    let refusal = host.read("aws/creds/deploy").refused(400);
    assert!(refusal.contains("max_active of 2"), "{refusal}");
    fixture.revoke(&first.lease);
    fixture.generate("deploy");
}

#[test]
fn tidy_finds_the_user_that_lost_its_record_and_removes_it_by_the_owner_tag() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let host = &fixture.host;
    host.write("aws/config/root", &json!({ "owner_tag": "vault-mount" }))
        .succeeded();
    let kept = fixture.generate("deploy");
    let lost = fixture.generate("deploy");
    host.remove_stored("aws", &format!("issued/{}", lost.user));
    fixture.proxy.age(Duration::from_hours(2));

    let told = host.write("aws/tidy", &json!({})).succeeded();
    assert_eq!(told["users"][&lost.user]["owner_tag"], true, "{told}");
    assert_eq!(told["users"].get(&kept.user), None);
    assert!(fixture.aws.has_user(&lost.user));

    let done = host
        .write("aws/tidy", &json!({ "dry_run": false }))
        .succeeded();
    assert_eq!(done["users_removed"], 1, "{done}");
    assert!(!fixture.aws.has_user(&lost.user));
    assert!(kept.keys.identity().is_ok());
    assert_eq!(text(&told["users"][&lost.user]["path"]), "/");
}
