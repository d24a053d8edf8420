use super::*;

#[tokio::test]
async fn calls_that_follow_one_another_share_a_connection_whichever_client_makes_them() {
    let server = Server::answering([
        identity(),
        Reply::error(404, "NoSuchEntity", "no"),
        identity(),
    ])
    .await;
    let connector = connector();
    let iam = connector.iam(&config(&server)).unwrap();
    let sts = connector.sts(&config(&server)).unwrap();

    sts.get_caller_identity().await.unwrap();
    iam.get_user(None).await.unwrap_err();
    let sts = connector.sts(&config(&server)).unwrap();
    sts.get_caller_identity().await.unwrap();

    assert_eq!(server.heard().len(), 3);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn calls_at_once_open_no_more_connections_than_there_are_calls() {
    let (server, sts) = sts_answering([identity()]).await;
    let wave = || async {
        let calls = (0..8).map(|_| sts.get_caller_identity());
        let answers = futures_util::future::join_all(calls).await;
        assert!(answers.iter().all(Result::is_ok));
    };

    for _ in 0..5 {
        wave().await;
    }

    assert_eq!(server.heard().len(), 40);
    assert!(server.connections() <= 8, "{}", server.connections());
}

#[tokio::test]
async fn this_machine_is_reached_without_the_proxy() {
    let server = Server::answering([identity()]).await;
    let proxy = Server::answering([Reply::new(403, "")]).await;
    let connector = SdkConnector::new(Arc::new(FixedEnvironment::from([
        ("HTTP_PROXY", proxy.url()),
        ("no_proxy", "example.com".into()),
    ])));

    let answer = connector
        .sts(&config(&server))
        .unwrap()
        .get_caller_identity()
        .await;

    assert!(answer.is_ok());
    assert_eq!(proxy.connections(), 0);
}

#[tokio::test]
async fn a_plain_http_endpoint_elsewhere_is_reached_through_the_proxy() {
    let proxy = Server::answering([identity()]).await;
    let environment = FixedEnvironment::from([(
        "http_proxy",
        proxy.url().replace("http://", "http://alice:opensesame@"),
    )]);
    let config = ClientConfig {
        endpoint: Some(Endpoint::new("http://sts.example.com").unwrap()),
        ..config(&proxy)
    };

    let connector = SdkConnector::new(Arc::new(environment));
    connector
        .sts(&config)
        .unwrap()
        .get_caller_identity()
        .await
        .unwrap();

    let heard = &proxy.heard()[0];
    assert_eq!(heard.line, "POST http://sts.example.com/ HTTP/1.1");
    assert_eq!(
        heard.header("proxy-authorization"),
        "Basic YWxpY2U6b3BlbnNlc2FtZQ=="
    );
}

#[tokio::test]
async fn a_proxy_that_is_no_address_is_named_but_not_shown() {
    let environment = FixedEnvironment::from([("HTTPS_PROXY", "opensesame@:::")]);
    let connector = SdkConnector::new(Arc::new(environment));

    let error = connector.iam(&ClientConfig::default()).unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(
        error.to_string(),
        "environment variable HTTPS_PROXY (or ALL_PROXY) must be an address such as \
         http://proxy.example.com:3128"
    );
}
