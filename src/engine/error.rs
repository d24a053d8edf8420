//! Who is to blame when AWS says no, and what the reader can do about it.

use super::closed;
use crate::aws::{self, ErrorKind};
use crate::logical::Error;

/// An answer of AWS as the error of a request: `<context>: <AWS's words>`, then the next step.
///
/// Throttling becomes 502, everything else 400: the caller or the operator can act, and a server
/// error would make clients send the same request again.
pub(crate) fn refused(context: &str, error: &aws::Error) -> Error {
    let text = format!("{context}: {}", explain(error));
    match error.kind() {
        // Should anybody still read that nobody waits, it is worth another try.
        ErrorKind::Throttled | ErrorKind::CallerGone => Error::UpstreamRateLimited(text),
        _ => Error::Invalid(text),
    }
}

/// The same for work that the host repeats by itself, such as a revocation.
pub(crate) fn failed(context: &str, error: &aws::Error) -> Error {
    Error::Internal(format!("{context}: {}", explain(error)))
}

/// AWS's words and the next step.
pub(crate) fn explain(error: &aws::Error) -> String {
    match next_step(error) {
        Some(step) => format!("{error} ({step})"),
        None => error.to_string(),
    }
}

/// What the reader can do, where AWS's words do not say it.
pub(crate) fn next_step(error: &aws::Error) -> Option<String> {
    if let Some(closed) = error.closed() {
        return Some(closed::step(closed));
    }
    let operation = error.operation();
    if let Some(step) = of_identity_token(error) {
        return Some(step.to_owned());
    }
    let step = match error.kind() {
        // Granting does not help there, and AWS says which policy forbids it.
        ErrorKind::Denied if error.message().contains("explicit deny") => return None,
        ErrorKind::Denied => {
            let action = denied_action(error.message()).unwrap_or(operation);
            match error.credentials_from() {
                Some(place) => format!(
                    "grant {action} to the AWS credentials that this engine uses, which come from {place}"
                ),
                None => format!("grant {action} to the AWS credentials that this engine uses"),
            }
        }
        ErrorKind::InvalidCredentials => match error.credentials_from() {
            Some(place) => format!(
                "AWS does not accept the credentials of this engine, which come from {place}"
            ),
            None => invalid_credentials(error).to_owned(),
        },
        ErrorKind::NoCredentials => {
            "write access_key and secret_key to config/root, or give the server's environment AWS credentials".to_owned()
        }
        ErrorKind::Unreachable => {
            "check region and endpoints in config/root, and the server's network and proxy"
                .to_owned()
        }
        ErrorKind::Invalid
            if error
                .code()
                .is_some_and(|code| code.starts_with("MalformedPolicyDocument")) =>
        {
            "check policy_document of the role".to_owned()
        }
        // Our own words, with the wait.
        ErrorKind::Throttled if error.message().contains("try again") => return None,
        ErrorKind::Throttled => {
            format!("AWS limits how often this account may call {operation}; try again later")
        }
        _ => return None,
    };
    Some(step)
}

/// AWS does not take an identity token, of the mount or of the server.
fn of_identity_token(error: &aws::Error) -> Option<&'static str> {
    if error.operation() != "sts:AssumeRoleWithWebIdentity" {
        return None;
    }
    let says = |words: &str| error.message().contains(words);
    let code = error.code()?;
    Some(match code.strip_suffix("Exception").unwrap_or(code) {
        "AccessDenied" => {
            "the trust policy of role_arn in config/root must allow sts:AssumeRoleWithWebIdentity to the identity provider, with the aud and sub that a read of config/root shows as identity_token_audience and identity_token_subject; AWS says the same of a role that does not exist"
        }
        "InvalidIdentityToken" if says("audience") => {
            "identity_token_audience in config/root must be an audience (client id) of the identity provider at AWS"
        }
        "InvalidIdentityToken" if says("No OpenIDConnect provider") => {
            "make an identity provider with the URL of identity_token_issuer in the account of role_arn, letter by letter the same"
        }
        "InvalidIdentityToken" | "IDPCommunicationError" => {
            "AWS must be able to read the documents below identity_token_issuer, .well-known/openid-configuration and .well-known/keys, and copies of them must be renewed"
        }
        "ExpiredToken" | "IDPRejectedClaim" => "check the server's clock",
        _ => return None,
    })
}

fn invalid_credentials(error: &aws::Error) -> &'static str {
    let message = error.message();
    match error.code() {
        Some("RequestTimeTooSkewed" | "RequestExpired") => "check the server's clock",
        _ if message.contains("Signature expired") || message.contains("not yet current") => {
            "check the server's clock"
        }
        Some("SignatureDoesNotMatch") => {
            "secret_key in config/root does not belong to access_key, or was mistyped"
        }
        _ => {
            "AWS does not accept the credentials of this engine: check access_key and secret_key in config/root, or the server's AWS credentials if there are none; AWS may need some seconds to accept new ones"
        }
    }
}

/// The action that AWS says is missing. It need not be the call: a user with tags also needs
/// `iam:TagUser`.
fn denied_action(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("not authorized to perform: ")?;
    let action = rest.split_whitespace().next()?;
    action.contains(':').then_some(action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_action_to_grant_is_the_one_that_aws_names() {
        let message = "User: arn:aws:iam::111122223333:user/vault is not authorized to perform: iam:TagUser on resource: arn:aws:iam::111122223333:user/x because no identity-based policy allows the iam:TagUser action";

        assert_eq!(denied_action(message), Some("iam:TagUser"));
        assert_eq!(denied_action("Access denied"), None);
        assert_eq!(denied_action("not authorized to perform: this"), None);
    }
}
