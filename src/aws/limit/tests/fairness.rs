use super::*;

#[tokio::test(start_paused = true)]
async fn mounts_of_one_account_share_its_rate_and_take_turns() {
    let scene = Scene::throttled();
    let (one, other) = (scene.mount(), scene.mount());

    let many = Scene::load(&one, Class::Removal, 400);
    sleep(Duration::from_secs(2)).await;
    let few = Scene::load(&other, Class::Removal, 100);

    let (few, many) = (last(few).await, last(many).await);
    // Half the rate for the one that came later, and all that AWS takes for both.
    assert!((9..=12).contains(&few.as_secs()), "{few:?}");
    assert!((24..=28).contains(&many.as_secs()), "{many:?}");
}

#[tokio::test(start_paused = true)]
async fn accounts_have_nothing_to_do_with_each_other() {
    let scene = Scene::throttled();
    let busy = scene.mount();
    let other = scene.mount_with(&scene.aws.in_account("444455556666").admin_key());
    let load = Scene::load(&busy, Class::Removal, 200);
    sleep(Duration::from_secs(1)).await;
    scene.aws.limit_iam(None);

    let start = Instant::now();
    other
        .for_request(Class::Removal, &Caller::host(None))
        .get_user(None)
        .await
        .unwrap();

    assert_eq!(start.elapsed(), CALL);
    last(load).await;
}

#[tokio::test(start_paused = true)]
async fn regions_and_keys_of_one_account_share_its_limiter_and_other_endpoints_do_not() {
    let scene = Scene::new();
    let keys = [scene.aws.admin_key(), scene.aws.admin_key()];
    let stranger = scene.aws.in_account("444455556666").admin_key();
    let limiter = |config: &ClientConfig| scene.limits.mount().iam(&scene.aws, config).unwrap();
    let first = limiter(&signed_by(&keys[0]));
    let shares = |config: ClientConfig| Arc::ptr_eq(&first.limiter, &limiter(&config).limiter);

    assert!(shares(signed_by(&keys[1])));
    assert!(shares(ClientConfig {
        region: Some(Region::new("eu-central-1").unwrap()),
        ..signed_by(&keys[0])
    }));
    assert!(shares(ClientConfig {
        credentials: CredentialSource::AssumeRole(Box::new(AssumeRoleSource {
            source: signed_by(&stranger).credentials,
            role_arn: scene.aws.arn("iam", "role/deploy"),
            role_session_name: RoleSessionName::new("vault").unwrap(),
            external_id: None,
            tags: Vec::new(),
            sts: StsAddress::default(),
        })),
        ..ClientConfig::default()
    }));
    assert!(!shares(signed_by(&stranger)));
    assert!(!shares(ClientConfig::default()));
    assert!(!shares(ClientConfig {
        endpoint: Some(Endpoint::new("http://localhost:4566").unwrap()),
        ..signed_by(&keys[0])
    }));
}

#[tokio::test(start_paused = true)]
async fn an_account_that_no_mount_uses_is_forgotten() {
    let scene = Scene::new();
    drop(scene.mount());

    let _other = scene.mount_with(&scene.aws.in_account("444455556666").admin_key());

    assert_eq!(scene.limits.limiters.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_starves_while_more_is_asked_for_than_aws_takes() {
    let scene = Scene::throttled();
    let iam = scene.mount();
    // Two minutes of what is most urgent.
    let issues = Scene::load(&iam, Class::Issue, 10);
    let flood = tokio::spawn({
        let iam = iam.clone();
        async move {
            for _ in 0..2400 {
                let iam = iam.for_request(Class::Issue, &Caller::client(None));
                tokio::spawn(async move { iam.get_user(None).await });
                sleep(Duration::from_millis(25)).await;
            }
        }
    });
    sleep(Duration::from_secs(5)).await;

    let removal = Scene::load(&iam, Class::Removal, 10);
    let background = Scene::load(&iam, Class::Background, 10);

    for waiting in [removal, background, issues] {
        let served = last(waiting).await;
        assert!(served <= Duration::from_secs(20), "{served:?}");
    }
    flood.abort();
}
