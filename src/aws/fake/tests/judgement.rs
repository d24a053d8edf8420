//! What policies deny, to real calls.

use super::*;

fn deny(action: &str, condition: &str) -> String {
    format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Deny","Action":"{action}","Resource":"*","Condition":{condition}}}]}}"#
    )
}

async fn open(scene: &Scene, role: &Arn, name: &str, policy: Option<String>) -> AssumedRole {
    let request = AssumeRole {
        policy,
        ..AssumeRole::new(role.clone(), RoleSessionName::new(name).unwrap())
    };
    scene.sts.assume_role(request).await.unwrap()
}

/// What comes of a real call by the session; nothing if AWS lets it.
async fn call(scene: &Scene, session: &AssumedRole) -> Option<String> {
    let iam = scene
        .aws
        .iam(&signed_by_session(&session.credentials))
        .unwrap();
    let called = iam.list_access_keys(&user(FakeAws::ADMIN)).await;
    called.err().map(|error| error.to_string())
}

#[tokio::test]
async fn one_session_is_told_from_another_by_its_id() {
    let scene = scene();
    let role = scene.aws.add_role("team/deploy", FakeRole::default());
    let (one, other) = (
        open(&scene, &role, "one", None).await,
        open(&scene, &role, "other", None).await,
    );
    let role_id = scene.aws.role("team/deploy").unwrap().role_id;
    assert_eq!(one.assumed_role_id, format!("{role_id}:one"));
    let condition = format!(
        r#"{{"StringEquals":{{"aws:userid":["x","{}"]}}}}"#,
        one.assumed_role_id
    );
    let (name, policy) = (
        RoleName::new("deploy").unwrap(),
        PolicyName::new("p").unwrap(),
    );
    scene
        .iam
        .put_role_policy(&name, &policy, &deny("*", &condition))
        .await
        .unwrap();

    let refused = call(&scene, &one).await.unwrap();

    assert!(refused.contains("explicit deny"), "{refused}");
    assert_eq!(call(&scene, &other).await, None);
    let sts = scene.aws.sts(&signed_by_session(&one.credentials)).unwrap();
    sts.get_caller_identity()
        .await
        .expect("nobody can deny that");
    scene.iam.delete_role_policy(&name, &policy).await.unwrap();
    assert_eq!(call(&scene, &one).await, None);
}

#[tokio::test]
async fn older_sessions_are_told_by_the_time_of_their_issue_and_a_plain_key_has_none() {
    let scene = scene();
    let role = scene.aws.add_role("deploy", FakeRole::default());
    let older = open(&scene, &role, "older", None).await;
    scene.clock.advance(minutes(1));
    let younger = open(&scene, &role, "younger", None).await;
    let condition = r#"{"DateLessThan":{"aws:TokenIssueTime":"2026-01-02T03:05:05Z"}}"#;
    let document = deny("*", condition);
    let policy = PolicyName::new("p").unwrap();
    scene
        .iam
        .put_role_policy(&RoleName::new("deploy").unwrap(), &policy, &document)
        .await
        .unwrap();
    scene
        .iam
        .put_user_policy(&user(FakeAws::ADMIN), &policy, &document)
        .await
        .unwrap();

    assert!(call(&scene, &older).await.is_some());
    assert_eq!(call(&scene, &younger).await, None);
    scene.iam.get_user(None).await.unwrap();
}

#[tokio::test]
async fn the_policies_of_a_user_judge_its_federated_sessions_and_a_sessions_own_judges_it() {
    let scene = scene();
    let federate = GetFederationToken::new(FederatedUserName::new("bob").unwrap());
    let federated = scene.sts.get_federation_token(federate).await.unwrap();
    assert_eq!(federated.federated_user_id, "111122223333:bob");
    let key = &federated.credentials;
    let lets = |action: &str| {
        let secret = key.secret_access_key.expose_secret();
        let token = Some(key.session_token.expose_secret());
        scene
            .aws
            .lets(action, key.access_key_id.as_str(), secret, token)
    };
    assert!(lets("s3:GetObject"));
    let condition = r#"{"StringLike":{"aws:userid":"111122223333:*"}}"#;
    let policy = PolicyName::new("p").unwrap();
    scene
        .iam
        .put_user_policy(
            &user(FakeAws::ADMIN),
            &policy,
            &deny("s3:*Object", condition),
        )
        .await
        .unwrap();
    assert!(!lets("s3:GetObject"));
    assert!(lets("s3:ListBucket"));

    let role = scene.aws.add_role("deploy", FakeRole::default());
    let narrowed = open(&scene, &role, "one", Some(deny("iam:*", "{}"))).await;
    assert!(call(&scene, &narrowed).await.is_some());
}

#[tokio::test]
async fn a_condition_that_is_not_known_denies_nothing() {
    let scene = scene();
    let role = scene.aws.add_role("deploy", FakeRole::default());
    let condition = r#"{"StringEquals":{"aws:SourceIp":"192.0.2.1"}}"#;
    let session = open(&scene, &role, "one", Some(deny("*", condition))).await;

    assert_eq!(call(&scene, &session).await, None);
}

#[tokio::test]
async fn the_inline_policies_of_a_role_have_room_for_so_much_together() {
    let Scene { aws, iam, .. } = scene();
    aws.add_role("deploy", FakeRole::default());
    let role = RoleName::new("deploy").unwrap();
    let name = |name: &str| PolicyName::new(name).unwrap();
    let long = |characters: usize| {
        let condition = format!(
            r#"{{"StringEquals":{{"aws:userid":"{}"}}}}"#,
            "x".repeat(characters)
        );
        deny("*", &condition)
    };
    iam.put_role_policy(&role, &name("a"), &long(5000))
        .await
        .unwrap();

    let refused = iam.put_role_policy(&role, &name("b"), &long(5200)).await;

    assert_eq!(
        refusal(refused),
        "LimitExceeded: Maximum policy size of 10240 bytes exceeded for role deploy"
    );
    iam.put_role_policy(&role, &name("a"), &long(9000))
        .await
        .unwrap();
    assert_eq!(iam.list_role_policies(&role).await.unwrap(), [name("a")]);
    let missing = iam.get_role_policy(&role, &name("b")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}
