use super::*;

#[tokio::test]
async fn a_created_user_is_as_it_was_asked_for() {
    let Scene { aws, iam, .. } = scene();
    let boundary = aws.add_policy("boundary");

    let created = iam
        .create_user(CreateUser {
            path: Some("/vault/".into()),
            permissions_boundary: Some(boundary.clone()),
            tags: vec![Tag::new("team", "red")],
            ..CreateUser::new(user("deploy"))
        })
        .await
        .unwrap();

    assert_eq!(
        created.arn.as_str(),
        "arn:aws:iam::111122223333:user/vault/deploy"
    );
    assert_eq!(iam.get_user(Some(&user("deploy"))).await.unwrap(), created);
    let kept = aws.user("deploy").unwrap();
    assert_eq!(kept.permissions_boundary, Some(boundary));
    assert_eq!(kept.tags, [Tag::new("team", "red")]);
}

#[tokio::test]
async fn names_are_unique_without_regard_to_case() {
    let Scene { iam, .. } = scene();
    iam.create_user(CreateUser::new(user("deploy")))
        .await
        .unwrap();

    let second = iam.create_user(CreateUser::new(user("Deploy"))).await;

    assert_eq!(second.unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn a_user_is_refused_for_what_aws_would_refuse() {
    let Scene { iam, .. } = scene();
    let good = CreateUser::new(user("deploy"));
    let mut requests = Vec::new();
    requests.push((ErrorKind::Invalid, CreateUser::new(user(&"x".repeat(65)))));
    for path in ["", "vault", "/vault", "/va ult/"] {
        let path = Some(path.to_owned());
        requests.push((
            ErrorKind::Invalid,
            CreateUser {
                path,
                ..good.clone()
            },
        ));
    }
    for tags in [
        vec![Tag::new("", "x")],
        vec![Tag::new("aws:team", "x")],
        vec![Tag::new("team", "x"), Tag::new("Team", "y")],
    ] {
        requests.push((
            ErrorKind::Invalid,
            CreateUser {
                tags,
                ..good.clone()
            },
        ));
    }
    let many = (0..51).map(|n| Tag::new(n.to_string(), "")).collect();
    requests.push((
        ErrorKind::LimitExceeded,
        CreateUser {
            tags: many,
            ..good.clone()
        },
    ));
    let missing = Some(arn("arn:aws:iam::111122223333:policy/missing"));
    requests.push((
        ErrorKind::NotFound,
        CreateUser {
            permissions_boundary: missing,
            ..good
        },
    ));

    for (kind, request) in requests {
        let shown = format!("{request:?}");
        let error = iam.create_user(request).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error} for {shown}");
    }
}

#[tokio::test]
async fn a_user_made_again_has_another_id() {
    let Scene { iam, .. } = scene();
    let first = iam.create_user(CreateUser::new(user("a"))).await.unwrap();
    iam.delete_user(&user("a")).await.unwrap();

    let second = iam.create_user(CreateUser::new(user("a"))).await.unwrap();

    assert_ne!(first.user_id, second.user_id);
}

#[tokio::test]
async fn an_unknown_user_is_not_found() {
    let Scene { iam, .. } = scene();

    assert_eq!(
        refusal(iam.get_user(Some(&user("nobody"))).await),
        "NoSuchEntity: The user with name nobody cannot be found."
    );
}

#[tokio::test]
async fn without_a_name_the_caller_is_got() {
    let Scene { aws, iam, sts, .. } = scene();

    let caller = iam.get_user(None).await.unwrap();

    assert_eq!(caller.user_name, Some(user(FakeAws::ADMIN)));
    let identity = sts.get_caller_identity().await.unwrap();
    assert_eq!(identity.arn, caller.arn);
    let root = aws.iam(&signed_by(&aws.account_root_key())).unwrap();
    assert_eq!(root.get_user(None).await.unwrap().user_name, None);
}

#[tokio::test]
async fn a_user_goes_only_when_nothing_is_attached() {
    let Scene { aws, iam, .. } = scene();
    let name = aws.add_user("alice");
    let device = MfaSerialNumber::new("arn:aws:iam::111122223333:mfa/alice").unwrap();
    let ssh_key = SshPublicKeyId::new("APKA1").unwrap();
    let certificate = CertificateId::new("CERT1").unwrap();
    let credential = ServiceSpecificCredentialId::new("ACCA1").unwrap();
    let group = aws.add_group("devs");
    let policy = PolicyName::new("inline").unwrap();
    let key = aws.add_access_key("alice");
    aws.add_mfa_device("alice", "123456");
    aws.change_user("alice", |alice| {
        alice.has_login_profile = true;
        alice.ssh_public_keys.insert(ssh_key.clone());
        alice.signing_certificates.insert(certificate.clone());
        alice
            .service_specific_credentials
            .insert(credential.clone());
    });
    iam.add_user_to_group(&group, &name).await.unwrap();
    iam.attach_user_policy(&name, &arn(READ_ONLY))
        .await
        .unwrap();
    iam.put_user_policy(&name, &policy, POLICY).await.unwrap();
    let conflict = || async {
        let error = iam.delete_user(&name).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DeleteConflict);
        error.message().to_owned()
    };

    assert!(conflict().await.contains("access keys"));
    iam.delete_access_key(&name, &key.access_key_id)
        .await
        .unwrap();
    assert!(conflict().await.contains("delete policies"));
    iam.delete_user_policy(&name, &policy).await.unwrap();
    assert!(conflict().await.contains("detach all policies"));
    iam.detach_user_policy(&name, &arn(READ_ONLY))
        .await
        .unwrap();
    assert!(conflict().await.contains("group"));
    iam.remove_user_from_group(&group, &name).await.unwrap();
    assert!(conflict().await.contains("login profile"));
    iam.delete_login_profile(&name).await.unwrap();
    assert!(conflict().await.contains("MFA device"));
    assert_eq!(
        iam.delete_virtual_mfa_device(&device)
            .await
            .unwrap_err()
            .kind(),
        ErrorKind::DeleteConflict
    );
    iam.deactivate_mfa_device(&name, &device).await.unwrap();
    iam.delete_virtual_mfa_device(&device).await.unwrap();
    assert!(conflict().await.contains("SSH"));
    iam.delete_ssh_public_key(&name, &ssh_key).await.unwrap();
    assert!(conflict().await.contains("certificates"));
    iam.delete_signing_certificate(&name, &certificate)
        .await
        .unwrap();
    assert!(conflict().await.contains("service specific"));
    iam.delete_service_specific_credential(&name, &credential)
        .await
        .unwrap();
    iam.delete_user(&name).await.unwrap();

    assert!(aws.iam_users().is_empty());
}

#[tokio::test]
async fn what_a_user_has_is_listed_and_what_it_lacks_is_not_found() {
    let Scene { aws, iam, .. } = scene();
    let name = aws.add_user("alice");
    let ssh_key = SshPublicKeyId::new("APKA1").unwrap();
    let certificate = CertificateId::new("CERT1").unwrap();
    let credential = ServiceSpecificCredentialId::new("ACCA1").unwrap();
    let device = aws.add_mfa_device("alice", "123456");
    aws.change_user("alice", |alice| {
        alice.ssh_public_keys.insert(ssh_key.clone());
        alice.signing_certificates.insert(certificate.clone());
        alice
            .service_specific_credentials
            .insert(credential.clone());
    });

    assert_eq!(iam.list_mfa_devices(&name).await.unwrap(), [device]);
    assert_eq!(
        iam.list_ssh_public_keys(&name).await.unwrap().first(),
        Some(&ssh_key)
    );
    assert_eq!(
        iam.list_signing_certificates(&name).await.unwrap(),
        [certificate]
    );
    let credentials = iam.list_service_specific_credentials(&name).await.unwrap();
    assert_eq!(credentials, [credential]);
    iam.delete_ssh_public_key(&name, &ssh_key).await.unwrap();
    for missing in [
        iam.delete_ssh_public_key(&name, &ssh_key).await,
        iam.delete_login_profile(&name).await,
        iam.delete_access_key(&name, &AccessKeyId::new("AKIA0").unwrap())
            .await,
        iam.detach_user_policy(&name, &arn(READ_ONLY)).await,
        iam.delete_user_policy(&name, &PolicyName::new("p").unwrap())
            .await,
    ] {
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    }
}
