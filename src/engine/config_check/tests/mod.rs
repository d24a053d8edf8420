//! `config/check`, as a specification.

mod permissions;
mod sessions;
mod static_roles;

use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::fake::{FakeRole, Fault, FaultRule};
use crate::engine::testing::TestMount;
use crate::logical::{JsonObject, Operation};

const DAY: Duration = Duration::from_hours(24);

/// What changes nothing; sessions are denied everything.
const HARMLESS: [&str; 6] = [
    "sts:GetCallerIdentity",
    "sts:AssumeRole",
    "sts:GetFederationToken",
    "iam:GetUser",
    "iam:ListAccessKeys",
    "iam:SimulatePrincipalPolicy",
];

/// A text of the answer.
#[track_caller]
fn text<'a>(answer: &'a JsonObject, field: &str) -> &'a str {
    match answer.get(field) {
        Some(Value::String(text)) => text,
        other => panic!("{field} is {other:?} in: {answer:#?}"),
    }
}

#[track_caller]
fn assert_tells(answer: &JsonObject, field: &str, parts: &[&str]) {
    let told = text(answer, field);
    for part in parts {
        assert!(told.contains(part), "{part:?} is not in {field}: {told}");
    }
}

#[track_caller]
fn assert_problems(answer: &JsonObject, fields: &[&str]) {
    assert_eq!(answer["problems"], json!(fields), "{answer:#?}");
    assert_eq!(answer["works"], json!(fields.is_empty()));
}

async fn check(mount: &TestMount) -> JsonObject {
    mount.read("config/check").await
}

#[tokio::test]
async fn a_root_that_works_is_told_field_by_field() {
    let mount = TestMount::configured().await;
    mount.clock().advance(12 * DAY);

    let answer = check(&mount).await;

    assert_problems(&answer, &[]);
    let key = mount.aws().access_key_ids("administrator")[0].to_string();
    for (field, told) in [
        ("account", "111122223333"),
        ("arn", "arn:aws:iam::111122223333:user/administrator"),
        ("kind", "IAM user"),
        ("credentials", "access_key of config/root"),
        ("clock_difference", "none"),
        ("access_key", &key),
        ("access_key_age", "12d"),
        (
            "rotation",
            "by hand: no rotation_period and no rotation_schedule",
        ),
        ("roles", "0 roles, 0 static roles"),
        ("permissions_rotate_root", "granted"),
    ] {
        assert_eq!(text(&answer, field), told, "{field}");
    }
    assert_eq!(answer["access_keys"], json!(1));
    for (field, host) in [
        ("iam", "https://iam.us-east-1"),
        ("sts", "https://sts.us-east-1"),
    ] {
        assert_tells(&answer, field, &[host, " answered in ", " ms"]);
    }
    assert!(
        !answer.contains_key("permissions_iam_user"),
        "no role is of that type"
    );
}

#[tokio::test]
async fn a_mount_without_configuration_tells_whose_credentials_it_finds() {
    let mount = TestMount::new().await;
    let answer = check(&mount).await;
    assert_problems(&answer, &["sts", "iam"]);
    assert_tells(
        &answer,
        "sts",
        &["no AWS credentials were found", "config/root"],
    );

    let key = mount.aws().admin_key();
    mount.aws().set_default_credentials(&key);

    let answer = check(&mount).await;
    assert_problems(&answer, &[]);
    assert_eq!(text(&answer, "credentials"), "the server's environment");
    assert!(!answer.contains_key("access_key"));
    assert_tells(&answer, "rotation", &["no access_key to rotate"]);
}

#[tokio::test]
async fn a_wrong_key_is_told_with_what_to_do_and_nothing_more_is_asked() {
    let mount = TestMount::new().await;
    for (field, wrong, step) in [
        (
            "secret_key",
            "not-the-secret-of-this-key",
            "secret_key in config/root does not belong",
        ),
        (
            "access_key",
            "AKIANOBODYSKEY000000",
            "check access_key and secret_key",
        ),
    ] {
        mount.configure(json!({ field: wrong })).await;

        let answer = check(&mount).await;

        assert_problems(&answer, &["sts", "iam"]);
        for service in ["sts", "iam"] {
            assert_tells(&answer, service, &["answered in", "and refuses", step]);
        }
        assert_eq!(
            text(&answer, "clock_difference"),
            "none",
            "AWS tells its time to everybody"
        );
        assert!(!answer.contains_key("arn"));
        assert_tells(&answer, "permissions_judged_by", &["nobody"]);
        let asked = mount.aws().operations();
        assert_eq!(asked.len(), 2, "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_network_each_address_is_told_with_what_to_do() {
    let mount = TestMount::configured().await;
    mount.aws().inject(FaultRule::on("*", Fault::Unreachable));

    let answer = check(&mount).await;

    assert_problems(&answer, &["sts", "iam"]);
    for service in ["sts", "iam"] {
        assert_tells(
            &answer,
            service,
            &["did not answer", "check region and endpoints"],
        );
    }
    assert!(!answer.contains_key("clock_difference"));
}

#[tokio::test(start_paused = true)]
async fn an_sts_that_is_out_of_reach_leaves_it_to_iam_to_say_who_we_are() {
    let mount = TestMount::configured().await;
    mount
        .aws()
        .inject(FaultRule::on("sts:*", Fault::Unreachable));

    let answer = check(&mount).await;

    assert_problems(&answer, &["sts"]);
    assert_eq!(text(&answer, "account"), "111122223333");
    assert_eq!(text(&answer, "permissions_rotate_root"), "granted");
}

#[tokio::test(start_paused = true)]
async fn every_address_of_sts_is_told_one_by_one() {
    let mount = TestMount::configured().await;
    mount
        .write(
            "config/root",
            json!({
                "sts_region": "us-east-1",
                "sts_endpoint": "https://one",
                "sts_fallback_endpoints": "https://two",
                "sts_fallback_regions": "us-east-2",
            }),
        )
        .await;
    mount
        .aws()
        .inject(FaultRule::on("sts:*", Fault::Unreachable).in_region("us-east-1"));

    let answer = check(&mount).await;

    assert_problems(&answer, &["sts"]);
    assert_tells(
        &answer,
        "sts",
        &["https://one did not answer", "; https://two answered in"],
    );
    assert_eq!(text(&answer, "account"), "111122223333");
}

#[tokio::test(start_paused = true)]
async fn an_aws_that_is_silent_does_not_hold_up_the_answer_beyond_the_callers_time() {
    let mount = TestMount::configured().await;
    mount
        .write("roles/bare", json!({"credential_type": "iam_user"}))
        .await;
    for held in ["*", "iam:*", "iam:Simulate*"] {
        mount.aws().inject(FaultRule::on(held, Fault::HeldBefore));
        let begun = tokio::time::Instant::now();

        let answer = check(&mount).await;

        assert!(
            begun.elapsed() < Duration::from_secs(55),
            "{held}: {:?}",
            begun.elapsed()
        );
        let silent = match held {
            "iam:Simulate*" => "permissions_judged_by",
            _ => "iam",
        };
        assert_tells(&answer, silent, &["did not answer"]);
        mount.aws().heal();
    }
}

#[tokio::test]
async fn clocks_that_differ_are_told_before_aws_refuses_and_after() {
    let mount = TestMount::configured().await;
    for (ahead, told, problems) in [
        (time::Duration::seconds(2), "none", &[][..]),
        (
            time::Duration::seconds(30),
            "the server's clock is 30s behind AWS's",
            &[],
        ),
        (
            time::Duration::seconds(-30),
            "the server's clock is 30s ahead of AWS's",
            &[],
        ),
        (
            time::Duration::minutes(2),
            "the server's clock is 2m0s behind AWS's: correct it",
            &["clock_difference"],
        ),
        (
            time::Duration::minutes(-90),
            "the server's clock is 1h30m0s ahead of AWS's: correct it",
            &["sts", "iam", "clock_difference"],
        ),
    ] {
        mount.aws().set_clock_ahead(ahead);

        let answer = check(&mount).await;

        assert_tells(&answer, "clock_difference", &[told]);
        assert_problems(&answer, problems);
    }
    let answer = check(&mount).await;
    assert_tells(
        &answer,
        "sts",
        &["Signature not yet current", "check the server's clock"],
    );
}

#[tokio::test]
async fn it_changes_nothing_at_aws_nor_in_storage_and_answers_no_secret() {
    let mount = everything_in_use().await;
    mount
        .storage()
        .set_text("policy/old", "arn:aws:iam::aws:policy/ReadOnlyAccess");
    let stored = |mount: &TestMount| {
        let keys = mount.storage().keys();
        let of = |key: String| (mount.storage().text(&key), key);
        keys.into_iter().map(of).collect::<Vec<_>>()
    };
    let before = stored(&mount);
    let users = format!("{:?}", mount.aws().iam_users());
    mount.aws().forget_calls();

    let answer = check(&mount).await;

    assert_problems(&answer, &[]);
    assert_eq!(stored(&mount), before);
    assert_eq!(format!("{:?}", mount.aws().iam_users()), users);
    for operation in mount.aws().operations() {
        assert!(HARMLESS.contains(&operation), "{operation}");
    }
    let answer = json!(answer).to_string();
    for secret in mount.aws().secrets() {
        assert!(!answer.contains(&secret), "{answer}");
    }
    // Each session may do nothing; but for the one by which another account is entered.
    for session in mount.aws().sessions() {
        let entered = session.arn.account() == "444455556666";
        let policy = session.policy.unwrap_or_default();
        assert!(
            entered || policy.contains(r#""Deny","Action":"*""#),
            "{policy}"
        );
    }
}

#[tokio::test]
async fn it_costs_few_calls() {
    let mount = TestMount::configured().await;
    check(&mount).await;
    let asked = mount.aws().operations();
    assert_eq!(asked.len(), 4, "{asked:?}");

    let mount = everything_in_use().await;
    mount.aws().forget_calls();
    check(&mount).await;
    let asked = mount.aws().operations();
    assert!(asked.len() <= 14, "{} calls: {asked:?}", asked.len());
}

#[tokio::test]
async fn a_caller_that_hangs_up_ends_it() {
    let mount = TestMount::configured().await;
    let mut request = mount.request(Operation::Read, "config/check", json!({}));
    let caller = crate::caller::Caller::client(None);
    drop(caller.line());
    request.caller = caller;

    let answer = mount.backend().handle_request(request).await;

    let told = answer.unwrap().unwrap().data;
    assert_tells(&told, "iam", &["does not wait any more"]);
    let of_iam = mount
        .aws()
        .operations()
        .into_iter()
        .filter(|of| of.starts_with("iam:"));
    assert_eq!(of_iam.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_next_rotation_is_told_and_why_the_last_try_failed() {
    let mount = TestMount::configured().await;
    mount
        .write("config/root", json!({"rotation_period": "24h"}))
        .await;
    let answer = check(&mount).await;
    assert_problems(&answer, &[]);
    assert_eq!(text(&answer, "rotation"), "every 24h0m0s");
    let shown = mount.read("config/root").await;
    assert_eq!(answer["next_vault_rotation"], shown["next_vault_rotation"]);

    mount.aws().deny("iam:CreateAccessKey");
    mount.clock().advance(DAY);
    mount.roll_back().await.unwrap();

    let answer = check(&mount).await;
    assert_problems(&answer, &["last_rotation_error", "permissions_rotate_root"]);
    assert_tells(&answer, "last_rotation_error", &["iam:CreateAccessKey"]);
    assert_eq!(
        text(&answer, "permissions_rotate_root"),
        "missing iam:CreateAccessKey of RotateItsOwnKey"
    );
}

#[tokio::test]
async fn a_second_key_is_a_problem_only_where_the_key_is_rotated_by_itself() {
    let mount = TestMount::configured().await;
    mount.aws().add_access_key("administrator");
    let answer = check(&mount).await;
    assert_problems(&answer, &[]);
    assert_eq!(answer["access_keys"], json!(2));

    mount
        .write("config/root", json!({"rotation_schedule": "0 3 * * SAT"}))
        .await;

    let answer = check(&mount).await;
    assert_problems(&answer, &["access_keys"]);
    assert_eq!(text(&answer, "rotation"), "at 0 3 * * SAT (UTC)");
}

/// A mount with a role for each feature, all of which works.
async fn everything_in_use() -> TestMount {
    let mount = TestMount::configured().await;
    let aws = mount.aws();
    aws.add_group("readers");
    let role = aws.add_role("deploy", FakeRole::default());
    let abroad = aws.in_account("444455556666");
    abroad.add_user("jane");
    let entry = abroad.add_role("entry", FakeRole::default());
    aws.add_user("app");
    for (path, data) in [
        (
            "roles/user",
            json!({
                "credential_type": "iam_user",
                "policy_arns": crate::engine::testing::READ_ONLY,
                "policy_document": r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#,
                "iam_groups": "readers",
                "iam_tags": {"team": "storage"},
                "user_path": "/vault/",
            }),
        ),
        (
            "roles/role",
            json!({"credential_type": "assumed_role", "role_arns": role.as_str(), "iam_groups": "readers"}),
        ),
        (
            "roles/federated",
            json!({"credential_type": "federation_token", "policy_arns": crate::engine::testing::READ_ONLY}),
        ),
        ("roles/session", json!({"credential_type": "session_token"})),
        (
            "static-roles/app",
            json!({"username": "app", "rotation_period": "24h"}),
        ),
        (
            "static-roles/jane",
            json!({"username": "jane", "rotation_period": "24h", "assume_role_arn": entry.as_str()}),
        ),
    ] {
        mount.write(path, data).await;
    }
    mount
}
