//! Names and identifiers, each with AWS's rule for it.

use std::fmt;

use crate::excerpt::excerpt;

/// A text that AWS would refuse as a name of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} {rule}")]
pub struct InvalidName {
    what: &'static str,
    text: String,
    rule: String,
}

impl InvalidName {
    /// `rule` reads on from the name: "must …".
    pub(in crate::aws) fn new(what: &'static str, text: &str, rule: impl Into<String>) -> Self {
        Self {
            what,
            text: excerpt(text).into_owned(),
            rule: rule.into(),
        }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $min:literal..=$max:literal, $set:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// Checks AWS's rule for length and characters.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
                let text = text.into();
                check($what, &text, $min, $max, &$set)?;
                Ok(Self(text))
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

macro_rules! told_by_aws {
    ($($name:ident),+) => {$(
        impl $name {
            /// Takes AWS's word for it.
            pub(in crate::aws) fn from_aws(text: impl Into<String>) -> Self {
                Self(text.into())
            }
        }
    )+};
}

told_by_aws!(
    UserName,
    GroupName,
    PolicyName,
    AccessKeyId,
    MfaSerialNumber
);
told_by_aws!(SshPublicKeyId, CertificateId, ServiceSpecificCredentialId);

name! {
    /// The name of an IAM user (`existingUserNameType`).
    ///
    /// Names are unique in an account without regard to case.
    UserName, "user name", 1..=128, NAME
}

impl UserName {
    /// The most characters that AWS takes when a user is created (`userNameType`).
    pub const MAX_NEW_CHARS: usize = 64;
}

name! {
    /// The name of an IAM group (`groupNameType`).
    GroupName, "group name", 1..=128, NAME
}

name! {
    /// The name of an AWS role (`roleNameType`).
    RoleName, "role name", 1..=64, NAME
}

name! {
    /// The name of an inline policy (`policyNameType`).
    PolicyName, "policy name", 1..=128, NAME
}

name! {
    /// The name of an assumed role's session (`roleSessionNameType`).
    RoleSessionName, "role session name", 2..=64, NAME
}

name! {
    /// The name of a federated user (`userNameType` of STS).
    FederatedUserName, "federated user name", 2..=32, NAME
}

name! {
    /// The public half of an access key.
    AccessKeyId, "access key id", 1..=128, VISIBLE
}

impl AccessKeyId {
    /// The 12 digits of the AWS account that the key belongs to, where the id tells.
    ///
    /// Behind the prefix of four letters stand 80 bits in base 32. Since about 2019 the first is 1
    /// and the 40 after it are the account's id; in older ids, the first is 0.
    pub fn account(&self) -> Option<String> {
        const LENGTH: usize = 20;
        const ACCOUNTS: u64 = 1_000_000_000_000;
        let digits = self.0.get(4..).filter(|_| self.0.len() == LENGTH)?;
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
}

name! {
    /// A multi-factor device: the serial number of a hardware device, or an ARN (`serialNumberType`).
    MfaSerialNumber, "MFA serial number", 1..=256, VISIBLE
}

impl MfaSerialNumber {
    /// Whether this is a virtual device, which exists until it is deleted; a hardware device or a
    /// security key is only deactivated.
    pub fn is_virtual(&self) -> bool {
        self.0.starts_with("arn:") && self.0.contains(":mfa/")
    }
}

name! {
    /// The id of an SSH public key of a user (`publicKeyIdType`).
    SshPublicKeyId, "SSH public key id", 1..=128, VISIBLE
}

name! {
    /// The id of an X.509 signing certificate of a user (`certificateIdType`).
    CertificateId, "signing certificate id", 1..=128, VISIBLE
}

name! {
    /// The id of a user's credential for one service, such as `CodeCommit`
    /// (`serviceSpecificCredentialId`).
    ServiceSpecificCredentialId, "service-specific credential id", 1..=128, VISIBLE
}

name! {
    /// What a role's trust policy may ask of whoever assumes it (`externalIdType`).
    ExternalId, "external id", 2..=1224, EXTERNAL_ID
}

/// The characters a name may have, and how to say so.
struct Characters {
    allows: fn(char) -> bool,
    rule: &'static str,
}

/// `[\w+=,.@-]`, where `\w` is ASCII.
const NAME: Characters = Characters {
    allows: |c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c),
    rule: "must consist of letters, digits and _+=,.@-",
};

const EXTERNAL_ID: Characters = Characters {
    allows: |c| c.is_ascii_alphanumeric() || "_+=,.@:/-".contains(c),
    rule: "must consist of letters, digits and _+=,.@:/-",
};

const VISIBLE: Characters = Characters {
    allows: |c| c.is_ascii_graphic(),
    rule: "must consist of visible ASCII characters",
};

fn check(
    what: &'static str,
    text: &str,
    min: usize,
    max: usize,
    characters: &Characters,
) -> Result<(), InvalidName> {
    if !text.chars().all(characters.allows) {
        return Err(InvalidName::new(what, text, characters.rule));
    }
    // Every character allowed is ASCII, so bytes are characters.
    if text.len() < min || text.len() > max {
        let rule = format!("must have {min} to {max} characters, not {}", text.len());
        return Err(InvalidName::new(what, text, rule));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_takes_the_characters_that_aws_takes() {
        let text = "vault-token_Deploy+a=b,c.d@e-1";

        assert_eq!(UserName::new(text).unwrap().as_str(), text);
        for refused in ["a b", "a/b", "a:b", "ä", "a\n", ""] {
            assert!(UserName::new(refused).is_err(), "{refused:?}");
        }
    }

    #[test]
    fn lengths_are_those_of_aws() {
        let of = |length: usize| "x".repeat(length);

        assert!(UserName::new(of(128)).is_ok());
        assert!(UserName::new(of(129)).is_err());
        assert!(RoleSessionName::new(of(1)).is_err());
        assert!(RoleSessionName::new(of(64)).is_ok());
        assert!(RoleSessionName::new(of(65)).is_err());
        assert!(FederatedUserName::new(of(32)).is_ok());
        assert!(FederatedUserName::new(of(33)).is_err());
    }

    #[test]
    fn a_refusal_names_the_kind_the_text_and_the_rule() {
        assert_eq!(
            GroupName::new("dev ops").unwrap_err().to_string(),
            "group name \"dev ops\" must consist of letters, digits and _+=,.@-"
        );
        assert_eq!(
            RoleSessionName::new("x").unwrap_err().to_string(),
            "role session name \"x\" must have 2 to 64 characters, not 1"
        );
    }

    #[test]
    fn a_long_refused_name_is_cut_in_the_message() {
        let refusal = UserName::new("x".repeat(4000)).unwrap_err().to_string();

        assert!(refusal.len() < 250, "{refusal}");
        assert!(refusal.ends_with("must have 1 to 128 characters, not 4000"));
    }

    #[test]
    fn a_virtual_mfa_device_is_known_by_its_arn() {
        let is_virtual = |text| MfaSerialNumber::new(text).unwrap().is_virtual();

        assert!(is_virtual("arn:aws:iam::123456789012:mfa/alice"));
        assert!(!is_virtual(
            "arn:aws:iam::123456789012:u2f/user/alice/key-1"
        ));
        assert!(!is_virtual("GAHT12345678"));
    }

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
            // AWS's word is taken for an id, so its characters are not certain.
            let id = AccessKeyId::from_aws(id);
            assert_eq!(id.account().as_deref(), account, "{id}");
        }
    }
}
