//! What is written, what is read back, and what a partial write keeps.

use serde_json::{Value, json};

use super::{DOCUMENT, ROLE_ARN, full, shown};
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::{Error, Operation};

impl TestMount {
    async fn role(&self, name: &str) -> Value {
        Value::Object(self.read(&format!("roles/{name}")).await)
    }
}

#[tokio::test]
async fn a_role_of_each_type_reads_back_as_it_was_written() {
    let mount = TestMount::new().await;
    for credential_type in [
        "iam_user",
        "assumed_role",
        "federation_token",
        "session_token",
    ] {
        let role = full(credential_type);

        let warnings = mount.write("roles/x", role.clone()).await;

        assert_eq!(warnings, [""; 0], "{credential_type}");
        assert_eq!(mount.role("x").await, shown(&role), "{credential_type}");
        mount.delete("roles/x").await;
    }
}

#[tokio::test]
async fn a_write_changes_only_the_fields_that_it_names() {
    let mount = TestMount::new().await;
    let mut role = full("assumed_role");
    mount.write("roles/x", role.clone()).await;

    for (field, value) in [
        ("role_arns", json!([ROLE_ARN])),
        ("policy_arns", json!([])),
        ("policy_document", json!(r#"{"Statement":[]}"#)),
        ("iam_groups", json!(["group2"])),
        ("session_tags", json!({"cost": "42"})),
        ("external_id", json!("bar")),
        ("default_sts_ttl", json!(900)),
        ("max_sts_ttl", json!(7200)),
    ] {
        mount.write("roles/x", json!({ field: value })).await;

        role[field] = value;
        assert_eq!(mount.role("x").await, shown(&role), "{field}");
    }
    mount.write("roles/x", json!({})).await;
    assert_eq!(mount.role("x").await, shown(&role));
}

#[tokio::test]
async fn a_disabled_role_says_what_lives_on_and_gives_no_credentials_until_it_is_enabled() {
    let mount = TestMount::configured().await;
    let reader = json!({"credential_type": "iam_user", "policy_arns": READ_ONLY});
    mount.write("roles/x", reader).await;
    let lease = mount.generate("creds/x").await;

    let [warning] = mount
        .write("roles/x", json!({"disabled": true}))
        .await
        .try_into()
        .unwrap();

    assert!(
        warning.starts_with("role \"x\" gives no credentials any more; "),
        "{warning}"
    );
    assert!(warning.contains("aws/creds/x"), "{warning}");
    // Other fields neither need nor change it, nor does a repeated write warn again.
    let role = json!({"disabled": true, "user_path": "/other/"});
    assert_eq!(mount.write("roles/x", role).await, [""; 0]);
    mount.write("roles/x", json!({"user_path": "/path/"})).await;
    assert_eq!(mount.role("x").await["disabled"], true);
    let error = mount
        .send(Operation::Read, "creds/x", json!({}))
        .await
        .unwrap_err();
    assert!(matches!(&error, Error::Invalid(_)), "{error:?}");
    assert!(
        error
            .to_string()
            .starts_with("role \"x\" is disabled and gives no credentials"),
        "{error}"
    );
    assert!(mount.aws().user(lease.text("username")).is_some());

    mount.write("roles/x", json!({"disabled": false})).await;

    assert_eq!(mount.role("x").await.get("disabled"), None);
    mount.generate("creds/x").await;
}

#[tokio::test]
async fn a_disabled_role_stays_disabled_when_an_old_parameter_replaces_it() {
    let mount = TestMount::new().await;
    mount.write("roles/x", full("iam_user")).await;
    mount.write("roles/x", json!({"disabled": true})).await;

    mount.write("roles/x", json!({"policy": DOCUMENT})).await;

    assert_eq!(mount.role("x").await["disabled"], true);
}

#[tokio::test]
async fn an_empty_value_clears_a_field() {
    let mount = TestMount::new().await;
    for (field, empty, reads) in [
        ("policy_arns", json!(""), json!([])),
        ("policy_arns", json!([]), json!([])),
        ("policy_document", json!(""), json!("")),
        ("policy_document", json!({}), json!("")),
        ("iam_groups", json!(""), json!([])),
        ("iam_tags", json!(""), json!({})),
        ("iam_tags", json!([]), json!({})),
        ("iam_tags", json!({}), json!({})),
        ("user_path", json!(""), json!("")),
        ("permissions_boundary_arn", json!(""), json!("")),
    ] {
        mount.write("roles/x", full("iam_user")).await;

        mount.write("roles/x", json!({ field: empty })).await;

        assert_eq!(mount.role("x").await[field], reads, "{field} = {empty}");
    }
    for (field, empty, reads) in [
        ("session_tags", json!({}), json!({})),
        ("external_id", json!(""), json!("")),
        ("default_sts_ttl", json!(0), json!(0)),
        ("default_sts_ttl", json!(""), json!(0)),
        ("max_sts_ttl", json!("0s"), json!(0)),
    ] {
        mount.write("roles/y", full("assumed_role")).await;

        mount.write("roles/y", json!({ field: empty })).await;

        assert_eq!(mount.role("y").await[field], reads, "{field} = {empty}");
    }
}

#[tokio::test]
async fn a_null_clears_each_field_of_each_type_of_role() {
    let mount = TestMount::new().await;
    for (credential_type, more) in [
        ("iam_user", json!({})),
        ("assumed_role", json!({})),
        ("federation_token", json!({})),
        ("session_token", json!({"iam_tags": {"a": "b"}})),
    ] {
        let mut role = full(credential_type);
        for (field, value) in more.as_object().unwrap() {
            role[field] = value.clone();
        }
        for field in role.as_object().unwrap().keys() {
            if field == "credential_type" {
                continue;
            }
            mount.write("roles/x", role.clone()).await;

            mount.write("roles/x", json!({ field: null })).await;

            let mut expected = shown(&role);
            expected[field] = match field.as_str() {
                "policy_arns" | "role_arns" | "iam_groups" => json!([]),
                // As in the Go engines, where tags that were never set read the same.
                "iam_tags" | "session_tags" => json!(null),
                "default_sts_ttl" | "max_sts_ttl" => json!(0),
                _ => json!(""),
            };
            assert_eq!(mount.role("x").await, expected, "{credential_type} {field}");
            mount.delete("roles/x").await;
        }
    }
}

#[tokio::test]
async fn a_null_that_leaves_a_role_nothing_to_give_is_refused_and_not_dropped() {
    let mount = TestMount::new().await;
    let role = json!({"credential_type": "federation_token", "policy_arns": [READ_ONLY]});
    mount.write("roles/x", role).await;

    let text = mount
        .write_refusal("roles/x", json!({"policy_arns": null}))
        .await;
    assert!(text.contains("must specify at least one of"), "{text}");

    let text = mount
        .write_refusal("roles/x", json!({"credential_type": null}))
        .await;
    assert!(text.contains("did not supply credential_type"), "{text}");
}

#[tokio::test]
async fn tags_are_replaced_as_a_whole_in_any_of_their_forms() {
    let mount = TestMount::new().await;
    let base = json!({"credential_type": "assumed_role", "role_arns": ROLE_ARN});
    mount.write("roles/x", base).await;
    for (sent, reads) in [
        (json!({"a": "1", "b": "2"}), json!({"a": "1", "b": "2"})),
        (json!({}), json!({})),
        (json!(["c=3", "d=4"]), json!({"c": "3", "d": "4"})),
        (json!("e=5=6"), json!({"e": "5=6"})),
        (json!({"f": 7}), json!({"f": "7"})),
    ] {
        mount.write("roles/x", json!({"session_tags": sent})).await;

        assert_eq!(mount.role("x").await["session_tags"], reads, "{sent}");
    }
}

#[tokio::test]
async fn the_external_id_keeps_its_last_sent_value() {
    let mount = TestMount::new().await;
    let base = json!({"credential_type": "assumed_role", "role_arns": ROLE_ARN});
    mount.write("roles/x", base).await;
    for (sent, reads) in [
        (json!({"external_id": "foo"}), "foo"),
        (json!({"session_tags": {}}), "foo"),
        (json!({"external_id": "bar"}), "bar"),
    ] {
        mount.write("roles/x", sent).await;

        assert_eq!(mount.role("x").await["external_id"], reads);
    }
}

#[tokio::test]
async fn a_policy_document_is_kept_compact_in_the_spelling_of_its_author() {
    let mount = TestMount::new().await;
    let pretty = "{\n  \"Version\": \"2012-10-17\",\n  \"Id\": \"\\u003c 1.0 >\",\n  \"Statement\": [ 1.50 ]\n}\n";

    mount
        .write(
            "roles/x",
            json!({"credential_type": "iam_user", "policy_document": pretty}),
        )
        .await;

    assert_eq!(
        mount.role("x").await["policy_document"],
        "{\"Version\":\"2012-10-17\",\"Id\":\"\\u003c 1.0 >\",\"Statement\":[1.50]}"
    );
}

#[tokio::test]
async fn a_policy_document_may_be_an_object() {
    let mount = TestMount::new().await;
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();

    mount
        .write(
            "roles/x",
            json!({"credential_type": "iam_user", "policy_document": document}),
        )
        .await;

    let kept = mount.role("x").await["policy_document"].clone();
    let kept: Value = serde_json::from_str(kept.as_str().unwrap()).unwrap();
    assert_eq!(kept, document);
}

#[tokio::test]
async fn the_type_changes_when_what_belongs_to_the_old_one_is_cleared_with_it() {
    let mount = TestMount::new().await;
    mount.write("roles/x", full("iam_user")).await;

    mount
        .write(
            "roles/x",
            json!({
                "credential_type": "assumed_role",
                "role_arns": ROLE_ARN,
                "user_path": "",
                "permissions_boundary_arn": "",
                "iam_tags": {},
            }),
        )
        .await;

    assert_eq!(
        mount.role("x").await,
        shown(&json!({
            "credential_type": "assumed_role",
            "role_arns": [ROLE_ARN],
            "policy_arns": [READ_ONLY],
            "policy_document": DOCUMENT,
            "iam_groups": ["group1", "group2"],
            "iam_tags": {},
        }))
    );
}

#[tokio::test]
async fn roles_are_listed_by_name() {
    let mount = TestMount::new().await;
    assert_eq!(mount.list("roles").await, [""; 0]);
    for n in (0..10).rev() {
        let role = json!({
            "credential_type": "assumed_role",
            "role_arns": ROLE_ARN,
            "default_sts_ttl": 3600,
            "max_sts_ttl": 3600,
        });
        mount.write(&format!("roles/role{n}"), role).await;
    }

    let names: Vec<_> = (0..10).map(|n| format!("role{n}")).collect();
    assert_eq!(mount.list("roles").await, names);
    assert_eq!(mount.list("roles/").await, names);
}

#[tokio::test]
async fn a_deleted_role_is_gone_and_deleting_it_again_is_no_error() {
    let mount = TestMount::new().await;
    for credential_type in ["iam_user", "assumed_role"] {
        mount.write("roles/x", full(credential_type)).await;

        mount.delete("roles/x").await;
        mount.delete("roles/x").await;

        assert!(mount.storage().keys().is_empty());
        assert_eq!(mount.list("roles").await, [""; 0]);
    }
}

#[tokio::test]
async fn names_differ_by_case_and_may_have_dots_dashes_and_ats() {
    let mount = TestMount::new().await;
    for name in ["a", "A", "team.a-b@example.com", "_x_"] {
        let role = json!({"credential_type": "iam_user", "user_path": format!("/{name}/")});
        mount.write(&format!("roles/{name}"), role).await;
    }

    assert_eq!(
        mount.list("roles").await,
        ["A", "_x_", "a", "team.a-b@example.com"]
    );
    assert_eq!(mount.role("a").await["user_path"], "/a/");
    assert_eq!(mount.role("A").await["user_path"], "/A/");
}

#[tokio::test]
async fn white_space_around_a_value_is_read_back_and_not_used() {
    let mount = TestMount::configured().await;
    let role = json!({
        "credential_type": "iam_user\n",
        "policy_arns": [format!("{READ_ONLY}\n")],
        "iam_groups": [" group1"],
        "iam_tags": {" team ": " platform "},
        "user_path": "/path/\n",
        "permissions_boundary_arn": format!(" {READ_ONLY}"),
    });
    mount.aws().add_group("group1");

    mount.write("roles/x", role.clone()).await;

    assert_eq!(mount.role("x").await, shown(&role));
    mount.write("roles/x", json!({"iam_tags": {}})).await;
    assert!(
        mount
            .generate("creds/x")
            .await
            .text("arn")
            .contains("/path/")
    );
}

#[tokio::test]
async fn lists_keep_their_order_their_case_and_what_is_there_twice() {
    let mount = TestMount::new().await;
    for list in [json!(["b", "A", "a", "b"]), json!(["group-2", "group-1"])] {
        let role = json!({"credential_type": "iam_user", "iam_groups": list});
        mount.write("roles/x", role).await;
        assert_eq!(mount.role("x").await["iam_groups"], list);
    }
}

#[tokio::test]
async fn max_active_is_shown_where_it_is_set_and_zero_or_null_clears_it() {
    let mount = TestMount::new().await;
    let role = json!({"credential_type": "iam_user", "policy_arns": READ_ONLY});
    mount.write("roles/x", role).await;
    assert_eq!(mount.role("x").await.get("max_active"), None);
    for clearing in [json!(0), json!(null)] {
        mount.write("roles/x", json!({"max_active": "5"})).await;
        mount.write("roles/x", json!({"user_path": "/a/"})).await;
        assert_eq!(mount.role("x").await["max_active"], 5);
        mount
            .write("roles/x", json!({ "max_active": clearing }))
            .await;
        assert_eq!(mount.role("x").await.get("max_active"), None);
    }
}

#[tokio::test]
async fn max_active_is_for_users_and_no_less_than_none() {
    let mount = TestMount::new().await;
    for (role, words) in [
        (
            json!({"credential_type": "session_token", "max_active": 5}),
            "only valid for iam_user",
        ),
        (
            json!({"credential_type": "iam_user", "policy_arns": READ_ONLY, "max_active": -1}),
            "0 (any number) or more, not -1",
        ),
    ] {
        let refusal = mount.write_refusal("roles/x", role).await;
        assert!(refusal.contains("max_active"), "{refusal}");
        assert!(refusal.contains(words), "{refusal}");
    }
}
