//! Policy documents: what a role may hold, and what a group's policies add to a session.

use serde_json::{Map, Value};

use crate::framework::{FieldType, FieldValue};

/// A policy document as a role keeps it: a JSON object as text, without insignificant white space,
/// or nothing.
///
/// Clients send it as text or as an object. Key order, spelling of numbers and escapes of a text
/// stay as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PolicyDocument(String);

impl PolicyDocument {
    /// Reads a document; the empty text is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(_)) => Ok(Self(compact(text))),
            Ok(_) => Err("a policy document must be a JSON object".to_owned()),
            Err(error) => Err(format!("cannot parse policy document: {error}")),
        }
    }

    /// The text; empty for none.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FieldValue for PolicyDocument {
    const TYPE: FieldType = FieldType::String;

    fn decode(value: &Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Object(object) => Self::parse(&Value::Object(object.clone()).to_string()),
            _ => Err("a policy document must be a JSON object".to_owned()),
        }
    }

    fn encode(&self) -> Value {
        Value::from(self.as_str())
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
pub(crate) fn combine<'a>(documents: impl IntoIterator<Item = &'a str>) -> Result<String, String> {
    let mut statements = Vec::new();
    for document in documents {
        if document.trim().is_empty() {
            continue;
        }
        let document: Map<String, Value> = serde_json::from_str(document)
            .map_err(|error| format!("cannot parse policy document: {error}"))?;
        match document.get("Statement") {
            None => {}
            Some(Value::Array(list)) => statements.extend(list.iter().cloned()),
            Some(Value::Object(one)) => statements.push(Value::Object(one.clone())),
            Some(_) => {
                return Err(
                    "the Statement of a policy document must be an object or a list".into(),
                );
            }
        }
    }
    let combined = serde_json::json!({"Version": "2012-10-17", "Statement": statements});
    Ok(combined.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_kept_without_white_space_between_its_tokens() {
        let kept = |text| PolicyDocument::parse(text).unwrap().as_str().to_owned();

        assert_eq!(
            kept("{ \"b\" :\n[1.0, 2],\t\"a\": \"x  \\\" y\" }"),
            r#"{"b":[1.0,2],"a":"x  \" y"}"#
        );
        assert_eq!(kept(" \n"), "");
    }

    #[test]
    fn a_document_may_be_sent_as_an_object() {
        let document = PolicyDocument::decode(&json!({"Version": "2012-10-17"})).unwrap();

        assert_eq!(document.as_str(), r#"{"Version":"2012-10-17"}"#);
    }

    #[test]
    fn what_is_no_json_object_is_refused() {
        for value in [
            json!("[1]"),
            json!("\"x\""),
            json!("{"),
            json!("allow"),
            json!([1]),
            json!(1),
        ] {
            assert!(PolicyDocument::decode(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn combining_keeps_the_order_of_statements() {
        let one = r#"{"Statement":{"Effect":"Allow","Action":"ec2:*","Resource":"*"},"Id":"x"}"#;
        let two = r#"{"Version":"2008-10-17","Statement":[{"NotAction":"iam:*"}]}"#;

        assert_eq!(
            serde_json::from_str::<Value>(&combine([one, " ", "{}", two]).unwrap()).unwrap(),
            json!({"Version": "2012-10-17", "Statement": [
                {"Action": "ec2:*", "Effect": "Allow", "Resource": "*"},
                {"NotAction": "iam:*"},
            ]})
        );
    }

    #[test]
    fn combining_refuses_what_is_no_policy() {
        for text in ["{", "[]", r#"{"Statement":null}"#, r#"{"Statement":"x"}"#] {
            assert!(combine([text]).is_err(), "{text}");
        }
    }
}
