//! Policy documents, one by one and combined.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::LONG;
use crate::engine::policies::{PolicyDocument, combine};

/// Stands between two documents.
const NEXT: char = '\u{1e}';

/// Texts as the policy documents of one session.
pub(crate) fn policies(data: &[u8]) {
    let Ok(texts) = std::str::from_utf8(data) else {
        return;
    };
    let documents: Vec<String> = texts.split(NEXT).filter_map(kept).collect();
    let combined = match combine(documents.iter().map(String::as_str)) {
        Ok(combined) => combined,
        Err(reason) => {
            assert!(reason.len() < LONG, "{} bytes", reason.len());
            let refused = |document: &String| combine([&**document]).is_err();
            assert!(documents.iter().any(refused), "{reason}");
            return;
        }
    };
    let expected: Vec<Value> = documents.iter().flat_map(|text| statements(text)).collect();
    let statements = statements(&combined);
    assert_eq!(statements.len(), expected.len(), "{combined}");
    let mut ids = BTreeSet::new();
    for (mut expected, statement) in expected.into_iter().zip(statements) {
        if let Some(id) = statement.get("Sid").and_then(Value::as_str) {
            assert!(ids.insert(id.to_owned()), "{id:?} twice in {combined}");
        } else if let Some(known) = expected.get("Sid").and_then(Value::as_str) {
            assert!(ids.contains(known), "{known:?} is lost in {combined}");
            expected
                .as_object_mut()
                .map(|expected| expected.remove("Sid"));
        }
        assert_eq!(statement, expected, "{combined}");
    }
    assert_eq!(
        combine([&*combined]),
        Ok(combined.clone()),
        "combined twice"
    );
}

/// The document as a role keeps it, if it is one.
fn kept(text: &str) -> Option<String> {
    let document = match PolicyDocument::parse(text) {
        Ok(document) => document,
        Err(reason) => {
            assert!(reason.len() < LONG, "{} bytes", reason.len());
            return None;
        }
    };
    let kept = document.clone().into_text();
    assert!(kept.len() <= text.len(), "{kept}");
    assert_eq!(PolicyDocument::parse(&kept), Ok(document), "{kept}");
    let sent = text.trim_start_matches('\u{feff}').trim();
    let (sent, read) = (parsed(sent), parsed(&kept));
    assert!(kept.is_empty() || sent == read, "{sent:?} became {read:?}");
    Some(kept)
}

fn parsed(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// The statements of a document that has been combined, or can be.
fn statements(text: &str) -> Vec<Value> {
    let document: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
    match document.get("Statement") {
        Some(Value::Array(list)) => list.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    }
}
