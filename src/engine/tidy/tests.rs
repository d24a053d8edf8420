//! Tidying, as a specification.

use std::time::Duration;

use serde_json::{Value, json};

use crate::aws::Tag;
use crate::aws::fake::{Fault, FaultRule};
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::testing::StorageFault;
use crate::logical::{JsonObject, Operation, Response};

const HOUR: Duration = Duration::from_hours(1);

/// A mount whose users carry a tag, with a role `x` whose users are under `/vault/`.
async fn mount() -> TestMount {
    let mount = TestMount::new().await;
    mount.configure(json!({"owner_tag": "vault-mount"})).await;
    let role =
        json!({"credential_type": "iam_user", "policy_arns": READ_ONLY, "user_path": "/vault/"});
    mount.write("roles/x", role).await;
    mount
}

impl TestMount {
    async fn tidy(&self, data: Value) -> Response {
        let answer = self.send(Operation::Update, "tidy", data).await;
        answer.unwrap().unwrap()
    }

    /// A user of this mount that lost its record, with its key.
    async fn lose_a_user(&self) -> String {
        let lease = self.generate("creds/x").await;
        let user = lease.text("username").to_owned();
        self.remove_record(&user);
        user
    }

    fn remove_record(&self, user: &str) {
        assert!(self.storage().remove(&format!("issued/{user}")));
    }
}

fn names(data: &JsonObject, field: &str) -> Vec<String> {
    data[field].as_object().unwrap().keys().cloned().collect()
}

fn outcome<'a>(response: &'a Response, field: &str, name: &str) -> &'a str {
    response.data[field][name]["outcome"].as_str().unwrap()
}

#[tokio::test]
async fn every_user_carries_the_tag_of_its_mount_and_another_mount_has_another() {
    let mount = mount().await;
    let lease = mount.generate("creds/x").await;
    let other = self::mount().await;
    let of_other = other.generate("creds/x").await;

    let tags = |mount: &TestMount, name: &str| mount.aws().user(name).unwrap().tags;
    let [tag] = tags(&mount, lease.text("username")).try_into().unwrap();
    let [other] = tags(&other, of_other.text("username")).try_into().unwrap();

    assert_eq!((tag.key.as_str(), tag.value.len()), ("vault-mount", 36));
    assert_eq!(tag.key, other.key);
    assert_ne!(tag.value, other.value);
    assert_eq!(mount.read("config/root").await["owner_tag"], "vault-mount");
}

#[tokio::test]
async fn the_tag_stays_the_same_in_the_next_life_and_costs_no_look_into_storage() {
    let mut mount = mount().await;
    let first = mount.generate("creds/x").await;
    mount.storage().take_calls();
    mount.generate("creds/x").await;
    let calls = mount.storage().take_calls();
    assert!(!calls.iter().any(|call| call.contains("issued-owner")));
    mount.restart().await;
    let second = mount.generate("creds/x").await;

    let tags = |name: &str| mount.aws().user(name).unwrap().tags;
    assert_eq!(tags(first.text("username")), tags(second.text("username")));
}

#[tokio::test]
async fn a_tag_of_the_role_with_that_key_gives_way_and_too_many_are_refused() {
    let mount = mount().await;
    mount
        .write(
            "roles/x",
            json!({"iam_tags": {"Vault-Mount": "mine", "team": "a"}}),
        )
        .await;
    let lease = mount.generate("creds/x").await;
    let tags = mount.aws().user(lease.text("username")).unwrap().tags;
    assert_eq!(tags.len(), 2);
    assert!(tags.contains(&Tag::new("team", "a")));
    assert!(!tags.iter().any(|tag| tag.value == "mine"));

    let many: JsonObject = (0..50).map(|at| (format!("t{at}"), json!("v"))).collect();
    mount.write("roles/x", json!({"iam_tags": many})).await;
    let refusal = mount.generate_refusal("creds/x", json!({})).await;
    assert!(refusal.contains("owner_tag"), "{refusal}");
    assert!(refusal.contains("at most 50"), "{refusal}");
}

#[tokio::test]
async fn a_key_that_aws_would_not_take_is_refused_with_the_field() {
    let mount = mount().await;
    for key in ["aws:mine", "a#b", &"k".repeat(129)] {
        let refusal = mount
            .write_refusal("config/root", json!({"owner_tag": key}))
            .await;
        assert!(refusal.starts_with("owner_tag: "), "{refusal}");
    }
    mount.write("config/root", json!({"owner_tag": ""})).await;
    assert_eq!(mount.read("config/root").await.get("owner_tag"), None);
}

#[tokio::test]
async fn a_dry_run_tells_what_nobody_owns_and_changes_nothing() {
    let mount = mount().await;
    let kept = mount.generate("creds/x").await;
    let lost = mount.lose_a_user().await;
    let gone = mount.generate("creds/x").await;
    mount.aws().remove_user(gone.text("username"));
    mount.aws().add_user("jane");
    mount.aws().add_user("by-hand");
    mount
        .aws()
        .change_user("by-hand", |user| user.path = "/vault/".to_owned());
    mount.clock().advance(2 * HOUR);

    let response = mount.tidy(json!({})).await;

    assert_eq!(response.data["dry_run"], true);
    assert_eq!(response.data["aws_users"], 5);
    let mut expected = vec!["by-hand".to_owned(), lost.clone()];
    expected.sort();
    assert_eq!(names(&response.data, "users"), expected);
    assert_eq!(response.data["users"][&lost]["owner_tag"], true);
    assert_eq!(response.data["users"]["by-hand"]["owner_tag"], false);
    assert_eq!(
        outcome(&response, "users", &lost),
        "would be removed with dry_run=false"
    );
    assert!(outcome(&response, "users", "by-hand").starts_with("left alone"));
    assert_eq!(names(&response.data, "records"), [gone.text("username")]);
    assert_eq!(response.data["users_removed"], 0);
    assert!(mount.aws().user(&lost).is_some());
    assert_eq!(mount.issued().len(), 2);
    assert!(mount.aws().user(kept.text("username")).is_some());
}

#[tokio::test]
async fn only_what_carries_the_tag_of_this_mount_is_removed() {
    let mount = mount().await;
    let kept = mount.generate("creds/x").await;
    let lost = mount.lose_a_user().await;
    let gone = mount.generate("creds/x").await;
    mount.aws().remove_user(gone.text("username"));
    for (name, tag) in [
        ("other-mount", Tag::new("vault-mount", "another id")),
        ("untagged", Tag::new("team", "a")),
    ] {
        mount.aws().add_user(name);
        mount.aws().change_user(name, |user| {
            user.path = "/vault/".to_owned();
            user.tags = vec![tag];
        });
    }
    mount.clock().advance(2 * HOUR);

    let response = mount.tidy(json!({"dry_run": false})).await;

    assert_eq!(outcome(&response, "users", &lost), "removed");
    assert_eq!(response.data["users_removed"], 1);
    assert_eq!(response.data["records_removed"], 1);
    assert!(mount.aws().user(&lost).is_none());
    for name in ["other-mount", "untagged"] {
        assert!(mount.aws().user(name).is_some());
        assert!(outcome(&response, "users", name).starts_with("left alone"));
    }
    assert_eq!(mount.issued(), [kept.text("username")]);
    let again = mount.tidy(json!({"dry_run": false})).await;
    assert_eq!(names(&again.data, "records"), [""; 0]);
    assert_eq!(again.data["users_removed"], 0);
}

#[tokio::test]
async fn an_empty_dry_run_is_refused_and_removes_nothing() {
    let mount = mount().await;
    let lost = mount.lose_a_user().await;
    mount.clock().advance(2 * HOUR);

    for nothing in [json!(""), Value::Null] {
        let refusal = mount
            .write_refusal("tidy", json!({"dry_run": nothing}))
            .await;

        assert!(refusal.contains("dry_run was sent empty"), "{refusal}");
    }
    assert!(mount.aws().user(&lost).is_some());
}

#[tokio::test]
async fn a_young_user_and_a_young_record_are_left_alone() {
    let mount = mount().await;
    let lost = mount.lose_a_user().await;
    let gone = mount.generate("creds/x").await;
    mount.aws().remove_user(gone.text("username"));
    mount.clock().advance(HOUR / 2);

    let response = mount.tidy(json!({"dry_run": false})).await;

    let young = "left alone, for it is younger than an hour";
    assert_eq!(outcome(&response, "users", &lost), young);
    assert_eq!(outcome(&response, "records", gone.text("username")), young);
    assert!(mount.aws().user(&lost).is_some());
    assert_eq!(mount.issued().len(), 1);
}

#[tokio::test]
async fn a_user_that_a_static_role_has_taken_over_is_left_alone() {
    let mount = mount().await;
    let lost = mount.lose_a_user().await;
    mount
        .write(
            "static-roles/app",
            json!({"username": lost, "rotation_period": "24h"}),
        )
        .await;
    mount.clock().advance(2 * HOUR);

    let response = mount.tidy(json!({"dry_run": false})).await;

    assert!(outcome(&response, "users", &lost).contains("static role"));
    assert!(mount.aws().user(&lost).is_some());
}

#[tokio::test]
async fn without_an_owner_tag_it_looks_at_paths_and_removes_nothing() {
    let mount = mount().await;
    let lost = mount.lose_a_user().await;
    mount.write("config/root", json!({"owner_tag": ""})).await;
    mount.clock().advance(2 * HOUR);
    mount.aws().forget_calls();

    let response = mount.tidy(json!({})).await;

    assert_eq!(names(&response.data, "users"), std::slice::from_ref(&lost));
    assert!(response.warnings[0].contains("owner_tag"));
    assert!(!mount.aws().operations().contains(&"iam:GetUser"));
    let refusal = mount.write_refusal("tidy", json!({"dry_run": false})).await;
    assert!(refusal.contains("owner_tag in config/root"), "{refusal}");
    assert!(mount.aws().user(&lost).is_some());
}

#[tokio::test]
async fn a_permission_that_is_missing_is_named() {
    let mount = mount().await;
    for operation in ["iam:ListUsers", "iam:GetUser"] {
        mount.aws().add_user(&format!("jane-{}", operation.len()));
        mount.aws().deny(operation);
        let refusal = mount.write_refusal("tidy", json!({})).await;
        assert!(refusal.contains(&format!("grant {operation}")), "{refusal}");
        mount.aws().heal();
    }
}

#[tokio::test(start_paused = true)]
async fn what_there_was_no_time_for_the_next_request_goes_on_with() {
    let mount = mount().await;
    for number in 0..600 {
        mount.aws().add_user(&format!("jane-{number:03}"));
    }
    mount.aws().set_delay(Duration::from_secs(3));

    let first = mount.tidy(json!({})).await;
    let after = first.data["after"].as_str().unwrap().to_owned();
    assert!(first.warnings.iter().any(|text| text.contains("after=")));
    mount.aws().forget_calls();
    mount.aws().set_delay(Duration::ZERO);
    let second = mount.tidy(json!({"after": after})).await;

    assert_eq!(second.data.get("after"), None);
    let looked = mount.aws().calls_of("iam:GetUser");
    assert!(looked.iter().all(|call| call.target > after), "{after}");
    assert!(!looked.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_between_any_two_calls_harms_nobody_and_the_next_request_ends_it() {
    for at in [Fault::HeldBefore, Fault::HeldAfter] {
        for answered in 0.. {
            let mut mount = mount().await;
            let kept = mount.generate("creds/x").await;
            let lost = [mount.lose_a_user().await, mount.lose_a_user().await];
            mount.clock().advance(2 * HOUR);
            mount.aws().die_after(answered, at);

            let tidied = mount.send(Operation::Update, "tidy", json!({"dry_run": false}));
            let whole = mount.unless_dead(tidied).await.is_some();
            mount.aws().heal();
            mount.restart().await;
            mount.tidy(json!({"dry_run": false})).await;

            for user in &lost {
                assert!(mount.aws().user(user).is_none(), "{at:?} {answered}");
            }
            assert!(mount.aws().user(kept.text("username")).is_some());
            assert_eq!(mount.issued(), [kept.text("username")]);
            if whole {
                assert!(answered > 10, "{answered} calls are too few");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_register_that_cannot_be_read_removes_nobody() {
    let mount = mount().await;
    let kept = mount.generate("creds/x").await;
    mount.clock().advance(2 * HOUR);
    for fault in [StorageFault::List, StorageFault::Get] {
        mount.storage().fail(fault, "issued/");
        let answer = mount
            .send(Operation::Update, "tidy", json!({"dry_run": false}))
            .await;
        assert_eq!(answer.is_err(), fault == StorageFault::List);
        assert!(mount.aws().user(kept.text("username")).is_some());
        mount.storage().heal();
    }
}

#[tokio::test]
async fn a_record_of_an_account_stays_where_nobody_tells_which_account_is_asked() {
    let mount = TestMount::new().await;
    mount
        .aws()
        .set_default_credentials(&mount.aws().admin_key());
    let config = json!({"owner_tag": "vault-mount", "region": "us-east-1"});
    mount.write("config/root", config).await;
    let record = json!({"account": "444455556666", "role": "x", "issued_at": 1});
    mount
        .storage()
        .set_text("issued/there", &record.to_string());
    mount.aws().deny("sts:GetCallerIdentity");

    let response = mount.tidy(json!({"dry_run": false})).await;

    let told = outcome(&response, "records", "there");
    assert!(told.contains("444455556666"), "{told}");
    assert_eq!(mount.issued(), ["there"]);
}

#[tokio::test]
async fn what_was_removed_before_a_failure_is_told_with_where_to_go_on() {
    let mount = mount().await;
    for _ in 0..70 {
        mount.lose_a_user().await;
    }
    mount.clock().advance(2 * HOUR);
    // A look at each of the first page, and one before its removal.
    let failure = FaultRule::on("iam:GetUser", Fault::Code("ServiceFailure"));
    mount.aws().inject(failure.skipping(2 * 64));

    let response = mount.tidy(json!({"dry_run": false})).await;

    assert_eq!(response.data["users_removed"], 64);
    assert!(
        response.warnings[0].contains("ServiceFailure"),
        "{:?}",
        response.warnings
    );
    mount.aws().heal();
    let after = response.data["after"].as_str().unwrap();
    let rest = mount.tidy(json!({"dry_run": false, "after": after})).await;
    assert_eq!(rest.data["users_removed"], 6);
    mount.assert_nothing_left();
}
