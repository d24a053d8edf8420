//! What is said of static roles.

use serde_json::json;

use super::{assert_problems, assert_tells, check, everything_in_use, text};

#[tokio::test]
async fn a_user_that_is_gone_is_told_with_its_role() {
    let mount = everything_in_use().await;
    mount.aws().remove_user("app");

    let answer = check(&mount).await;

    assert_problems(&answer, &["permissions_static_roles"]);
    assert_tells(
        &answer,
        "permissions_static_roles",
        &["static role app: NoSuchEntity"],
    );
}

#[tokio::test]
async fn an_account_that_cannot_be_entered_is_told_with_the_way_in() {
    let mount = everything_in_use().await;
    mount.aws().deny("sts:AssumeRole");
    mount.delete("roles/role").await;
    // No session is kept from before.
    mount
        .write("config/root", json!({"region": "us-west-2"}))
        .await;

    let answer = check(&mount).await;

    assert_problems(&answer, &["permissions_static_roles_cross_account"]);
    assert_tells(
        &answer,
        "permissions_static_roles_cross_account",
        &[
            "missing sts:AssumeRole of EnterTheOtherAccount on arn:aws:iam::444455556666:role/entry",
            "trust policy",
        ],
    );
    assert_eq!(text(&answer, "permissions_static_roles"), "granted");
}
