use std::time::Duration;

use super::*;
use crate::aws::*;
use crate::clock::ManualClock;
use crate::secret::ExposeSecret;

const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}"#;
const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

struct Scene {
    aws: FakeAws,
    clock: Arc<ManualClock>,
    iam: Arc<dyn Iam>,
    sts: Arc<dyn Sts>,
}

/// An AWS, and clients with the administrator's key.
fn scene() -> Scene {
    let clock = Arc::new(ManualClock::default());
    let aws = FakeAws::new(clock.clone());
    let config = signed_by(&aws.admin_key());
    Scene {
        iam: aws.iam(&config).unwrap(),
        sts: aws.sts(&config).unwrap(),
        aws,
        clock,
    }
}

fn signed_by(key: &AccessKey) -> ClientConfig {
    with(CredentialSource::Static {
        access_key_id: key.access_key_id.clone(),
        secret_access_key: key.secret_access_key.clone(),
        session_token: None,
    })
}

fn signed_by_session(session: &SessionCredentials) -> ClientConfig {
    with(CredentialSource::Static {
        access_key_id: session.access_key_id.clone(),
        secret_access_key: session.secret_access_key.clone(),
        session_token: Some(session.session_token.clone()),
    })
}

fn with(credentials: CredentialSource) -> ClientConfig {
    ClientConfig {
        credentials,
        ..ClientConfig::default()
    }
}

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

fn arn(text: &str) -> Arn {
    Arn::new(text).unwrap()
}

fn session_name() -> RoleSessionName {
    RoleSessionName::new("vault-test").unwrap()
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

/// The code and message of a refusal.
fn refusal<T: fmt::Debug>(result: Result<T, Error>) -> String {
    result.unwrap_err().to_string()
}

mod users {
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
}

mod policies_and_groups {
    use super::*;

    #[tokio::test]
    async fn a_user_takes_ten_managed_policies_that_exist() {
        let Scene { aws, iam, .. } = scene();
        let name = aws.add_user("alice");
        for n in 0..10 {
            let policy = aws.add_policy(&format!("p{n}"));
            iam.attach_user_policy(&name, &policy).await.unwrap();
            iam.attach_user_policy(&name, &policy).await.unwrap();
        }

        let eleventh = iam.attach_user_policy(&name, &arn(READ_ONLY)).await;
        let missing = arn("arn:aws:iam::aws:policy/NoSuchAccess");
        let unknown = iam.attach_user_policy(&name, &missing).await;

        assert_eq!(
            refusal(eleventh),
            "LimitExceeded: Cannot exceed quota for PoliciesPerUser: 10"
        );
        assert_eq!(
            refusal(unknown),
            "NoSuchEntity: Policy arn:aws:iam::aws:policy/NoSuchAccess does not exist or is not \
             attachable."
        );
        assert_eq!(
            iam.list_attached_user_policies(&name).await.unwrap().len(),
            10
        );
    }

    #[tokio::test]
    async fn an_inline_policy_has_the_shape_of_a_policy() {
        let Scene { aws, iam, .. } = scene();
        let name = aws.add_user("alice");
        let policy = PolicyName::new("inline").unwrap();

        for document in [
            "",
            "{",
            "[1]",
            "{}",
            r#"{"Version":"2012-10-17","Statement":[]}"#,
            r#"{"Statement":{"Action":"*","Resource":"*"}}"#,
            r#"{"Statement":{"Effect":"allow","Action":"*","Resource":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":"*"}}"#,
            r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}}"#,
            r#"{"Version":"2026-01-01","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#,
        ] {
            let error = iam
                .put_user_policy(&name, &policy, document)
                .await
                .unwrap_err();
            assert_eq!(error.code(), Some("MalformedPolicyDocument"), "{document}");
        }
        iam.put_user_policy(&name, &policy, POLICY).await.unwrap();
        assert_eq!(iam.list_user_policies(&name).await.unwrap(), [policy]);
    }

    #[tokio::test]
    async fn a_users_inline_policies_share_2048_characters() {
        let Scene { aws, iam, .. } = scene();
        let name = aws.add_user("alice");
        let long = POLICY.replace("s3:*", &"x".repeat(1900));

        let one = PolicyName::new("one").unwrap();
        iam.put_user_policy(&name, &one, &long).await.unwrap();
        let spaced = long.replace(':', " : ");
        iam.put_user_policy(&name, &one, &spaced).await.unwrap();
        let two = PolicyName::new("two").unwrap();
        let over = iam.put_user_policy(&name, &two, POLICY).await;

        assert_eq!(over.unwrap_err().kind(), ErrorKind::LimitExceeded);
    }

    #[tokio::test]
    async fn a_group_shows_its_members_and_policies() {
        let Scene { aws, iam, .. } = scene();
        let name = aws.add_user("alice");
        let group = aws.add_group("devs");
        aws.attach_group_policy("devs", &arn(READ_ONLY));
        aws.put_group_policy("devs", "inline", POLICY);
        let policy = PolicyName::new("inline").unwrap();

        iam.add_user_to_group(&group, &name).await.unwrap();

        assert_eq!(
            iam.list_groups_for_user(&name).await.unwrap().first(),
            Some(&group)
        );
        let attached = iam.list_attached_group_policies(&group).await.unwrap();
        assert_eq!(attached, [arn(READ_ONLY)]);
        assert_eq!(
            iam.list_group_policies(&group).await.unwrap().first(),
            Some(&policy)
        );
        assert_eq!(iam.get_group_policy(&group, &policy).await.unwrap(), POLICY);
        let missing = GroupName::new("ops").unwrap();
        assert_eq!(
            refusal(iam.add_user_to_group(&missing, &name).await),
            "NoSuchEntity: The group with name ops cannot be found."
        );
    }
}

mod credentials {
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

    #[tokio::test]
    async fn an_identity_token_opens_the_role_that_trusts_it() {
        #[derive(Debug)]
        struct Tokens(&'static str);
        #[async_trait::async_trait]
        impl IdentityTokenSource for Tokens {
            async fn identity_token(&self) -> Result<SecretString, TokenSourceError> {
                Ok(self.0.into())
            }
        }
        let Scene { aws, .. } = scene();
        let role_arn = aws.add_role(
            "vault",
            FakeRole {
                trusted_identity_token: Some("right".into()),
                ..FakeRole::default()
            },
        );
        let sts = |token| {
            aws.sts(&with(CredentialSource::WebIdentity(WebIdentitySource {
                role_arn: role_arn.clone(),
                role_session_name: session_name(),
                tokens: Arc::new(Tokens(token)),
                sts: StsAddress::default(),
            })))
            .unwrap()
        };

        let identity = sts("right").get_caller_identity().await.unwrap();
        let refused = sts("wrong").get_caller_identity().await.unwrap_err();

        assert_eq!(
            identity.arn.as_str(),
            "arn:aws:sts::111122223333:assumed-role/vault/vault-test"
        );
        assert_eq!(refused.operation(), "sts:AssumeRoleWithWebIdentity");
        assert_eq!(refused.kind(), ErrorKind::InvalidCredentials);
    }
}

mod sessions {
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
}

mod faults_and_journal {
    use super::*;

    #[tokio::test]
    async fn a_denied_operation_says_who_may_not_do_what() {
        let Scene { aws, iam, .. } = scene();
        aws.deny("iam:CreateUser");

        let error = iam
            .create_user(CreateUser::new(user("a")))
            .await
            .unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(error.operation(), "iam:CreateUser");
        assert!(
            error
                .message()
                .contains("user/administrator is not authorized to perform: iam:CreateUser"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn the_next_calls_fail_as_told_and_then_no_more() {
        let Scene { aws, iam, .. } = scene();
        aws.add_user("a");
        aws.fail_next("iam:GetUser", 2, "Throttling");
        let get = || async { iam.get_user(Some(&user("a"))).await.map_err(|e| e.kind()) };

        assert_eq!(get().await, Err(ErrorKind::Throttled));
        assert_eq!(get().await, Err(ErrorKind::Throttled));
        assert!(get().await.is_ok());
    }

    #[tokio::test]
    async fn with_its_answer_lost_a_call_takes_effect_and_without_a_connection_it_does_not() {
        let Scene { aws, iam, .. } = scene();
        let create = |name| iam.create_user(CreateUser::new(user(name)));
        aws.inject(FaultRule::on("iam:CreateUser", Fault::AnswerLost).times(1));
        aws.inject(FaultRule::on("iam:*", Fault::Unreachable));

        let lost = create("lost").await.unwrap_err();
        let unsent = create("unsent").await.unwrap_err();

        assert_eq!(
            (lost.kind(), lost.may_have_happened()),
            (ErrorKind::Unreachable, true)
        );
        assert_eq!(
            (unsent.kind(), unsent.may_have_happened()),
            (ErrorKind::Unreachable, false)
        );
        assert!(aws.user("lost").is_some());
        assert!(aws.user("unsent").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_held_call_goes_on_when_healed() {
        let Scene { aws, iam, .. } = scene();
        aws.inject(FaultRule::on("iam:CreateUser", Fault::HeldBefore));
        let create = iam.create_user(CreateUser::new(user("a")));
        let mut create = std::pin::pin!(create);

        let waited = tokio::time::timeout(minutes(10), &mut create).await;
        assert!(waited.is_err() && aws.user("a").is_none());
        aws.heal();

        assert!(create.await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_dies_gets_no_answer_after_its_last() {
        for (at, exists) in [(Fault::HeldBefore, false), (Fault::HeldAfter, true)] {
            let Scene { aws, iam, .. } = scene();
            aws.die_after(1, at);
            let life = async {
                for name in ["a", "b", "c"] {
                    iam.create_user(CreateUser::new(user(name))).await.unwrap();
                }
            };

            let outlived = tokio::time::timeout(minutes(10), life).await;

            assert!(outlived.is_err());
            assert!(aws.user("a").is_some());
            assert_eq!(aws.user("b").is_some(), exists);
            assert!(aws.user("c").is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_may_be_one_regions_own() {
        let Scene { aws, .. } = scene();
        aws.set_default_credentials(&aws.admin_key());
        aws.inject(FaultRule::on("sts:*", Fault::Unreachable).in_region("eu-west-1"));
        let ping = |region: &str| {
            let region = Some(Region::new(region).unwrap());
            let sts = aws
                .sts(&ClientConfig {
                    region,
                    ..ClientConfig::default()
                })
                .unwrap();
            async move { sts.get_caller_identity().await }
        };

        assert!(ping("eu-west-1").await.is_err());
        assert!(ping("eu-west-2").await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn delays_add_up_along_the_critical_path() {
        let Scene { aws, iam, .. } = scene();
        let name = aws.add_user("alice");
        aws.set_delay(Duration::from_secs(1));
        let begin = tokio::time::Instant::now();

        iam.get_user(Some(&name)).await.unwrap();
        let (keys, groups) =
            tokio::join!(iam.list_access_keys(&name), iam.list_groups_for_user(&name));

        assert!(keys.is_ok() && groups.is_ok());
        assert_eq!(begin.elapsed().as_secs(), 2);
        let calls = aws.calls();
        assert_eq!(calls[1].began, calls[2].began);
        assert_eq!(calls[2].ended, Some(Duration::from_secs(2)));
    }

    #[tokio::test]
    async fn the_journal_tells_what_was_asked_and_how_it_ended() {
        let Scene { aws, iam, .. } = scene();
        let _ = iam.create_access_key(&user("a")).await;
        aws.add_user("a");
        iam.create_access_key(&user("a")).await.unwrap();

        let calls = aws.calls();

        assert_eq!(aws.operations(), ["iam:CreateAccessKey"; 2]);
        assert_eq!(calls[0].target, "a");
        assert_eq!(
            calls[0].outcome,
            Some(Outcome::Refused("NoSuchEntity".into()))
        );
        assert_eq!(calls[1].outcome, Some(Outcome::Done));
        let shown = format!("{calls:?} {:?} {:?}", aws.user("a"), aws);
        for secret in aws.secrets() {
            assert!(!shown.contains(&secret));
        }
        aws.forget_calls();
        assert_eq!(aws.calls(), []);
    }
}
