use super::*;

#[tokio::test]
async fn a_user_has_at_most_two_access_keys() {
    let Scene {
        aws, iam, clock, ..
    } = scene();
    let name = aws.add_user("alice");
    let first = iam.create_access_key(&name).await.unwrap();
    clock.advance(minutes(1));
    let second = iam.create_access_key(&name).await.unwrap();

    assert_eq!(
        refusal(iam.create_access_key(&name).await),
        "LimitExceeded: Cannot exceed quota for AccessKeysPerUser: 2"
    );
    let listed = iam.list_access_keys(&name).await.unwrap();
    assert_eq!(listed[0].access_key_id, first.access_key_id);
    assert_eq!(listed[1].access_key_id, second.access_key_id);
    assert!(listed[0].create_date < listed[1].create_date);
}

#[tokio::test]
async fn only_a_known_active_key_with_its_secret_is_accepted() {
    let Scene { aws, iam, .. } = scene();
    let name = aws.add_user("alice");
    let key = iam.create_access_key(&name).await.unwrap();
    let alice = aws.sts(&signed_by(&key)).unwrap();
    let code = |result: Result<CallerIdentity, Error>| {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidCredentials);
        error.code().unwrap().to_owned()
    };
    let set = |status| iam.update_access_key(&name, &key.access_key_id, status);

    assert!(alice.get_caller_identity().await.is_ok());
    let mut forged = key.clone();
    forged.secret_access_key = "guess".into();
    let forger = aws.sts(&signed_by(&forged)).unwrap();
    assert_eq!(
        code(forger.get_caller_identity().await),
        "SignatureDoesNotMatch"
    );
    set(AccessKeyStatus::Inactive).await.unwrap();
    assert_eq!(
        code(alice.get_caller_identity().await),
        "InvalidClientTokenId"
    );
    set(AccessKeyStatus::Active).await.unwrap();
    assert!(alice.get_caller_identity().await.is_ok());
    iam.delete_access_key(&name, &key.access_key_id)
        .await
        .unwrap();
    assert_eq!(
        code(alice.get_caller_identity().await),
        "InvalidClientTokenId"
    );
}

#[tokio::test]
async fn a_new_key_may_take_some_uses_to_be_known() {
    let Scene { aws, .. } = scene();
    aws.new_keys_unknown_for(2);
    aws.add_user("alice");
    let key = aws.add_access_key("alice");
    let (id, secret) = (key.access_key_id, key.secret_access_key);
    let identify = || aws.identify(id.as_str(), secret.expose_secret(), None);

    assert_eq!(identify(), None);
    assert_eq!(identify(), None);
    assert_eq!(
        identify(),
        Some(arn("arn:aws:iam::111122223333:user/alice"))
    );
}

#[tokio::test]
async fn around_itself_a_client_finds_what_was_put_there() {
    let Scene { aws, .. } = scene();
    let sts = aws.sts(&ClientConfig::default()).unwrap();

    let none = sts.get_caller_identity().await.unwrap_err();
    aws.set_default_credentials(&aws.admin_key());

    assert_eq!(none.kind(), ErrorKind::NoCredentials);
    assert!(sts.get_caller_identity().await.is_ok());
}

#[tokio::test]
async fn a_client_of_another_account_assumes_its_role_and_again_when_the_session_ends() {
    let Scene { aws, clock, .. } = scene();
    let other = aws.in_account("999988887777");
    other.add_user("remote");
    let role_arn = other.add_role(
        "rotator",
        FakeRole {
            external_id: Some("x1".into()),
            ..FakeRole::default()
        },
    );
    let iam = aws
        .iam(&with(CredentialSource::AssumeRole(Box::new(
            AssumeRoleSource {
                source: signed_by(&aws.admin_key()).credentials,
                role_arn,
                role_session_name: session_name(),
                external_id: Some("x1".into()),
                tags: Vec::new(),
                sts: StsAddress::default(),
            },
        ))))
        .unwrap();

    iam.create_access_key(&user("remote")).await.unwrap();
    iam.list_access_keys(&user("remote")).await.unwrap();
    clock.advance(minutes(61));
    iam.list_access_keys(&user("remote")).await.unwrap();

    assert_eq!(
        aws.operations(),
        [
            "sts:AssumeRole",
            "iam:CreateAccessKey",
            "iam:ListAccessKeys",
            "sts:AssumeRole",
            "iam:ListAccessKeys"
        ]
    );
    assert_eq!(other.access_key_ids("remote").len(), 1);
}
