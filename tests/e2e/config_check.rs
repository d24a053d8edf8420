//! What `config/check` says on a real host.

use serde_json::{Value, json};

use crate::fixture::{Fixture, fixture};
use crate::host::strings;

fn check(fixture: &Fixture) -> Value {
    fixture.host.read("aws/config/check").succeeded()
}

#[track_caller]
fn assert_problems(answer: &Value, fields: &[&str]) {
    assert_eq!(strings(&answer["problems"]), fields, "{answer:#}");
    assert_eq!(answer["works"], json!(fields.is_empty()));
}

#[track_caller]
fn assert_tells(answer: &Value, field: &str, parts: &[&str]) {
    let told = answer[field].as_str().unwrap_or_default();
    for part in parts {
        assert!(told.contains(part), "no {part:?} in {field} of {answer:#}");
    }
}

#[test]
fn a_root_that_works_is_told_and_what_it_lacks_is_named_until_it_is_granted() {
    let fixture = fixture!(configured);
    fixture.full_deploy_role();

    let answer = check(&fixture);

    assert_problems(&answer, &[]);
    let arn = format!(
        "arn:aws:iam::{}:user/{}",
        fixture.aws.account(),
        fixture.aws.root_user
    );
    for (field, told) in [
        ("account", fixture.aws.account()),
        ("arn", &arn),
        ("kind", "IAM user"),
        ("access_key", &fixture.aws.root.access_key),
        ("permissions_iam_user", "granted"),
        ("permissions_rotate_root", "granted"),
        ("permissions_judged_by", "iam:SimulatePrincipalPolicy"),
        ("clock_difference", "none"),
    ] {
        assert_eq!(answer[field], told, "{answer:#}");
    }
    assert_eq!(answer["access_keys"], 1);
    for field in ["iam", "sts"] {
        assert_tells(&answer, field, &[&fixture.proxy.url(), "answered in"]);
    }

    fixture
        .aws
        .deny_root(&["iam:CreateAccessKey", "iam:AddUserToGroup"]);
    let answer = check(&fixture);
    assert_problems(&answer, &["permissions_iam_user"]);
    assert_tells(
        &answer,
        "permissions_iam_user",
        &[
            "missing iam:CreateAccessKey of GiveThemKeysAndTags",
            "iam:AddUserToGroup of JoinAndLeaveGroups",
        ],
    );

    fixture
        .aws
        .deny_root(&["iam:SimulatePrincipalPolicy", "iam:GetUser"]);
    let answer = check(&fixture);
    assert_problems(&answer, &["permissions_iam_user"]);
    assert_tells(
        &answer,
        "permissions_judged_by",
        &["harmless reads", "grant iam:SimulatePrincipalPolicy"],
    );
    assert_tells(
        &answer,
        "permissions_iam_user",
        &["missing iam:GetUser of RemoveThem"],
    );

    fixture.aws.allow_root();
    assert_problems(&check(&fixture), &[]);
    assert_eq!(
        fixture.proxy.created_users(),
        [""; 0],
        "a check changes nothing"
    );
    assert_eq!(fixture.host.stored_keys("aws", "wal"), [""; 0]);
}

#[test]
fn an_address_that_nobody_answers_and_a_key_that_aws_does_not_know_are_told_apart() {
    let fixture = fixture!(configured);
    let nowhere = json!({ "sts_endpoint": "http://127.0.0.1:9" });
    fixture.host.write("aws/config/root", &nowhere).succeeded();
    let answer = check(&fixture);
    assert_problems(&answer, &["sts"]);
    assert_tells(
        &answer,
        "sts",
        &["http://127.0.0.1:9 did not answer", "connection refused"],
    );
    assert_tells(&answer, "arn", &[&fixture.aws.root_user]);

    let wrong = json!({
        "access_key": "AKIANOBODYSKEY000000",
        "secret_key": "nobody-has-this-secret-key-of-no-access-key",
        "sts_endpoint": fixture.proxy.url(),
    });
    fixture.host.write("aws/config/root", &wrong).succeeded();
    let answer = check(&fixture);
    assert_problems(&answer, &["sts", "iam"]);
    for field in ["iam", "sts"] {
        assert_tells(
            &answer,
            field,
            &[
                "answered in",
                "and refuses: InvalidClientTokenId",
                "check access_key and secret_key",
            ],
        );
    }
}

#[test]
fn the_hosts_command_line_shows_it_as_a_table() {
    let fixture = fixture!(configured);
    fixture.deploy_role();

    let table = fixture.host.cli(&["read", "aws/config/check"]).succeeded();

    for (field, value) in [
        ("works", "true"),
        ("problems", "[]"),
        ("kind", "IAM user"),
        ("permissions_iam_user", "granted"),
        ("roles", "1 roles, 0 static roles"),
    ] {
        let mut lines = table
            .lines()
            .map(|line| line.split_once(' ').unwrap_or_default());
        let shown = lines.find_map(|(key, rest)| (key == field).then(|| rest.trim()));
        assert_eq!(shown, Some(value), "{field} in:\n{table}");
    }
}
