//! Credentials, as a specification.

mod assumed_role;
mod federation_token;
mod group_policies;
mod iam_user;
mod iam_user_crashes;
mod iam_user_faults;
mod iam_user_leases;
mod iam_user_names;
mod iam_user_revocation;
mod legacy_roles;
mod lifetimes;
mod mute;
mod overload;
mod parameters;
mod refusals;
mod session_token;
mod standbys;
mod storms;

use serde_json::json;

use crate::engine::testing::TestMount;

const DOCUMENT: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"}]}"#;

/// A role with one of everything, and three managed policies: seven calls.
async fn full_role(mount: &TestMount) {
    mount.aws().add_group("developers");
    let policies: Vec<_> = ["a", "b", "c"]
        .map(|name| mount.aws().add_policy(name).to_string())
        .into();
    mount
        .write(
            "roles/full",
            json!({
                "credential_type": "iam_user",
                "policy_arns": policies,
                "policy_document": DOCUMENT,
                "iam_groups": "developers",
                "iam_tags": ["a=1", "b=2"],
            }),
        )
        .await;
}
