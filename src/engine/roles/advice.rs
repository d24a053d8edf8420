//! What a role allows and its author may not mean: warnings of a write.

use std::time::Duration;

use super::{CredentialType, RoleRecord};
use crate::aws::{Arn, Partition};
use crate::engine::Engine;
use crate::engine::config_root::RootConfig;
use crate::go_duration::GoDuration;

/// The shortest session that AWS gives, of any kind.
const SHORTEST_SESSION: Duration = Duration::from_mins(15);
/// The longest session of a role, however the role is set.
const LONGEST_ROLE_SESSION: Duration = Duration::from_hours(12);
/// The longest session of an IAM user (`sts:GetFederationToken`, `sts:GetSessionToken`).
const LONGEST_USER_SESSION: Duration = Duration::from_hours(36);
/// The longest session of a role that is assumed from another role's session.
const LONGEST_CHAINED_SESSION: Duration = Duration::from_hours(1);

/// What is true of every session that is ended, for whoever ends one or means to.
pub(crate) const ENDING_TAKES_TIME: &str = "AWS acts on it within seconds, sometimes minutes; sessions that its holder opened from it in other AWS roles live on until their own time is over";

/// Warnings for the role.
pub(super) async fn on(
    engine: &Engine,
    root: Option<&RootConfig>,
    role: &RoleRecord,
) -> Vec<String> {
    let mut warnings = Vec::new();
    unused_fields(role, &mut warnings);
    role.near_the_limits(&mut warnings);
    // The times are advice only: whether the host tells its own is no reason to refuse the role.
    let mount_limit = engine.system.max_lease_ttl().await.ok();
    lifetimes(role, mount_limit, &mut warnings);
    if let Some(root) = root {
        if !root.has_access_key() || !root.assume_role_arn.is_empty() {
            engine_sessions(root, role, &mut warnings);
        }
        if !root.elsewhere() {
            partitions(root, role, &mut warnings);
        }
    }
    warnings
}

/// What it takes, when sessions of the role become revocable.
pub(super) fn on_revocable_sessions(role: &RoleRecord) -> String {
    let (whose, kind) = if role.is(CredentialType::AssumedRole) {
        ("each AWS role of role_arns", "Role")
    } else {
        ("its own IAM user", "User")
    };
    format!(
        "sessions that this role gives from now on end with their leases, by an inline policy on {whose}: the engine needs iam:Get{kind}Policy, iam:Put{kind}Policy and iam:Delete{kind}Policy there, and iam:List{kind}Policies where others have put inline policies; {ENDING_TAKES_TIME}"
    )
}

/// ARNs of another part of AWS than the engine's own, which knows nothing of them.
fn partitions(root: &RootConfig, role: &RoleRecord, warnings: &mut Vec<String>) {
    let Some(own) = Partition::of_region(root.region.trim()) else {
        return;
    };
    let boundary = std::slice::from_ref(&role.permissions_boundary_arn);
    for (field, arns) in [
        ("policy_arns", role.policy_arns()),
        ("role_arns", role.role_arns()),
        ("permissions_boundary_arn", boundary),
    ] {
        let foreign = arns
            .iter()
            .filter_map(|text| Arn::new(text).ok())
            .find(|arn| arn.partition() != own.name());
        if let Some(arn) = foreign {
            warnings.push(format!(
                "{field}: {arn} is of the partition {}, and the region {} in config/root of {}, where nobody knows it",
                arn.partition(),
                root.region.trim(),
                own.name()
            ));
        }
    }
}

fn unused_fields(role: &RoleRecord, warnings: &mut Vec<String>) {
    let has = |credential_type| role.is(credential_type);
    if has(CredentialType::IamUser) && role.has_no_permissions() {
        warnings.push(
            "role gives IAM users without any permission: it has no policy_arns, policy_document or iam_groups".to_owned(),
        );
    }
    if has(CredentialType::AssumedRole) && role.role_arns().is_empty() {
        warnings.push(
            "role gives no credentials: it has no role_arns, and an assumed_role needs a role to assume".to_owned(),
        );
    }
    let has_tags = role.iam_tags.as_ref().is_some_and(|tags| !tags.is_empty());
    for (field, set, used) in [
        ("iam_tags", has_tags, has(CredentialType::IamUser)),
        (
            "mfa_serial_number",
            !role.mfa_serial_number.is_empty(),
            has(CredentialType::SessionToken),
        ),
        (
            "iam_groups",
            !role.iam_groups().is_empty(),
            !has(CredentialType::SessionToken),
        ),
    ] {
        if set && !used {
            warnings.push(format!(
                "{field} has no effect: it is not for credential_type {}",
                role.credential_types.join(",")
            ));
        }
    }
}

fn lifetimes(role: &RoleRecord, mount_limit: Option<Duration>, warnings: &mut Vec<String>) {
    let longest = if role.is(CredentialType::AssumedRole) {
        LONGEST_ROLE_SESSION
    } else {
        LONGEST_USER_SESSION
    };
    for (field, ttl) in [
        ("default_sts_ttl", role.default_sts_ttl),
        ("max_sts_ttl", role.max_sts_ttl),
    ] {
        if !ttl.is_zero() && ttl < SHORTEST_SESSION {
            warnings.push(format!(
                "{field} of {} is too short: AWS gives sessions of {} at least",
                GoDuration(ttl),
                GoDuration(SHORTEST_SESSION)
            ));
        } else if ttl > longest {
            warnings.push(format!(
                "{field} of {} is too long: AWS gives sessions of {} at most",
                GoDuration(ttl),
                GoDuration(longest)
            ));
        }
    }
    let Some(limit) = mount_limit.filter(|limit| !limit.is_zero()) else {
        return;
    };
    if role.max_sts_ttl > limit {
        warnings.push(format!(
            "max_sts_ttl of {} is longer than the mount's maximum lease TTL of {}: a longer session outlives its lease",
            GoDuration(role.max_sts_ttl),
            GoDuration(limit)
        ));
    } else if role.max_sts_ttl.is_zero() && role.default_sts_ttl > limit {
        warnings.push(format!(
            "default_sts_ttl of {} is cut to the mount's maximum lease TTL of {}: tune the mount, or set max_sts_ttl",
            GoDuration(role.default_sts_ttl),
            GoDuration(limit)
        ));
    }
}

/// For an engine without a stored access key, which most often acts as the session of a role.
fn engine_sessions(root: &RootConfig, role: &RoleRecord, warnings: &mut Vec<String>) {
    let reason = if root.assume_role_arn.is_empty() {
        if root.identity_token_audience.is_empty() {
            "config/root has no access_key: if the engine's own credentials are a role's session (an instance profile, a web identity)"
        } else {
            "config/root has identity_token_audience, so the engine acts as a role's session"
        }
    } else {
        "config/root has assume_role_arn, so the engine acts as a role's session"
    };
    let user_sessions = [
        CredentialType::FederationToken,
        CredentialType::SessionToken,
    ];
    if let Some(of) = user_sessions.into_iter().find(|of| role.is(*of)) {
        warnings.push(format!(
            "{reason}, AWS gives it no {}; assumed_role works",
            of.as_str()
        ));
    }
    if role.is(CredentialType::AssumedRole) && role.default_sts_ttl > LONGEST_CHAINED_SESSION {
        warnings.push(format!(
            "{reason}, AWS gives it sessions of {} at most, and default_sts_ttl is {}",
            GoDuration(LONGEST_CHAINED_SESSION),
            GoDuration(role.default_sts_ttl)
        ));
    } else if role.is(CredentialType::AssumedRole) && role.max_sts_ttl > LONGEST_CHAINED_SESSION {
        warnings.push(format!(
            "{reason}, AWS gives it sessions of {} at most, and max_sts_ttl of {} lets requests ask for more",
            GoDuration(LONGEST_CHAINED_SESSION),
            GoDuration(role.max_sts_ttl)
        ));
    }
}
