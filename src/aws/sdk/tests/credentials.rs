use super::*;

#[derive(Debug)]
struct Tokens(Result<&'static str, &'static str>);

#[async_trait::async_trait]
impl IdentityTokenSource for Tokens {
    async fn identity_token(&self) -> Result<SecretString, TokenSourceError> {
        self.0.map(Into::into).map_err(TokenSourceError::new)
    }
}

fn at(server: &Server) -> StsAddress {
    StsAddress {
        region: Some(Region::new("eu-west-3").unwrap()),
        endpoint: Some(Endpoint::new(server.url()).unwrap()),
    }
}

fn assumed(server: &Server) -> ClientConfig {
    let config = config(server);
    let role = AssumeRoleSource {
        source: config.credentials.clone(),
        role_arn: arn(ROLE),
        role_session_name: session_name(),
        external_id: Some("x1".into()),
        tags: vec![Tag::new("team", "red")],
        sts: at(server),
    };
    ClientConfig {
        credentials: CredentialSource::AssumeRole(Box::new(role)),
        ..config
    }
}

fn vouched(server: &Server, token: Result<&'static str, &'static str>) -> ClientConfig {
    ClientConfig {
        credentials: CredentialSource::WebIdentity(WebIdentitySource {
            role_arn: arn(ROLE),
            role_session_name: session_name(),
            tokens: Arc::new(Tokens(token)),
            sts: at(server),
        }),
        ..config(server)
    }
}

fn assume_role_answer() -> Reply {
    Reply::result(
        "AssumeRole",
        &format!(
            "{SESSION}<AssumedRoleUser><AssumedRoleId>AROA1:vault-1</AssumedRoleId>\
             <Arn>arn:aws:sts::111122223333:assumed-role/deploy/vault-1</Arn></AssumedRoleUser>"
        ),
    )
}

#[tokio::test]
async fn a_temporary_key_is_sent_with_its_token() {
    let server = Server::answering([identity()]).await;
    let config = ClientConfig {
        credentials: CredentialSource::Static {
            access_key_id: AccessKeyId::new("ASIA9").unwrap(),
            secret_access_key: "hunter2".into(),
            session_token: Some("t0ken".into()),
        },
        ..config(&server)
    };

    connector()
        .sts(&config)
        .unwrap()
        .get_caller_identity()
        .await
        .unwrap();

    assert_eq!(server.heard()[0].header("x-amz-security-token"), "t0ken");
}

#[tokio::test]
async fn a_role_is_assumed_once_for_many_calls() {
    let server = Server::answering([assume_role_answer(), identity()]).await;
    let sts = connector().sts(&assumed(&server)).unwrap();

    sts.get_caller_identity().await.unwrap();
    sts.get_caller_identity().await.unwrap();

    assert_eq!(
        server.actions(),
        ["AssumeRole", "GetCallerIdentity", "GetCallerIdentity"]
    );
    let heard = server.heard();
    assert!(heard[0].header("authorization").contains("=AKIA1/"));
    assert!(heard[0].header("authorization").contains("/eu-west-3/sts/"));
    assert_eq!(heard[0].field("ExternalId"), "x1");
    assert_eq!(heard[0].field("Tags.member.1.Value"), "red");
    assert!(heard[1].header("authorization").contains("=ASIA1/"));
    assert_eq!(heard[1].header("x-amz-security-token"), "t0ken");
}

#[tokio::test(start_paused = true)]
async fn a_role_that_cannot_be_assumed_is_told_as_such() {
    let denied = Reply::error(403, "AccessDenied", "not authorized");
    let server = Server::answering([denied]).await;
    let config = ClientConfig {
        max_retries: None,
        ..assumed(&server)
    };
    let iam = connector().iam(&config).unwrap();

    let error = iam.get_user(None).await.unwrap_err();

    assert_eq!(error.operation(), "sts:AssumeRole");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(error.to_string(), "AccessDenied: not authorized");
    assert_eq!(server.actions(), ["AssumeRole"]);
}

#[tokio::test]
async fn an_identity_token_opens_a_session_unsigned() {
    let opened = Reply::result("AssumeRoleWithWebIdentity", SESSION);
    let server = Server::answering([opened, identity()]).await;
    let sts = connector().sts(&vouched(&server, Ok("jwt"))).unwrap();

    sts.get_caller_identity().await.unwrap();

    let heard = server.heard();
    assert_eq!(heard[0].field("Action"), "AssumeRoleWithWebIdentity");
    assert_eq!(heard[0].field("WebIdentityToken"), "jwt");
    assert_eq!(heard[0].field("RoleArn"), ROLE);
    assert_eq!(heard[0].header("authorization"), "");
    assert_eq!(heard[1].header("x-amz-security-token"), "t0ken");
}

#[tokio::test]
async fn without_an_identity_token_aws_is_not_asked() {
    let server = Server::answering([identity()]).await;
    let config = vouched(&server, Err("host does not offer it"));
    let sts = connector().sts(&config).unwrap();

    let error = sts.get_caller_identity().await.unwrap_err();

    assert_eq!(error.kind(), ErrorKind::NoCredentials);
    assert_eq!(
        error.to_string(),
        "no identity token: host does not offer it"
    );
    assert_eq!(server.connections(), 0);
}
