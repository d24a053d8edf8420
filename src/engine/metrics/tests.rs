//! Figures, as a specification.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::aws::fake::{FakeRole, Fault};
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::testing::{StaticSystemView, StorageFault};
use crate::logical::{Error, Operation, ReplicationState};

const DASHBOARD: &str = include_str!("../../../docs/monitoring/grafana-dashboard.json");
const ALERTS: &str = include_str!("../../../docs/monitoring/alerts.yaml");
const OPERATIONS: &str = include_str!("../../../docs/operations.md");
const PREFIX: &str = "aws_secrets_";

async fn mount() -> TestMount {
    let mount = TestMount::configured().await;
    mount
        .write(
            "roles/x",
            json!({"credential_type": "iam_user", "policy_arns": READ_ONLY}),
        )
        .await;
    mount.roll_back().await.unwrap();
    mount
}

/// The text that a host makes of the answer.
async fn scrape(mount: &TestMount) -> String {
    let data = mount.read("metrics").await;
    assert_eq!(data["http_status_code"], 200);
    let content_type = data["http_content_type"].as_str().unwrap();
    assert!(content_type.starts_with("text/plain; version=0.0.4"));
    let body = data["http_raw_body"].as_str().unwrap();
    String::from_utf8(BASE64_STANDARD.decode(body).unwrap()).unwrap()
}

/// One figure, by its name and labels as they stand in the text.
fn figure(text: &str, name: &str) -> Option<i64> {
    let line = |line: &str| {
        let value = line.strip_prefix(name)?.strip_prefix(' ')?;
        value.parse().ok()
    };
    text.lines().find_map(line)
}

#[tokio::test]
async fn what_is_issued_revoked_and_refused_is_counted_by_role_and_reason() {
    let mount = mount().await;
    mount.aws().add_role("deploy", FakeRole::default());
    mount
        .write(
            "roles/s",
            json!({"credential_type": "assumed_role", "role_arns": "arn:aws:iam::111122223333:role/deploy"}),
        )
        .await;
    let lease = mount.generate("creds/x").await;
    let other = mount.generate("creds/x").await;
    mount.generate("creds/s").await;
    mount.clock().advance(Duration::from_mins(10));
    mount.revoke(&lease).await.unwrap();
    let path = format!("issued/{}/revoke", other.text("username"));
    mount.write(&path, json!({})).await;
    mount
        .generate_refusal("creds/no-such-role", json!({}))
        .await;
    mount.generate("creds/x").await;

    let text = scrape(&mount).await;

    for (name, count) in [
        (
            r#"issued_total{role="x",credential_type="iam_user"}"#,
            Some(3),
        ),
        (
            r#"issued_total{role="s",credential_type="assumed_role"}"#,
            Some(1),
        ),
        (r#"users_revoked_total{by="lease"}"#, Some(1)),
        (r#"users_revoked_total{by="name"}"#, Some(1)),
        (r#"users_revoked_total{by="time"}"#, Some(0)),
        (r#"failures_total{action="issue",kind="refused"}"#, Some(1)),
        (r#"users_active{role="x"}"#, Some(1)),
        (r#"users_active{role="s"}"#, None),
    ] {
        assert_eq!(figure(&text, &format!("{PREFIX}{name}")), count, "{text}");
    }
    assert!(
        !text.contains("no-such-role"),
        "a client chose a label: {text}"
    );
}

#[tokio::test]
async fn sessions_that_were_ended_are_counted_by_what_ended_them() {
    let mount = mount().await;
    mount.aws().add_role("deploy", FakeRole::default());
    mount
        .write(
            "roles/s",
            json!({
                "credential_type": "assumed_role",
                "role_arns": "arn:aws:iam::111122223333:role/deploy",
                "revocable_sessions": true,
            }),
        )
        .await;
    let [by_lease, by_name] = [
        mount.generate("creds/s").await,
        mount.generate("creds/s").await,
    ];
    let path = format!("issued/{}/revoke", by_name.text("access_key"));
    mount.revoke(&by_lease).await.unwrap();
    mount.write(&path, json!({})).await;

    let text = scrape(&mount).await;
    for by in ["lease", "name"] {
        let name = format!("{PREFIX}sessions_revoked_total{{by=\"{by}\"}}");
        assert_eq!(figure(&text, &name), Some(1), "{text}");
    }
}

#[tokio::test]
async fn every_revocation_that_fails_is_counted_for_whoever_must_be_woken() {
    let mount = mount().await;
    let role = json!({
        "credential_type": "assumed_role",
        "role_arns": mount.aws().add_role("deploy", FakeRole::default()).as_str(),
        "revocable_sessions": true,
    });
    mount.write("roles/s", role).await;
    let [by_lease, by_name] = [
        mount.generate("creds/s").await,
        mount.generate("creds/s").await,
    ];
    let user = mount.generate("creds/x").await;
    let count = async || {
        let text = scrape(&mount).await;
        let name = format!(r#"{PREFIX}failures_total{{action="revoke",kind="internal"}}"#);
        figure(&text, &name).unwrap_or_default()
    };
    mount.aws().deny("iam:PutRolePolicy");

    mount.revoke(&by_lease).await.unwrap_err();
    assert_eq!(count().await, 1);
    let path = format!("issued/{}/revoke", by_name.text("access_key"));
    mount.write_error(&path, json!({})).await;
    assert_eq!(count().await, 2);
    mount.clock().advance(Duration::from_mins(2));
    mount.roll_back().await.unwrap_err();
    assert_eq!(
        count().await,
        3,
        "nobody else waits for the one by its name"
    );
    mount.write("contain/s", json!({})).await;
    assert_eq!(count().await, 4);

    mount.aws().heal();
    mount.storage().fail(StorageFault::Get, "issued/");
    mount.revoke(&user).await.unwrap_err();
    assert_eq!(count().await, 5, "before AWS was asked");
}

#[tokio::test]
async fn what_has_never_failed_is_zero_so_that_the_first_failure_is_seen_as_one() {
    let mount = TestMount::configured().await;

    let text = scrape(&mount).await;

    let failures = format!("{PREFIX}failures_total{{");
    let series = text.lines().filter(|line| line.starts_with(&failures));
    let series: Vec<_> = series.collect();
    assert_eq!(series.len(), 13, "{text}");
    assert!(series.iter().all(|line| line.ends_with("} 0")), "{text}");
}

#[tokio::test]
async fn calls_to_aws_are_counted_by_operation_and_outcome() {
    let mount = mount().await;
    mount.generate("creds/x").await;
    mount.aws().deny("iam:CreateAccessKey");
    mount.generate_refusal("creds/x", json!({})).await;

    let text = scrape(&mount).await;

    for (name, count) in [
        (r#"{operation="iam:CreateUser",outcome="ok"}"#, 2),
        (r#"{operation="iam:CreateAccessKey",outcome="ok"}"#, 1),
        (r#"{operation="iam:CreateAccessKey",outcome="denied"}"#, 1),
    ] {
        let name = format!("{PREFIX}aws_calls_total{name}");
        assert_eq!(figure(&text, &name), Some(count), "{text}");
    }
    let waiting = format!("{PREFIX}limiter_waiting{{queue=\"issue\"}}");
    assert_eq!(figure(&text, &waiting), Some(0), "{text}");
    let refused = format!("{PREFIX}limiter_refused_total{{reason=\"crowd\"}}");
    assert_eq!(figure(&text, &refused), Some(0), "{text}");
}

#[tokio::test(start_paused = true)]
async fn unfinished_work_shows_its_age_until_it_is_done() {
    let mut mount = mount().await;
    let age = format!("{PREFIX}wal_oldest_entry_age_seconds");
    let entries = format!("{PREFIX}wal_entries");
    let text = scrape(&mount).await;
    assert_eq!(
        (figure(&text, &entries), figure(&text, &age)),
        (Some(0), Some(0))
    );

    mount.aws().die_after(1, Fault::HeldBefore);
    let issued = mount.send(Operation::Read, "creds/x", json!({}));
    assert!(mount.unless_dead(issued).await.is_none());
    mount.aws().heal();
    mount.restart().await;
    let text = scrape(&mount).await;
    assert_eq!(figure(&text, &age), None, "nobody looked yet: {text}");
    mount.aws().deny("iam:DeleteUser");
    mount.clock().advance(Duration::from_hours(1));
    mount.roll_back().await.unwrap_err();
    let text = scrape(&mount).await;
    assert_eq!(
        (figure(&text, &entries), figure(&text, &age)),
        (Some(1), Some(3600))
    );

    mount.aws().heal();
    mount.roll_back().await.unwrap();
    let text = scrape(&mount).await;
    assert_eq!(
        (figure(&text, &entries), figure(&text, &age)),
        (Some(0), Some(0))
    );
}

#[tokio::test(start_paused = true)]
async fn a_rotation_that_is_overdue_shows_for_how_long_and_a_done_one_counts() {
    let mount = mount().await;
    mount
        .write("config/root", json!({"rotation_period": "1h"}))
        .await;
    mount.aws().add_user("jane");
    let role = json!({"username": "jane", "rotation_period": "1h"});
    mount.write("static-roles/app", role).await;
    mount.aws().deny("iam:CreateAccessKey");
    mount.clock().advance(Duration::from_mins(90));
    // The root's failure is told by config/root.
    mount.roll_back().await.unwrap_err();

    let text = scrape(&mount).await;
    for of in ["root", "static_role"] {
        let overdue = format!("{PREFIX}rotations_overdue{{of=\"{of}\"}}");
        let seconds = format!("{PREFIX}rotation_overdue_seconds{{of=\"{of}\"}}");
        assert_eq!(figure(&text, &overdue), Some(1), "{text}");
        assert_eq!(figure(&text, &seconds), Some(1800), "{text}");
    }
    let failed = format!("{PREFIX}failures_total{{action=\"rotate\",kind=\"refused\"}}");
    assert_eq!(figure(&text, &failed), Some(2), "{text}");

    mount.aws().heal();
    mount.clock().advance(Duration::from_mins(5));
    mount.roll_back().await.unwrap();
    let text = scrape(&mount).await;
    for of in ["root", "static_role"] {
        let overdue = format!("{PREFIX}rotations_overdue{{of=\"{of}\"}}");
        let done = format!("{PREFIX}rotations_total{{of=\"{of}\"}}");
        assert_eq!(figure(&text, &overdue), Some(0), "{text}");
        assert!(figure(&text, &done) >= Some(1), "{text}");
    }
}

#[tokio::test]
async fn a_new_process_counts_from_zero_and_finds_the_users_that_are_out() {
    let mut mount = mount().await;
    mount.generate("creds/x").await;
    mount.generate("creds/x").await;
    mount.restart().await;
    let active = format!("{PREFIX}users_active{{role=\"x\"}}");
    let text = scrape(&mount).await;
    assert_eq!(figure(&text, &active), None, "not counted yet: {text}");

    mount.roll_back().await.unwrap();

    let text = scrape(&mount).await;
    assert_eq!(figure(&text, &active), Some(2), "{text}");
    assert!(!text.contains("issued_total{"), "{text}");
}

#[tokio::test]
async fn a_scrape_asks_storage_for_one_record_and_aws_for_nothing() {
    let mount = mount().await;
    mount.generate("creds/x").await;
    mount.storage().take_calls();
    mount.aws().forget_calls();

    scrape(&mount).await;

    assert_eq!(mount.storage().take_calls(), ["get config/root"]);
    assert_eq!(mount.aws().operations(), [""; 0]);
}

#[tokio::test]
async fn a_standby_hands_a_scrape_to_the_active_node() {
    let mut mount = mount().await;
    let standby = StaticSystemView {
        replication_state: ReplicationState(1 << 14),
        ..StaticSystemView::default()
    };
    mount.restart_on(standby).await;

    let error = mount.read_error("metrics").await;

    assert!(matches!(error, Error::ReadOnly(_)), "{error:?}");
}

#[tokio::test]
async fn every_line_has_the_form_of_prometheus_and_its_help() {
    let mount = mount().await;
    mount.generate("creds/x").await;
    mount.roll_back().await.unwrap();
    let text = scrape(&mount).await;

    let mut known = BTreeSet::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(words.ends_with('.'), "{line}");
            assert!(known.insert(name.to_owned()), "{name} is there twice");
            continue;
        }
        if line.starts_with("# TYPE ") {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = series.split('{').next().unwrap();
        assert!(known.contains(name), "{line}");
        assert!(!series.contains('{') || series.ends_with('}'), "{line}");
    }
    assert!(known.iter().all(|name| name.starts_with(PREFIX)));
}

/// The metrics that a text names, with where.
fn named_at(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_of_name = |character: char| character.is_ascii_lowercase() || character == '_';
    text.match_indices(PREFIX).map(move |(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|character| !is_of_name(character));
        (at, &rest[..end.unwrap_or(rest.len())])
    })
}

/// The metrics that a text names.
fn named(text: &str) -> BTreeSet<String> {
    named_at(text).map(|(_, name)| name.to_owned()).collect()
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_name_only_what_there_is() {
    let mount = mount().await;
    let text = scrape(&mount).await;
    let there: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();

    for (file, content) in [("dashboard", DASHBOARD), ("alerts", ALERTS)] {
        let named = named(content);
        assert!(named.len() >= 3, "{file}: {named:?}");
        for name in named {
            assert!(there.contains(name.as_str()), "{file}: there is no {name}");
        }
    }
}

/// What the dashboard and the alerts ask Prometheus for.
fn questions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().unwrap());
    let of_dashboard = targets.map(|target| target["expr"].as_str().unwrap().to_owned());
    let of_alerts = ALERTS
        .lines()
        .filter_map(|line| Some(line.trim().strip_prefix("expr: ")?.to_owned()));
    of_dashboard.chain(of_alerts).collect()
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_ask_for_the_rates_of_counters_and_of_nothing_else() {
    let text = scrape(&mount().await).await;
    let counters: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter"))
        .collect();
    assert!(counters.iter().all(|name| name.ends_with("_total")));

    let mut asked = 0;
    for question in questions() {
        for (at, name) in named_at(&question) {
            let before = &question[..at];
            let of_rate = before.ends_with("rate(") || before.ends_with("increase(");
            assert_eq!(of_rate, counters.contains(name), "{question}");
            asked += 1;
        }
    }
    assert!(asked > 15, "{asked}");
}

#[tokio::test]
async fn every_figure_has_its_row_in_the_documentation_and_every_row_its_figure() {
    let text = scrape(&mount().await).await;
    let there: BTreeSet<_> = text
        .lines()
        .filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned()))
        .collect();
    let rows = OPERATIONS
        .lines()
        .filter(|line| line.starts_with(&format!("| `{PREFIX}")));
    let told: BTreeSet<_> = rows
        .flat_map(|row| named(row.split(" | ").next().unwrap()))
        .collect();

    assert_eq!(told, there);
}

#[test]
fn the_alert_that_a_scrape_fails_names_the_scrape_of_the_documentation() {
    let job = OPERATIONS
        .lines()
        .find_map(|line| line.trim().strip_prefix("- job_name: "))
        .unwrap();

    assert!(ALERTS.contains(&format!("up{{job=\"{job}\"}}")), "{job}");
}

#[test]
fn the_dashboard_is_json_whose_panels_ask_for_something() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();

    let panels = dashboard["panels"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_i64().unwrap()), "{panel}");
        assert!(panel["title"].is_string(), "{panel}");
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        for target in targets {
            assert!(target["expr"].as_str().unwrap().contains(PREFIX));
        }
    }
}
