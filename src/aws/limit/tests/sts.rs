use super::*;
use crate::aws::Sts;
use crate::aws::fake::{Fault, FaultRule};

fn sts(scene: &Scene, key: &AccessKey, config: ClientConfig) -> AccountSts {
    let config = ClientConfig {
        credentials: signed_by(key).credentials,
        ..config
    };
    scene.limits.mount().sts(&scene.aws, &config).unwrap()
}

fn mute(scene: &Scene) {
    scene.aws.inject(FaultRule::on("sts:*", Fault::HeldBefore));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_aws_does_not_answer_ends_with_the_time_of_its_caller_and_says_where() {
    let scene = Scene::new();
    let key = scene.aws.admin_key();
    mute(&scene);
    for (endpoint, region, place) in [
        (
            Some("https://sts.local"),
            Some("us-east-1"),
            "https://sts.local",
        ),
        (None, Some("us-east-1"), "https://sts.us-east-1.aws.example"),
    ] {
        let sts = sts(
            &scene,
            &key,
            ClientConfig {
                endpoint: endpoint.map(|text| Endpoint::new(text).unwrap()),
                region: region.map(|text| Region::new(text).unwrap()),
                ..ClientConfig::default()
            },
        );
        let start = Instant::now();

        let sts = sts.for_request(&Caller::client(None));
        let early = sts.beginning().get_caller_identity().await.unwrap_err();
        let began = start.elapsed().as_secs();
        let error = sts.get_caller_identity().await.unwrap_err();

        assert_eq!((began, start.elapsed().as_secs()), (36, 54));
        for error in [early, error] {
            assert_eq!(error.kind(), ErrorKind::Unreachable);
            let expected =
                format!("AWS did not answer at {place} until the time for this request was over");
            assert_eq!(error.to_string(), expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_under_way_are_bounded_and_waiting_ends_with_the_caller() {
    let scene = Scene::new();
    mute(&scene);
    let sts = sts(&scene, &scene.aws.admin_key(), ClientConfig::default());
    let ask = |caller: Caller| {
        let sts = sts.for_request(&caller);
        tokio::spawn(async move { sts.get_caller_identity().await })
    };
    let under_way: Vec<_> = (0..200).map(|_| ask(Caller::client(None))).collect();
    sleep(Duration::from_secs(1)).await;
    let (hangs_up, late) = (
        Caller::client(None),
        Caller::client(Some(Duration::from_secs(10))),
    );
    let line = hangs_up.line();
    let (hangs_up, late) = (ask(hangs_up), ask(late));
    sleep(Duration::from_secs(1)).await;

    assert_eq!(scene.aws.calls().len(), 200);
    drop(line);
    let error = hangs_up.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CallerGone);
    let error = late.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(!error.may_have_happened());
    assert_eq!(
        error.to_string(),
        "the time for this request was over before AWS could be asked"
    );

    // Whoever hangs up during its call makes room.
    under_way.iter().for_each(JoinHandle::abort);
    scene.aws.heal();
    ask(Caller::client(None)).await.unwrap().unwrap();
}
