//! What the host keeps of an IAM user, and how the lease is renewed.

use std::time::Duration;

use serde_json::{Value, json};

use super::full_role;
use crate::engine::testing::{Lease, TestMount};
use crate::logical::Error;
use crate::logical::testing::StorageFault;

async fn issued() -> (TestMount, Lease) {
    let mount = TestMount::configured().await;
    full_role(&mount).await;
    let lease = mount.generate("creds/full").await;
    (mount, lease)
}

#[tokio::test]
async fn a_lease_remembers_what_the_go_engines_read_and_what_is_attached() {
    let (mount, lease) = issued().await;

    let internal = Value::Object(lease.secret.internal_data.clone());
    let arn = |name| {
        mount
            .aws()
            .arn("iam", &format!("policy/{name}"))
            .to_string()
    };
    let arns = ["a", "b", "c"].map(arn);

    assert_eq!(internal["secret_type"], json!("access_keys"));
    assert_eq!(internal["is_sts"], json!(false));
    assert_eq!(internal["username"], json!(lease.text("username")));
    assert_eq!(internal["policy"]["credential_types"], json!(["iam_user"]));
    assert_eq!(internal["arn"], json!(lease.text("arn")));
    assert_eq!(
        internal["attached"],
        json!({
            "access_key_id": lease.text("access_key"),
            "policy_arns": arns,
            "inline_policies": ["full"],
            "groups": ["developers"],
        })
    );
}

#[tokio::test]
async fn a_lease_keeps_no_secret() {
    let (_mount, lease) = issued().await;

    let internal = Value::Object(lease.secret.internal_data.clone()).to_string();

    assert!(!internal.contains(lease.text("secret_key")), "{internal}");
}

#[tokio::test]
async fn the_times_of_a_lease_are_those_of_config_lease() {
    let mount = TestMount::configured().await;
    full_role(&mount).await;
    mount
        .write("config/lease", json!({"lease": "30m", "lease_max": "12h"}))
        .await;

    let lease = mount
        .generate_with("creds/full", json!({"ttl": "5h"}))
        .await;

    assert_eq!(lease.secret.lease.ttl, Duration::from_mins(30));
    assert_eq!(lease.secret.lease.max_ttl, Duration::from_hours(12));
}

#[tokio::test]
async fn renewing_takes_the_times_that_are_configured_now_and_keeps_everything_else() {
    let (mount, lease) = issued().await;
    mount
        .write("config/lease", json!({"lease": "1h", "lease_max": "2h"}))
        .await;
    mount.aws().forget_calls();

    let renewed = mount.renew(&lease).await.unwrap().unwrap().secret.unwrap();

    assert_eq!(renewed.lease.ttl, Duration::from_hours(1));
    assert_eq!(renewed.lease.max_ttl, Duration::from_hours(2));
    assert!(renewed.lease.renewable);
    assert_eq!(renewed.internal_data, lease.secret.internal_data);
    assert_eq!(mount.aws().operations(), [""; 0], "AWS has no part in it");
}

#[tokio::test]
async fn a_renewed_lease_is_revoked_as_cheaply_as_a_new_one() {
    let (mount, mut lease) = issued().await;

    lease.secret = mount.renew(&lease).await.unwrap().unwrap().secret.unwrap();
    mount.aws().forget_calls();

    mount.revoke(&lease).await.unwrap();
    assert_eq!(mount.aws().calls().len(), 7);
    mount.assert_nothing_left();
}

#[tokio::test]
async fn without_config_lease_a_renewal_leaves_the_times_to_the_mount() {
    let (mount, lease) = issued().await;

    let renewed = mount.renew(&lease).await.unwrap().unwrap().secret.unwrap();

    assert_eq!(renewed.lease.ttl, Duration::ZERO);
    assert_eq!(renewed.lease.max_ttl, Duration::ZERO);
}

#[tokio::test]
async fn a_config_lease_that_cannot_be_read_fails_the_renewal() {
    let (mount, lease) = issued().await;
    mount.storage().fail(StorageFault::Get, "config/lease");

    let error = mount.renew(&lease).await.unwrap_err();

    assert!(matches!(error, Error::Internal(_)), "{error:?}");
    assert_eq!(
        error.to_string(),
        "error reading config/lease: storage told to fail: Get"
    );
}

#[tokio::test]
async fn a_session_is_not_renewed() {
    let (mount, mut lease) = issued().await;
    lease
        .secret
        .internal_data
        .insert("is_sts".to_owned(), json!(true));

    assert_eq!(mount.renew(&lease).await.unwrap(), None);
}

#[tokio::test]
async fn a_lease_that_does_not_know_its_kind_is_renewed_as_that_of_a_user() {
    let (mount, mut lease) = issued().await;
    lease
        .secret
        .internal_data
        .insert("is_sts".to_owned(), json!("yes"));

    assert!(mount.renew(&lease).await.unwrap().is_some());
}
