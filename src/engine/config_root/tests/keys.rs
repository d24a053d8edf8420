//! An access key that is written over another one.

use serde_json::json;

use super::{KEY, stored};
use crate::aws::fake::{Fault, FaultRule};
use crate::engine::testing::TestMount;

/// The stored access key.
fn working(mount: &TestMount) -> (String, String) {
    let config = stored(mount);
    let text = |key: &str| config[key].as_str().unwrap().to_owned();
    (text("access_key"), text("secret_key"))
}

#[tokio::test]
async fn another_secret_for_a_stored_key_that_works_is_refused() {
    let mount = TestMount::configured().await;
    let before = working(&mount);
    for sent in [
        json!({"secret_key": "that of another key"}),
        json!({"access_key": before.0, "secret_key": "that of another key", "region": "us-east-2"}),
    ] {
        let text = mount.write_refusal("config/root", sent).await;

        assert!(
            text.contains("AWS never changes the secret of a key"),
            "{text}"
        );
        assert!(text.contains(&before.0), "{text}");
        assert_eq!(working(&mount), before);
        assert_eq!(stored(&mount)["region"], json!("us-east-1"));
    }
}

#[tokio::test]
async fn a_secret_that_was_mistyped_can_be_corrected() {
    let mount = TestMount::configured().await;
    let (id, secret) = working(&mount);
    let mut config = stored(&mount);
    config["secret_key"] = json!("mistyped");
    mount.store_elsewhere(KEY, &config.to_string()).await;

    let right = json!({"access_key": id, "secret_key": secret});
    assert_eq!(mount.write("config/root", right).await, [""; 0]);

    assert_eq!(working(&mount).1, secret);
}

#[tokio::test]
async fn another_secret_is_told_where_aws_cannot_say_which_is_right() {
    let mount = TestMount::configured().await;
    mount
        .aws()
        .inject(FaultRule::on("sts:GetCallerIdentity", Fault::Unreachable));

    let warnings = mount
        .write("config/root", json!({"secret_key": "another one"}))
        .await;

    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("AWS could not be asked"),
        "{warnings:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_terraform_sends_after_a_rotation_loses_no_key_that_works() {
    let mount = TestMount::configured().await;
    let (old_id, old_secret) = working(&mount);
    mount.write("config/rotate-root", json!({})).await;
    let after = working(&mount);
    mount
        .aws()
        .inject(FaultRule::on("sts:GetCallerIdentity", Fault::Unreachable));

    // The new id with the old secret: that of `ignore_changes` and a state that was refreshed.
    let mixed = json!({"access_key": after.0, "secret_key": old_secret});
    let text = mount.write_refusal("config/root", mixed).await;
    assert!(
        text.contains("AWS never changes the secret of a key"),
        "{text}"
    );

    // The pair of before.
    let pair = json!({"access_key": old_id, "secret_key": old_secret});
    let text = mount.write_refusal("config/root", pair.clone()).await;
    assert!(
        text.starts_with(&format!(
            "access_key {old_id} is one that config/rotate-root has replaced by another and deleted"
        )),
        "{text}"
    );
    assert_eq!(working(&mount), after);

    // Also after the next rotation.
    mount.aws().heal();
    mount.write("config/rotate-root", json!({})).await;
    mount.write_refusal("config/root", pair).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_only_the_engine_knew_is_named_when_it_loses_its_holder() {
    let mount = TestMount::configured().await;
    mount.write("config/rotate-root", json!({})).await;
    let (lost, _) = working(&mount);
    let other = json!({"access_key": "AKIAOTHER", "secret_key": "of the other"});

    let warnings = mount.write("config/root", other.clone()).await;

    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].starts_with(&format!("access_key {lost} was made by config/rotate-root")),
        "{warnings:?}"
    );
    assert!(
        warnings[0].contains(&format!("aws iam delete-access-key --access-key-id {lost}")),
        "{warnings:?}"
    );
    // The new one is somebody's.
    let next = json!({"access_key": "AKIANEXT", "secret_key": "of the next"});
    assert_eq!(mount.write("config/root", next).await, [""; 0]);
}

#[tokio::test]
async fn a_new_key_with_the_secret_of_the_old_one_is_told() {
    let mount = TestMount::new().await;
    let pair = json!({"access_key": "AKIAONE", "secret_key": "one"});
    mount.write("config/root", pair).await;

    let warnings = mount
        .write(
            "config/root",
            json!({"access_key": "AKIATWO", "secret_key": "one"}),
        )
        .await;

    assert_eq!(
        warnings,
        ["secret_key is that of access_key AKIAONE, and no two access keys have the same"]
    );
}
