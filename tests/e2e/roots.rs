//! The engine's own key, rotated by a real host's timer.

use serde_json::{Value, json};

use crate::fixture::{A_ROLLBACK, Fixture, fixture};
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
