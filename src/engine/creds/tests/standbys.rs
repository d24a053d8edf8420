//! Nodes that may not write, and so can keep no lease.

use serde_json::json;

use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::testing::StaticSystemView;
use crate::logical::{Error, READ_ONLY_STORAGE, ReplicationState};

#[tokio::test]
async fn a_standby_asks_aws_for_nothing() {
    let mut mount = TestMount::configured().await;
    mount
        .write("roles/session", json!({"credential_type": "session_token"}))
        .await;
    mount
        .write(
            "roles/user",
            json!({"credential_type": "iam_user", "policy_arns": READ_ONLY}),
        )
        .await;
    mount.aws().forget_calls();
    mount
        .restart_on(StaticSystemView {
            replication_state: ReplicationState(1 << 14),
            ..StaticSystemView::default()
        })
        .await;

    for path in ["creds/session", "sts/session", "creds/user"] {
        let error = mount.read_error(path).await;

        assert!(
            matches!(&error, Error::ReadOnly(text) if text == READ_ONLY_STORAGE),
            "{error:?}"
        );
    }
    assert_eq!(mount.aws().operations(), [""; 0]);
}
