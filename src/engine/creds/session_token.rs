//! A session of the engine's own IAM user (`sts:GetSessionToken`), with MFA where the role has a
//! device.

use super::Asked;
use super::session::{self, Identity};
use crate::aws::{GetSessionToken, MfaSerialNumber};
use crate::engine::Engine;
use crate::engine::error::refused;
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
        .map_err(|error| Error::invalid(format!("mfa_serial_number: {error}")))?;
    let duration = session::duration(engine, asked).await?;
    let sts = engine.clients.get(&*request.storage).await?.sts().await?;
    let credentials = sts
        .get_session_token(GetSessionToken {
            duration: Some(duration),
            serial_number,
            token_code: Some(asked.mfa_code.clone()).filter(|code| !code.is_empty()),
        })
        .await
        .map_err(|error| refused("Error generating STS keys", &error))?;
    Ok(session::response(
        engine,
        &credentials,
        &Identity::default(),
    ))
}
