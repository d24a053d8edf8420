//! What both neighbours of this layer rely on.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;

use super::testing::{InMemoryStorage, StorageFault};
use super::{
    Error, JsonObject, Operation, READ_ONLY_STORAGE, ReplicationState, Request, Response, Secret,
    Storage, StorageEntry, StorageError, get_json, put_json,
};

#[derive(Debug, Deserialize, PartialEq)]
struct Record {
    limit: u8,
}

fn object(value: serde_json::Value) -> JsonObject {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_host_that_refuses_a_write_is_quoted_word_for_word() {
    let text = format!("rpc: {READ_ONLY_STORAGE} (standby)");
    let error = Error::from(StorageError::from_host(text.clone()));
    assert!(matches!(error, Error::ReadOnly(_)));
    assert_eq!(error.context("error saving").to_string(), text);
}

#[test]
fn any_other_error_of_the_host_is_internal_and_takes_context() {
    let error = Error::from(StorageError::from_host("disk full")).context("error saving");
    assert!(matches!(error, Error::Internal(_)));
    assert_eq!(error.to_string(), "error saving: disk full");
}

#[test]
fn an_error_is_told_briefly_and_what_the_host_compares_word_for_word() {
    let long = "x".repeat(1 << 20);
    for error in [
        Error::invalid(&*long),
        Error::internal(&*long),
        Error::UpstreamRateLimited(long.clone()),
        Error::Coded {
            status: 418,
            message: long.clone(),
        },
    ] {
        let told = error.brief().to_string();
        assert!(told.ends_with('…') && told.len() < 5000);
    }
    assert_eq!(Error::ReadOnly(long.clone()).brief().to_string(), long);
    assert_eq!(Error::invalid("no").brief().to_string(), "no");
}

#[tokio::test]
async fn a_record_is_stored_as_one_line_of_json() {
    let storage = InMemoryStorage::default();

    put_json(&storage, "record", &json!({"limit": 3}))
        .await
        .unwrap();

    assert_eq!(storage.text("record").unwrap(), "{\"limit\":3}\n");
    let read: Option<Record> = get_json(&storage, "record").await.unwrap();
    assert_eq!(read, Some(Record { limit: 3 }));
    let absent: Option<Record> = get_json(&storage, "other").await.unwrap();
    assert_eq!(absent, None);
}

#[tokio::test]
async fn a_record_that_cannot_be_decoded_is_not_quoted() {
    let storage = InMemoryStorage::default();
    for text in [r#"{"limit": "hunter2"}"#, "hunter2", r#""hunter2"#] {
        storage.set_text("record", text);
        let error = get_json::<Record>(&storage, "record").await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("record"), "{shown}");
    }
}

#[tokio::test]
async fn a_list_shows_names_and_folders_below_its_prefix() {
    let storage = InMemoryStorage::default();
    for key in ["a", "dir/b", "dir/deep/c", "dir/deep/d", "dir2/e"] {
        storage.put(StorageEntry::new(key, "x")).await.unwrap();
    }
    assert_eq!(storage.list("").await.unwrap(), ["a", "dir/", "dir2/"]);
    assert_eq!(storage.list("dir/").await.unwrap(), ["b", "deep/"]);
    assert_eq!(storage.list("none/").await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_storage_fails_only_what_it_is_told_to() {
    let storage = InMemoryStorage::default();
    storage.fail(StorageFault::ReadOnly, "locked/");
    let put = |key| storage.put(StorageEntry::new(key, "x"));

    put("open/a").await.unwrap();
    assert!(matches!(
        put("locked/a").await,
        Err(StorageError::ReadOnly(_))
    ));
    assert!(storage.get("locked/a").await.unwrap().is_none());

    storage.heal();
    put("locked/a").await.unwrap();
}

#[test]
fn replication_states_are_told_apart() {
    let told = |bits| {
        let state = ReplicationState(bits);
        (
            state.is_performance_secondary(),
            state.is_dr_secondary(),
            state.is_performance_standby(),
        )
    };
    assert_eq!(told(0), (false, false, false));
    assert_eq!(told(64), (true, false, false));
    assert_eq!(told(512), (false, true, false));
    assert_eq!(told(16384), (false, false, true));
    assert_eq!(told(64 | 16384), (true, false, true));
}

#[test]
fn operations_keep_their_names() {
    for name in [
        "create", "read", "update", "patch", "delete", "list", "help", "renew", "revoke",
        "rollback", "rotate", "header",
    ] {
        assert_eq!(Operation::from(name).to_string(), name);
    }
    assert_eq!(Operation::from("scan"), Operation::Other("scan".to_owned()));
}

#[test]
fn values_are_in_no_debug_text() {
    let values = || object(json!({"key": "hunter2"}));
    let secret = Secret {
        internal_data: values(),
        ..Secret::default()
    };
    let mut request = Request::new(
        Operation::Read,
        "path",
        Arc::new(InMemoryStorage::default()),
    );
    request.data = values();
    request.secret = Some(secret.clone());
    let response = Response {
        secret: Some(secret),
        ..Response::data(values())
    };
    let entry = StorageEntry::new("path", "hunter2");

    let shown = format!("{request:?} {response:?} {entry:?}");

    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("path"), "{shown}");
}

#[test]
fn a_raw_answer_is_base_64_whatever_it_says() {
    // As base 64 this would be decoded by the host.
    let response = Response::raw("text/plain", "no-store", "abcd");

    assert_eq!(
        json!(response.data),
        json!({
            "http_status_code": 200,
            "http_content_type": "text/plain",
            "http_raw_cache_control": "no-store",
            "http_raw_body": "YWJjZA==",
        })
    );
    assert_eq!(response.raw_body().unwrap(), "abcd");
}
