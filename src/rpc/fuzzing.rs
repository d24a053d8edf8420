//! Between the bytes of the wire and requests and answers.

use std::sync::Arc;

use prost::Message;
use serde_json::{Number, Value, json};

use super::translate;
use crate::logical::{Error, JsonObject, Operation, Request, Response, Storage};
use crate::pb::backend as wire;

/// Longer than any error that is told to a client or a host, in bytes.
const LONG: usize = 20_000;

/// Whether a value is what was sent; a number may have become the text that it was written as.
fn is_same(value: &Value, sent: &Value) -> bool {
    match (value, sent) {
        (Value::String(text), Value::Number(number)) => {
            text.parse().is_ok_and(|written: Number| written == *number)
        }
        (Value::Array(values), Value::Array(sent)) => {
            values.len() == sent.len()
                && values
                    .iter()
                    .zip(sent)
                    .all(|(one, other)| is_same(one, other))
        }
        (Value::Object(values), Value::Object(sent)) => {
            values.len() == sent.len()
                && values
                    .iter()
                    .zip(sent)
                    .all(|((key, one), (name, other))| key == name && is_same(one, other))
        }
        _ => value == sent,
    }
}

/// The request in the bytes of one, if they are one.
pub(crate) fn request(data: &[u8], storage: Arc<dyn Storage>) -> Option<Request> {
    let sent = wire::Request::decode(data).ok()?;
    let (operation, path) = (sent.operation.clone(), sent.path.clone());
    let text = sent.data.clone();
    let request = match translate::request(sent, None, storage) {
        Ok(request) => request,
        Err(error) => {
            reply(Err(error));
            return None;
        }
    };
    assert_eq!(request.operation.as_str(), operation);
    assert_eq!(request.path, path);
    // A number may be too large for the parser, and is kept all the same.
    if let Ok(parsed) = serde_json::from_str::<Option<JsonObject>>(&text) {
        let (data, parsed) = (json!(request.data), json!(parsed.unwrap_or_default()));
        assert!(is_same(&data, &parsed), "{data} of {parsed}");
    }
    if let Some(secret) = &request.secret {
        // The host gets back what it sent, but for what it cannot mean.
        let answer = Response {
            secret: Some(secret.clone()),
            ..Response::default()
        };
        let returned = wire_answer(answer).secret.map(|secret| wire::Request {
            operation: Operation::Renew.to_string(),
            secret: Some(secret),
            ..wire::Request::default()
        });
        let storage = Arc::clone(&request.storage);
        let returned = returned.and_then(|sent| translate::request(sent, None, storage).ok());
        assert_eq!(
            returned.and_then(|request| request.secret).as_ref(),
            Some(secret)
        );
    }
    Some(request)
}

/// An outcome as the host reads it, from its bytes.
pub(crate) fn reply(outcome: Result<Option<Response>, Error>) {
    let failed = outcome.is_err();
    let bytes = translate::handle_request_reply(outcome).encode_to_vec();
    let read = wire::HandleRequestReply::decode(&*bytes);
    let Ok(reply) = read else {
        panic!("a reply that cannot be read: {bytes:?}");
    };
    if let Some(error) = &reply.err {
        assert!(error.err_msg.len() < LONG, "{} bytes", error.err_msg.len());
        assert_ne!(error.err_msg, "connection is shut down");
    }
    let Some(response) = reply.response else {
        assert!(!failed || reply.err.is_some());
        return;
    };
    // None is written as `null`.
    let Ok(data) = serde_json::from_str::<Option<JsonObject>>(&response.data) else {
        panic!("data that is no object: {}", response.data);
    };
    let data = data.unwrap_or_default();
    if failed {
        let text = data.get("error").and_then(Value::as_str);
        assert!(data.len() == 1 && text.is_some_and(|text| text.len() < LONG));
    }
    if let Some(secret) = response.secret {
        let internal = serde_json::from_str::<JsonObject>(&secret.internal_data);
        assert!(internal.is_ok(), "{}", secret.internal_data);
        assert!(
            secret
                .lease_options
                .is_some_and(|lease| lease.issue_time.is_some())
        );
    }
}

fn wire_answer(answer: Response) -> wire::Response {
    translate::handle_request_reply(Ok(Some(answer)))
        .response
        .unwrap_or_default()
}
