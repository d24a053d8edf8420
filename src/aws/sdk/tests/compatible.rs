//! Services that speak AWS's protocols, as they are documented and seen to answer.

use super::*;

/// What `MinIO` answers to `AssumeRole`: no ARN, and the id under another name than AWS's.
fn minio() -> Reply {
    Reply::new(
        200,
        r#"<?xml version="1.0" encoding="UTF-8"?>
<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser><Arn></Arn><AssumeRoleId></AssumeRoleId></AssumedRoleUser><Credentials><AccessKeyId>Y4RJU1RNFGK48LGO9I2S</AccessKeyId><SecretAccessKey>sYLRKS1Z7hSjluf6gEbb9066hnx315wHTiACPAjg</SecretAccessKey><Expiration>2199-08-08T20:26:12Z</Expiration><SessionToken>eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9</SessionToken></Credentials></AssumeRoleResult><ResponseMetadata><RequestId>c6104cbe-af31-11e0-8154-cbc7ccf896c7</RequestId></ResponseMetadata></AssumeRoleResponse>"#,
    )
}

fn role(arn: &str) -> AssumeRole {
    AssumeRole::new(
        Arn::of_any_service(arn).unwrap(),
        RoleSessionName::new("vault-1").unwrap(),
    )
}

#[tokio::test]
async fn minio_names_no_session_and_gives_one_all_the_same() {
    let server = Server::answering([minio()]).await;
    let sts = connector().sts(&config(&server)).unwrap();

    let assumed = sts.assume_role(role("arn:xxx:xxx:xxx:xxxx")).await.unwrap();

    assert_eq!(assumed.arn.as_str(), "");
    assert_eq!(
        assumed.credentials.access_key_id.as_str(),
        "Y4RJU1RNFGK48LGO9I2S"
    );
    assert_eq!(server.heard()[0].field("RoleArn"), "arn:xxx:xxx:xxx:xxxx");
}

#[tokio::test]
async fn ceph_names_the_session_without_an_account() {
    let content = "<Credentials><AccessKeyId>A1</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2199-08-08T20:26:12.000Z</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts:::assumed-role/S3Access/vault-1</Arn><AssumeRoleId>4b1:vault-1</AssumeRoleId></AssumedRoleUser><PackedPolicySize>0</PackedPolicySize>";
    let server = Server::answering([Reply::result("AssumeRole", content)]).await;
    let sts = connector().sts(&config(&server)).unwrap();

    let assumed = sts
        .assume_role(role("arn:aws:iam:::role/S3Access"))
        .await
        .unwrap();

    assert_eq!(assumed.arn.account(), "");
    assert_eq!(assumed.arn.resource(), "assumed-role/S3Access/vault-1");
}

#[tokio::test]
async fn an_answer_without_the_user_of_the_session_is_a_session() {
    let credentials = "<Credentials><AccessKeyId>A1</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2199-08-08T20:26:12Z</Expiration></Credentials>";
    let server = Server::answering([Reply::result("AssumeRole", credentials)]).await;
    let sts = connector().sts(&config(&server)).unwrap();

    let assumed = sts.assume_role(role("arn:aws:iam:::role/x")).await.unwrap();

    assert_eq!(assumed.arn.as_str(), "");
}

#[tokio::test]
async fn a_region_of_another_service_is_signed_for_as_it_is() {
    let server = Server::answering([minio()]).await;
    let config = ClientConfig {
        region: Some(Region::of_any_service("ZoneGroup-1").unwrap()),
        ..config(&server)
    };

    let sts = connector().sts(&config).unwrap();
    sts.assume_role(role("arn:aws:iam:::role/x")).await.unwrap();

    let heard = &server.heard()[0];
    assert!(heard.header("authorization").contains("/ZoneGroup-1/sts/"));
}

#[tokio::test]
async fn a_call_that_a_service_does_not_have_is_told_in_its_words() {
    let unsupported = Reply::error(
        400,
        "InvalidParameterValue",
        "Unsupported action GetFederationToken",
    );
    let server = Server::answering([unsupported]).await;
    let sts = connector().sts(&config(&server)).unwrap();

    let name = FederatedUserName::new("vault-1").unwrap();
    let error = sts
        .get_federation_token(GetFederationToken::new(name))
        .await
        .unwrap_err();

    assert!(
        error
            .to_string()
            .contains("Unsupported action GetFederationToken"),
        "{error}"
    );
}

#[tokio::test]
async fn a_group_policy_may_be_encoded_as_aws_does_or_as_forms_are() {
    let group = GroupName::new("readers").unwrap();
    let policy = PolicyName::new("p").unwrap();
    for encoded in [
        "%7B%22a%22%3A%20%22b%2Bc%22%7D",
        "%7B%22a%22%3A+%22b%2Bc%22%7D",
    ] {
        let content = format!(
            "<GroupName>readers</GroupName><PolicyName>p</PolicyName><PolicyDocument>{encoded}</PolicyDocument>"
        );
        let server = Server::answering([Reply::result("GetGroupPolicy", &content)]).await;
        let iam = connector().iam(&config(&server)).unwrap();

        let document = iam.get_group_policy(&group, &policy).await.unwrap();

        assert_eq!(document, r#"{"a": "b+c"}"#);
    }
}
