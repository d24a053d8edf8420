//! What keeps a rotation from beginning.

use serde_json::json;

use super::{configured, keys, rotate};
use crate::aws::fake::{FakeAws, Fault, FaultRule};
use crate::engine::testing::TestMount;
use crate::logical::Error;

#[tokio::test(start_paused = true)]
async fn a_third_key_is_said_to_be_one_too_many() {
    let mount = configured().await;
    mount.aws().add_access_key(FakeAws::ADMIN);

    let error = rotate(&mount).await.unwrap_err();

    assert_eq!(
        error.to_string(),
        "error calling CreateAccessKey: AWS allows user administrator no further access key, so delete the one that config/root does not use (what a cut-off rotation left goes by itself in some minutes): LimitExceeded: Cannot exceed quota for AccessKeysPerUser: 2"
    );
    assert_eq!(keys(&mount).len(), 2);
    assert_eq!(mount.wal(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_missing_permission_is_named_before_anything_is_changed() {
    for (operation, beginning) in [
        ("iam:GetUser", "error calling GetUser: AccessDenied: "),
        (
            "iam:CreateAccessKey",
            "error calling CreateAccessKey: AccessDenied: ",
        ),
    ] {
        let mount = configured().await;
        let before = keys(&mount);
        mount.aws().deny(operation);

        let error = rotate(&mount).await.unwrap_err();

        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        let text = error.to_string();
        assert!(text.starts_with(beginning), "{text}");
        assert!(text.contains(operation), "{text}");
        assert_eq!(keys(&mount), before);
        assert_eq!(mount.wal(), Vec::<String>::new());
    }
}

#[tokio::test(start_paused = true)]
async fn throttling_is_a_502() {
    for operation in ["iam:GetUser", "iam:CreateAccessKey"] {
        let mount = configured().await;
        mount
            .aws()
            .inject(FaultRule::on(operation, Fault::Code("Throttling")));

        let error = rotate(&mount).await.unwrap_err();

        assert!(matches!(error, Error::UpstreamRateLimited(_)), "{error:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_rotated_says_why_and_asks_no_aws() {
    let mount = TestMount::new().await;
    let error = rotate(&mount).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    assert_eq!(
        error.to_string(),
        "no configuration found for config/root: write access_key and secret_key to it first"
    );

    mount
        .write("config/root", json!({"region": "us-east-1"}))
        .await;
    let error = rotate(&mount).await.unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    assert_eq!(
        error.to_string(),
        "Cannot call config/rotate-root when either access_key or secret_key is empty"
    );
    assert_eq!(mount.aws().operations(), [""; 0]);
}

#[tokio::test]
async fn the_key_of_the_accounts_root_user_cannot_be_rotated() {
    let mount = TestMount::new().await;
    let key = mount.aws().account_root_key();
    mount
        .write(
            "config/root",
            json!({
                "access_key": key.access_key_id.as_str(),
                "secret_key": crate::secret::ExposeSecret::expose_secret(&key.secret_access_key),
            }),
        )
        .await;

    let error = rotate(&mount).await.unwrap_err();

    assert!(
        error.to_string().contains("use the key of an IAM user"),
        "{error}"
    );
    assert_eq!(mount.wal(), Vec::<String>::new());
}
