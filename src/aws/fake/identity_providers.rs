//! Identity providers that accounts trust, and the tokens of theirs that AWS takes.

use std::collections::BTreeMap;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use time::OffsetDateTime;

use super::world::{Refused, World};

/// How far AWS lets the clock of a provider be ahead of its own, in seconds.
const TOLERANCE: i64 = 300;

/// Providers by their issuer's URL.
pub(super) type IdentityProviders = BTreeMap<String, IdentityProvider>;

/// A provider, as AWS has read its documents.
#[derive(Clone, Debug)]
pub(super) struct IdentityProvider {
    pub(super) audience: String,
    /// The document of its keys; `None` where it cannot be read.
    pub(super) keys: Option<String>,
}

/// What the trust policy of a role asks of an identity token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FakeTrust {
    /// The provider.
    pub issuer: String,
    /// Its condition on `aud`.
    pub audience: String,
    /// Its condition on `sub`.
    pub subject: String,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: String,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: i64,
    exp: i64,
    jti: String,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Key>,
}

/// A JSON Web Key.
#[derive(Deserialize)]
struct Key {
    kid: String,
    alg: String,
    kty: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
    #[serde(default)]
    n: String,
    #[serde(default)]
    e: String,
}

impl World {
    /// Refuses a token that is not what a role of the account trusts.
    pub(super) fn check_identity_token(
        &mut self,
        account: &str,
        trust: &FakeTrust,
        token: &str,
    ) -> Result<(), Refused> {
        self.identity_tokens.push(token.to_owned());
        self.secrets.push(token.to_owned());
        let now = self.now();
        let (signed, signature) = token.rsplit_once('.').ok_or_else(no_token)?;
        let (header, claims) = signed.split_once('.').ok_or_else(no_token)?;
        let header: Header = part(header).ok_or_else(no_token)?;
        let claims: Claims = part(claims).ok_or_else(no_token)?;
        let provider = self.account(account).identity_providers.get(&claims.iss);
        let provider = provider.cloned().ok_or_else(|| {
            refused(format!(
                "No OpenIDConnect provider found in your account for {}",
                claims.iss
            ))
        })?;
        verify(&header, &provider, signed.as_bytes(), signature)?;
        check_times(&claims, now)?;
        if claims.aud != provider.audience {
            return Err(refused("Incorrect token audience"));
        }
        if claims.jti.is_empty() {
            return Err(no_token());
        }
        let trusted = (&trust.issuer, &trust.audience, &trust.subject);
        if trusted != (&claims.iss, &claims.aud, &claims.sub) {
            return Err(Refused::new(
                "AccessDenied",
                "Not authorized to perform sts:AssumeRoleWithWebIdentity",
            ));
        }
        Ok(())
    }
}

fn verify(
    header: &Header,
    provider: &IdentityProvider,
    signed: &[u8],
    signature: &str,
) -> Result<(), Refused> {
    let keys = provider.keys.as_deref().ok_or_else(|| {
        Refused::new(
            "IDPCommunicationError",
            "The identity provider could not be reached, or its documents could not be read",
        )
    })?;
    let keys: Keys = serde_json::from_str(keys).map_err(|_| no_key())?;
    let named = |key: &&Key| key.kid == header.kid && key.alg == header.alg;
    let key = keys.keys.iter().find(named).ok_or_else(no_key)?;
    let signature = decode(signature).ok_or_else(no_token)?;
    key.verify(signed, &signature)
        .ok_or_else(|| refused("The signature of the token could not be verified"))
}

impl Key {
    /// `None` where the signature is not the key's.
    fn verify(&self, signed: &[u8], signature: &[u8]) -> Option<()> {
        let verified = match (self.alg.as_str(), self.kty.as_str()) {
            ("ES256", "EC") => {
                let point = [vec![4], decode(&self.x)?, decode(&self.y)?].concat();
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                key.verify(signed, signature)
            }
            ("RS256", "RSA") => {
                let key = RsaPublicKeyComponents {
                    n: decode(&self.n)?,
                    e: decode(&self.e)?,
                };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
            }
            _ => return None,
        };
        verified.ok()
    }
}

fn check_times(claims: &Claims, now: OffsetDateTime) -> Result<(), Refused> {
    let now = now.unix_timestamp();
    if now >= claims.exp {
        return Err(Refused::new(
            "ExpiredTokenException",
            format!(
                "Token expired: current date/time {now} must be before the expiration date/time {}",
                claims.exp
            ),
        ));
    }
    if claims.iat > now + TOLERANCE || claims.exp <= claims.iat {
        return Err(refused("The times of the token are out of order"));
    }
    Ok(())
}

fn part<T: for<'de> Deserialize<'de>>(text: &str) -> Option<T> {
    serde_json::from_slice(&decode(text)?).ok()
}

fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

fn refused(message: impl Into<String>) -> Refused {
    Refused::new("InvalidIdentityToken", message)
}

fn no_token() -> Refused {
    refused("The ID Token provided is not a valid JWT")
}

fn no_key() -> Refused {
    refused(
        "Couldn't retrieve verification key from your identity provider, please reference AssumeRoleWithWebIdentity documentation for requirements",
    )
}
