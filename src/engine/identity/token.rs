//! An identity token: a JSON Web Token.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{DEFAULT_TTL, NoToken, SigningKey};
use crate::chance;
use crate::secret::SecretString;

/// What a token says, beside whom it speaks of.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Claims {
    pub(in crate::engine) issuer: String,
    pub(in crate::engine) audience: String,
    /// Zero takes the default.
    pub(in crate::engine) ttl: Duration,
}

/// The token.
pub(super) fn sign(
    key: &SigningKey,
    claims: &Claims,
    subject: &str,
    now: OffsetDateTime,
) -> Result<SecretString, NoToken> {
    let ttl = if claims.ttl.is_zero() {
        DEFAULT_TTL
    } else {
        claims.ttl
    };
    let id: u128 = chance::generator()?.random();
    let header = json!({"alg": key.algorithm().as_str(), "kid": key.id(), "typ": "JWT"});
    let payload = json!({
        "iss": claims.issuer,
        "sub": subject,
        "aud": claims.audience,
        "iat": now.unix_timestamp(),
        "exp": (now + ttl).unix_timestamp(),
        "jti": format!("{id:032x}"),
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&payload));
    let signature = key
        .sign(signed.as_bytes())
        .map_err(|_| NoToken::DoesNotSign)?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)).into())
}
