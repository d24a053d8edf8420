use super::*;

fn throttled() -> Reply {
    Reply::error(400, "Throttling", "Rate exceeded")
}

#[tokio::test(start_paused = true)]
async fn a_call_is_tried_three_times_unless_told_otherwise() {
    for (max_retries, tries) in [(None, 3), (Some(0), 1), (Some(1), 2), (Some(5), 6)] {
        let server = Server::answering([throttled()]).await;
        let config = ClientConfig {
            max_retries,
            ..config(&server)
        };

        let sts = connector().sts(&config).unwrap();
        let error = sts.get_caller_identity().await.unwrap_err();

        assert_eq!(
            error.kind(),
            ErrorKind::Throttled,
            "{error} {max_retries:?}"
        );
        assert_eq!(server.heard().len(), tries);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_the_same_when_done_twice_is_tried_again() {
    for lost in [Reply::Silence, Reply::HangUp, Reply::new(500, "")] {
        let server = Server::answering([lost, identity()]).await;
        let sts = connector().sts(&retrying(&server)).unwrap();

        assert!(sts.get_caller_identity().await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn what_makes_something_anew_is_not_tried_again_when_it_may_have_happened() {
    for lost in [
        Reply::Silence,
        Reply::HangUp,
        Reply::error(500, "ServiceFailure", "failed"),
        Reply::new(502, "<html>"),
        Reply::new(200, "<html>"),
    ] {
        let made = Reply::result("CreateUser", USER);
        let server = Server::answering([lost.clone(), made]).await;
        let iam = connector().iam(&retrying(&server)).unwrap();
        let error = iam.create_user(CreateUser::new(user())).await.unwrap_err();

        assert!(error.may_have_happened(), "{lost:?}");
        assert_eq!(server.actions(), ["CreateUser"], "{lost:?}");
    }
    let server = Server::answering([Reply::Silence]).await;
    let iam = connector().iam(&retrying(&server)).unwrap();
    let error = iam.create_access_key(&user()).await.unwrap_err();
    assert!(error.may_have_happened());
    assert_eq!(server.actions(), ["CreateAccessKey"]);
}

#[tokio::test(start_paused = true)]
async fn what_makes_something_anew_is_tried_again_when_aws_declined() {
    for declined in [throttled(), Reply::error(503, "ServiceUnavailable", "busy")] {
        let made = Reply::result("CreateUser", USER);
        let server = Server::answering([declined, made]).await;
        let iam = connector().iam(&retrying(&server)).unwrap();

        assert!(iam.create_user(CreateUser::new(user())).await.is_ok());
    }
}
