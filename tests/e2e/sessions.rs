//! Sessions of STS: `assumed_role`, `federation_token` and `session_token`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::aws::{KeyPair, READ_ONLY_ACCESS};
use crate::fixture::{Fixture, fixture};
use crate::host::{Answer, strings, text};

const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:ListUsers","Resource":"*"}]}"#;

/// The types, with the call of each.
const CALLS: [(&str, &str); 3] = [
    ("assumed_role", "AssumeRole"),
    ("federation_token", "GetFederationToken"),
    ("session_token", "GetSessionToken"),
];

/// Writes a role of that type and name, and of what else is in `more`.
fn write_role(fixture: &Fixture, credential_type: &str, more: &Value) {
    let mut role = json!({ "credential_type": credential_type });
    match credential_type {
        "assumed_role" => role["role_arns"] = json!(assumable(fixture, credential_type)),
        "federation_token" => role["policy_arns"] = json!(READ_ONLY_ACCESS),
        _ => {}
    }
    for (field, value) in more.as_object().into_iter().flatten() {
        role[field] = value.clone();
    }
    fixture.role(credential_type, &role);
}

/// The ARN of a new AWS role that the engine's root may assume.
fn assumable(fixture: &Fixture, name: &str) -> String {
    let name = fixture.aws.unique(name);
    fixture
        .aws
        .assumable_role(&name, &fixture.aws.root_user, READ_ONLY_ACCESS)
}

fn keys(data: &Value) -> KeyPair {
    KeyPair {
        access_key: text(&data["access_key"]),
        secret_key: text(&data["secret_key"]),
        session_token: Some(text(&data["session_token"])),
    }
}

/// The parameters of the last call of an action.
fn parameters(fixture: &Fixture, action: &str) -> BTreeMap<String, String> {
    let last = fixture.proxy.calls_of(action).pop();
    last.expect("it was called").parameters
}

fn warnings(body: &Value) -> String {
    strings(&body["warnings"]).join("\n")
}

#[test]
fn every_type_is_given_at_both_paths_to_reads_and_to_writes() {
    let fixture = fixture!(configured);
    for (credential_type, call) in CALLS {
        write_role(&fixture, credential_type, &json!({}));
        for prefix in ["creds", "sts"] {
            let path = format!("aws/{prefix}/{credential_type}");
            let read = || fixture.host.read(&format!("{path}?ttl=20m"));
            let written = || fixture.host.write(&path, &json!({ "ttl": "1200" }));
            for ask in [&read as &dyn Fn() -> Answer, &written] {
                let calls = fixture.proxy.actions_while(|| {
                    let body = ask().body();
                    let data = &body["data"];

                    for field in ["access_key", "secret_key", "session_token"] {
                        assert!(!text(&data[field]).is_empty(), "{path}: {field}");
                    }
                    assert_eq!(data["security_token"], data["session_token"], "{path}");
                    assert!(text(&data["arn"]).starts_with("arn:aws:"), "{path}");
                    let ttl = data["ttl"].as_i64().expect("seconds");
                    assert!((1140..=1200).contains(&ttl), "{path}: {ttl} seconds");
                    let lease = body["lease_duration"].as_i64().expect("seconds");
                    assert!(
                        (lease - ttl).abs() <= 1,
                        "{path}: {lease} for {ttl} seconds"
                    );
                    assert_eq!(body["renewable"], false, "{path}");
                    assert!(text(&body["lease_id"]).starts_with(&path), "{path}");
                });

                assert!(calls.contains(call), "{path}: {calls:?}");
                assert_eq!(
                    parameters(&fixture, call)["DurationSeconds"],
                    "1200",
                    "{path}"
                );
            }
        }
    }
}

#[test]
fn credentials_of_an_assumed_role_work_and_end_by_themselves() {
    let fixture = fixture!(configured);
    write_role(&fixture, "assumed_role", &json!({}));

    let body = fixture.host.read("aws/sts/assumed_role").body();

    let keys = keys(&body["data"]);
    assert_eq!(keys.identity(), Ok(text(&body["data"]["arn"])));
    assert_eq!(keys.list_users(), Ok(()));
    assert_eq!(keys.create_user("nobody"), Err("AccessDenied".to_owned()));
    let refusal = fixture
        .host
        .write("sys/leases/renew", &json!({ "lease_id": body["lease_id"] }))
        .refused(400);
    assert!(refusal.contains("not renewable"), "{refusal}");
    // There is nothing in AWS to take back.
    let calls = fixture
        .proxy
        .actions_while(|| fixture.revoke(&text(&body["lease_id"])));
    assert_eq!(calls.into_iter().collect::<Vec<_>>(), [""; 0]);
    assert_eq!(keys.list_users(), Ok(()));
}

#[test]
fn a_session_lives_as_long_as_the_request_or_else_the_role_says_within_limits() {
    let fixture = fixture!(configured);
    fixture
        .host
        .write("sys/mounts/aws/tune", &json!({ "max_lease_ttl": "3h" }))
        .succeeded();
    for (credential_type, call) in CALLS {
        for (default, max, asked, given, cut) in [
            ("0", "0", None, "3600", false),
            ("30m", "0", None, "1800", false),
            ("30m", "2h", Some("15m"), "900", false),
            ("30m", "2h", Some("0"), "1800", false),
            ("30m", "2h", Some("90m"), "5400", false),
            ("30m", "2h", Some("12h"), "7200", true),
            ("0", "30m", None, "1800", false),
            ("0", "0", Some("12h"), "10800", true),
        ] {
            let case = format!("{credential_type} {default} {max} {asked:?}");
            let limits = json!({ "default_sts_ttl": default, "max_sts_ttl": max });
            if fixture
                .host
                .read(&format!("aws/roles/{credential_type}"))
                .is_success()
            {
                fixture.role(credential_type, &limits);
            } else {
                write_role(&fixture, credential_type, &limits);
            }
            let query = asked.map_or_else(String::new, |ttl| format!("?ttl={ttl}"));

            let path = format!("aws/sts/{credential_type}{query}");
            let body = fixture.host.read(&path).body();

            assert_eq!(
                parameters(&fixture, call)["DurationSeconds"],
                given,
                "{case}"
            );
            let warnings = warnings(&body);
            assert_eq!(warnings.contains("is cut to"), cut, "{case}: {warnings}");
        }
    }
}

#[test]
fn limits_that_contradict_each_other_are_refused_when_the_role_is_written() {
    let fixture = fixture!(configured);

    let refusal = fixture
        .host
        .write(
            "aws/roles/session",
            &json!({
                "credential_type": "session_token",
                "default_sts_ttl": "2h",
                "max_sts_ttl": "1h",
            }),
        )
        .refused(400);

    assert!(
        refusal.contains("default_sts_ttl") && refusal.contains("max_sts_ttl"),
        "{refusal}"
    );
}

#[test]
fn of_several_role_arns_the_request_names_one() {
    let fixture = fixture!(configured);
    let arns = [assumable(&fixture, "first"), assumable(&fixture, "second")];
    let other = assumable(&fixture, "other");
    fixture.role(
        "several",
        &json!({ "credential_type": "assumed_role", "role_arns": arns }),
    );

    let refusal = fixture.host.read("aws/sts/several").refused(400);
    assert!(
        refusal.starts_with("did not supply a role_arn parameter and unable to determine one"),
        "{refusal}"
    );
    let query = format!("aws/creds/several?role_arn={other}");
    let refusal = fixture.host.read(&query).refused(400);
    assert_eq!(
        refusal,
        format!(r#"role_arn "{other}" not in allowed role arns for Vault role "several""#)
    );

    for arn in &arns {
        let query = format!("aws/creds/several?role_arn={arn}");
        let read = fixture.host.read(&query).succeeded();
        let body = json!({ "role_arn": arn });
        let written = fixture.host.write("aws/sts/several", &body).succeeded();

        let (_, name) = arn.rsplit_once('/').expect("an ARN");
        for data in [read, written] {
            let session = format!("assumed-role/{name}/");
            assert!(text(&data["arn"]).contains(&session), "{}", data["arn"]);
        }
    }
}

#[test]
fn what_a_role_says_of_its_sessions_reaches_aws() {
    let fixture = fixture!(configured);
    let group = fixture.aws.unique("readers");
    fixture.aws.group(&group, READ_ONLY_ACCESS);
    let policy = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess";
    write_role(
        &fixture,
        "assumed_role",
        &json!({
            "policy_arns": policy,
            "policy_document": DOCUMENT,
            "iam_groups": group,
            "external_id": "from-outside",
            "session_tags": { "team": "storage" },
        }),
    );

    fixture
        .host
        .write(
            "aws/sts/assumed_role",
            &json!({ "role_session_name": "night shift/2" }),
        )
        .succeeded();

    let sent = parameters(&fixture, "AssumeRole");
    assert_eq!(sent["RoleSessionName"], "night_shift_2");
    assert_eq!(sent["ExternalId"], "from-outside");
    assert_eq!(sent["Tags.member.1.Key"], "team");
    assert_eq!(sent["Tags.member.1.Value"], "storage");
    assert_eq!(sent["PolicyArns.member.1.arn"], policy);
    assert_eq!(sent["PolicyArns.member.2.arn"], READ_ONLY_ACCESS);
    let sent: Value = serde_json::from_str(&sent["Policy"]).expect("a policy is JSON");
    assert_eq!(sent, serde_json::from_str::<Value>(DOCUMENT).unwrap());
}

#[test]
fn a_federated_session_is_never_without_a_policy() {
    let fixture = fixture!(configured);

    let refusal = fixture
        .host
        .write(
            "aws/roles/federated",
            &json!({ "credential_type": "federation_token" }),
        )
        .refused(400);

    assert!(refusal.contains("policy_document"), "{refusal}");
}

#[test]
fn a_refusal_of_sts_names_the_permission_that_is_missing() {
    let fixture = fixture!(configured);
    for (credential_type, call) in CALLS {
        write_role(&fixture, credential_type, &json!({}));
        let permission = format!("sts:{call}");
        fixture.aws.deny_root(&[&permission]);

        let path = format!("aws/sts/{credential_type}");
        let refusal = fixture.host.read(&path).refused(400);

        assert!(refusal.contains("AccessDenied"), "{refusal}");
        assert!(refusal.contains(&permission), "{refusal}");
        fixture.aws.allow_root();
        fixture.host.read(&path).succeeded();
    }
}

#[test]
fn a_role_that_cannot_be_assumed_is_said_to_be_so() {
    let fixture = fixture!(configured);
    let somebody = fixture.aws.unique("somebody");
    fixture.aws.person(&somebody);
    let name = fixture.aws.unique("of-somebody");
    let arn = fixture
        .aws
        .assumable_role(&name, &somebody, READ_ONLY_ACCESS);
    fixture.role(
        "foreign",
        &json!({ "credential_type": "assumed_role", "role_arns": arn }),
    );

    let refusal = fixture.host.read("aws/sts/foreign").refused(400);

    assert!(refusal.contains("AccessDenied"), "{refusal}");
    assert!(refusal.contains("trust policy"), "{refusal}");
}
