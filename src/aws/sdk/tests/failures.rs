use super::*;

async fn failure(reply: Reply) -> Error {
    let (_server, iam) = iam_answering([reply]).await;
    iam.create_user(CreateUser::new(user())).await.unwrap_err()
}

#[tokio::test]
async fn a_refusal_reads_as_aws_put_it() {
    let reason = "User: arn:aws:iam::111122223333:user/root is not authorized to perform: \
         iam:CreateUser";

    let error = failure(Reply::error(403, "AccessDenied", reason)).await;

    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(error.operation(), "iam:CreateUser");
    assert_eq!(error.code(), Some("AccessDenied"));
    assert_eq!(error.request_id(), Some("request-1"));
    assert_eq!(error.to_string(), format!("AccessDenied: {reason}"));
    assert!(!error.may_have_happened());
}

#[tokio::test]
async fn a_refusal_without_a_word_still_says_something() {
    let silent = failure(Reply::error(403, "SignatureDoesNotMatch", "")).await;
    let empty = failure(Reply::new(403, "")).await;
    let page = failure(Reply::new(502, "<html><body>Bad Gateway</body></html>")).await;

    assert_eq!(silent.kind(), ErrorKind::InvalidCredentials);
    assert_eq!(
        silent.to_string(),
        "SignatureDoesNotMatch: AWS refused iam:CreateUser without a reason (HTTP status 403)"
    );
    assert_eq!(
        empty.to_string(),
        "AWS refused iam:CreateUser without a reason (HTTP status 403)"
    );
    assert_eq!(
        page.to_string(),
        "AWS refused iam:CreateUser without a reason (HTTP status 502)"
    );
    assert!(page.may_have_happened());
}

#[tokio::test]
async fn a_refusal_is_found_where_gateways_and_emulators_put_it() {
    let body = "<?xml version=\"1.0\"?><Response><Errors><Error><Code>AccessDenied</Code>\
         <Message>a &lt;b&gt; &amp;amp; c</Message></Error></Errors></Response>";

    let error = failure(Reply::new(403, body)).await;

    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(error.to_string(), "AccessDenied: a <b> &amp; c");
}

#[tokio::test]
async fn an_answer_that_lacks_what_was_asked_for_is_an_error() {
    let (_server, iam) = iam_answering([Reply::result("CreateAccessKey", "")]).await;

    let error = iam.create_access_key(&user()).await.unwrap_err();

    assert_eq!(error.to_string(), "AWS's answer has no access key");
    assert!(error.may_have_happened());
}

#[tokio::test]
async fn an_answer_of_somebody_else_is_an_error() {
    let error = failure(Reply::new(200, "<html><body>Welcome</body></html>")).await;

    assert_eq!(error.kind(), ErrorKind::Other);
    let text = error.to_string();
    assert!(text.starts_with("answer of http://127.0.0.1:"), "{text}");
    assert!(text.contains("HTTP status 200"), "{text}");
    assert!(error.may_have_happened());
}

#[tokio::test]
async fn without_a_connection_nothing_happened() {
    let server = Server::answering([identity()]).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let config = ClientConfig {
        endpoint: Some(Endpoint::new(format!("http://{address}")).unwrap()),
        ..config(&server)
    };
    let iam = connector().iam(&config).unwrap();

    let error = iam.create_user(CreateUser::new(user())).await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(!error.may_have_happened());
    assert_eq!(
        error.to_string(),
        format!("no connection to http://{address}: connection refused")
    );
}

#[tokio::test(start_paused = true)]
async fn without_an_answer_it_may_have_happened() {
    for reply in [Reply::Silence, Reply::HangUp] {
        let error = failure(reply).await;

        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(error.may_have_happened());
        assert!(error.to_string().starts_with("no answer from "), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_call_with_all_its_tries_ends_in_a_minute() {
    let server = Server::answering([Reply::Silence]).await;
    let config = ClientConfig {
        max_retries: Some(20),
        ..config(&server)
    };
    let sts = connector().sts(&config).unwrap();
    let began = tokio::time::Instant::now();

    sts.get_caller_identity().await.unwrap_err();

    assert_eq!(began.elapsed().as_secs(), 60);
}
