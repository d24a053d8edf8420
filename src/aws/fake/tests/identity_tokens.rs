use std::sync::Mutex;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::clock::Clock as _;

const ISSUER: &str = "https://provider.example";
const AUDIENCE: &str = "sts.amazonaws.com";
const SUBJECT: &str = "mount";

/// An identity provider with one key.
struct Provider(EcdsaKeyPair);

impl Provider {
    fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn keys(&self) -> String {
        let point = &self.0.public_key().as_ref()[1..];
        let [x, y] = [&point[..32], &point[32..]].map(|half| URL_SAFE_NO_PAD.encode(half));
        json!({"keys": [{"kid": "k", "alg": "ES256", "kty": "EC", "x": x, "y": y}]}).to_string()
    }

    fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "kid": "k"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(claims));
        let signature = self
            .0
            .sign(&SystemRandom::new(), signed.as_bytes())
            .unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

#[derive(Debug)]
struct Tokens(Mutex<String>);

#[async_trait::async_trait]
impl IdentityTokenSource for Tokens {
    async fn identity_token(&self) -> Result<SecretString, TokenSourceError> {
        Ok(self.0.lock().unwrap().clone().into())
    }
}

/// What AWS says to a token.
async fn told(aws: &FakeAws, role_arn: &Arn, token: String) -> Result<CallerIdentity, Error> {
    let role = WebIdentitySource {
        role_arn: role_arn.clone(),
        role_session_name: session_name(),
        tokens: Arc::new(Tokens(Mutex::new(token))),
        sts: StsAddress::default(),
    };
    let sts = aws.sts(&with(CredentialSource::WebIdentity(role))).unwrap();
    sts.get_caller_identity().await
}

fn trusting(aws: &FakeAws) -> Arn {
    let trust = FakeTrust {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        subject: SUBJECT.to_owned(),
    };
    let role = FakeRole {
        trusted_identity: Some(trust),
        ..FakeRole::default()
    };
    aws.add_role("vault", role)
}

fn claims(clock: &ManualClock, change: &Value) -> Value {
    let now = clock.now().unix_timestamp();
    let mut claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "iat": now, "exp": now + 300, "jti": "1",
    });
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

#[tokio::test]
async fn an_identity_token_opens_the_role_that_trusts_it() {
    let Scene { aws, clock, .. } = scene();
    let (provider, role_arn) = (Provider::new(), trusting(&aws));
    aws.set_identity_provider(ISSUER, AUDIENCE, Some(&provider.keys()));
    let token = provider.sign(&claims(&clock, &json!({})));

    let identity = told(&aws, &role_arn, token.clone()).await.unwrap();

    assert_eq!(
        identity.arn.as_str(),
        "arn:aws:sts::111122223333:assumed-role/vault/vault-test"
    );
    assert_eq!(aws.identity_tokens(), std::slice::from_ref(&token));
    assert!(aws.secrets().contains(&token));
}

#[tokio::test]
async fn a_token_that_is_not_as_the_role_and_the_provider_have_it_is_refused() {
    let Scene { aws, clock, .. } = scene();
    let (provider, role_arn) = (Provider::new(), trusting(&aws));
    aws.set_identity_provider(ISSUER, AUDIENCE, Some(&provider.keys()));
    let now = clock.now().unix_timestamp();
    for (change, code) in [
        (
            json!({"iss": "https://other.example"}),
            "InvalidIdentityToken",
        ),
        (json!({"aud": "somebody"}), "InvalidIdentityToken"),
        (json!({"sub": "other mount"}), "AccessDenied"),
        (json!({"exp": now}), "ExpiredTokenException"),
        (
            json!({"iat": now + 301, "exp": now + 600}),
            "InvalidIdentityToken",
        ),
        (json!({"jti": ""}), "InvalidIdentityToken"),
    ] {
        let token = provider.sign(&claims(&clock, &change));
        let refused = told(&aws, &role_arn, token).await.unwrap_err();
        assert_eq!(refused.code(), Some(code), "{change}");
        assert_eq!(refused.operation(), "sts:AssumeRoleWithWebIdentity");
    }
    let good = claims(&clock, &json!({}));
    let (signed, signature) = {
        let token = provider.sign(&good);
        let (signed, signature) = token.rsplit_once('.').unwrap();
        (signed.to_owned(), signature.to_owned())
    };
    for forged in [
        Provider::new().sign(&good),
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode([0; 64])),
        format!("{signed}x.{signature}"),
        signed,
        String::new(),
    ] {
        let refused = told(&aws, &role_arn, forged).await.unwrap_err();
        assert_eq!(refused.code(), Some("InvalidIdentityToken"));
        assert_eq!(refused.kind(), ErrorKind::InvalidCredentials);
    }
}

#[tokio::test]
async fn a_provider_that_is_not_registered_or_cannot_be_read_vouches_for_nobody() {
    let Scene { aws, clock, .. } = scene();
    let (provider, role_arn) = (Provider::new(), trusting(&aws));
    let token = provider.sign(&claims(&clock, &json!({})));

    let refused = told(&aws, &role_arn, token.clone()).await.unwrap_err();
    assert!(refused.message().contains("No OpenIDConnect provider"));

    aws.set_identity_provider(ISSUER, AUDIENCE, None);
    let refused = told(&aws, &role_arn, token.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Some("IDPCommunicationError"));

    aws.set_identity_provider(ISSUER, AUDIENCE, Some(&provider.keys()));
    let other = aws.add_role("untrusting", FakeRole::default());
    let refused = told(&aws, &other, token).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Denied);
}
