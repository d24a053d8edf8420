//! The SDK's own client, through the HTTP door.

use std::slice::from_ref;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::{Fault, FaultRule, Outcome, RateLimit};
use super::*;
use crate::aws::{
    AccessKey, AccessKeyStatus, Arn, AssumeRole, ClientConfig, Connector as _, CreateUser,
    Endpoint, ErrorKind, FederatedUserName, GetFederationToken, GetSessionToken, GroupName, Iam,
    PolicyName, RoleName, RoleSessionName, SdkConnector, Sts, Tag, UserName,
};
use crate::clock::SystemClock;
use crate::environment::FixedEnvironment;
use crate::secret::ExposeSecret as _;

const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:<&>","Resource":"*"}}"#;
const READ_ONLY: &str = "arn:aws:iam::aws:policy/ReadOnlyAccess";

struct Scene {
    aws: FakeAws,
    address: String,
    iam: Arc<dyn Iam>,
    sts: Arc<dyn Sts>,
}

/// An AWS behind HTTP, and the SDK's clients with the administrator's key.
async fn scene() -> Scene {
    let aws = FakeAws::new(Arc::new(SystemClock));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = aws.clone();
    tokio::spawn(async move { served.serve(listener).await });
    let (iam, sts) = clients(&address, &aws.admin_key(), None);
    Scene {
        aws,
        address,
        iam,
        sts,
    }
}

fn clients(
    address: &str,
    key: &AccessKey,
    session_token: Option<&str>,
) -> (Arc<dyn Iam>, Arc<dyn Sts>) {
    let connector = SdkConnector::new(Arc::new(FixedEnvironment::default()));
    let config = ClientConfig {
        endpoint: Some(Endpoint::new(format!("http://{address}")).unwrap()),
        max_retries: Some(0),
        credentials: CredentialSource::Static {
            access_key_id: key.access_key_id.clone(),
            secret_access_key: key.secret_access_key.clone(),
            session_token: session_token.map(Into::into),
        },
        ..ClientConfig::default()
    };
    (
        connector.iam(&config).unwrap(),
        connector.sts(&config).unwrap(),
    )
}

fn name(text: &str) -> UserName {
    UserName::new(text).unwrap()
}

#[tokio::test]
async fn a_user_is_made_furnished_listed_and_removed() {
    let Scene { aws, iam, .. } = scene().await;
    aws.add_group("team");
    let (user, group) = (name("alice"), GroupName::new("team").unwrap());
    let (arn, policy) = (
        Arn::new(READ_ONLY).unwrap(),
        PolicyName::new("own").unwrap(),
    );
    let request = CreateUser {
        path: Some("/a/b/".to_owned()),
        permissions_boundary: Some(arn.clone()),
        tags: vec![Tag::new("team", "a & b"), Tag::new("<>", "")],
        ..CreateUser::new(user.clone())
    };

    let made = iam.create_user(request.clone()).await.unwrap();
    iam.attach_user_policy(&user, &arn).await.unwrap();
    iam.put_user_policy(&user, &policy, POLICY).await.unwrap();
    iam.add_user_to_group(&group, &user).await.unwrap();
    let key = iam.create_access_key(&user).await.unwrap();

    assert_eq!(made.tags, request.tags);
    assert_eq!(made.path, "/a/b/");
    assert_eq!(iam.get_user(Some(&user)).await.unwrap(), made);
    let seen = aws.user("alice").unwrap();
    assert_eq!(seen.permissions_boundary, Some(arn.clone()));
    assert_eq!(seen.inline_policies[&policy], POLICY);
    let keys = iam.list_access_keys(&user).await.unwrap();
    assert_eq!(keys[0].access_key_id, key.access_key_id);
    assert_eq!(keys[0].status, AccessKeyStatus::Active);
    let policies = iam.list_attached_user_policies(&user).await.unwrap();
    assert_eq!(policies, from_ref(&arn));
    let inline = iam.list_user_policies(&user).await.unwrap();
    assert_eq!(inline, from_ref(&policy));
    let groups = iam.list_groups_for_user(&user).await.unwrap();
    assert_eq!(groups, from_ref(&group));

    iam.detach_user_policy(&user, &arn).await.unwrap();
    iam.delete_user_policy(&user, &policy).await.unwrap();
    iam.remove_user_from_group(&group, &user).await.unwrap();
    let id = &key.access_key_id;
    iam.update_access_key(&user, id, AccessKeyStatus::Inactive)
        .await
        .unwrap();
    let keys = iam.list_access_keys(&user).await.unwrap();
    assert_eq!(keys[0].status, AccessKeyStatus::Inactive);
    iam.delete_access_key(&user, id).await.unwrap();
    iam.delete_user(&user).await.unwrap();
    assert!(aws.iam_users().is_empty());
}

#[tokio::test]
async fn what_people_gave_a_user_is_listed_and_removed() {
    let Scene { aws, iam, .. } = scene().await;
    let user = aws.add_user("alice");
    let serial = aws.add_mfa_device("alice", "123456");
    aws.change_user("alice", |user| {
        user.has_login_profile = true;
        let id = |text: &str| text.to_owned();
        user.ssh_public_keys
            .insert(crate::aws::SshPublicKeyId::new(id("APKA1")).unwrap());
        user.signing_certificates
            .insert(crate::aws::CertificateId::new(id("CERT1")).unwrap());
        user.service_specific_credentials
            .insert(crate::aws::ServiceSpecificCredentialId::new(id("ACCA1")).unwrap());
    });

    iam.delete_login_profile(&user).await.unwrap();
    assert_eq!(
        iam.list_mfa_devices(&user).await.unwrap(),
        from_ref(&serial)
    );
    iam.deactivate_mfa_device(&user, &serial).await.unwrap();
    iam.delete_virtual_mfa_device(&serial).await.unwrap();
    for id in iam.list_ssh_public_keys(&user).await.unwrap() {
        iam.delete_ssh_public_key(&user, &id).await.unwrap();
    }
    for id in iam.list_signing_certificates(&user).await.unwrap() {
        iam.delete_signing_certificate(&user, &id).await.unwrap();
    }
    for id in iam.list_service_specific_credentials(&user).await.unwrap() {
        iam.delete_service_specific_credential(&user, &id)
            .await
            .unwrap();
    }

    iam.delete_user(&user).await.unwrap();
}

#[tokio::test]
async fn policies_of_groups_are_listed_and_read() {
    let Scene { aws, iam, .. } = scene().await;
    let group = aws.add_group("team");
    let arn = Arn::new(READ_ONLY).unwrap();
    aws.attach_group_policy("team", &arn);
    aws.put_group_policy("team", "own", POLICY);

    let managed = iam.list_attached_group_policies(&group).await.unwrap();
    let inline = iam.list_group_policies(&group).await.unwrap();
    let document = iam.get_group_policy(&group, &inline[0]).await.unwrap();

    assert_eq!(managed, [arn]);
    assert_eq!(document, POLICY);
}

#[tokio::test]
async fn inline_policies_of_roles_and_users_are_put_read_listed_and_deleted() {
    let Scene { aws, iam, .. } = scene().await;
    aws.add_role("deploy", super::super::FakeRole::default());
    let (role, user) = (RoleName::new("deploy").unwrap(), aws.add_user("jane"));
    let name = PolicyName::new("own").unwrap();

    iam.put_role_policy(&role, &name, POLICY).await.unwrap();
    iam.put_user_policy(&user, &name, POLICY).await.unwrap();

    assert_eq!(iam.get_role_policy(&role, &name).await.unwrap(), POLICY);
    assert_eq!(iam.get_user_policy(&user, &name).await.unwrap(), POLICY);
    assert_eq!(
        iam.list_role_policies(&role).await.unwrap(),
        from_ref(&name)
    );
    iam.delete_role_policy(&role, &name).await.unwrap();
    let gone = iam.get_role_policy(&role, &name).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert_eq!(iam.list_role_policies(&role).await.unwrap(), []);
}

#[tokio::test]
async fn sessions_are_opened_and_their_credentials_work() {
    let Scene {
        aws, address, sts, ..
    } = scene().await;
    let role_arn = aws.add_role("deploy", super::super::FakeRole::default());
    let mut assume = AssumeRole::new(role_arn, RoleSessionName::new("here").unwrap());
    assume.duration = Some(Duration::from_mins(20));
    assume.policy = Some(POLICY.to_owned());
    assume.policy_arns = vec![Arn::new(READ_ONLY).unwrap()];
    assume.tags = vec![Tag::new("team", "a")];
    assume.transitive_tag_keys = vec!["team".to_owned()];
    assume.source_identity = Some("alice".to_owned());
    let mut federate = GetFederationToken::new(FederatedUserName::new("bob").unwrap());
    federate.policy_arns.clone_from(&assume.policy_arns);

    let assumed = sts.assume_role(assume.clone()).await.unwrap();
    let federated = sts.get_federation_token(federate).await.unwrap();
    let session = sts.get_session_token(GetSessionToken::default()).await;

    assert_eq!(aws.sessions()[0].arn, assumed.arn);
    assert_eq!(aws.sessions()[0].policy, assume.policy);
    assert_eq!(aws.sessions()[0].policy_arns, assume.policy_arns);
    assert_eq!(aws.sessions()[0].tags, assume.tags);
    assert_eq!(
        aws.sessions()[0].transitive_tag_keys,
        assume.transitive_tag_keys
    );
    assert_eq!(aws.sessions()[0].source_identity, assume.source_identity);
    assert_eq!(aws.sessions()[1].arn, federated.arn);
    assert_eq!(
        aws.sessions()[2].access_key_id,
        session.unwrap().access_key_id
    );
    let credentials = &assumed.credentials;
    let key = AccessKey {
        access_key_id: credentials.access_key_id.clone(),
        secret_access_key: credentials.secret_access_key.clone(),
    };
    let token = credentials.session_token.expose_secret();
    let (_, sts) = clients(&address, &key, Some(token));
    let identity = sts.get_caller_identity().await.unwrap();
    assert_eq!(identity.arn, assumed.arn);
    assert_eq!(identity.account, FakeAws::HOME_ACCOUNT);
}

#[tokio::test]
async fn a_refusal_has_the_code_the_status_and_the_words_of_the_rule() {
    let Scene {
        aws, address, iam, ..
    } = scene().await;
    let nobody = iam.get_user(Some(&name("nobody"))).await.unwrap_err();
    let user = aws.add_user("alice");
    let key = aws.add_access_key("alice");
    let conflict = iam.delete_user(&user).await.unwrap_err();
    iam.delete_access_key(&user, &key.access_key_id)
        .await
        .unwrap();
    let (_, sts) = clients(&address, &key, None);
    let dead = sts.get_caller_identity().await.unwrap_err();

    assert_eq!(nobody.kind(), ErrorKind::NotFound);
    assert!(nobody.message().contains("nobody"), "{nobody}");
    assert!(nobody.request_id().is_some());
    assert_eq!(conflict.code(), Some("DeleteConflict"));
    assert_eq!(dead.code(), Some("InvalidClientTokenId"));
}

#[tokio::test]
async fn beyond_the_limit_iam_throttles_and_sts_does_not() {
    let Scene { aws, iam, sts, .. } = scene().await;
    aws.limit_iam(Some(RateLimit {
        per_second: 1,
        burst: 2,
    }));

    for _ in 0..2 {
        assert!(iam.get_user(None).await.is_ok());
    }
    let refused = iam.get_user(None).await.unwrap_err();

    assert_eq!(refused.kind(), ErrorKind::Throttled);
    assert!(sts.get_caller_identity().await.is_ok());
    let refusals = aws.calls_of("iam:GetUser");
    assert_eq!(
        refusals[2].outcome,
        Some(Outcome::Refused("Throttling".to_owned()))
    );
    aws.limit_iam(None);
    assert!(iam.get_user(None).await.is_ok());
}

#[tokio::test]
async fn a_lost_answer_ends_the_connection() {
    let Scene { aws, iam, .. } = scene().await;
    aws.inject(FaultRule::on("iam:CreateUser", Fault::AnswerLost));

    let lost = iam.create_user(CreateUser::new(name("alice"))).await;

    assert!(lost.unwrap_err().may_have_happened());
    assert!(aws.user("alice").is_some());
}

#[tokio::test]
async fn a_call_whose_caller_is_gone_is_carried_out() {
    let Scene { aws, address, .. } = scene().await;
    aws.set_delay(Duration::from_millis(100));
    let signed = format!(
        "AWS4-HMAC-SHA256 Credential={}/x",
        aws.admin_key().access_key_id
    );

    let asked = post(&address, &signed, "Action=CreateUser&UserName=alice");
    let hung_up = tokio::time::timeout(Duration::from_millis(50), asked).await;

    assert!(hung_up.is_err());
    for _ in 0..100 {
        if aws.user("alice").is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the call was forgotten");
}

/// The answer to a form, and its status.
async fn post(address: &str, authorization: &str, form: &str) -> (StatusCode, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: iam\r\nAuthorization: {authorization}\r\nConnection: close\r\n\
         Content-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

#[tokio::test]
async fn tags_can_be_given_to_a_user_that_is_there() {
    let Scene { aws, address, .. } = scene().await;
    aws.add_user("alice");
    aws.change_user("alice", |user| user.tags = vec![Tag::new("a", "1")]);
    let signed = format!(
        "AWS4-HMAC-SHA256 Credential={}/x",
        aws.admin_key().access_key_id
    );
    let form = "Action=TagUser&UserName=alice&Tags.member.1.Key=a&Tags.member.1.Value=2\
                &Tags.member.2.Key=b+c&Tags.member.2.Value=%26";

    let (status, _) = post(&address, &signed, form).await;

    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        aws.user("alice").unwrap().tags,
        [Tag::new("a", "2"), Tag::new("b c", "&")]
    );
    assert_eq!(aws.operations(), ["iam:TagUser"]);
}

#[tokio::test]
async fn what_is_no_request_of_ours_is_refused() {
    let Scene { aws, address, .. } = scene().await;
    let signed = format!(
        "AWS4-HMAC-SHA256 Credential={}/x",
        aws.admin_key().access_key_id
    );

    for (authorization, form, status, code) in [
        (&*signed, "Action=ListBuckets", 400, "InvalidAction"),
        (&*signed, "", 400, "InvalidAction"),
        (&*signed, "Action=DeleteUser", 400, "ValidationError"),
        (
            &*signed,
            "Action=DeleteUser&UserName=a/b",
            400,
            "ValidationError",
        ),
        ("", "Action=GetUser", 400, "MissingAuthenticationToken"),
        (
            "Credential=AKIANOBODY/x",
            "Action=GetUser",
            403,
            "InvalidClientTokenId",
        ),
    ] {
        let (answered, text) = post(&address, authorization, form).await;

        assert_eq!(answered, status, "{text}");
        assert!(text.contains(&format!("<Code>{code}</Code>")), "{text}");
    }
}
