//! How much room others leave in the inline policies of an AWS role.

use serde_json::json;

use super::{MINUTE, mount, mount_with, open, policy, working, works};
use crate::aws::PolicyName;
use crate::engine::testing::TestMount;

/// Somebody else puts inline policies on the AWS role that leave so many characters.
fn leave_room(mount: &TestMount, characters: usize) {
    let statement = |resource: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"s3:*","Resource":"{resource}"}}]}}"#
        )
    };
    let fill = 10_240 - characters - statement("").len();
    mount.aws().change_role("deploy", |role| {
        let name = PolicyName::new("others").unwrap();
        role.inline_policies
            .insert(name, statement(&"x".repeat(fill)));
    });
}

#[tokio::test]
async fn the_policies_of_others_take_room_that_is_looked_up_when_aws_refuses() {
    let mount = mount_with(json!({"revoke_older_sessions": true})).await;
    leave_room(&mount, 700);
    let leases = open(&mount, 12).await;

    for lease in &leases {
        mount.revoke(lease).await.unwrap();
    }

    assert_eq!(working(&mount, &leases), 0);
    let (_, document) = policy(&mount).unwrap();
    assert!(
        document.len() <= 700 && document.contains("aws:TokenIssueTime"),
        "{document}"
    );
    assert_eq!(mount.aws().calls_of("iam:ListRolePolicies").len(), 12 - 6);
}

#[tokio::test]
async fn room_that_others_give_back_is_used() {
    let mount = mount().await;
    leave_room(&mount, 700);
    let leases = open(&mount, 12).await;
    let mut refused = Vec::new();
    for lease in &leases {
        if mount.revoke(lease).await.is_err() {
            refused.push(lease.clone());
        }
    }
    assert_eq!(working(&mount, &leases), refused.len());
    assert!(!refused.is_empty());

    leave_room(&mount, 5000);
    mount.wait(3 * MINUTE).await;

    assert_eq!(working(&mount, &leases), 0);
}

#[tokio::test]
async fn who_may_not_look_is_told_the_permission() {
    let mount = mount().await;
    leave_room(&mount, 300);
    mount.aws().deny("iam:ListRolePolicies");
    let leases = open(&mount, 3).await;
    mount.revoke(&leases[0]).await.unwrap();

    let error = mount.revoke(&leases[2]).await.unwrap_err().to_string();

    assert!(error.contains("grant iam:ListRolePolicies"), "{error}");
    assert!(works(&mount, &leases[2]));
    assert!(!works(&mount, &leases[0]));
}

#[tokio::test]
async fn where_others_leave_nothing_nothing_is_ended_and_that_is_said() {
    let mount = mount_with(json!({"revoke_older_sessions": true})).await;
    leave_room(&mount, 20);
    let leases = open(&mount, 1).await;

    let error = mount.revoke(&leases[0]).await.unwrap_err().to_string();

    assert!(error.contains("no room"), "{error}");
    assert!(works(&mount, &leases[0]));
}

#[tokio::test]
async fn what_may_be_cut_off_is_so_at_the_timer_as_well() {
    let mount = mount_with(json!({"revoke_older_sessions": true})).await;
    leave_room(&mount, 700);
    let leases = open(&mount, 7).await;
    for lease in &leases[..6] {
        mount.revoke(lease).await.unwrap();
    }
    assert!(!policy(&mount).unwrap().1.contains("aws:TokenIssueTime"));
    mount
        .aws()
        .fail_next("iam:GetRolePolicy", 1, "ServiceFailure");

    let path = format!("issued/{}/revoke", leases[6].text("access_key"));
    let error = mount.write_error(&path, json!({})).await.to_string();
    assert!(error.contains("tried again each minute"), "{error}");

    mount.wait(3 * MINUTE).await;
    assert_eq!(working(&mount, &leases), 0);
}
