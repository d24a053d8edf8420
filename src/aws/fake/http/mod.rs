//! The door for whoever speaks HTTP: AWS's query protocol, forms in and XML out.
//!
//! The access key that a request names is looked up; its signature is not checked. Pages, tags and
//! paths that no engine asks for are left out.

mod form;
mod iam;
mod sts;
#[cfg(test)]
mod tests;
mod xml;

use std::convert::Infallible;
use std::io;

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

use self::form::Form;
use self::xml::Xml;
use super::client_credentials::{self, ClientCredentials};
use super::door::Client;
use super::world::Refused;
use super::{FakeAws, Proof};
use crate::aws::{AccessKeyId, CredentialSource, Error, InvalidName};

/// Why a request is not done.
enum Failure {
    /// AWS says no.
    Refused(Refused),
    /// The same, said by a rule.
    Told(Error),
}

/// What an action answers: the content of its result element.
type Answer = Result<Xml, Failure>;

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Told(error)
    }
}

impl From<InvalidName> for Failure {
    fn from(invalid: InvalidName) -> Self {
        Self::Refused(Refused::invalid(invalid.to_string()))
    }
}

/// A call that is to be answered by hanging up.
#[derive(Debug, thiserror::Error)]
#[error("the simulated AWS hangs up")]
struct HangUp;

impl FakeAws {
    /// Serves IAM and STS to whoever connects, for as long as this is polled.
    ///
    /// # Errors
    /// When no more connections can be accepted.
    pub async fn serve(&self, listener: TcpListener) -> io::Result<Infallible> {
        loop {
            let (stream, _) = listener.accept().await?;
            // Answers are small, and none may wait for another.
            stream.set_nodelay(true)?;
            tokio::spawn(self.clone().serve_connection(stream));
        }
    }

    async fn serve_connection(self, stream: TcpStream) {
        let service = service_fn(|request| self.respond(request));
        // What goes wrong on a connection is its client's concern.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    /// What has arrived is carried out, also when whoever asked for it is gone meanwhile.
    async fn respond(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, HangUp> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| HangUp)?.to_bytes();
        tokio::spawn(self.clone().answer_to(head.headers, body))
            .await
            .map_err(|_| HangUp)?
    }

    async fn answer_to(
        self,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Full<Bytes>>, HangUp> {
        let form = Form::parse(&body);
        let action = form.text("Action").unwrap_or_default();
        let mut request_id = self.state().world.next_request_id();
        let (status, text) = match self.act(action, &form, &headers).await {
            Ok(result) => (200, success(action, &result, &request_id)),
            Err(Failure::Refused(refused)) => (
                refused.status(),
                refusal(refused.code, &refused.message, &request_id),
            ),
            Err(Failure::Told(error)) => {
                // Without a code there is no answer to give.
                let code = error.code().ok_or(HangUp)?;
                if let Some(told) = error.request_id() {
                    told.clone_into(&mut request_id);
                }
                let text = refusal(code, error.message(), &request_id);
                (Refused::status_of(code), text)
            }
        };
        Response::builder()
            .status(status)
            .header(CONTENT_TYPE, "text/xml")
            .header("x-amzn-requestid", request_id)
            .body(Full::from(text))
            .map_err(|_| HangUp)
    }

    async fn act(&self, action: &str, form: &Form, headers: &HeaderMap) -> Answer {
        // The one action that is not signed.
        if action == sts::WITH_WEB_IDENTITY {
            return sts::assume_role_with_web_identity(self, form).await;
        }
        let client = self.client_of(headers)?;
        if let Some(answer) = iam::act(&client, action, form).await {
            return answer;
        }
        if let Some(answer) = sts::act(&client, action, form).await {
            return answer;
        }
        Err(Refused::new(
            "InvalidAction",
            format!("Could not find operation {action}"),
        )
        .into())
    }

    /// A client with the credentials that the request is signed with, as the owner has them.
    fn client_of(&self, headers: &HeaderMap) -> Result<Client, Refused> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let id = text(AUTHORIZATION.as_str())
            .and_then(access_key_id)
            .ok_or_else(|| {
                Refused::new(
                    "MissingAuthenticationToken",
                    "Request is missing Authentication Token",
                )
            })?;
        let proof = Proof {
            secret_access_key: self.state().world.secret_of(id).into(),
            access_key_id: AccessKeyId::from_aws(id),
            session_token: text("x-amz-security-token").map(Into::into),
        };
        Ok(Client {
            aws: self.clone(),
            region: None,
            endpoint: None,
            credentials: ClientCredentials::new(&CredentialSource::Static {
                access_key_id: proof.access_key_id,
                secret_access_key: proof.secret_access_key,
                session_token: proof.session_token,
            }),
        })
    }
}

fn success(action: &str, result: &Xml, request_id: &str) -> String {
    let mut answer = Xml::default();
    answer.element(&format!("{action}Response"), |xml| {
        xml.element(&format!("{action}Result"), |xml| xml.append(result));
        xml.element("ResponseMetadata", |xml| xml.text("RequestId", request_id));
    });
    answer.into()
}

fn refusal(code: &str, message: &str, request_id: &str) -> String {
    let mut answer = Xml::default();
    answer.element("ErrorResponse", |xml| {
        xml.element("Error", |xml| {
            xml.text("Type", "Sender");
            xml.text("Code", code);
            xml.text("Message", message);
        });
        xml.text("RequestId", request_id);
    });
    answer.into()
}

/// `AWS4-HMAC-SHA256 Credential=<id>/<day>/<region>/<service>/aws4_request, …`.
fn access_key_id(authorization: &str) -> Option<&str> {
    let (_, rest) = authorization.split_once("Credential=")?;
    rest.split('/').next()
}
