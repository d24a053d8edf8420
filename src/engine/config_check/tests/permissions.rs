//! What is said of IAM's permissions, by the policy simulator or without it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{assert_problems, assert_tells, check, everything_in_use, text};
use crate::aws::Arn;
use crate::aws::fake::FakeRole;
use crate::engine::config_check::principal::Principal;
use crate::engine::config_check::wanted::{Feature, Wishes};
use crate::engine::roles::RoleRecord;
use crate::engine::testing::{READ_ONLY, TestMount};

const ACCOUNT: &str = "111122223333";
const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/vault-boundary";

#[tokio::test]
async fn what_is_missing_is_named_as_the_documentation_names_it() {
    let mount = everything_in_use().await;
    for operation in [
        "iam:CreateAccessKey",
        "iam:TagUser",
        "iam:ListGroupPolicies",
        "iam:AddUserToGroup",
    ] {
        mount.aws().deny(operation);
    }

    let answer = check(&mount).await;

    assert_problems(
        &answer,
        &[
            "permissions_iam_user",
            "permissions_group_policies",
            "permissions_static_roles",
            "permissions_static_roles_cross_account",
        ],
    );
    assert_eq!(
        text(&answer, "permissions_judged_by"),
        "iam:SimulatePrincipalPolicy"
    );
    assert_eq!(
        text(&answer, "permissions_iam_user"),
        "missing iam:CreateAccessKey, iam:TagUser of GiveThemKeysAndTags, iam:AddUserToGroup of JoinAndLeaveGroups on group/readers"
    );
    assert_eq!(
        text(&answer, "permissions_group_policies"),
        "missing iam:ListGroupPolicies of ReadTheGroupsPolicies on group/readers"
    );
    assert_eq!(
        text(&answer, "permissions_static_roles"),
        "missing iam:CreateAccessKey of RotateTheKeysOfTheseUsers on user/app"
    );
    assert_tells(
        &answer,
        "permissions_static_roles_cross_account",
        &[
            "iam:CreateAccessKey of RotateTheKeysOfTheseUsers on user/jane for arn:aws:iam::444455556666:role/entry",
        ],
    );
    // Nothing rotates by itself here.
    assert_tells(
        &answer,
        "permissions_rotate_root",
        &["missing iam:CreateAccessKey"],
    );
}

#[tokio::test]
async fn what_may_be_left_out_is_told_and_is_no_problem() {
    let mount = TestMount::configured().await;
    mount
        .write("roles/bare", json!({"credential_type": "iam_user"}))
        .await;
    for operation in [
        "iam:DeleteLoginProfile",
        "iam:DeleteVirtualMFADevice",
        "iam:ListAccessKeys",
    ] {
        mount.aws().deny(operation);
    }

    let answer = check(&mount).await;

    assert_problems(&answer, &["permissions_iam_user"]);
    assert_eq!(
        text(&answer, "permissions_iam_user"),
        "missing iam:ListAccessKeys of RemoveThem; without iam:DeleteLoginProfile of RemoveWhatPeopleAdded, iam:DeleteVirtualMFADevice of RemoveTheirVirtualMfaDevices, which may be left out"
    );
    assert_eq!(
        text(&answer, "permissions_rotate_root"),
        "granted; without iam:ListAccessKeys of RotateItsOwnKey, which may be left out"
    );
    assert_tells(
        &answer,
        "access_key_age",
        &["not known", "grant iam:ListAccessKeys"],
    );
}

#[tokio::test]
async fn only_what_the_roles_make_use_of_is_asked_about() {
    let mount = TestMount::configured().await;
    mount
        .write("roles/bare", json!({"credential_type": "iam_user"}))
        .await;
    for operation in [
        "iam:AttachUserPolicy",
        "iam:PutUserPolicy",
        "iam:TagUser",
        "iam:AddUserToGroup",
    ] {
        mount.aws().deny(operation);
    }
    assert_problems(&check(&mount).await, &[]);

    mount
        .write("roles/bare", json!({"policy_arns": READ_ONLY}))
        .await;
    assert_tells(
        &check(&mount).await,
        "permissions_iam_user",
        &["missing iam:AttachUserPolicy"],
    );

    mount.write("roles/bare", json!({"disabled": true})).await;
    assert_problems(&check(&mount).await, &[]);
}

#[tokio::test]
async fn without_the_simulator_harmless_reads_say_what_they_can() {
    let mount = everything_in_use().await;
    mount.aws().deny("iam:SimulatePrincipalPolicy");

    let answer = check(&mount).await;

    assert_problems(&answer, &[]);
    assert_tells(
        &answer,
        "permissions_judged_by",
        &[
            "harmless reads",
            "grant iam:SimulatePrincipalPolicy",
            ":user/administrator",
        ],
    );
    for (field, read) in [
        (
            "permissions_iam_user",
            "iam:GetUser of RemoveThem is granted",
        ),
        (
            "permissions_rotate_root",
            "iam:GetUser of RotateItsOwnKey is granted",
        ),
        (
            "permissions_group_policies",
            "iam:ListAttachedGroupPolicies of ReadTheGroupsPolicies on group/readers is granted",
        ),
    ] {
        assert_tells(
            &answer,
            field,
            &[read, "not known without iam:SimulatePrincipalPolicy"],
        );
    }
    assert_tells(
        &answer,
        "permissions_static_roles",
        &["granted: AWS knows the users of 1 static roles"],
    );

    mount.aws().deny("iam:GetUser");
    mount.aws().deny("iam:ListAttachedGroupPolicies");

    let answer = check(&mount).await;
    assert_problems(
        &answer,
        &[
            "permissions_iam_user",
            "permissions_group_policies",
            "permissions_static_roles",
            "permissions_static_roles_cross_account",
        ],
    );
    assert_tells(
        &answer,
        "permissions_iam_user",
        &["missing iam:GetUser of RemoveThem"],
    );
    assert_tells(
        &answer,
        "permissions_static_roles",
        &["missing iam:GetUser of RotateTheKeysOfTheseUsers on user app"],
    );
}

#[tokio::test]
async fn the_policies_of_the_documentation_grant_all_that_is_asked_about_and_no_statement_is_idle()
{
    let mount = everything_in_use().await;
    mount.aws().add_policy("vault-boundary");
    mount
        .write("roles/user", json!({"permissions_boundary_arn": BOUNDARY}))
        .await;
    let policies = documented();
    let documents = ["iam_user", "rotate_root", "group_policies", "static_roles"];
    for name in documents {
        mount
            .aws()
            .put_policy("administrator", name, &policies[name]);
    }

    let answer = check(&mount).await;

    for feature in [
        Feature::IamUser,
        Feature::RotateRoot,
        Feature::GroupPolicies,
        Feature::StaticRoles,
    ] {
        assert_eq!(text(&answer, feature.field()), "granted");
    }
    assert_problems(&answer, &[]);
    for name in documents {
        let document: Value = serde_json::from_str(&policies[name]).unwrap();
        let statements = document["Statement"].as_array().unwrap();
        for left_out in 0..statements.len() {
            let mut statements = statements.clone();
            let without = statements.remove(left_out);
            let kept = json!({ "Statement": statements }).to_string();
            mount.aws().put_policy("administrator", name, &kept);

            let told = check(&mount).await;

            let feature = format!("permissions_{name}");
            assert_tells(&told, &feature, &[without["Sid"].as_str().unwrap()]);
            mount
                .aws()
                .put_policy("administrator", name, &policies[name]);
        }
    }
}

#[tokio::test]
async fn a_boundary_that_a_role_leaves_out_is_what_its_users_lack() {
    let mount = TestMount::configured().await;
    mount
        .write(
            "roles/bare",
            json!({"credential_type": "iam_user", "user_path": "/vault/"}),
        )
        .await;
    mount
        .aws()
        .put_policy("administrator", "iam_user", &documented()["iam_user"]);

    let answer = check(&mount).await;

    assert_problems(&answer, &["permissions_iam_user"]);
    assert_tells(
        &answer,
        "permissions_iam_user",
        &[
            "missing iam:CreateUser of MakeUsersWithinTheBoundary (a condition asks for permissions_boundary_arn, which a role leaves out)",
        ],
    );
}

#[tokio::test]
async fn what_ending_sessions_takes_is_asked_about_where_roles_want_it() {
    let mount = TestMount::configured().await;
    let arn = mount.aws().add_role("ROLE_NAME", FakeRole::default());
    let role = json!({"credential_type": "assumed_role", "role_arns": [arn.as_str()]});
    mount.write("roles/deploy", role).await;
    let policies = documented();
    let grant = |name: &str| {
        mount
            .aws()
            .put_policy("administrator", name, &policies[name]);
    };
    grant("assumed_role");
    let feature = Feature::RevocableSessions.field();
    assert!(!check(&mount).await.contains_key(feature));

    mount
        .write("roles/deploy", json!({"revocable_sessions": true}))
        .await;
    assert_tells(
        &check(&mount).await,
        feature,
        &[
            "missing",
            "iam:PutRolePolicy",
            "EndSessionsOfTheseRoles",
            "role/ROLE_NAME",
        ],
    );

    grant("revocable_sessions");
    assert_eq!(text(&check(&mount).await, feature), "granted");
}

#[test]
fn every_permission_of_the_documentation_is_one_that_is_asked_about() {
    let engine =
        Principal::of(Arn::new(format!("arn:aws:iam::{ACCOUNT}:user/aws-engine")).unwrap());
    let role = json!({
        "policy_arns": [READ_ONLY],
        "policy_document": "{}",
        "iam_groups": ["GROUP_NAME"],
        "iam_tags": {"team": "storage"},
        "role_arns": ["arn:aws:iam::ACCOUNT_ID:role/ROLE_NAME"],
    });
    let role: RoleRecord = serde_json::from_value(role).unwrap();
    let mut wishes = Wishes::default();
    wishes.add_iam_users(&engine, (&role, true), &mut BTreeMap::new(), "vault-x");
    wishes.add_group_policies(&engine, &role);
    wishes.add_ended_sessions(&role);
    wishes.add_ended_federation(&engine);
    wishes.add_rotation(&engine);
    wishes.add_static_role(Feature::StaticRoles, &engine.arn);
    let asked: BTreeSet<_> = wishes
        .all
        .iter()
        .map(|wanted| {
            let of = wanted.feature.field().strip_prefix("permissions_").unwrap();
            (
                of.to_owned(),
                wanted.statement.to_owned(),
                wanted.action.to_owned(),
            )
        })
        .collect();
    let mut written = BTreeSet::new();
    for (name, document) in documented() {
        let is_asked_about = asked.iter().any(|(of, ..)| *of == name);
        let document: Value = serde_json::from_str(&document).unwrap();
        for statement in document["Statement"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|_| is_asked_about)
        {
            let actions = &statement["Action"];
            let list = actions
                .as_array()
                .cloned()
                .unwrap_or_else(|| vec![actions.clone()]);
            for action in list {
                let sid = statement["Sid"].as_str().unwrap().to_owned();
                written.insert((name.clone(), sid, action.as_str().unwrap().to_owned()));
            }
        }
    }
    assert_eq!(asked, written);
}

/// The policies of `docs/permissions.md`, by name, for the account of the tests.
fn documented() -> BTreeMap<String, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/permissions.md");
    let text = std::fs::read_to_string(path).unwrap();
    let text = text
        .replace("OTHER_ACCOUNT_ID", "444455556666")
        .replace("ACCOUNT_ID", ACCOUNT)
        .replace("GROUP_NAME", "readers")
        .replace("MANAGED_USER", "app");
    let parts = text.split("<!-- policy: ").skip(1);
    parts
        .map(|part| {
            let (name, rest) = part.split_once(" -->").unwrap();
            let (_, rest) = rest.split_once("```json\n").unwrap();
            let (document, _) = rest.split_once("```").unwrap();
            (name.to_owned(), document.to_owned())
        })
        .collect()
}
