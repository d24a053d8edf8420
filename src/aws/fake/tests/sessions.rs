use super::*;

#[tokio::test]
async fn an_assumed_role_acts_in_its_account_until_it_ends() {
    let Scene {
        aws, sts, clock, ..
    } = scene();
    let role_arn = aws.add_role("team/deploy", FakeRole::default());
    let request = AssumeRole {
        duration: Some(minutes(15)),
        policy: Some(POLICY.into()),
        tags: vec![Tag::new("team", "red")],
        transitive_tag_keys: vec!["team".into()],
        source_identity: Some("alice".into()),
        ..AssumeRole::new(role_arn, session_name())
    };

    let assumed = sts.assume_role(request).await.unwrap();

    assert_eq!(
        assumed.arn.as_str(),
        "arn:aws:sts::111122223333:assumed-role/deploy/vault-test"
    );
    assert_eq!(assumed.credentials.expiration, clock.now() + minutes(15));
    let opened = aws.sessions().remove(0);
    assert_eq!(opened.tags, [Tag::new("team", "red")]);
    assert_eq!(opened.source_identity.as_deref(), Some("alice"));
    assert_eq!(opened.policy.as_deref(), Some(POLICY));
    let session = aws.sts(&signed_by_session(&assumed.credentials)).unwrap();
    let identity = session.get_caller_identity().await.unwrap();
    assert_eq!(identity.arn, assumed.arn);
    clock.advance(minutes(15));
    assert_eq!(
        refusal(session.get_caller_identity().await),
        "ExpiredToken: The security token included in the request is expired"
    );
}

#[tokio::test]
async fn a_session_needs_its_token() {
    let Scene { aws, sts, .. } = scene();
    let role_arn = aws.add_role("deploy", FakeRole::default());
    let assumed = sts
        .assume_role(AssumeRole::new(role_arn, session_name()))
        .await
        .unwrap();
    let key = &assumed.credentials;

    let secret = key.secret_access_key.expose_secret();
    let identified = aws.identify(key.access_key_id.as_str(), secret, None);

    assert_eq!(identified, None);
}

#[tokio::test]
async fn a_role_is_assumed_on_its_own_terms() {
    let Scene { aws, sts, .. } = scene();
    let role_arn = aws.add_role(
        "deploy",
        FakeRole {
            max_session_duration: Duration::from_hours(2),
            external_id: Some("x1".into()),
            ..FakeRole::default()
        },
    );
    let good = AssumeRole {
        external_id: Some("x1".into()),
        ..AssumeRole::new(role_arn, session_name())
    };
    let kind = |request: AssumeRole| {
        let sts = Arc::clone(&sts);
        async move {
            sts.assume_role(request)
                .await
                .map_err(|error| error.kind())
                .err()
        }
    };
    let lasting = |minutes| AssumeRole {
        duration: Some(Duration::from_mins(minutes)),
        ..good.clone()
    };

    assert_eq!(kind(lasting(120)).await, None);
    assert_eq!(kind(lasting(121)).await, Some(ErrorKind::Invalid));
    assert_eq!(kind(lasting(14)).await, Some(ErrorKind::Invalid));
    assert_eq!(kind(lasting(12 * 60 + 1)).await, Some(ErrorKind::Invalid));
    let external_id = Some("guess".into());
    let guess = AssumeRole {
        external_id,
        ..good.clone()
    };
    assert_eq!(kind(guess).await, Some(ErrorKind::Denied));
    let role_arn = aws.arn("iam", "role/missing");
    let missing = AssumeRole {
        role_arn,
        ..good.clone()
    };
    assert_eq!(kind(missing).await, Some(ErrorKind::Denied));
    let policy = Some("[1]".into());
    let malformed = AssumeRole {
        policy,
        ..good.clone()
    };
    assert_eq!(kind(malformed).await, Some(ErrorKind::Invalid));
    let policy_arns = vec![arn(READ_ONLY); 11];
    let many = AssumeRole {
        policy_arns,
        ..good.clone()
    };
    assert_eq!(kind(many).await, Some(ErrorKind::Invalid));
    let transitive_tag_keys = vec!["team".into()];
    let untagged = AssumeRole {
        transitive_tag_keys,
        ..good.clone()
    };
    assert_eq!(kind(untagged).await, Some(ErrorKind::Invalid));
    let source_identity = Some("not a name".into());
    let nameless = AssumeRole {
        source_identity,
        ..good
    };
    assert_eq!(kind(nameless).await, Some(ErrorKind::Invalid));
}

#[tokio::test]
async fn a_role_assumed_from_a_role_lasts_an_hour_at_most() {
    let Scene { aws, sts, .. } = scene();
    let role_arn = aws.add_role(
        "deploy",
        FakeRole {
            max_session_duration: Duration::from_hours(12),
            ..FakeRole::default()
        },
    );
    let request = AssumeRole::new(role_arn, session_name());
    let first = sts.assume_role(request.clone()).await.unwrap();
    let chained = aws.sts(&signed_by_session(&first.credentials)).unwrap();

    let long = AssumeRole {
        duration: Some(minutes(61)),
        ..request.clone()
    };

    assert!(chained.assume_role(request).await.is_ok());
    assert!(refusal(chained.assume_role(long).await).contains("role chaining"));
}

#[tokio::test]
async fn the_account_root_assumes_no_role_and_gets_an_hour() {
    let Scene { aws, clock, .. } = scene();
    let role_arn = aws.add_role("deploy", FakeRole::default());
    let root = aws.sts(&signed_by(&aws.account_root_key())).unwrap();

    let assumed = root
        .assume_role(AssumeRole::new(role_arn, session_name()))
        .await;
    let token = root
        .get_session_token(GetSessionToken::default())
        .await
        .unwrap();

    assert_eq!(assumed.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(token.expiration, clock.now() + minutes(60));
}

#[tokio::test]
async fn a_federated_user_lasts_up_to_36_hours_and_may_not_use_iam() {
    let Scene {
        aws, sts, clock, ..
    } = scene();
    let request = GetFederationToken {
        duration: Some(Duration::from_hours(36)),
        policy: Some(POLICY.into()),
        ..GetFederationToken::new(FederatedUserName::new("vault-1").unwrap())
    };
    let too_long = GetFederationToken {
        duration: Some(Duration::from_hours(37)),
        ..request.clone()
    };

    let federated = sts.get_federation_token(request.clone()).await.unwrap();

    assert_eq!(
        federated.arn.as_str(),
        "arn:aws:sts::111122223333:federated-user/vault-1"
    );
    assert_eq!(
        federated.credentials.expiration,
        clock.now() + Duration::from_hours(36)
    );
    let refused = sts.get_federation_token(too_long).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    let config = signed_by_session(&federated.credentials);
    let iam = aws.iam(&config).unwrap().get_user(None).await;
    assert_eq!(iam.unwrap_err().kind(), ErrorKind::InvalidCredentials);
    let again = aws
        .sts(&config)
        .unwrap()
        .get_federation_token(request)
        .await;
    assert_eq!(
        refusal(again),
        "AccessDenied: Cannot call GetFederationToken with session credentials"
    );
}

#[tokio::test]
async fn a_session_token_takes_a_device_with_its_code_once() {
    let Scene { aws, .. } = scene();
    aws.add_user("alice");
    let sts = aws.sts(&signed_by(&aws.add_access_key("alice"))).unwrap();
    let serial = aws.add_mfa_device("alice", "123456");
    let with_code = |serial: Option<&MfaSerialNumber>, code: Option<&str>| {
        sts.get_session_token(GetSessionToken {
            duration: None,
            serial_number: serial.cloned(),
            token_code: code.map(ToOwned::to_owned),
        })
    };

    let wrong = with_code(Some(&serial), Some("000000")).await;
    assert!(refusal(wrong).contains("invalid MFA one time pass code"));
    let lone = with_code(Some(&serial), None).await;
    assert!(refusal(lone).contains("must provide both"));
    let session = with_code(Some(&serial), Some("123456")).await.unwrap();
    let again = with_code(Some(&serial), Some("123456")).await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Denied);
    let plain = with_code(None, None).await.unwrap();

    let get_user = |session| {
        let iam = aws.iam(&signed_by_session(&session)).unwrap();
        async move { iam.get_user(None).await }
    };
    assert!(get_user(session).await.is_ok(), "IAM takes an MFA session");
    assert!(get_user(plain).await.is_err(), "and no other session");
}
