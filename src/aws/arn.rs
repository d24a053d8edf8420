//! Amazon Resource Names.

use std::fmt;

use super::types::InvalidName;

/// An Amazon Resource Name, `arn:partition:service:region:account:resource`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Arn(String);

impl Arn {
    /// The longest ARN that IAM and STS take, in characters.
    const MAX_CHARS: usize = 2048;

    /// Checks that the text has the six parts of an ARN; whether it names anything, only AWS knows.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidName> {
        let text = text.into();
        let refuse = |reason: &str| Err(InvalidName::new("ARN", &text, reason));
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        if parts[0] != "arn" {
            return refuse("must start with \"arn:\"");
        }
        if parts.len() < 6 || parts[1].is_empty() || parts[2].is_empty() || parts[5].is_empty() {
            return refuse("must have the form arn:partition:service:region:account:resource");
        }
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return refuse("must not contain white space");
        }
        if text.chars().count() > Self::MAX_CHARS {
            return refuse("must have at most 2048 characters");
        }
        Ok(Self(text))
    }

    /// Takes whatever begins as an ARN does: the ARNs of other services than AWS may have fewer parts.
    pub fn of_any_service(text: impl Into<String>) -> Result<Self, InvalidName> {
        let text = text.into();
        match Self::new(text.clone()) {
            Err(refused) if !text.starts_with("arn:") => Err(refused),
            Err(refused) if text.chars().any(|c| !c.is_ascii_graphic()) => Err(refused),
            _ => Ok(Self(text)),
        }
    }

    /// Takes AWS's word for it.
    pub(in crate::aws) fn from_aws(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `aws`, `aws-us-gov`, `aws-cn`, …
    pub fn partition(&self) -> &str {
        self.part(1)
    }

    /// `iam`, `sts`, …
    pub fn service(&self) -> &str {
        self.part(2)
    }

    /// The account's twelve digits; `aws` in an AWS managed policy.
    pub fn account(&self) -> &str {
        self.part(4)
    }

    /// What follows the account, such as `role/path/name`.
    pub fn resource(&self) -> &str {
        self.part(5)
    }

    fn part(&self, index: usize) -> &str {
        self.0.splitn(6, ':').nth(index).unwrap_or_default()
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_tells_its_parts() {
        let arn = Arn::new("arn:aws-us-gov:iam::123456789012:role/team:a/deploy").unwrap();

        assert_eq!(arn.partition(), "aws-us-gov");
        assert_eq!(arn.service(), "iam");
        assert_eq!(arn.account(), "123456789012");
        assert_eq!(arn.resource(), "role/team:a/deploy");
        assert_eq!(
            arn.to_string(),
            "arn:aws-us-gov:iam::123456789012:role/team:a/deploy"
        );
    }

    #[test]
    fn text_without_the_six_parts_is_no_arn() {
        for text in [
            "",
            "role/deploy",
            "ARN:aws:iam::1:role/a",
            "arn:aws:iam::1",
            "arn:aws:iam::1:",
            "arn::iam::1:role/a",
            "arn:aws:iam::1:role/a b",
            &format!("arn:aws:iam::1:{}", "x".repeat(2048)),
        ] {
            assert!(Arn::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn another_service_may_write_shorter_ones() {
        for text in ["arn:xxx:xxx:xxx:xxxx", "arn:minio:iam:::role/x"] {
            assert_eq!(Arn::of_any_service(text).unwrap().as_str(), text);
        }
        for text in ["", "role/x", "arn:a b"] {
            assert!(Arn::of_any_service(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_refusal_names_the_arn_and_the_rule() {
        assert_eq!(
            Arn::new("deploy").unwrap_err().to_string(),
            "ARN \"deploy\" must start with \"arn:\""
        );
    }
}
