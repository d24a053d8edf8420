//! Roles of before `credential_type`: stored ones, and the deprecated parameters.

use serde_json::{Value, json};

use super::{DOCUMENT, ROLE_ARN, full, shown};
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::Operation;
use crate::logical::testing::StorageFault;

const DEPRECATED: &str =
    "Detected use of legacy role or policy parameter. Please upgrade to use the new parameters.";

async fn with_entry(text: &str) -> TestMount {
    let mount = TestMount::configured().await;
    mount.storage().set_text("policy/old", text);
    mount
}

async fn role(mount: &TestMount) -> Value {
    Value::Object(mount.read("roles/old").await)
}

#[tokio::test]
async fn a_policy_document_sent_as_policy_gives_users_and_federation_tokens() {
    let mount = TestMount::new().await;
    let pretty: Value = serde_json::from_str(DOCUMENT).unwrap();
    let pretty = serde_json::to_string_pretty(&pretty).unwrap();

    let warnings = mount.write("roles/old", json!({"policy": pretty})).await;

    assert_eq!(warnings, [DEPRECATED]);
    let mut role = role(&mount).await;
    let kept = role["policy_document"].take();
    assert!(
        !kept.as_str().unwrap().contains(char::is_whitespace),
        "{kept}"
    );
    role["policy_document"] = json!("");
    assert_eq!(
        role,
        shown(&json!({"credential_type": "iam_user,federation_token"}))
    );
    mount.delete("roles/old").await;
    let gone = mount.send(Operation::Read, "roles/old", json!({})).await;
    assert_eq!(gone.unwrap(), None);
}

#[tokio::test]
async fn an_arn_sent_as_arn_gives_what_it_names() {
    let mount = TestMount::new().await;
    for (sent, expected) in [
        (
            READ_ONLY,
            json!({"credential_type": "iam_user", "policy_arns": [READ_ONLY]}),
        ),
        (
            ROLE_ARN,
            json!({"credential_type": "assumed_role", "role_arns": [ROLE_ARN]}),
        ),
    ] {
        assert_eq!(
            mount.write("roles/old", json!({"arn": sent})).await,
            [DEPRECATED]
        );
        assert_eq!(role(&mount).await, shown(&expected));
        // Which of the two carries it does not matter.
        mount.delete("roles/old").await;
        mount.write("roles/old", json!({"policy": sent})).await;
        assert_eq!(role(&mount).await, shown(&expected));
    }
}

#[tokio::test]
async fn a_deprecated_parameter_replaces_the_whole_role() {
    let mount = TestMount::new().await;
    mount.write("roles/old", full("assumed_role")).await;

    mount.write("roles/old", json!({"arn": READ_ONLY})).await;

    let expected = json!({"credential_type": "iam_user", "policy_arns": [READ_ONLY]});
    assert_eq!(role(&mount).await, shown(&expected));
}

#[tokio::test]
async fn a_deprecated_parameter_that_says_nothing_is_refused() {
    let mount = TestMount::new().await;
    for text in ["allow all", "arn:gobbledygook", "[1]", "{"] {
        assert_eq!(
            mount
                .write_refusal("roles/old", json!({"policy": text}))
                .await,
            format!("unable to parse supplied data: {text:?}")
        );
    }
    assert_eq!(
        mount
            .write_refusal("roles/old", json!({"policy": DOCUMENT, "arn": READ_ONLY}))
            .await,
        "only one of policy or arn should be provided"
    );
}

#[tokio::test]
async fn no_parameter_of_today_stands_beside_a_deprecated_one() {
    let mount = TestMount::new().await;
    let role = full("assumed_role");
    let more = [
        ("user_path", json!("/x/")),
        ("permissions_boundary_arn", json!(READ_ONLY)),
        ("iam_tags", json!({"a": "b"})),
        ("mfa_serial_number", json!("GAHT12345678")),
    ];
    let fields = role.as_object().unwrap().iter();
    let fields = fields.map(|(field, value)| (field.as_str(), value.clone()));
    for (field, value) in fields.chain(more) {
        let text = mount
            .write_refusal("roles/old", json!({"policy": DOCUMENT, field: value}))
            .await;
        let expected = match field {
            "credential_type" => "cannot supply deprecated role or policy parameters with an explicit credential_type".to_owned(),
            field => format!("cannot supply deprecated role or policy parameters with {field}"),
        };
        assert_eq!(text, expected);
    }
}

#[tokio::test]
async fn an_empty_deprecated_parameter_is_none() {
    let mount = TestMount::new().await;
    let role =
        json!({"credential_type": "iam_user", "policy_arns": READ_ONLY, "policy": "", "arn": ""});
    assert_eq!(mount.write("roles/old", role).await, [""; 0]);
}

#[tokio::test]
async fn a_stored_old_role_is_listed_and_deleted_like_any_other() {
    let mount = with_entry(DOCUMENT).await;
    mount.write("roles/new", full("iam_user")).await;
    mount.storage().set_text("policy/new", DOCUMENT);

    assert_eq!(mount.list("roles").await, ["new", "old"]);

    mount.delete("roles/old").await;
    mount.delete("roles/new").await;
    assert_eq!(mount.list("roles").await, [""; 0]);
    assert_eq!(mount.storage().keys(), ["config/root"]);
}

#[tokio::test]
async fn reading_a_stored_old_role_stores_it_in_todays_form() {
    let mount = with_entry(ROLE_ARN).await;

    let expected = json!({"credential_type": "assumed_role", "role_arns": [ROLE_ARN]});
    assert_eq!(role(&mount).await, shown(&expected));

    assert_eq!(mount.storage().keys(), ["config/root", "role/old"]);
    let stored = mount.storage().text("role/old").unwrap();
    assert!(
        stored.contains(r#""prohibit_flexible_cred_path":true,"version":1"#),
        "{stored}"
    );
    assert_eq!(role(&mount).await, shown(&expected));
}

#[tokio::test]
async fn a_write_to_a_stored_old_role_keeps_its_types_and_frees_its_paths() {
    let mount = with_entry(DOCUMENT).await;
    mount.aws().add_group("developers");

    mount
        .write("roles/old", json!({"iam_groups": "developers"}))
        .await;

    let expected = json!({
        "credential_type": "iam_user,federation_token",
        "policy_document": DOCUMENT,
        "iam_groups": ["developers"],
    });
    assert_eq!(role(&mount).await, shown(&expected));
    assert!(
        !mount
            .storage()
            .text("role/old")
            .unwrap()
            .contains("prohibit")
    );
    // A form sends the two types back as it read them.
    let read = role(&mount).await;
    mount.write("roles/old", read.clone()).await;
    assert_eq!(role(&mount).await, read);
}

#[tokio::test]
async fn a_node_that_may_not_write_uses_an_old_role_without_storing_it() {
    let mount = with_entry(DOCUMENT).await;
    mount.storage().fail(StorageFault::ReadOnly, "");

    let expected =
        json!({"credential_type": "iam_user,federation_token", "policy_document": DOCUMENT});
    assert_eq!(role(&mount).await, shown(&expected));
    mount.generate("sts/old").await;

    assert_eq!(mount.storage().keys(), ["config/root", "policy/old"]);
}

#[tokio::test]
async fn an_old_role_that_says_nothing_shows_what_it_holds_until_it_is_written() {
    let mount = with_entry("arn:gobbledygook").await;
    assert_eq!(
        role(&mount).await,
        shown(&json!({"invalid_data": "arn:gobbledygook"}))
    );
    assert_eq!(
        mount.generate_refusal("creds/old", json!({})).await,
        "unknown credential_type: \"\""
    );

    let new = json!({"credential_type": "iam_user", "policy_arns": [READ_ONLY]});
    let warnings = mount.write("roles/old", new.clone()).await;

    assert_eq!(
        warnings,
        ["Invalid data of \"arn:gobbledygook\" cleared out of role"]
    );
    assert_eq!(role(&mount).await, shown(&new));
}

#[tokio::test]
async fn todays_form_wins_over_an_old_entry_that_could_not_be_removed() {
    let mount = with_entry(READ_ONLY).await;
    mount.storage().fail(StorageFault::Delete, "policy/");
    mount.read_error("roles/old").await;
    mount.storage().heal();

    mount.write("roles/old", json!({"user_path": "/x/"})).await;

    assert_eq!(role(&mount).await["user_path"], "/x/");
    assert_eq!(mount.list("roles").await, ["old"]);
}
