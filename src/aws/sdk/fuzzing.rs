//! What AWS, or whoever answers in its place, may answer.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_iam::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use tokio::runtime::Builder;

use super::http::Http;
use super::{HttpOfAll, SdkConnector};
use crate::aws::{
    AccessKeyId, Arn, AssumeRole, ClientConfig, Connector, CreateUser, CredentialSource, Error,
    FederatedUserName, GetFederationToken, GetSessionToken, GroupName, PolicyName, RoleSessionName,
    UserName,
};
use crate::environment::FixedEnvironment;

/// Of the access keys in the corpus's answers.
const GIVEN_SECRET: &str = "s3cret-of-the-key";
/// Of the access key that signs.
const SECRET: &str = "a-secret-that-signs";

/// Stands between two bodies.
const NEXT: char = '\u{1e}';

/// More calls than any list of a few pages takes.
const MANY: usize = 50;

/// Answers to one operation: `<operation> <status> <status> …`, a line end, and the bodies, of which
/// the last is repeated. The error, if it failed.
pub(crate) fn answer(data: &[u8]) -> Option<Error> {
    let text = std::str::from_utf8(data).ok()?;
    let (head, bodies) = text.split_once('\n')?;
    let mut head = head.split(' ');
    let operation = head.next()?;
    let statuses: Option<Vec<StatusCode>> = head
        .map(|status| status.parse::<u16>().ok()?.try_into().ok())
        .collect();
    let replies: VecDeque<_> = statuses?
        .into_iter()
        .zip(bodies.split(NEXT).map(str::to_owned))
        .collect();
    if replies.is_empty() {
        return None;
    }
    let all_succeed = replies.iter().all(|(status, _)| status.is_success());
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .ok()?;
    let error = runtime
        .block_on(ask(operation, Replay::of(replies)))?
        .err()?;
    let told = error.to_string();
    assert!(!error.message().is_empty());
    // What stands in the answer, too, may be told for that reason.
    assert!(text.contains(SECRET) || !told.contains(SECRET), "{told}");
    let as_secret = format!("<SecretAccessKey>{GIVEN_SECRET}");
    let is_secret = text.matches(GIVEN_SECRET).count() == text.matches(&as_secret).count();
    assert!(!is_secret || !told.contains(GIVEN_SECRET), "{told}");
    assert!(!told.contains(char::is_control), "{told:?}");
    assert!(
        !all_succeed || error.may_have_happened(),
        "taken for a refusal: {told}"
    );
    Some(error)
}

/// Makes the call; `None` when there is none of that name.
async fn ask(operation: &str, aws: Replay) -> Option<Result<(), Error>> {
    let environment = FixedEnvironment::default();
    let http = HttpOfAll {
        routes: Http::from_environment(&environment).ok()?.routes,
        client: SharedHttpClient::new(aws),
    };
    let connector = SdkConnector {
        http: Mutex::new(Some(http)),
        ..SdkConnector::new(Arc::new(environment))
    };
    let config = ClientConfig {
        max_retries: Some(1),
        credentials: CredentialSource::Static {
            access_key_id: AccessKeyId::from_aws("AKIA1"),
            secret_access_key: SECRET.into(),
            session_token: None,
        },
        ..ClientConfig::default()
    };
    let iam = connector.iam(&config).ok()?;
    let sts = connector.sts(&config).ok()?;
    let user = UserName::from_aws("deploy");
    let group = GroupName::from_aws("developers");
    let role = Arn::from_aws("arn:aws:iam::111122223333:role/deploy");
    Some(match operation {
        "CreateUser" => iam.create_user(CreateUser::new(user)).await.map(drop),
        "GetUser" => iam.get_user(None).await.map(drop),
        "DeleteUser" => iam.delete_user(&user).await,
        "CreateAccessKey" => iam.create_access_key(&user).await.map(drop),
        "ListAccessKeys" => iam.list_access_keys(&user).await.map(drop),
        "ListAttachedUserPolicies" => iam.list_attached_user_policies(&user).await.map(drop),
        "ListGroupsForUser" => iam.list_groups_for_user(&user).await.map(drop),
        "ListMFADevices" => iam.list_mfa_devices(&user).await.map(drop),
        "ListServiceSpecificCredentials" => {
            iam.list_service_specific_credentials(&user).await.map(drop)
        }
        "GetGroupPolicy" => {
            let policy = PolicyName::from_aws("policy");
            iam.get_group_policy(&group, &policy).await.map(drop)
        }
        "GetCallerIdentity" => sts.get_caller_identity().await.map(drop),
        "AssumeRole" => {
            let session = RoleSessionName::new("session").ok()?;
            sts.assume_role(AssumeRole::new(role, session))
                .await
                .map(drop)
        }
        "GetFederationToken" => {
            let name = FederatedUserName::new("deploy").ok()?;
            let request = GetFederationToken::new(name);
            sts.get_federation_token(request).await.map(drop)
        }
        "GetSessionToken" => {
            let request = GetSessionToken::default();
            sts.get_session_token(request).await.map(drop)
        }
        _ => return None,
    })
}

/// An AWS that answers as it is told.
#[derive(Clone, Debug)]
struct Replay(Arc<Mutex<Replies>>);

#[derive(Debug)]
struct Replies {
    replies: VecDeque<(StatusCode, String)>,
    calls: usize,
}

impl Replay {
    fn of(replies: VecDeque<(StatusCode, String)>) -> Self {
        Self(Arc::new(Mutex::new(Replies { replies, calls: 0 })))
    }
}

impl HttpClient for Replay {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Replay {
    fn call(&self, _request: HttpRequest) -> HttpConnectorFuture {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.calls += 1;
        assert!(told.calls < MANY, "asks without end");
        let (status, body) = told.replies[0].clone();
        if told.replies.len() > 1 {
            told.replies.pop_front();
        }
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(body))))
    }
}
