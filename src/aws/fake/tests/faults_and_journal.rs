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
async fn a_late_answer_follows_its_effect() {
    let Scene { aws, iam, .. } = scene();
    aws.inject(FaultRule::on("*", Fault::AnswerLate(minutes(1))));
    let mut create = Box::pin(iam.create_user(CreateUser::new(user("a"))));

    let early = tokio::time::timeout(Duration::from_secs(59), &mut create).await;

    assert!(early.is_err());
    assert!(aws.user("a").is_some());
    assert!(create.await.is_ok());
    assert_eq!(aws.age(), minutes(1));
}

#[tokio::test]
async fn a_user_that_is_not_spread_yet_is_unknown_until_it_is_old_enough() {
    let Scene {
        aws, clock, iam, ..
    } = scene();
    aws.add_user("a");
    let key = aws.add_access_key("a");
    aws.inject(FaultRule::on("iam:*", Fault::NotSpreadYet(minutes(1))));
    let name = user("a");
    let delete = || iam.delete_access_key(&name, &key.access_key_id);

    let young = delete().await.unwrap_err();
    clock.advance(minutes(1));
    let grown_up = delete().await;

    assert_eq!(young.kind(), ErrorKind::NotFound);
    assert!(grown_up.is_ok());
    // Who is made only now is not asked after.
    assert!(iam.create_user(CreateUser::new(user("b"))).await.is_ok());
}

#[tokio::test]
async fn of_a_hundred_calls_so_many_meet_a_fault_and_the_seed_says_which() {
    let Scene { aws, iam, .. } = scene();
    aws.inject(FaultRule::on("iam:GetUser", Fault::Code("Throttling")).percent(30));
    let hundred = |seed| {
        aws.seed_faults(seed);
        async {
            let mut refused = Vec::new();
            for number in 0..100 {
                if iam.get_user(None).await.is_err() {
                    refused.push(number);
                }
            }
            refused
        }
    };

    let first = hundred(1).await;

    assert!((15..45).contains(&first.len()), "{first:?}");
    assert_eq!(hundred(1).await, first);
    assert_ne!(hundred(2).await, first);
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
    let (keys, groups) = tokio::join!(iam.list_access_keys(&name), iam.list_groups_for_user(&name));

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
