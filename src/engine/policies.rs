//! Policy documents: what a role may hold, and what a group's policies add to a session.

use std::collections::BTreeSet;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use crate::framework::{FieldType, FieldValue};

/// A policy document as a role keeps it: a JSON object as text, without insignificant white space,
/// or nothing.
///
/// Clients send it as text or as an object. Key order, spelling of numbers and escapes of a text
/// stay as they were written. The empty text and the empty object are nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PolicyDocument(String);

impl PolicyDocument {
    /// Reads a document; the empty text is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        // Some editors begin a file with a byte order mark.
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_str::<IgnoredAny>(text)
            .map_err(|error| format!("cannot parse policy document: {error}"))?;
        match compact(text) {
            compact if compact == "{}" => Ok(Self::default()),
            compact if compact.starts_with('{') => Ok(Self(compact)),
            _ => Err("a policy document must be a JSON object".to_owned()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text; empty for none.
    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

impl FieldValue for PolicyDocument {
    const TYPE: FieldType = FieldType::String;

    fn decode(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Object(_) => Self::parse(&value.to_string()),
            _ => Err("a policy document must be a JSON object".to_owned()),
        }
    }

    fn encode(&self) -> Value {
        Value::from(self.0.as_str())
    }
}

/// Removes the white space between the tokens of a valid JSON text.
fn compact(text: &str) -> String {
    let mut compact = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        if in_string {
            (in_string, escaped) = match c {
                _ if escaped => (true, false),
                '\\' => (true, true),
                '"' => (false, false),
                _ => (true, false),
            };
            compact.push(c);
        } else if !c.is_ascii_whitespace() {
            in_string = c == '"';
            compact.push(c);
        }
    }
    compact
}

/// One document with the statements of all of them, in order; empty texts add nothing.
///
/// AWS takes each statement id once in a document, and the console gives the same one to many, so
/// only the first statement of an id keeps it.
pub(crate) fn combine<'a>(documents: impl IntoIterator<Item = &'a str>) -> Result<String, String> {
    let mut statements = Vec::new();
    for document in documents {
        if document.trim().is_empty() {
            continue;
        }
        let mut document: Map<String, Value> = serde_json::from_str(document)
            .map_err(|error| format!("cannot parse policy document: {error}"))?;
        match document.remove("Statement") {
            None => {}
            Some(Value::Array(list)) => statements.extend(list),
            Some(one @ Value::Object(_)) => statements.push(one),
            Some(_) => {
                return Err(
                    "the Statement of a policy document must be an object or a list".into(),
                );
            }
        }
    }
    let mut ids = BTreeSet::new();
    for statement in statements.iter_mut().filter_map(Value::as_object_mut) {
        let id = statement.get("Sid").and_then(Value::as_str);
        if id.is_some_and(|id| !ids.insert(id.to_owned())) {
            statement.remove("Sid");
        }
    }
    Ok(format!(
        r#"{{"Version":"2012-10-17","Statement":{}}}"#,
        Value::Array(statements)
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_kept_without_white_space_between_its_tokens() {
        let kept = |text| PolicyDocument::parse(text).unwrap().into_text();

        assert_eq!(
            kept("{ \"b\" :\n[1.0, 2e400],\t\"a\": \"x  \\\" \\u00e9 y\", \"a\": {} }"),
            r#"{"b":[1.0,2e400],"a":"x  \" \u00e9 y","a":{}}"#
        );
        assert_eq!(kept("\u{feff}{\"a\": 1}\r\n"), r#"{"a":1}"#);
    }

    #[test]
    fn nothing_can_be_sent_as_an_empty_text_or_object() {
        for value in [json!(""), json!(" \n"), json!("{ }"), json!({})] {
            assert!(
                PolicyDocument::decode(&value).unwrap().is_empty(),
                "{value}"
            );
        }
    }

    #[test]
    fn a_document_may_be_sent_as_an_object() {
        let document = PolicyDocument::decode(&json!({"Version": "2012-10-17"})).unwrap();

        assert_eq!(document.into_text(), r#"{"Version":"2012-10-17"}"#);
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        for value in [
            json!("[1]"),
            json!("\"x\""),
            json!("{"),
            json!("{} {}"),
            json!("allow"),
            json!([1]),
            json!(1),
            json!(true),
        ] {
            assert!(PolicyDocument::decode(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn a_mistake_in_a_document_is_told_with_its_place() {
        assert_eq!(
            PolicyDocument::parse("{\n \"Version\": }").unwrap_err(),
            "cannot parse policy document: expected value at line 2 column 13"
        );
    }

    #[test]
    fn combining_keeps_the_order_of_statements_and_wraps_a_single_one() {
        let one = r#"{"Statement":{"Effect":"Allow","Action":"ec2:*","Resource":"*"},"Id":"x"}"#;
        let two =
            r#"{"Version":"2008-10-17","Statement":[{"NotAction":"iam:*"},{"Effect":"Deny"}]}"#;

        assert_eq!(
            combine([one, " ", "{}", r#"{"Statement":[]}"#, two]).unwrap(),
            concat!(
                r#"{"Version":"2012-10-17","Statement":["#,
                r#"{"Action":"ec2:*","Effect":"Allow","Resource":"*"},"#,
                r#"{"NotAction":"iam:*"},{"Effect":"Deny"}]}"#
            )
        );
    }

    #[test]
    fn combining_keeps_a_statement_id_once() {
        let document =
            |action| format!(r#"{{"Statement":[{{"Sid":"VisualEditor0","Action":"{action}"}}]}}"#);

        assert_eq!(
            combine([&*document("ec2:*"), &*document("s3:*")]).unwrap(),
            concat!(
                r#"{"Version":"2012-10-17","Statement":["#,
                r#"{"Action":"ec2:*","Sid":"VisualEditor0"},{"Action":"s3:*"}]}"#
            )
        );
    }

    #[test]
    fn combining_refuses_what_is_no_policy() {
        for text in ["{", "[]", r#"{"Statement":null}"#, r#"{"Statement":"x"}"#] {
            assert!(combine([text]).is_err(), "{text}");
        }
    }
}
