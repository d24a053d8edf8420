//! Two servers that are one: what one of them is told, both do.

use serde_json::{Value, json};

use crate::aws::READ_ONLY_ACCESS;
use crate::fixture::{Fixture, SOON, fixture};
use crate::host::{Host, text};
use crate::process::wait_for;
use crate::product::Product;

/// A standby follows the active node a moment later. It is to take less than the minute for which
/// the engine trusts what it has read when nobody tells it anything.
fn wait_until_shown(node: &Host, path: &str, field: &str, value: &Value) {
    let what = format!("{field} of {path} to be {value}");
    wait_for(&what, SOON, || {
        let answer = node.read(path);
        (answer.is_success() && answer.succeeded()[field] == *value).then_some(())
    });
}

fn write_path(fixture: &Fixture, node: &Host, user_path: &str) {
    let role = json!({
        "credential_type": "iam_user",
        "policy_arns": READ_ONLY_ACCESS,
        "user_path": user_path,
    });
    node.write("aws/roles/deploy", &role).succeeded();
    // Whoever wrote it, and whoever was told, the active node has done it.
    assert_eq!(issued(fixture, active(fixture)).0, user_path);
    for node in nodes(fixture) {
        wait_until_shown(node, "aws/roles/deploy", "user_path", &json!(user_path));
        assert_eq!(issued(fixture, node).0, user_path);
    }
}

fn nodes(fixture: &Fixture) -> [&Host; 2] {
    [&fixture.host, &fixture.others[0]]
}

fn active(fixture: &Fixture) -> &Host {
    let mut nodes = nodes(fixture).into_iter();
    nodes.find(|node| node.is_active()).expect("one is active")
}

/// Path and name of a new user, and the length of its lease in seconds.
fn issued(fixture: &Fixture, node: &Host) -> (String, String, u64) {
    let body = node.read("aws/creds/deploy").body();
    let arn = text(&body["data"]["arn"]);
    let (_, path_and_name) = arn.split_once(":user").expect("it is a user's");
    let (path, name) = path_and_name.rsplit_once('/').expect("there is a path");
    assert!(fixture.aws.has_user(name), "{name}");
    let seconds = body["lease_duration"].as_u64().expect("seconds");
    (format!("{path}/"), name.to_owned(), seconds)
}

#[test]
fn what_is_written_through_one_node_counts_on_both_also_after_a_failover() {
    let fixture = fixture!(clustered);
    let [first, second] = nodes(&fixture);
    write_path(&fixture, first, "/one/");
    // Only OpenBao's standbys answer for themselves.
    let serving = usize::from(first.product == Product::OpenBao);
    assert_eq!(second.plugin_processes().len(), serving);

    write_path(&fixture, first, "/two/");
    write_path(&fixture, second, "/three/");

    for (node, lease, seconds) in [(first, "20m", 1200), (second, "40m", 2400)] {
        let config = json!({ "lease": lease, "lease_max": "1h" });
        node.write("aws/config/lease", &config).succeeded();
        for node in [first, second] {
            assert_eq!(issued(&fixture, node).2, seconds);
        }
    }

    first.delete("aws/roles/deploy").succeeded();
    first.read("aws/creds/deploy").refused(400);
    wait_for("the role to be gone", SOON, || {
        (!second.read("aws/roles/deploy").is_success()).then_some(())
    });
    second.read("aws/creds/deploy").refused(400);

    write_path(&fixture, first, "/four/");
    first.step_down();
    wait_for("the other node to take over", SOON, || {
        (second.is_active() && second.read("aws/roles/deploy").is_success()).then_some(())
    });
    assert_eq!(issued(&fixture, second).0, "/four/");
    assert_eq!(issued(&fixture, second).2, 2400);
    wait_until_shown(first, "aws/roles/deploy", "user_path", &json!("/four/"));

    write_path(&fixture, second, "/five/");
    write_path(&fixture, first, "/six/");
    let root = json!({ "username_template": "ours-{{ random 8 }}" });
    first.write("aws/config/root", &root).succeeded();
    for node in [first, second] {
        assert!(issued(&fixture, node).1.starts_with("ours-"));
    }
}

#[test]
fn a_standby_gives_credentials_of_every_type_and_asks_aws_once() {
    let fixture = fixture!(clustered);
    let [first, second] = nodes(&fixture);
    let assumable = fixture.aws.unique("assumable");
    let root_user = &fixture.aws.root_user;
    let assumable = fixture
        .aws
        .assumable_role(&assumable, root_user, READ_ONLY_ACCESS);
    for (name, role, call) in [
        (
            "user",
            json!({ "credential_type": "iam_user", "policy_arns": READ_ONLY_ACCESS }),
            "CreateUser",
        ),
        (
            "assumed",
            json!({ "credential_type": "assumed_role", "role_arns": assumable }),
            "AssumeRole",
        ),
        (
            "federated",
            json!({ "credential_type": "federation_token", "policy_arns": READ_ONLY_ACCESS }),
            "GetFederationToken",
        ),
        (
            "session",
            json!({ "credential_type": "session_token" }),
            "GetSessionToken",
        ),
    ] {
        first.write(&format!("aws/roles/{name}"), &role).succeeded();

        let body = second.read(&format!("aws/creds/{name}")).body();

        assert!(!text(&body["lease_id"]).is_empty(), "{name}");
        assert_eq!(fixture.proxy.calls_of(call).len(), 1, "{name}");
    }
}
