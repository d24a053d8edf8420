//! The engine's own key, rotated by a real host's timer.

use serde_json::{Value, json};

use crate::fixture::{A_ROLLBACK, Fixture, SOON, directory, fixture};
use crate::host::{World, text};
use crate::process::{kill, wait_for};

fn root(fixture: &Fixture) -> Value {
    fixture.host.read("aws/config/root").body()["data"].clone()
}

/// Waits until the key is another one, and shows that the mount works with it.
fn is_rotated(fixture: &Fixture, before: &Value) {
    wait_for("the host's timer to rotate the key", A_ROLLBACK, || {
        let answer = fixture.host.read("aws/config/root");
        // The host may not know yet that the process is gone.
        let shown = answer.is_success().then(|| answer.body())?;
        (shown["data"]["access_key"] != before["access_key"]).then_some(())
    });
    let lease = fixture.generate("deploy");
    fixture.revoke(&lease.lease);
}

#[test]
fn a_period_and_a_schedule_rotate_the_key_by_the_hosts_timer_also_after_the_plugin_died() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    for times in [
        json!({ "rotation_period": "10s" }),
        json!({ "rotation_schedule": "* * * * *", "rotation_window": "1h" }),
    ] {
        fixture.host.write("aws/config/root", &times).succeeded();
        let before = root(&fixture);
        assert!(before["next_vault_rotation"].is_string(), "{before}");
        kill(fixture.host.plugin_processes()[0]);

        is_rotated(&fixture, &before);

        let after = root(&fixture);
        assert!(after["last_vault_rotation"].is_string(), "{after}");
        assert_eq!(after["last_rotation_error"], Value::Null);
    }

    fixture
        .host
        .write(
            "aws/config/root",
            &json!({ "disable_automated_rotation": true }),
        )
        .succeeded();
    assert_eq!(root(&fixture)["next_vault_rotation"], Value::Null);
}

#[test]
fn what_falls_due_while_the_host_is_down_is_made_good_when_it_is_up_again() {
    let directory = directory!();
    let world = World::of(&directory);
    let mut fixture = Fixture::declared(directory, &world).expect("it starts");
    fixture.host.register_plugin();
    fixture.host.enable("aws");
    fixture.configure("aws", &fixture.aws.root);
    fixture.deploy_role();
    for times in [
        json!({ "rotation_period": "10s" }),
        json!({ "rotation_schedule": "* * * * *", "rotation_window": "1h" }),
    ] {
        fixture.host.write("aws/config/root", &times).succeeded();
        let before = root(&fixture);

        fixture.host.restart(&world).expect("it starts");

        is_rotated(&fixture, &before);
        let after = root(&fixture);
        for field in ["rotation_period", "rotation_schedule", "rotation_window"] {
            assert_eq!(after[field], before[field], "{field}");
        }
    }
}

#[test]
fn another_node_that_takes_over_rotates_what_is_due() {
    let fixture = fixture!(clustered);
    fixture.deploy_role();
    let times = json!({ "rotation_period": "10s" });
    fixture.host.write("aws/config/root", &times).succeeded();

    fixture.host.step_down();
    let other = &fixture.others[0];
    wait_for("the other node to take over", SOON, || {
        (other.is_active() && other.read("aws/config/root").is_success()).then_some(())
    });

    let before = other.read("aws/config/root").succeeded();
    wait_for("the other node to rotate the key", A_ROLLBACK, || {
        let answer = other.read("aws/config/root");
        let now = answer.is_success().then(|| answer.succeeded())?;
        (now["access_key"] != before["access_key"]).then_some(())
    });
    for node in [&fixture.host, other] {
        node.read("aws/creds/deploy").succeeded();
    }
}

#[test]
fn an_aws_that_fails_is_told_and_asked_again_and_no_request_fails_by_it() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    fixture.proxy.on("GetUser").fail(503, "ServiceUnavailable");
    let times = json!({ "rotation_period": "10s" });
    fixture.host.write("aws/config/root", &times).succeeded();
    let before = root(&fixture);

    wait_for("a try to fail", A_ROLLBACK, || {
        let told = root(&fixture)["last_rotation_error"].as_str()?.to_owned();
        assert!(told.contains("ServiceUnavailable"), "{told}");
        Some(())
    });

    let check = fixture.host.read("aws/config/check").succeeded();
    assert_eq!(
        check["last_rotation_error"],
        root(&fixture)["last_rotation_error"]
    );
    let lease = fixture.generate("deploy");
    fixture.revoke(&lease.lease);
    assert_eq!(root(&fixture)["access_key"], before["access_key"]);
    let warned = "scheduled rotation of the root access key failed";
    assert!(fixture.host.log().contains(warned));

    fixture.proxy.let_pass();
    is_rotated(&fixture, &before);
    assert_eq!(root(&fixture)["last_rotation_error"], Value::Null);
}

#[test]
fn the_new_id_with_the_old_secret_as_terraform_sends_it_leaves_the_engine_working() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let rotated = fixture
        .host
        .write("aws/config/rotate-root", &json!({}))
        .succeeded();
    let (new, old) = (text(&rotated["access_key"]), &fixture.aws.root);

    for (id, secret, words) in [
        (
            &new,
            &old.secret_key,
            "AWS never changes the secret of a key",
        ),
        (
            &old.access_key,
            &old.secret_key,
            "leave access_key and secret_key out",
        ),
    ] {
        let pair = json!({ "access_key": id, "secret_key": secret, "region": "eu-central-1" });
        let refusal = fixture.host.write("aws/config/root", &pair).refused(400);
        assert!(refusal.contains(words), "{refusal}");
        let shown = root(&fixture);
        assert_eq!(shown["access_key"], json!(new));
        assert_eq!(
            shown["region"], "us-east-1",
            "a refused write changes nothing"
        );
    }

    let lease = fixture.generate("deploy");
    fixture.revoke(&lease.lease);
    let check = fixture.host.read("aws/config/check").succeeded();
    assert_eq!(check["works"], true, "{check:#}");
}

#[test]
fn the_age_of_the_key_is_aws_own_and_asked_once() {
    let fixture = fixture!(configured);
    let made = text(&root(&fixture)["access_key_create_date"]);
    assert_eq!(text(&root(&fixture)["access_key_create_date"]), made);
    assert_eq!(fixture.proxy.calls_of("ListAccessKeys").len(), 1);
}

#[test]
fn what_can_never_be_a_time_is_refused_with_its_field() {
    let fixture = fixture!(configured);
    for (sent, words) in [
        (
            json!({ "rotation_schedule": "every day" }),
            "rotation_schedule: ",
        ),
        (
            json!({ "rotation_period": "9s" }),
            "rotation_period: must be at least 10 seconds",
        ),
    ] {
        let text = fixture.host.write("aws/config/root", &sent).refused(400);
        assert!(text.contains(words), "{text}");
    }
}
