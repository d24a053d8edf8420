//! The actions of STS.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::form::Form;
use super::xml::Xml;
use super::{Answer, Client, FakeAws, client_credentials};
use crate::aws::{
    Arn, AssumeRole, FederatedUserName, GetFederationToken, GetSessionToken, IdentityTokenSource,
    MfaSerialNumber, RoleSessionName, SessionCredentials, Sts as _, StsAddress, TokenSourceError,
    WebIdentitySource,
};
use crate::secret::{ExposeSecret as _, SecretString};

/// Sent by whoever has an identity token and no credentials.
pub(super) const WITH_WEB_IDENTITY: &str = "AssumeRoleWithWebIdentity";

pub(super) async fn assume_role_with_web_identity(aws: &FakeAws, form: &Form) -> Answer {
    let role = WebIdentitySource {
        role_arn: form.name("RoleArn", Arn::new)?,
        role_session_name: form.name("RoleSessionName", RoleSessionName::new)?,
        tokens: Arc::new(Sent(
            form.text("WebIdentityToken").unwrap_or_default().into(),
        )),
        sts: StsAddress::default(),
    };
    let session = client_credentials::assume_role_with_web_identity(
        aws,
        &role,
        "sts:AssumeRoleWithWebIdentity",
    )
    .await?;
    let mut xml = Xml::default();
    credentials(&mut xml, &session);
    Ok(xml)
}

/// The token that a request brought.
struct Sent(SecretString);

#[async_trait]
impl IdentityTokenSource for Sent {
    async fn identity_token(&self) -> Result<SecretString, TokenSourceError> {
        Ok(self.0.clone())
    }
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sent")
    }
}

/// `None` when STS has no such action.
pub(super) async fn act(client: &Client, action: &str, form: &Form) -> Option<Answer> {
    Some(match action {
        "GetCallerIdentity" => get_caller_identity(client).await,
        "AssumeRole" => assume_role(client, form).await,
        "GetFederationToken" => get_federation_token(client, form).await,
        "GetSessionToken" => get_session_token(client, form).await,
        _ => return None,
    })
}

async fn get_caller_identity(client: &Client) -> Answer {
    let identity = client.get_caller_identity().await?;
    let mut xml = Xml::default();
    xml.text("Arn", identity.arn);
    xml.text("UserId", identity.user_id);
    xml.text("Account", identity.account);
    Ok(xml)
}

async fn assume_role(client: &Client, form: &Form) -> Answer {
    let request = AssumeRole {
        role_arn: form.name("RoleArn", Arn::new)?,
        role_session_name: form.name("RoleSessionName", RoleSessionName::new)?,
        duration: form.seconds("DurationSeconds")?,
        policy: owned(form, "Policy"),
        policy_arns: form.policy_arns()?,
        external_id: owned(form, "ExternalId"),
        tags: form.tags(),
        transitive_tag_keys: form
            .list("TransitiveTagKeys")
            .into_iter()
            .map(ToOwned::to_owned)
            .collect(),
        source_identity: owned(form, "SourceIdentity"),
    };
    let assumed = client.assume_role(request).await?;
    let mut xml = Xml::default();
    xml.element("AssumedRoleUser", |xml| {
        xml.text("AssumedRoleId", assumed.assumed_role_id);
        xml.text("Arn", assumed.arn);
    });
    credentials(&mut xml, &assumed.credentials);
    Ok(xml)
}

async fn get_federation_token(client: &Client, form: &Form) -> Answer {
    let request = GetFederationToken {
        name: form.name("Name", FederatedUserName::new)?,
        duration: form.seconds("DurationSeconds")?,
        policy: owned(form, "Policy"),
        policy_arns: form.policy_arns()?,
        tags: form.tags(),
    };
    let federated = client.get_federation_token(request).await?;
    let mut xml = Xml::default();
    xml.element("FederatedUser", |xml| {
        xml.text("FederatedUserId", federated.federated_user_id);
        xml.text("Arn", federated.arn);
    });
    credentials(&mut xml, &federated.credentials);
    Ok(xml)
}

async fn get_session_token(client: &Client, form: &Form) -> Answer {
    let request = GetSessionToken {
        duration: form.seconds("DurationSeconds")?,
        serial_number: form.optional_name("SerialNumber", MfaSerialNumber::new)?,
        token_code: owned(form, "TokenCode"),
    };
    let session = client.get_session_token(request).await?;
    let mut xml = Xml::default();
    credentials(&mut xml, &session);
    Ok(xml)
}

fn owned(form: &Form, field: &str) -> Option<String> {
    form.text(field).map(ToOwned::to_owned)
}

fn credentials(xml: &mut Xml, session: &SessionCredentials) {
    xml.element("Credentials", |xml| {
        xml.text("AccessKeyId", &session.access_key_id);
        xml.text("SecretAccessKey", session.secret_access_key.expose_secret());
        xml.text("SessionToken", session.session_token.expose_secret());
        xml.moment("Expiration", session.expiration);
    });
}
