//! Whose limit a client's calls count against.

use crate::aws::{AccessKeyId, ClientConfig, CredentialSource, Endpoint};

/// A set of calls that AWS counts together, as far as the configuration of a client tells. IAM is
/// one for all regions, so the region does not matter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Account {
    /// Behind another endpoint may be another AWS.
    endpoint: Option<String>,
    pub(super) name: String,
}

impl Account {
    pub(super) fn of(config: &ClientConfig) -> Self {
        Self {
            endpoint: config.endpoint.as_ref().map(Endpoint::to_string),
            name: name(&config.credentials),
        }
    }
}

fn name(credentials: &CredentialSource) -> String {
    match credentials {
        CredentialSource::DefaultChain => "default chain".to_owned(),
        CredentialSource::Static { access_key_id, .. } => of_key(access_key_id),
        CredentialSource::AssumeRole(role) => role.role_arn.account().to_owned(),
        CredentialSource::WebIdentity(role) => role.role_arn.account().to_owned(),
    }
}

/// The account's id, or else the key's.
fn of_key(id: &AccessKeyId) -> String {
    account_id(id.as_str()).unwrap_or_else(|| id.to_string())
}

/// The account's id in an access key id.
///
/// Behind the prefix of four letters stand 80 bits in base 32. Since about 2019 the first is 1 and
/// the 40 after it are the account's id; in older ids, the first is 0.
fn account_id(access_key_id: &str) -> Option<String> {
    const LENGTH: usize = 20;
    const ACCOUNTS: u64 = 1_000_000_000_000;
    let digits = access_key_id
        .get(4..)
        .filter(|_| access_key_id.len() == LENGTH)?;
    // Nine digits hold the first 45 bits.
    let bits = digits.bytes().take(9).try_fold(0, |bits, digit| {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'2'..=b'7' => digit - b'2' + 26,
            _ => return None,
        };
        Some(bits << 5 | u64::from(value))
    })?;
    let is_new = bits >> 44 == 1;
    let id = bits >> 4 & ((1 << 40) - 1);
    (is_new && id < ACCOUNTS).then(|| format!("{id:012}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_access_key_ids_tell_the_account() {
        for (id, account) in [
            ("AKIARTX3GSDSVAAAAAAA", Some("111122223333")),
            ("ASIARTX3GSDSV7654321", Some("111122223333")),
            // Older, longer, shorter, of other characters, and of no account.
            ("AKIAIOSFODNN7EXAMPLE", None),
            ("AKIARTX3GSDSVAAAAAAAA", None),
            ("AKIARTX3GSDSV", None),
            ("AKIARTX0GSDSVAAAAAAA", None),
            ("AKIA7777777777777777", None),
            ("test", None),
            ("äÖ", None),
            ("aaaäaaaaaaaaaaaaaaa", None),
        ] {
            assert_eq!(account_id(id).as_deref(), account, "{id}");
        }
    }
}
