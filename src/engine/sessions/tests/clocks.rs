//! AWS's clock and ours show different times.

use time::OffsetDateTime;

use super::{HOUR, MINUTE, end_on, mount, policy, stored};
use crate::aws::{AccessKeyId, Arn, SessionCredentials};
use crate::clock::Clock as _;
use crate::engine::sessions::{Holder, Opened, register};
use crate::engine::testing::TestMount;
use crate::logical::Operation;

/// A session of an hour, as AWS has opened it by its own clock, is ended.
async fn open_and_end(mount: &TestMount, aws_time: OffsetDateTime) {
    let holder = Holder::of("arn:aws:iam::111122223333:role/deploy").unwrap();
    let opened = Opened {
        holder: &holder,
        user_id: "AROA:alice",
        arn: &Arn::new("arn:aws:sts::111122223333:assumed-role/deploy/alice").unwrap(),
        credentials: &SessionCredentials {
            access_key_id: AccessKeyId::new("ASIA").unwrap(),
            secret_access_key: "secret".into(),
            session_token: "token".into(),
            expiration: aws_time + HOUR,
        },
        duration: HOUR,
        role: "x",
        revoke_older: false,
        lease_limit: None,
    };
    let request = mount.request(Operation::Read, "creds/x", serde_json::json!({}));
    let engine = mount.another_engine();
    let session = register(&engine, &request, opened).await.unwrap();
    end_on(&engine, mount, &session).await;
}

#[tokio::test]
async fn an_ended_session_is_denied_until_both_clocks_say_that_it_is_over() {
    for ahead in [-20, 0, 20].map(time::Duration::minutes) {
        let mut mount = mount().await;
        let aws_time = mount.clock().now() + ahead;
        open_and_end(&mount, aws_time).await;
        mount.restart().await;

        let over = time::Duration::hours(1) + ahead.max(time::Duration::ZERO);
        mount.wait(over.unsigned_abs()).await;
        assert!(policy(&mount).is_some(), "{ahead}");

        mount.wait(20 * MINUTE).await;
        assert_eq!(policy(&mount), None, "{ahead}");
        assert_eq!(stored(&mount), [""; 0], "{ahead}");
    }
}
