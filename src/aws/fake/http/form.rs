//! The body of a request of the query protocol.

use std::collections::BTreeMap;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::super::world::Refused;
use super::Failure;
use crate::aws::{Arn, InvalidName, Tag};

/// Fields by name. Members of lists are numbered: `Tags.member.1.Key`.
pub(super) struct Form(BTreeMap<String, String>);

impl Form {
    pub(super) fn parse(body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body);
        let pairs = body.split('&').filter_map(|pair| pair.split_once('='));
        Self(
            pairs
                .map(|(name, text)| (decode(name), decode(text)))
                .collect(),
        )
    }

    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.0.get(field).map(String::as_str)
    }

    /// A text that AWS asks for.
    pub(super) fn required(&self, field: &str) -> Result<&str, Refused> {
        self.text(field).ok_or_else(|| {
            Refused::invalid(format!(
                "1 validation error detected: Value null at '{field}' failed to satisfy \
                 constraint: Member must not be null"
            ))
        })
    }

    /// A name that AWS asks for, of a kind with a rule.
    pub(super) fn name<T>(
        &self,
        field: &str,
        kind: fn(String) -> Result<T, InvalidName>,
    ) -> Result<T, Failure> {
        Ok(kind(self.required(field)?.to_owned())?)
    }

    /// A name that may be left out.
    pub(super) fn optional_name<T>(
        &self,
        field: &str,
        kind: fn(String) -> Result<T, InvalidName>,
    ) -> Result<Option<T>, Failure> {
        let text = self.text(field).map(ToOwned::to_owned);
        Ok(text.map(kind).transpose()?)
    }

    pub(super) fn seconds(&self, field: &str) -> Result<Option<Duration>, Refused> {
        let seconds = self.text(field).map(str::parse).transpose();
        let seconds = seconds
            .map_err(|_| Refused::new("MalformedInput", format!("{field} is not a number")))?;
        Ok(seconds.map(Duration::from_secs))
    }

    /// The members of a list of texts.
    pub(super) fn list(&self, field: &str) -> Vec<&str> {
        self.members(field, "").map(|(text, _)| text).collect()
    }

    pub(super) fn policy_arns(&self) -> Result<Vec<Arn>, Failure> {
        let arns = self.members("PolicyArns", ".arn");
        Ok(arns
            .map(|(text, _)| Arn::new(text))
            .collect::<Result<_, _>>()?)
    }

    pub(super) fn tags(&self) -> Vec<Tag> {
        self.members("Tags", ".Key")
            .map(|(key, number)| {
                let value = self.text(&format!("Tags.member.{number}.Value"));
                Tag::new(key, value.unwrap_or_default())
            })
            .collect()
    }

    /// `part` of each member, with its number.
    fn members(&self, field: &str, part: &str) -> impl Iterator<Item = (&str, usize)> {
        (1..).map_while(move |number| {
            let text = self.text(&format!("{field}.member.{number}{part}"))?;
            Some((text, number))
        })
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}
