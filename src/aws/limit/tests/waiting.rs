use super::*;
use crate::aws::fake::{Fault, FaultRule, Outcome};

fn user(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_few_calls_at_once_do_not_wait() {
    let scene = Scene::new();
    let iam = scene.mount();

    let served = last(Scene::load(&iam, Class::Issue, 10)).await;

    assert_eq!(served, CALL);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_goes_away_frees_its_place() {
    let scene = Scene::throttled();
    let iam = scene.mount();
    for waiting in Scene::load(&iam, Class::Removal, 1000) {
        // Some are on their way, most wait.
        if !waiting.is_finished() {
            waiting.abort();
        }
    }
    let gone = Scene::load(&iam, Class::Removal, 1000);
    sleep(Duration::from_secs(3)).await;
    gone.iter().for_each(JoinHandle::abort);
    sleep(CALL).await;
    assert!(iam.limiter.is_idle());

    let served = last(Scene::load(&iam, Class::Removal, 1)).await;

    assert!(served <= Duration::from_secs(1), "{served:?}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_during_a_call_leaves_no_permit_behind() {
    let scene = Scene::new();
    let iam = scene.mount();
    for _ in 0..20 {
        let iam = iam.for_request(Class::Issue, &Caller::client(None));
        let panics = async move {
            iam.call::<()>("iam:GetUser", false, || panic!("a fault in the client"))
                .await
        };
        assert!(tokio::spawn(panics).await.unwrap_err().is_panic());
    }

    assert!(iam.limiter.is_idle());
    assert_eq!(last(Scene::load(&iam, Class::Issue, 10)).await, CALL);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_request_begins_with_the_request() {
    let scene = Scene::new();
    scene
        .aws
        .inject(FaultRule::on("*", Fault::Code("Throttling")));
    let iam = scene.mount();

    let of_client = || iam.for_request(Class::Issue, &Caller::client(None));
    let of_host = || iam.for_request(Class::Removal, &Caller::host(None));
    for (phase, patience) in [
        ("beginning", 36),
        ("finishing", 45),
        ("undoing", 54),
        ("of the host", 84),
    ] {
        let start = Instant::now();
        let iam = match phase {
            "beginning" => of_client().beginning(),
            "finishing" => of_client().finishing(),
            "undoing" => of_client().undoing(),
            _ => of_host(),
        };
        sleep(Duration::from_secs(10)).await;
        let error = iam.delete_user(&user("u")).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Throttled);
        assert!(!error.may_have_happened());
        let elapsed = start.elapsed().as_secs_f64();
        assert!(
            (elapsed - f64::from(patience)).abs() <= 1.5,
            "{phase}: {elapsed}"
        );
        // Whoever comes too late is told at once, and AWS is not asked.
        let late = Instant::now();
        scene.aws.forget_calls();
        iam.delete_user(&user("u")).await.unwrap_err();
        assert_eq!(late.elapsed(), Duration::ZERO);
        assert_eq!(scene.aws.calls().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_never_served_is_told_that_aws_throttles() {
    let scene = Scene::new();
    scene.aws.limit_iam(Some(RateLimit {
        per_second: 1,
        burst: 1,
    }));
    let iam = scene.mount();
    let flood: Vec<_> = (0..200)
        .map(|_| {
            let iam = iam.for_request(Class::Issue, &Caller::client(None));
            tokio::spawn(async move { iam.get_user(None).await })
        })
        .collect();

    let errors: Vec<_> = join_all(flood)
        .await
        .into_iter()
        .filter_map(|served| served.unwrap().err())
        .collect();

    assert!((100..200).contains(&errors.len()), "{}", errors.len());
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Throttled);
        assert_eq!(error.operation(), "iam:GetUser");
        assert!(!error.may_have_happened());
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_not_answered_do_not_hold_up_the_others_for_long() {
    let scene = Scene::new();
    let iam = scene.mount();
    scene
        .aws
        .inject(FaultRule::on("iam:DeleteUser", Fault::HeldBefore));
    let held: Vec<_> = (0..100)
        .map(|_| {
            let iam = iam.for_request(Class::Removal, &Caller::host(None));
            tokio::spawn(async move { iam.delete_user(&user("u")).await })
        })
        .collect();
    sleep(Duration::from_millis(1)).await;

    let served = last(Scene::load(&iam, Class::Issue, 1)).await;
    assert!(served <= Duration::from_secs(1) + CALL, "{served:?}");

    sleep(Duration::from_secs(5)).await;
    assert_eq!(scene.aws.calls_of("iam:DeleteUser").len(), 100);
    held.iter().for_each(JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_aws_always_throttles_does_not_take_the_turns_of_others() {
    let scene = Scene::new();
    let iam = scene.mount();
    scene
        .aws
        .inject(FaultRule::on("iam:DeleteUser", Fault::Code("Throttling")));
    let stuck = iam.for_request(Class::Issue, &Caller::client(None));
    let stuck = tokio::spawn(async move { stuck.delete_user(&user("u")).await });
    sleep(Duration::from_secs(5)).await;

    let served = last(Scene::load(&iam, Class::Background, 50)).await;

    assert!(served <= Duration::from_secs(20), "{served:?}");
    stuck.await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn only_what_iam_itself_throttles_slows_calls_to_iam() {
    let scene = Scene::new();
    let role = scene.aws.add_role("deploy", FakeRole::default());
    scene
        .aws
        .inject(FaultRule::on("sts:*", Fault::Code("Throttling")));
    let key = scene.aws.admin_key();
    let config = ClientConfig {
        credentials: CredentialSource::AssumeRole(Box::new(AssumeRoleSource {
            source: signed_by(&key).credentials,
            role_arn: role,
            role_session_name: RoleSessionName::new("vault").unwrap(),
            external_id: None,
            tags: Vec::new(),
            sts: StsAddress::default(),
        })),
        ..ClientConfig::default()
    };
    let assumed = scene.limits.mount().iam(&scene.aws, &config).unwrap();
    let start = Instant::now();

    let error = assumed
        .for_request(Class::Issue, &Caller::client(None))
        .get_user(None)
        .await
        .unwrap_err();

    assert_eq!(error.operation(), "sts:AssumeRole");
    assert_eq!(start.elapsed(), CALL);
    let iam = scene.mount_with(&key);
    assert!(Arc::ptr_eq(&iam.limiter, &assumed.limiter));
    assert_eq!(last(Scene::load(&iam, Class::Issue, 10)).await, CALL);
}

#[tokio::test(start_paused = true)]
async fn an_access_key_dies_before_anything_else_is_removed() {
    let scene = Scene::throttled();
    let iam = scene.mount();
    for name in ["a", "b", "c"] {
        scene.aws.add_user(name);
        scene.aws.add_access_key(name);
    }
    let load = Scene::load(&iam, Class::Removal, 100);
    sleep(Duration::from_secs(2)).await;
    scene.aws.forget_calls();

    let ended = join_all(["a", "b", "c"].map(async |name| {
        let iam = iam.for_request(Class::Background, &Caller::host(None));
        let keys = iam.list_access_keys(&user(name)).await.unwrap();
        let id = &keys[0].access_key_id;
        iam.delete_access_key(&user(name), id).await.unwrap();
    }));
    ended.await;

    let done = scene.aws.calls();
    let others = done
        .iter()
        .filter(|call| call.operation == "iam:GetUser" && call.outcome == Some(Outcome::Done));
    assert!(others.count() <= 4, "{done:?}");
    last(load).await;
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_by_outcome_for_each_mount_and_so_is_who_waits_and_who_has_no_turn() {
    let scene = Scene::throttled();
    let (one, other) = (scene.limits.mount(), scene.limits.mount());
    let key = scene.aws.admin_key();
    let iam = one.iam(&scene.aws, &signed_by(&key)).unwrap();
    let waiting = |mount: &MountLimits| {
        let counts = mount.counts();
        counts.waiting().map(|(_, count)| count).sum::<usize>()
    };

    let load = Scene::load(&iam, Class::Background, 60);
    sleep(CALL * 3 / 2).await;
    assert!(waiting(&one) > 0, "AWS has refused some of them");
    let late = iam.for_request(Class::Issue, &Caller::client(Some(Duration::ZERO)));
    late.get_user(None).await.unwrap_err();
    let hung_up = Caller::client(None);
    drop(hung_up.line());
    let hung_up = iam.for_request(Class::Issue, &hung_up);
    hung_up.get_user(None).await.unwrap_err();
    last(load).await;

    let counts = one.counts();
    let calls = counts.calls();
    assert!(calls.contains(&("iam:GetUser", "ok", 60)), "{calls:?}");
    let throttled = |(_, outcome, count): &(_, &str, u64)| *outcome == "throttled" && *count > 0;
    assert!(calls.iter().any(throttled), "{calls:?}");
    assert_eq!(counts.refused(), [("hung_up", 1), ("late", 1)]);
    assert_eq!(waiting(&one), 0);
    assert_eq!(other.counts().calls(), []);
}
