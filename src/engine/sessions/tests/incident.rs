//! All sessions of an AWS role end at once.

use serde_json::json;

use super::{HOUR, MINUTE, mount, policy, working, works};
use crate::caller::Caller;
use crate::clock::Clock as _;
use crate::engine::sessions::end_all_issued_before;

#[tokio::test]
async fn all_sessions_that_were_issued_before_end_whoever_opened_them_and_later_ones_live() {
    let mount = mount().await;
    let arn = "arn:aws:iam::111122223333:role/deploy";
    let role = json!({"credential_type": "assumed_role", "role_arns": [arn]});
    mount.write("roles/plain", role).await;
    let before = [
        mount.generate("creds/x").await,
        mount.generate("creds/plain").await,
        mount.generate_with("creds/x", json!({"ttl": "12h"})).await,
    ];
    mount.revoke(&before[0]).await.unwrap();

    mount.clock().advance(MINUTE);
    let (engine, caller) = (mount.another_engine(), Caller::host(None));
    let now = mount.clock().now();
    end_all_issued_before(&engine, mount.storage(), &caller, arn, now)
        .await
        .unwrap();

    assert_eq!(working(&mount, &before), 0);
    mount.clock().advance(2 * MINUTE);
    let later = mount.generate("creds/x").await;
    assert!(works(&mount, &later));
    let calls = mount.aws().calls_of("iam:PutRolePolicy").len();
    mount.revoke(&before[2]).await.unwrap();
    assert_eq!(
        mount.aws().calls_of("iam:PutRolePolicy").len(),
        calls,
        "it is denied already"
    );
    mount.wait(12 * HOUR).await;
    assert!(policy(&mount).is_some());
    mount.wait(10 * MINUTE).await;
    assert_eq!(policy(&mount), None);
}
