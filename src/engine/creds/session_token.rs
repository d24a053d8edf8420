//! A session of the engine's own IAM user (`sts:GetSessionToken`), with MFA where the role has a
//! device.

use futures_util::join;

use super::Asked;
use super::refusal::refused;
use super::session::{Lifetime, Session};
use crate::aws::{Arn, GetSessionToken, MfaSerialNumber};
use crate::engine::Engine;
use crate::logical::{Error, Request, Response};

pub(super) async fn generate(
    engine: &Engine,
    request: &Request,
    asked: &Asked,
) -> Result<Response, Error> {
    let serial = &asked.role.mfa_serial_number;
    let serial_number = (!serial.is_empty())
        .then(|| MfaSerialNumber::new(serial))
        .transpose()
        .map_err(|error| asked.invalid("mfa_serial_number", &error))?;
    let lifetime = Lifetime::of(engine, asked).await?;
    let clients = engine.clients.get(&*request.storage).await?;
    let sts = clients.sts(&request.caller).await?;
    let asked_for = GetSessionToken {
        duration: Some(lifetime.duration),
        serial_number,
        token_code: Some(asked.mfa_code.clone()).filter(|code| !code.is_empty()),
    };
    // AWS's answer does not say whose session it is: that of the user that asks.
    let (credentials, caller) = join!(
        sts.get_session_token(asked_for),
        clients.caller(&request.caller)
    );
    let credentials = credentials
        .map_err(|error| refused("Error generating STS keys", &error, asked, &lifetime))?;
    let arn = caller.map(|caller| caller.arn);
    let session = Session {
        credentials,
        username: arn.as_ref().and_then(user_name),
        arn,
        policy: None,
        // Nothing tells it from the engine's own user.
        issued: None,
        warnings: Vec::new(),
    };
    session.into_response(engine, &lifetime)
}

/// The last part of `user/path/name`.
fn user_name(arn: &Arn) -> Option<String> {
    let path = arn.resource().strip_prefix("user/")?;
    path.rsplit('/').next().map(str::to_owned)
}
