//! How often AWS is asked: as rarely, and as much at once, as AWS's own rules allow.

use serde_json::{Value, json};

use crate::aws::READ_ONLY_ACCESS;
use crate::fixture::{Fixture, fixture};

const DOCUMENT: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;

/// A role with three managed policies, an inline policy, a group and two tags.
fn full_role(fixture: &Fixture) -> Value {
    let group = fixture.aws.unique("readers");
    fixture.aws.group(&group, READ_ONLY_ACCESS);
    json!({
        "credential_type": "iam_user",
        "policy_arns": [
            READ_ONLY_ACCESS,
            "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
            "arn:aws:iam::aws:policy/AmazonEC2ReadOnlyAccess",
        ],
        "policy_document": DOCUMENT,
        "iam_groups": group,
        "iam_tags": { "team": "platform", "stage": "test" },
    })
}

#[test]
fn a_user_with_all_that_a_role_can_give_is_made_and_removed_in_two_round_trips_each() {
    let fixture = fixture!(configured);
    fixture.role("full", &full_role(&fixture));

    let (generated, made) = fixture
        .proxy
        .in_rounds(&[1, 6], || fixture.generate("full"));
    let ((), removed) = fixture
        .proxy
        .in_rounds(&[6, 1], || fixture.revoke(&generated.lease));

    let furnishing = [
        "AddUserToGroup",
        "AttachUserPolicy",
        "AttachUserPolicy",
        "AttachUserPolicy",
        "CreateAccessKey",
        "PutUserPolicy",
    ];
    let stripping = [
        "DeleteAccessKey",
        "DeleteUserPolicy",
        "DetachUserPolicy",
        "DetachUserPolicy",
        "DetachUserPolicy",
        "RemoveUserFromGroup",
    ];
    assert_eq!(made, [&["CreateUser"] as &[_], &furnishing]);
    assert_eq!(removed, [&stripping as &[_], &["DeleteUser"]]);
    assert!(!fixture.aws.has_user(&generated.user));
}

#[test]
fn a_user_with_one_policy_takes_three_calls_to_make_and_three_to_remove() {
    let fixture = fixture!(configured);
    fixture.deploy_role();

    let (generated, made) = fixture
        .proxy
        .in_rounds(&[1, 2], || fixture.generate("deploy"));
    let ((), removed) = fixture
        .proxy
        .in_rounds(&[2, 1], || fixture.revoke(&generated.lease));

    assert_eq!(
        made,
        [
            &["CreateUser"] as &[_],
            &["AttachUserPolicy", "CreateAccessKey"]
        ]
    );
    assert_eq!(
        removed,
        [
            &["DeleteAccessKey", "DetachUserPolicy"] as &[_],
            &["DeleteUser"]
        ]
    );
}

#[test]
fn sessions_take_one_call_and_their_end_none() {
    let fixture = fixture!(configured);
    let document = json!({ "policy_document": DOCUMENT });
    let assumed = fixture.aws.assumable_role(
        &fixture.aws.unique("app"),
        &fixture.aws.root_user,
        READ_ONLY_ACCESS,
    );
    let assumed = json!({ "role_arns": assumed });
    for (kind, role, action) in [
        ("assumed_role", &assumed, "AssumeRole"),
        ("federation_token", &document, "GetFederationToken"),
        ("session_token", &json!({}), "GetSessionToken"),
    ] {
        let mut role = role.clone();
        role["credential_type"] = kind.into();
        fixture.role(kind, &role);
        let path = format!("aws/creds/{kind}");
        // Whose sessions they are is asked once.
        fixture.host.read(&path).succeeded();

        let (lease, made) = fixture.proxy.in_rounds(&[1], || {
            let answer = fixture.host.read(&path).body();
            answer["lease_id"].as_str().expect("a lease").to_owned()
        });
        let ((), ended) = fixture.proxy.in_rounds(&[], || fixture.revoke(&lease));

        assert_eq!(made, [[action]]);
        assert_eq!(ended, [[""; 0]; 0]);
    }
}

#[test]
fn reading_and_writing_roles_asks_aws_nothing() {
    let fixture = fixture!(configured);

    let (_, rounds) = fixture.proxy.in_rounds(&[], || {
        fixture.role("full", &full_role(&fixture));
        fixture.host.read("aws/roles/full").succeeded()
    });

    assert_eq!(rounds, [[""; 0]; 0]);
}

#[test]
fn what_aws_refuses_for_a_moment_is_repeated_within_the_request() {
    let fixture = fixture!(configured);
    fixture.role("full", &full_role(&fixture));
    let proxy = &fixture.proxy;
    proxy
        .on("AttachUserPolicy")
        .once()
        .fail(409, "ConcurrentModification");
    proxy.on("CreateAccessKey").once().fail(400, "Throttling");

    let generated = fixture.generate("full");
    proxy
        .on("DetachUserPolicy")
        .once()
        .fail(409, "EntityTemporarilyUnmodifiable");
    proxy.on("DeleteUser").once().fail(409, "DeleteConflict");
    fixture.revoke(&generated.lease);

    assert!(!fixture.aws.has_user(&generated.user));
    assert_eq!(proxy.created_users().len(), 1);
    assert_eq!(proxy.calls_of("CreateAccessKey").len(), 2);
    assert_eq!(proxy.calls_of("AttachUserPolicy").len(), 4);
    assert_eq!(proxy.calls_of("DetachUserPolicy").len(), 4);
}
