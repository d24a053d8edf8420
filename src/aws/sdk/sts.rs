//! STS over the SDK.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sts::Client;
use aws_sdk_sts::error::BuildError;
use aws_sdk_sts::types::{Credentials, PolicyDescriptorType, Tag as SdkTag};
use aws_smithy_types::DateTime;
use time::OffsetDateTime;

use super::call::{Calls, call, incomplete};
use super::date::DateOfAnswer;
use crate::aws::{
    AccessKeyId, Arn, AssumeRole, AssumedRole, CallerIdentity, Error, ErrorKind, FederatedUser,
    GetFederationToken, GetSessionToken, RoleSessionName, SessionCredentials, Sts, Tag,
};
use crate::secret::{ExposeSecret, SecretString};

/// STS in one region, with one client's credentials.
#[derive(Debug)]
pub(super) struct SdkSts {
    client: Client,
    calls: Calls,
}

impl SdkSts {
    pub(super) const ASSUME_ROLE_WITH_WEB_IDENTITY: &str = "sts:AssumeRoleWithWebIdentity";

    pub(super) fn new(client: Client, calls: Calls) -> Self {
        Self { client, calls }
    }

    /// `sts:AssumeRoleWithWebIdentity`, which is not signed.
    pub(super) async fn assume_role_with_web_identity(
        &self,
        role_arn: &Arn,
        role_session_name: &RoleSessionName,
        token: &SecretString,
    ) -> Result<SessionCredentials, Error> {
        const OPERATION: &str = SdkSts::ASSUME_ROLE_WITH_WEB_IDENTITY;
        let sent = self
            .client
            .assume_role_with_web_identity()
            .role_arn(role_arn.as_str())
            .role_session_name(role_session_name.as_str())
            .web_identity_token(token.expose_secret())
            .send();
        let answer = call(&self.calls, OPERATION, sent).await?;
        session(OPERATION, answer.credentials)
    }
}

#[async_trait]
impl Sts for SdkSts {
    async fn get_caller_identity(&self) -> Result<CallerIdentity, Error> {
        const OPERATION: &str = "sts:GetCallerIdentity";
        let date = DateOfAnswer::default();
        let asked = self.client.get_caller_identity().customize();
        let sent = asked.interceptor(date.clone()).send();
        let answer = call(&self.calls, OPERATION, sent).await?;
        match (answer.account, answer.arn, answer.user_id) {
            (Some(account), Some(arn), Some(user_id)) => Ok(CallerIdentity {
                account,
                arn: Arn::from_aws(arn),
                user_id,
                aws_time: date.get(),
                credentials_from: self.calls.origin.get(),
            }),
            _ => Err(incomplete(OPERATION, "caller identity")),
        }
    }

    async fn assume_role(&self, request: AssumeRole) -> Result<AssumedRole, Error> {
        const OPERATION: &str = "sts:AssumeRole";
        let sent = self
            .client
            .assume_role()
            .role_arn(request.role_arn.as_str())
            .role_session_name(request.role_session_name.as_str())
            .set_duration_seconds(seconds(OPERATION, request.duration)?)
            .set_policy(request.policy)
            .set_policy_arns(policy_arns(&request.policy_arns))
            .set_external_id(request.external_id)
            .set_tags(tags(OPERATION, request.tags)?)
            .set_transitive_tag_keys(unless_empty(request.transitive_tag_keys))
            .set_source_identity(request.source_identity)
            .send();
        let answer = call(&self.calls, OPERATION, sent).await?;
        // Services that are compatible leave it empty, or out.
        let user = answer.assumed_role_user;
        let (id, arn) = user
            .map(|user| (user.assumed_role_id, user.arn))
            .unwrap_or_default();
        Ok(AssumedRole {
            credentials: session(OPERATION, answer.credentials)?,
            arn: Arn::from_aws(arn),
            assumed_role_id: id,
        })
    }

    async fn get_federation_token(
        &self,
        request: GetFederationToken,
    ) -> Result<FederatedUser, Error> {
        const OPERATION: &str = "sts:GetFederationToken";
        let sent = self
            .client
            .get_federation_token()
            .name(request.name.as_str())
            .set_duration_seconds(seconds(OPERATION, request.duration)?)
            .set_policy(request.policy)
            .set_policy_arns(policy_arns(&request.policy_arns))
            .set_tags(tags(OPERATION, request.tags)?)
            .send();
        let answer = call(&self.calls, OPERATION, sent).await?;
        let user = answer
            .federated_user
            .ok_or_else(|| incomplete(OPERATION, "federated user"))?;
        Ok(FederatedUser {
            credentials: session(OPERATION, answer.credentials)?,
            arn: Arn::from_aws(user.arn),
            federated_user_id: user.federated_user_id,
        })
    }

    async fn get_session_token(
        &self,
        request: GetSessionToken,
    ) -> Result<SessionCredentials, Error> {
        const OPERATION: &str = "sts:GetSessionToken";
        let sent = self
            .client
            .get_session_token()
            .set_duration_seconds(seconds(OPERATION, request.duration)?)
            .set_serial_number(request.serial_number.map(|serial| serial.to_string()))
            .set_token_code(request.token_code)
            .send();
        let answer = call(&self.calls, OPERATION, sent).await?;
        session(OPERATION, answer.credentials)
    }
}

fn seconds(operation: &'static str, duration: Option<Duration>) -> Result<Option<i32>, Error> {
    duration
        .map(|duration| i32::try_from(duration.as_secs()))
        .transpose()
        .map_err(|_| {
            let message = "duration is longer than any that AWS allows";
            Error::unasked(operation, ErrorKind::Invalid, message)
        })
}

fn policy_arns(arns: &[Arn]) -> Option<Vec<PolicyDescriptorType>> {
    let descriptor = |arn: &Arn| PolicyDescriptorType::builder().arn(arn.as_str()).build();
    unless_empty(arns.iter().map(descriptor).collect())
}

fn tags(operation: &'static str, tags: Vec<Tag>) -> Result<Option<Vec<SdkTag>>, Error> {
    let tags: Result<Vec<_>, BuildError> = tags
        .into_iter()
        .map(|Tag { key, value }| SdkTag::builder().key(key).value(value).build())
        .collect();
    tags.map(unless_empty)
        .map_err(|error| Error::unasked(operation, ErrorKind::Invalid, error.to_string()))
}

/// AWS refuses some lists that are present and empty.
fn unless_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn session(
    operation: &'static str,
    credentials: Option<Credentials>,
) -> Result<SessionCredentials, Error> {
    let credentials = credentials.ok_or_else(|| incomplete(operation, "credentials"))?;
    Ok(SessionCredentials {
        access_key_id: AccessKeyId::from_aws(credentials.access_key_id),
        secret_access_key: credentials.secret_access_key.into(),
        session_token: credentials.session_token.into(),
        expiration: moment(&credentials.expiration),
    })
}

pub(super) fn moment(time: &DateTime) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(time.as_nanos()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
