//! What no role may be.

use serde_json::{Value, json};

use super::{DOCUMENT, ROLE_ARN, full};
use crate::engine::testing::{READ_ONLY, TestMount};

const PREFIX: &str = "error(s) validating supplied role data: ";

/// Writes each role to a name of its own, where the refusal must say `reason` and nothing may be
/// stored.
async fn assert_refused<const N: usize>(cases: [(Value, &str); N]) {
    let mount = TestMount::new().await;
    for (role, reason) in cases {
        let text = mount.write_refusal("roles/x", role.clone()).await;

        let problems = text.strip_prefix(PREFIX).unwrap_or(&text);
        assert!(problems.contains(reason), "{role}\n{text}");
        assert!(!problems.contains("; "), "one mistake only: {text}");
        assert!(mount.storage().keys().is_empty(), "{role}");
    }
}

/// A full role of the type with one field set to a value.
fn with(credential_type: &str, field: &str, value: Value) -> Value {
    let mut role = full(credential_type);
    role[field] = value;
    role
}

#[tokio::test]
async fn a_role_has_one_known_credential_type() {
    assert_refused([
        (json!({}), "did not supply credential_type"),
        (
            json!({"credential_type": ""}),
            "did not supply credential_type",
        ),
        (
            json!({"credential_type": "invalid_type"}),
            "unrecognized credential type: invalid_type (it is one of iam_user, assumed_role, federation_token, session_token)",
        ),
        (
            json!({"credential_type": "iam_user,assumed_role"}),
            "unrecognized credential type: iam_user,assumed_role",
        ),
    ])
    .await;
}

#[tokio::test]
async fn each_type_has_fields_of_its_own() {
    const TTL: &str = "parameter only valid for assumed_role, federation_token, and session_token credential types";
    assert_refused([
        (
            with("iam_user", "role_arns", json!([ROLE_ARN])),
            "cannot supply role_arns when credential_type isn't assumed_role",
        ),
        (with("iam_user", "default_sts_ttl", json!(2)), TTL),
        (with("iam_user", "max_sts_ttl", json!(2)), TTL),
        (
            with("assumed_role", "user_path", json!("/path/")),
            "user_path parameter only valid for iam_user credential type",
        ),
        (
            with("assumed_role", "permissions_boundary_arn", json!(READ_ONLY)),
            "cannot supply permissions_boundary_arn when credential_type isn't iam_user",
        ),
        (
            with("federation_token", "role_arns", json!([ROLE_ARN])),
            "cannot supply role_arns when credential_type isn't assumed_role",
        ),
        (
            with("federation_token", "user_path", json!("/path/")),
            "user_path parameter only valid for iam_user credential type",
        ),
        (
            with("federation_token", "permissions_boundary_arn", json!(READ_ONLY)),
            "cannot supply permissions_boundary_arn when credential_type isn't iam_user",
        ),
        (
            with("federation_token", "session_tags", json!({"a": "b"})),
            "cannot supply session_tags when credential_type isn't assumed_role",
        ),
        (
            with("iam_user", "external_id", json!("foo")),
            "cannot supply external_id when credential_type isn't assumed_role",
        ),
        (
            with("session_token", "policy_document", json!(DOCUMENT)),
            "cannot supply a policy or role when using credential_type session_token: policy_document",
        ),
        (
            with("session_token", "policy_arns", json!([READ_ONLY])),
            "cannot supply a policy or role when using credential_type session_token: policy_arns",
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_a_type_cannot_do_without_must_be_there() {
    assert_refused([(
        json!({"credential_type": "federation_token"}),
        "must specify at least one of policy_arns, policy_document or iam_groups",
    )])
    .await;
}

#[tokio::test]
async fn the_default_lifetime_is_not_above_the_longest() {
    const ORDER: &str =
        r#""default_sts_ttl" value must be less than or equal to "max_sts_ttl" value"#;
    assert_refused([
        (with("assumed_role", "max_sts_ttl", json!(1799)), ORDER),
        (
            with("federation_token", "default_sts_ttl", json!("2h")),
            ORDER,
        ),
        (with("session_token", "default_sts_ttl", json!("2h")), ORDER),
    ])
    .await;
}

#[tokio::test]
async fn a_value_that_aws_would_not_take_is_refused_with_its_field() {
    assert_refused([
        (
            with("iam_user", "policy_arns", json!([READ_ONLY, "ReadOnly"])),
            r#"policy_arns: "ReadOnly": arn: invalid prefix"#,
        ),
        (
            with("iam_user", "policy_arns", json!(format!("{READ_ONLY},"))),
            r#"policy_arns: "": arn: invalid prefix"#,
        ),
        (
            with("iam_user", "policy_arns", json!([ROLE_ARN])),
            "expected a resource type of policy but got role/path/Deploy",
        ),
        (
            with("assumed_role", "role_arns", json!([READ_ONLY])),
            "expected a resource type of role but got policy/ReadOnlyAccess",
        ),
        (
            with(
                "assumed_role",
                "role_arns",
                json!(["arn:aws:sts::1:role/x"]),
            ),
            "expected a service of iam but got sts",
        ),
        (
            with("iam_user", "iam_groups", json!(["dev ops"])),
            r#"iam_groups: group name "dev ops" must consist of letters"#,
        ),
        (
            with("iam_user", "iam_tags", json!({"a#b": "c"})),
            r#"iam_tags: "a#b" must consist of letters"#,
        ),
        (
            with("assumed_role", "session_tags", json!({"aws:x": "c"})),
            r#"session_tags: key "aws:x" begins with aws:"#,
        ),
        (
            with("assumed_role", "external_id", json!("x")),
            r#"external_id: external id "x" must have 2 to 1224 characters"#,
        ),
        (
            with("session_token", "mfa_serial_number", json!("my phone")),
            "mfa_serial_number: MFA serial number",
        ),
        (
            with("iam_user", "user_path", json!("path/")),
            r#"the specified value for user_path is invalid: "path/""#,
        ),
        (
            with(
                "iam_user",
                "permissions_boundary_arn",
                json!("arn:aws:notiam::aws:policy/FooBar"),
            ),
            "invalid permissions_boundary_arn parameter: expected a service of iam but got notiam",
        ),
    ])
    .await;
}

fn policies(number: usize) -> Value {
    (0..number)
        .map(|n| json!(format!("arn:aws:iam::aws:policy/p{n}")))
        .collect()
}

fn document(characters: usize) -> Value {
    let empty = r#"{"Id":""}"#.len();
    json!(format!(r#"{{"Id":"{}"}}"#, "x".repeat(characters - empty)))
}

#[tokio::test]
async fn more_than_aws_ever_takes_is_refused_with_field_and_limit() {
    let groups: Vec<_> = (0..11).map(|n| format!("group{n}")).collect();
    assert_refused([
        (
            with("iam_user", "policy_arns", policies(21)),
            "policy_arns has 21 policies, and IAM attaches at most 20 to a user",
        ),
        (
            with("iam_user", "iam_groups", json!(groups)),
            "iam_groups has 11 groups, and IAM puts a user into at most 10",
        ),
        (
            with("iam_user", "policy_document", document(2049)),
            "policy_document has 2049 characters without white space, and IAM takes at most 2048 for a user",
        ),
        (
            with("assumed_role", "policy_arns", policies(11)),
            "policy_arns has 11 policies, and STS takes at most 10 for a session",
        ),
        (
            with("federation_token", "policy_arns", policies(11)),
            "policy_arns has 11 policies, and STS takes at most 10 for a session",
        ),
        (
            with("assumed_role", "policy_document", document(2049)),
            "policy_document has 2049 characters, and STS takes at most 2048 for a session",
        ),
        (
            with("federation_token", "policy_document", document(2049)),
            "policy_document has 2049 characters, and STS takes at most 2048 for a session",
        ),
    ])
    .await;
}

#[tokio::test]
async fn as_much_as_aws_takes_can_be_written() {
    let mount = TestMount::new().await;
    let spaced = json!(format!(r#"{{"Id":"{}"}}"#, "x ".repeat(2039)));
    for (role, warned) in [
        (with("iam_user", "policy_arns", policies(10)), false),
        (with("iam_user", "policy_arns", policies(20)), true),
        (with("iam_user", "policy_document", document(2048)), false),
        (with("iam_user", "policy_document", spaced), false),
        (with("assumed_role", "policy_arns", policies(10)), false),
        (
            with("federation_token", "policy_document", document(2048)),
            false,
        ),
        // The same one again takes no place.
        (
            with(
                "federation_token",
                "policy_arns",
                json!(vec![READ_ONLY; 30]),
            ),
            false,
        ),
    ] {
        let warnings = mount.write("roles/x", role).await;

        assert_eq!(warnings.len(), usize::from(warned), "{warnings:?}");
        mount.delete("roles/x").await;
    }
}

#[tokio::test]
async fn a_stored_role_beyond_the_limits_is_read_and_deleted_and_gives_nothing() {
    let mount = TestMount::configured().await;
    for (credential_type, number) in [("iam_user", 300), ("assumed_role", 11)] {
        let role = json!({"credential_types": [credential_type], "role_arns": [ROLE_ARN], "policy_arns": policies(number)});
        mount.store_elsewhere("role/x", &role.to_string()).await;

        let arns = mount.read("roles/x").await["policy_arns"].clone();
        assert_eq!(arns, policies(number));
        let text = mount.generate_refusal("creds/x", json!({})).await;
        let start =
            format!(r#"role "x" can give no credentials: policy_arns has {number} policies, and"#);
        assert!(text.starts_with(&start), "{text}");
        mount.delete("roles/x").await;
    }
    assert!(mount.aws().calls().is_empty());
    assert_eq!(mount.wal(), [""; 0]);
}

#[tokio::test]
async fn a_field_that_cannot_be_read_is_refused_with_its_name() {
    assert_refused([
        (
            with("iam_user", "policy_document", json!("{")),
            r#"field "policy_document": cannot parse policy document: EOF"#,
        ),
        (
            with("iam_user", "policy_document", json!("[1]")),
            r#"field "policy_document": a policy document must be a JSON object"#,
        ),
        (
            with("iam_user", "policy_document", json!("\"x\"")),
            r#"field "policy_document": a policy document must be a JSON object"#,
        ),
        (
            with("iam_user", "iam_tags", json!("team")),
            r#"field "iam_tags": invalid key pair "team""#,
        ),
        (
            with("assumed_role", "max_sts_ttl", json!("-1h")),
            r#"field "max_sts_ttl": cannot provide negative value '-1h'"#,
        ),
        (
            with("assumed_role", "default_sts_ttl", json!("soon")),
            r#"field "default_sts_ttl": "soon" is not a duration"#,
        ),
    ])
    .await;
}

#[tokio::test]
async fn all_mistakes_are_told_together_and_a_bad_boundary_hides_none() {
    let mount = TestMount::new().await;

    let text = mount
        .write_refusal(
            "roles/x",
            json!({
                "credential_type": "federation_token",
                "role_arns": "x",
                "user_path": "x",
                "permissions_boundary_arn": "x",
                "default_sts_ttl": 2,
                "max_sts_ttl": 1,
            }),
        )
        .await;

    let problems: Vec<_> = text.strip_prefix(PREFIX).unwrap().split("; ").collect();
    assert_eq!(
        problems,
        [
            r#""default_sts_ttl" value must be less than or equal to "max_sts_ttl" value"#,
            "user_path parameter only valid for iam_user credential type",
            r#"the specified value for user_path is invalid: "x" must be "/", or begin and end with "/" with at most 510 visible ASCII characters between"#,
            "cannot supply permissions_boundary_arn when credential_type isn't iam_user",
            "invalid permissions_boundary_arn parameter: arn: invalid prefix",
            "cannot supply role_arns when credential_type isn't assumed_role",
            "must specify at least one of policy_arns, policy_document or iam_groups with federation_token credential_type",
            r#"role_arns: "x": arn: invalid prefix"#,
        ]
    );
}

#[tokio::test]
async fn a_change_of_type_tells_which_stored_fields_stand_in_its_way() {
    let mount = TestMount::new().await;
    mount.write("roles/x", full("iam_user")).await;

    let text = mount
        .write_refusal(
            "roles/x",
            json!({"credential_type": "session_token", "user_path": "/sent/"}),
        )
        .await;

    let (_, hint) = text.rsplit_once("; ").unwrap();
    assert_eq!(
        hint,
        "stored in the role before, to be sent empty (\"\") if the role is to change its type: permissions_boundary_arn, policy_arns, policy_document"
    );
    // What the hint says is enough.
    mount
        .write(
            "roles/x",
            json!({
                "credential_type": "session_token",
                "user_path": "",
                "permissions_boundary_arn": "",
                "policy_arns": "",
                "policy_document": "",
            }),
        )
        .await;
}

#[tokio::test]
async fn every_field_that_the_hint_names_is_cleared_by_an_empty_text() {
    let mount = TestMount::new().await;
    mount.write("roles/x", full("assumed_role")).await;
    let change = json!({"credential_type": "iam_user"});
    let text = mount.write_refusal("roles/x", change.clone()).await;
    let (_, fields) = text.rsplit_once(": ").unwrap();

    let mut cleared = change;
    for field in fields.split(", ") {
        cleared[field] = json!("");
    }
    mount.write("roles/x", cleared).await;

    assert_eq!(
        fields,
        "default_sts_ttl, external_id, max_sts_ttl, role_arns, session_tags"
    );
}

#[tokio::test]
async fn a_refused_write_leaves_the_role_as_it_was() {
    let mount = TestMount::new().await;
    mount.write("roles/x", full("iam_user")).await;
    let before = mount.read("roles/x").await;

    mount
        .write_refusal(
            "roles/x",
            json!({"policy_arns": "nothing", "user_path": "/y/"}),
        )
        .await;

    assert_eq!(mount.read("roles/x").await, before);
}

#[tokio::test]
async fn a_role_whose_name_is_no_policy_name_has_no_document_for_users() {
    let mount = TestMount::new().await;
    let path = format!("roles/{}", "x".repeat(129));
    let role = json!({"credential_type": "iam_user", "policy_document": DOCUMENT});

    let text = mount.write_refusal(&path, role).await;
    assert!(
        text.contains("must have 1 to 128 characters, not 129"),
        "{text}"
    );

    let role = json!({"credential_type": "federation_token", "policy_document": DOCUMENT});
    mount.write(&path, role).await;
}

#[tokio::test]
async fn sessions_can_be_ended_where_aws_can_tell_them_apart() {
    assert_refused([
        (
            with("session_token", "revocable_sessions", json!(true)),
            "AWS does not tell a session_token from the engine's own user",
        ),
        (
            with("iam_user", "revocable_sessions", json!(true)),
            "revocable_sessions is for assumed_role and federation_token",
        ),
        (
            with("assumed_role", "revoke_older_sessions", json!(true)),
            "revoke_older_sessions goes with revocable_sessions=true",
        ),
    ])
    .await;
}
