//! Figures for monitoring, behind the host's access rules.

use std::process::Command;

use serde_json::{Value, json};

use crate::fixture::{A_ROLLBACK, Fixture, SOON, fixture};
use crate::host::text;
use crate::process::{kill, wait_for};
use crate::settings::{checkout, settings};

/// A token that may read these paths and nothing else.
fn token(fixture: &Fixture, policy: &str, paths: &[&str]) -> String {
    let rules: Vec<_> = paths
        .iter()
        .map(|path| format!("path \"{path}\" {{ capabilities = [\"read\"] }}"))
        .collect();
    let host = &fixture.host;
    host.write(
        &format!("sys/policies/acl/{policy}"),
        &json!({ "policy": rules.join("\n") }),
    )
    .succeeded();
    let body = host
        .write(
            "auth/token/create",
            &json!({ "policies": [policy], "no_default_policy": true }),
        )
        .body();
    text(&body["auth"]["client_token"])
}

#[test]
fn metrics_are_for_whoever_may_read_them_and_each_mount_has_its_own() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let host = &fixture.host;
    host.enable("other");
    let may = token(&fixture, "metrics", &["aws/metrics", "other/metrics"]);
    let may_not = token(&fixture, "credentials", &["aws/creds/deploy"]);
    fixture.generate("deploy");
    fixture.generate("deploy");

    let scrape = host.scrape("aws/metrics", Some(&may));

    assert_eq!(scrape.status, 200, "{scrape:?}");
    assert!(
        scrape.content_type.starts_with("text/plain; version=0.0.4"),
        "{scrape:?}"
    );
    for line in [
        "# TYPE aws_secrets_issued_total counter",
        r#"aws_secrets_issued_total{role="deploy",credential_type="iam_user"} 2"#,
        r#"aws_secrets_aws_calls_total{operation="iam:CreateUser",outcome="ok"} 2"#,
    ] {
        assert!(
            scrape.text.lines().any(|found| found == line),
            "no {line} in {}",
            scrape.text
        );
    }
    for refused in [Some(may_not.as_str()), None] {
        let scrape = host.scrape("aws/metrics", refused);
        assert_eq!(scrape.status, 403, "{scrape:?}");
        assert!(!scrape.text.contains("aws_secrets"), "{scrape:?}");
    }
    let other = host.scrape("other/metrics", Some(&may));
    assert_eq!(other.status, 200, "{other:?}");
    assert!(!other.text.contains("deploy"), "{}", other.text);
}

#[test]
fn a_new_process_counts_from_zero_and_the_users_that_are_out_again() {
    let fixture = fixture!(configured);
    fixture.deploy_role();
    let host = &fixture.host;
    let may = token(&fixture, "metrics", &["aws/metrics"]);
    fixture.generate("deploy");
    kill(host.plugin_processes()[0]);

    let mut issued = false;
    wait_for("the users to be counted", A_ROLLBACK, || {
        let text = host.scrape("aws/metrics", Some(&may)).text;
        issued |= text.contains("aws_secrets_issued_total{");
        text.contains("aws_secrets_users_active{role=\"deploy\"} 1")
            .then_some(())
    });

    let scrape = host.scrape("aws/metrics", Some(&may));
    assert!(
        !scrape.text.contains("aws_secrets_issued_total{"),
        "{}",
        scrape.text
    );
    assert!(scrape.text.contains("aws_secrets_wal_entries 0"));
    wait_for("credentials", SOON, || {
        host.read("aws/creds/deploy").is_success().then_some(())
    });
}

#[test]
fn the_alert_rules_are_yaml_of_prometheus_form() {
    let program = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let output = Command::new(&settings().python)
        .args(["-c", program])
        .arg(checkout("docs/monitoring/alerts.yaml"))
        .output()
        .expect("Python runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let alerts: Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let rules = alerts["groups"][0]["rules"].as_array().expect("rules");
    assert_eq!(rules.len(), 5);
    for rule in rules {
        for field in ["alert", "expr", "for"] {
            assert!(rule[field].is_string(), "{field}: {rule}");
        }
        assert!(rule["labels"]["severity"].is_string(), "{rule}");
        assert!(rule["annotations"]["summary"].is_string(), "{rule}");
        let open = text(&rule["expr"]).matches('(').count();
        let close = text(&rule["expr"]).matches(')').count();
        assert_eq!(open, close, "{rule}");
    }
}
