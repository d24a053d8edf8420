//! What a refusal of STS means for a role of ours, and what the reader can do about it.

use super::Asked;
use super::session::Lifetime;
use crate::aws::{self, ErrorKind};
use crate::engine::error;
use crate::go_duration::GoDuration;
use crate::logical::Error;

/// An answer of STS as the error of a request: `<context>: <AWS's words> (<the next step>)`.
pub(super) fn refused(
    context: &str,
    error: &aws::Error,
    asked: &Asked,
    lifetime: &Lifetime,
) -> Error {
    match hint(error, asked, lifetime) {
        Some(hint) => Error::invalid(format!("{context}: {error} ({hint})")),
        None => error::refused(context, error),
    }
}

/// The next step, where it is another than that of any refusal of its kind.
fn hint(error: &aws::Error, asked: &Asked, lifetime: &Lifetime) -> Option<String> {
    let says = |words: &str| error.message().contains(words);
    // AWS writes it with a small and with a capital letter.
    if says("urationSeconds") {
        return Some(of_duration(error, lifetime));
    }
    match (error.operation(), error.kind()) {
        ("sts:AssumeRole", ErrorKind::Denied) => Some(of_assuming(error.message(), asked)),
        (_, ErrorKind::Denied) if says("session credentials") => Some(
            "AWS gives this to an IAM user only, and the engine's own credentials are a session: write the access_key and secret_key of an IAM user to config/root, or use credential_type assumed_role".to_owned(),
        ),
        (_, ErrorKind::Denied) if says("MultiFactorAuthentication") => Some(of_mfa(asked)),
        (_, ErrorKind::Invalid) => of_policies(error),
        _ => None,
    }
}

fn of_duration(error: &aws::Error, lifetime: &Lifetime) -> String {
    let was = format!(
        "{} was asked for, {}",
        GoDuration(lifetime.duration),
        lifetime.source
    );
    if error.message().contains("role chaining") {
        format!(
            "{was}; the engine's own credentials are a role's session, to which AWS gives 1h0m0s at most: set max_sts_ttl of the role to 1h, or write the access_key and secret_key of an IAM user to config/root"
        )
    } else if error.message().contains("MaxSessionDuration") {
        format!(
            "{was}: lower it, or raise the maximum session duration of the AWS role; max_sts_ttl of the role keeps requests within it"
        )
    } else {
        was
    }
}

fn of_assuming(message: &str, asked: &Asked) -> String {
    if message.contains("root accounts") {
        return "the access_key in config/root belongs to the account's root user, which cannot assume a role: use the key of an IAM user".to_owned();
    }
    let principal = message
        .split_once("User: ")
        .and_then(|(_, rest)| rest.split_whitespace().next())
        .unwrap_or("the principal behind the engine's own credentials");
    if message.contains("sts:TagSession") {
        return format!(
            "session_tags of the role need sts:TagSession: allow it to {principal} in the AWS role's trust policy"
        );
    }
    let external_id = if asked.role.external_id.is_empty() {
        "if that asks for an external id, set it as external_id of the role"
    } else {
        "if that asks for an external id, it must be external_id of the role"
    };
    format!(
        "the trust policy of the AWS role must allow {principal}, and {principal} must be granted sts:AssumeRole on it; AWS says the same of a role that does not exist, and when a condition of the trust policy is not met: {external_id}"
    )
}

fn of_mfa(asked: &Asked) -> String {
    let next = match (
        asked.role.mfa_serial_number.is_empty(),
        asked.mfa_code.is_empty(),
    ) {
        (true, _) => "set mfa_serial_number of the role to the device that shows mfa_code",
        (false, true) => "send the code that the device of mfa_serial_number shows as mfa_code",
        (false, false) => {
            "AWS takes each code once, so send the next one that the device shows as mfa_code; mfa_serial_number of the role must be a device of the engine's own user"
        }
    };
    next.to_owned()
}

fn of_policies(error: &aws::Error) -> Option<String> {
    let next = match error.code().unwrap_or_default() {
        code if code.starts_with("PackedPolicyTooLarge") => {
            "policy_document, policy_arns, session_tags of the role and the policies of its iam_groups are too much together: put statements into managed policies"
        }
        code if code.starts_with("MalformedPolicyDocument") => {
            "check policy_document of the role, and the inline policies of its iam_groups"
        }
        code if code.starts_with("RegionDisabled") => {
            "activate STS for the account in this region, or set sts_region in config/root to another one"
        }
        _ if error.message().contains("at 'policyArns'") => {
            "policy_arns of the role and the managed policies of its iam_groups count together"
        }
        _ if error.message().contains("at 'policy'") => {
            "policy_document of the role and the inline policies of its iam_groups count together: put statements into managed policies"
        }
        _ => return None,
    };
    Some(next.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::roles::{RoleName, RoleRecord};

    #[test]
    fn session_tags_that_are_not_allowed_tell_the_permission_and_who_needs_it() {
        let asked = Asked {
            role_name: RoleName::named("x"),
            role: RoleRecord::default(),
            display_name: String::new(),
            role_arn: String::new(),
            role_session_name: String::new(),
            mfa_code: String::new(),
            ttl: None,
        };
        let message = "User: arn:aws:iam::111122223333:user/vault is not authorized to perform: sts:TagSession on resource: arn:aws:iam::111122223333:role/deploy";

        assert_eq!(
            of_assuming(message, &asked),
            "session_tags of the role need sts:TagSession: allow it to arn:aws:iam::111122223333:user/vault in the AWS role's trust policy"
        );
    }
}
