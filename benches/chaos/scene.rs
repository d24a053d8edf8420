//! The mount under test: registered, mounted, configured.

use std::time::Duration;

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use vault_plugin_secrets_aws::aws::fake::{FakeAws, FakeRole};

use crate::Fallible;
use crate::cluster::Cluster;
use crate::driver::aws::serve;
use crate::driver::plugin::sha256;

pub(crate) const MOUNT: &str = "aws";
/// Roles that make IAM users: with all that a user can have, and with one policy.
pub(crate) const USER_ROLES: [&str; 2] = ["full", "plain"];
/// One that makes no more than a few users at a time.
pub(crate) const FEW_ROLE: &str = "few";
pub(crate) const FEW: usize = 3;
/// A role that opens sessions.
pub(crate) const SESSION_ROLE: &str = "assumed";
/// Roles whose sessions end with their leases. None is asked for more than its policy has room for.
pub(crate) const ENDED_ROLES: [&str; 5] = ["ended-1", "ended-2", "ended-3", "ended-4", "ended-5"];
/// The same with more of them than a policy has room for; those that are old may be cut off.
pub(crate) const STORM_ROLE: &str = "storm";
/// Roles that leak again and again: one makes IAM users, one opens sessions.
pub(crate) const LEAKY_ROLES: [&str; 2] = ["leaky-users", "leaky-sessions"];
/// Static roles, each with a user of the same name. The last one keeps a single key.
pub(crate) const STATIC_ROLES: [&str; 3] = ["static-one", "static-two", "static-single"];

/// How long a user's lease is.
pub(crate) const LEASE: Duration = Duration::from_mins(1);
/// The longest that renewals can make it. Doubts are settled no earlier.
pub(crate) const LONGEST_LEASE: Duration = Duration::from_secs(150);
/// How long a session is. AWS opens none for as short a time as the mount's leases are.
pub(crate) const SESSION: Duration = Duration::from_mins(15);

const POLICIES: [&str; 2] = [
    "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess",
    "arn:aws:iam::aws:policy/IAMReadOnlyAccess",
];
const INLINE: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sqs:SendMessage","Resource":"*"}]}"#;
const GROUP: &str = "team";

/// Whether sessions of that role are dead once their lease is gone.
pub(crate) fn ends_sessions(role: &str) -> bool {
    role == STORM_ROLE || ENDED_ROLES.contains(&role)
}

/// Whether what that role has given may end although its lease lives.
pub(crate) fn may_end_early(role: &str) -> bool {
    role == STORM_ROLE
}

/// Whether a refusal of that role may be as it should.
pub(crate) fn may_refuse(role: &str) -> bool {
    role == FEW_ROLE || LEAKY_ROLES.contains(&role)
}

/// Sets it up, and returns the mount's storage as an operator reaches it.
pub(crate) async fn set(cluster: &Cluster, aws: &FakeAws) -> Fallible<String> {
    let endpoint = format!("http://{}", serve(aws)?);
    let key = aws.admin_key();
    aws.add_group(GROUP);
    let plugin = "aws";
    let write = |path: String, body: Value| async move {
        let answer = cluster.operate("POST", &path, &body).await?;
        if !answer.is_success() {
            return Err(format!("{path}: {}", answer.errors()).into());
        }
        Fallible::Ok(())
    };
    let command = cluster.plugin.file_name().and_then(|name| name.to_str());
    write(
        format!("sys/plugins/catalog/secret/{plugin}"),
        json!({ "command": command, "sha256": sha256(&cluster.plugin)? }),
    )
    .await?;
    write(
        format!("sys/mounts/{MOUNT}"),
        json!({
            "type": plugin,
            "config": { "max_lease_ttl": format!("{}s", LONGEST_LEASE.as_secs()) },
        }),
    )
    .await?;
    write(
        format!("{MOUNT}/config/root"),
        json!({
            "access_key": key.access_key_id.as_str(),
            "secret_key": key.secret_access_key.expose_secret(),
            "region": "us-east-1",
            "iam_endpoint": endpoint,
            "sts_endpoint": endpoint,
            "sts_region": "us-east-1",
            "owner_tag": "vault-mount",
        }),
    )
    .await?;
    write(
        format!("{MOUNT}/config/lease"),
        json!({
            "lease": format!("{}s", LEASE.as_secs()),
            "lease_max": format!("{}s", LONGEST_LEASE.as_secs()),
        }),
    )
    .await?;
    for (role, body) in roles(aws) {
        write(format!("{MOUNT}/roles/{role}"), body).await?;
    }
    for role in STATIC_ROLES {
        aws.add_user(role);
        write(
            format!("{MOUNT}/static-roles/{role}"),
            json!({
                "username": role,
                "rotation_period": "60s",
                "single_key": role.ends_with("single"),
            }),
        )
        .await?;
    }
    let mounts = cluster.operate("GET", "sys/mounts", &Value::Null).await?;
    let uuid = mounts.body["data"][format!("{MOUNT}/")]["uuid"].as_str();
    let uuid = uuid.ok_or("the host does not tell the mount's id")?;
    Ok(format!("sys/raw/logical/{uuid}"))
}

/// The roles, whose AWS roles are made.
fn roles(aws: &FakeAws) -> Vec<(&'static str, Value)> {
    let plain = json!({ "credential_type": "iam_user", "policy_arns": [POLICIES[0]] });
    let few = json!({
        "credential_type": "iam_user",
        "policy_arns": [POLICIES[0]],
        "max_active": FEW,
    });
    let full = json!({
        "credential_type": "iam_user",
        "policy_arns": POLICIES,
        "policy_document": INLINE,
        "iam_groups": [GROUP],
        "iam_tags": { "team": "payments" },
    });
    // Each has an AWS role of its own, so that one's incident is not the other's.
    let sessions = |role: &str, is_revocable: bool| {
        json!({
            "credential_type": "assumed_role",
            "role_arns": [aws.add_role(role, FakeRole::default()).as_str()],
            "default_sts_ttl": SESSION.as_secs(),
            "max_sts_ttl": SESSION.as_secs(),
            "revocable_sessions": is_revocable,
            "revoke_older_sessions": may_end_early(role),
        })
    };
    let [leaky_users, leaky_sessions] = LEAKY_ROLES;
    let mut roles = vec![
        (USER_ROLES[0], full),
        (USER_ROLES[1], plain.clone()),
        (FEW_ROLE, few),
        (leaky_users, plain),
        (SESSION_ROLE, sessions(SESSION_ROLE, false)),
        (STORM_ROLE, sessions(STORM_ROLE, true)),
        (leaky_sessions, sessions(leaky_sessions, false)),
    ];
    roles.extend(ENDED_ROLES.map(|role| (role, sessions(role, true))));
    roles
}
