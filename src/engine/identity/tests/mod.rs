//! A mount without a key: AWS takes its tokens, and no others.

mod documents;
mod keys;
mod nodes;
mod rotate_root;
mod tokens;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::aws::fake::{FakeRole, FakeTrust};
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::{Operation, Response};

const ISSUER: &str = "https://vault.example.com/v1/aws";
const AUDIENCE: &str = "sts.amazonaws.com";
const SUBJECT: &str = "vault-aws-secrets:11111111-2222-3333-4444-555555555555";

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// What is written to `config/root`.
fn written() -> Value {
    json!({
        "identity_token_issuer": ISSUER,
        "identity_token_audience": AUDIENCE,
        "role_arn": "arn:aws:iam::111122223333:role/vault",
        "region": "us-east-1",
    })
}

/// A mount, and an AWS whose role `vault` trusts its tokens.
async fn trusted() -> TestMount {
    let mount = TestMount::new().await;
    trust(&mount, SUBJECT);
    mount
}

fn trust(mount: &TestMount, subject: &str) {
    let trust = FakeTrust {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        subject: subject.to_owned(),
    };
    let role = FakeRole {
        trusted_identity: Some(trust),
        ..FakeRole::default()
    };
    mount.aws().add_role("vault", role);
}

/// The same, without a key, with a role for users; AWS has read the documents.
async fn keyless() -> TestMount {
    let mount = trusted().await;
    mount.write("config/root", written()).await;
    let user = json!({"credential_type": "iam_user", "policy_arns": READ_ONLY});
    mount.write("roles/user", user).await;
    read_by_aws(&mount, &published(&mount).await);
    mount.aws().forget_calls();
    mount
}

/// An answer that is raw.
async fn raw(mount: &TestMount, path: &str) -> Option<Response> {
    mount.send(Operation::Read, path, json!({})).await.unwrap()
}

/// The document of the keys.
async fn published(mount: &TestMount) -> String {
    let answer = raw(mount, ".well-known/keys").await.unwrap();
    answer.raw_body().unwrap()
}

/// The ids of the keys in a document, in the order of their turns.
fn ids(document: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(document).unwrap();
    let keys = document["keys"].as_array().unwrap();
    keys.iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

/// AWS reads the document, or has a copy of it.
fn read_by_aws(mount: &TestMount, keys: &str) {
    mount
        .aws()
        .set_identity_provider(ISSUER, AUDIENCE, Some(keys));
}

/// Users can be made, also when the session of before is over.
async fn assert_works(mount: &TestMount) {
    let lease = mount.generate("creds/user").await;
    mount.revoke(&lease).await.unwrap();
}

/// The header and the claims of a token.
fn parts(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| {
        let decoded = URL_SAFE_NO_PAD.decode(part).unwrap();
        serde_json::from_slice(&decoded).unwrap_or_default()
    });
    (parts.next().unwrap(), parts.next().unwrap())
}

/// The id of the key of the last token that AWS has seen.
fn last_key(mount: &TestMount) -> String {
    let (header, _) = parts(mount.aws().identity_tokens().last().unwrap());
    header["kid"].as_str().unwrap().to_owned()
}

/// The host's timer, after this time.
async fn tick_after(mount: &TestMount, time: Duration) {
    mount.clock().advance(time);
    mount.roll_back().await.unwrap();
}
