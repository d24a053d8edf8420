use super::*;

#[tokio::test]
async fn a_user_is_created_with_one_signed_call() {
    let (server, iam) = iam_answering([Reply::result("CreateUser", USER)]).await;

    let created = iam
        .create_user(CreateUser {
            path: Some("/vault/".into()),
            permissions_boundary: Some(arn("arn:aws:iam::111122223333:policy/b")),
            tags: vec![Tag::new("team", "red & blue")],
            ..CreateUser::new(user())
        })
        .await
        .unwrap();

    assert_eq!(created.user_id, "AIDA1");
    assert_eq!(
        created.create_date,
        time::macros::datetime!(2026-01-02 03:04:05 UTC)
    );
    let heard = &server.heard()[0];
    assert_eq!(heard.line, "POST / HTTP/1.1");
    assert_eq!(heard.header("host"), server.address.to_string());
    assert_eq!(heard.field("Action"), "CreateUser");
    assert_eq!(heard.field("UserName"), "deploy");
    assert_eq!(heard.field("Path"), "/vault/");
    assert_eq!(
        heard.field("PermissionsBoundary"),
        "arn:aws:iam::111122223333:policy/b"
    );
    assert_eq!(heard.field("Tags.member.1.Key"), "team");
    assert_eq!(heard.field("Tags.member.1.Value"), "red & blue");
    let authorization = heard.header("authorization");
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIA1/"));
    assert!(authorization.contains("/eu-central-1/iam/aws4_request"));
    assert!(
        heard
            .header("user-agent")
            .contains("app/vault-plugin-secrets-aws")
    );
}

#[tokio::test]
async fn a_space_is_written_as_other_sdks_write_it() {
    let (server, iam) = iam_answering([Reply::result("PutUserPolicy", "")]).await;
    let document = r#"{"Sid": "a+b %20 c"}"#;

    iam.put_user_policy(&user(), &PolicyName::new("p").unwrap(), document)
        .await
        .unwrap();

    let heard = &server.heard()[0];
    assert_eq!(heard.field("PolicyDocument"), document);
    assert!(heard.body.contains("a%2Bb+%2520+c"), "{}", heard.body);
    assert_eq!(heard.header("content-length"), heard.body.len().to_string());
}

#[tokio::test]
async fn a_role_is_assumed_as_asked() {
    let answer = format!(
        "{SESSION}<AssumedRoleUser><AssumedRoleId>AROA1:vault-1</AssumedRoleId>\
         <Arn>arn:aws:sts::111122223333:assumed-role/deploy/vault-1</Arn></AssumedRoleUser>"
    );
    let (server, sts) = sts_answering([Reply::result("AssumeRole", &answer)]).await;

    let assumed = sts
        .assume_role(AssumeRole {
            duration: Some(Duration::from_mins(15)),
            policy: Some("{}".into()),
            policy_arns: vec![arn("arn:aws:iam::aws:policy/ReadOnlyAccess")],
            external_id: Some("x1".into()),
            tags: vec![Tag::new("team", "red")],
            transitive_tag_keys: vec!["team".into()],
            source_identity: Some("alice".into()),
            ..AssumeRole::new(arn(ROLE), session_name())
        })
        .await
        .unwrap();

    assert_eq!(assumed.credentials.access_key_id.as_str(), "ASIA1");
    assert_eq!(
        assumed.credentials.secret_access_key.expose_secret(),
        "s3cret"
    );
    assert_eq!(assumed.credentials.session_token.expose_secret(), "t0ken");
    assert_eq!(assumed.credentials.expiration.year(), 2199);
    assert_eq!(assumed.arn.resource(), "assumed-role/deploy/vault-1");
    assert_eq!(assumed.assumed_role_id, "AROA1:vault-1");
    let heard = &server.heard()[0];
    for (field, value) in [
        ("Action", "AssumeRole"),
        ("RoleArn", ROLE),
        ("RoleSessionName", "vault-1"),
        ("DurationSeconds", "900"),
        ("Policy", "{}"),
        (
            "PolicyArns.member.1.arn",
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
        ),
        ("ExternalId", "x1"),
        ("Tags.member.1.Key", "team"),
        ("TransitiveTagKeys.member.1", "team"),
        ("SourceIdentity", "alice"),
    ] {
        assert_eq!(heard.field(field), value, "{field}");
    }
    assert!(heard.header("authorization").contains("/eu-central-1/sts/"));
}

#[tokio::test]
async fn what_is_not_asked_for_is_not_sent() {
    let answer = format!(
        "{SESSION}<FederatedUser><FederatedUserId>111122223333:vault-1</FederatedUserId>\
         <Arn>arn:aws:sts::111122223333:federated-user/vault-1</Arn></FederatedUser>"
    );
    let (server, sts) = sts_answering([
        Reply::result("GetFederationToken", &answer),
        Reply::result("GetSessionToken", SESSION),
    ])
    .await;
    let name = FederatedUserName::new("vault-1").unwrap();

    sts.get_federation_token(GetFederationToken::new(name))
        .await
        .unwrap();
    sts.get_session_token(GetSessionToken::default())
        .await
        .unwrap();

    let fields = |n: usize| -> Vec<String> { server.heard()[n].form.keys().cloned().collect() };
    assert_eq!(fields(0), ["Action", "Name", "Version"]);
    assert_eq!(fields(1), ["Action", "Version"]);
}

#[tokio::test]
async fn a_session_token_is_asked_for_with_a_device() {
    let (server, sts) = sts_answering([Reply::result("GetSessionToken", SESSION)]).await;

    sts.get_session_token(GetSessionToken {
        duration: Some(Duration::from_hours(1)),
        serial_number: Some(MfaSerialNumber::new("GAHT1").unwrap()),
        token_code: Some("123456".into()),
    })
    .await
    .unwrap();

    let heard = &server.heard()[0];
    assert_eq!(heard.field("SerialNumber"), "GAHT1");
    assert_eq!(heard.field("TokenCode"), "123456");
    assert_eq!(heard.field("DurationSeconds"), "3600");
}

#[tokio::test]
async fn a_list_is_read_to_its_last_page() {
    let page = |names: [&str; 2], rest: &str| {
        let [one, two] = names;
        Reply::result(
            "ListUserPolicies",
            &format!(
                "<PolicyNames><member>{one}</member><member>{two}</member></PolicyNames>{rest}"
            ),
        )
    };
    let (server, iam) = iam_answering([
        page(
            ["a", "b"],
            "<IsTruncated>true</IsTruncated><Marker>m1</Marker>",
        ),
        page(
            ["c", "d"],
            "<IsTruncated>true</IsTruncated><Marker>m2</Marker>",
        ),
        page(["e", "f"], "<IsTruncated>false</IsTruncated>"),
    ])
    .await;

    let names = iam.list_user_policies(&user()).await.unwrap();

    let names: Vec<_> = names.iter().map(PolicyName::as_str).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e", "f"]);
    let markers: Vec<_> = server
        .heard()
        .iter()
        .map(|heard| heard.field("Marker").to_owned())
        .collect();
    assert_eq!(markers, ["", "m1", "m2"]);
}

#[tokio::test]
async fn service_specific_credentials_are_read_to_the_last_page() {
    let page = |id: &str, rest: &str| {
        Reply::result(
            "ListServiceSpecificCredentials",
            &format!(
                "<ServiceSpecificCredentials><member><UserName>deploy</UserName>\
                 <Status>Active</Status><ServiceUserName>d</ServiceUserName>\
                 <CreateDate>2026-01-02T03:04:05Z</CreateDate>\
                 <ServiceSpecificCredentialId>{id}</ServiceSpecificCredentialId>\
                 <ServiceName>x</ServiceName></member></ServiceSpecificCredentials>{rest}"
            ),
        )
    };
    let (_server, iam) = iam_answering([
        page(
            "ACCA1",
            "<IsTruncated>true</IsTruncated><Marker>m1</Marker>",
        ),
        page("ACCA2", ""),
    ])
    .await;

    let ids = iam
        .list_service_specific_credentials(&user())
        .await
        .unwrap();

    let ids: Vec<_> = ids
        .iter()
        .map(ServiceSpecificCredentialId::as_str)
        .collect();
    assert_eq!(ids, ["ACCA1", "ACCA2"]);
}

#[tokio::test]
async fn a_list_that_names_the_same_next_page_again_does_not_go_on_for_ever() {
    let page = Reply::result(
        "ListServiceSpecificCredentials",
        "<IsTruncated>true</IsTruncated><Marker>m1</Marker>",
    );
    let (server, iam) = iam_answering([page]).await;

    let error = iam
        .list_service_specific_credentials(&user())
        .await
        .unwrap_err();

    assert_eq!(error.to_string(), "AWS's answer has no next page");
    assert_eq!(server.heard().len(), 2);
}

#[tokio::test]
async fn access_keys_are_listed_with_status_and_age() {
    let answer = "<AccessKeyMetadata><member><UserName>deploy</UserName>\
         <AccessKeyId>AKIA1</AccessKeyId><Status>Active</Status>\
         <CreateDate>2026-01-02T03:04:05Z</CreateDate></member><member>\
         <AccessKeyId>AKIA2</AccessKeyId><Status>Inactive</Status>\
         <CreateDate>2026-01-02T03:04:06Z</CreateDate></member></AccessKeyMetadata>";
    let (_server, iam) = iam_answering([Reply::result("ListAccessKeys", answer)]).await;

    let keys = iam.list_access_keys(&user()).await.unwrap();

    assert_eq!(keys[0].access_key_id.as_str(), "AKIA1");
    assert_eq!(keys[0].status, AccessKeyStatus::Active);
    assert_eq!(keys[1].status, AccessKeyStatus::Inactive);
    assert!(keys[0].create_date < keys[1].create_date);
}

#[tokio::test]
async fn a_group_policy_is_decoded() {
    let answer = "<GroupName>g</GroupName><PolicyName>p</PolicyName><PolicyDocument>\
         %7B%22Sid%22%3A%20%22a%2Bb%25%C3%A9%22%7D</PolicyDocument>";
    let (_server, iam) = iam_answering([Reply::result("GetGroupPolicy", answer)]).await;

    let document = iam
        .get_group_policy(
            &GroupName::new("g").unwrap(),
            &PolicyName::new("p").unwrap(),
        )
        .await
        .unwrap();

    assert_eq!(document, r#"{"Sid": "a+b%é"}"#);
}

#[tokio::test]
async fn the_root_user_of_an_account_has_no_name() {
    let root = USER.replace("<UserName>deploy</UserName>", "");
    let (server, iam) = iam_answering([Reply::result("GetUser", &root)]).await;

    let user = iam.get_user(None).await.unwrap();

    assert_eq!(user.user_name, None);
    assert_eq!(server.heard()[0].field("UserName"), "");
}
