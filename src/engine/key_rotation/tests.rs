use serde_json::{Value, json};

use super::KeyChange;

const ACCOUNT: &str = "111122223333";
/// An access key id of that account.
const KEY: &str = "AKIARTX3GSDSVAAAAAAA";

fn read(entry: Value) -> KeyChange {
    serde_json::from_value(entry).unwrap()
}

#[test]
fn an_entry_that_names_its_account_is_not_settled_in_another() {
    let change = read(json!({"user_name": "jane", "aws_account": ACCOUNT}));

    change.check_account(Some(ACCOUNT)).unwrap();
    for (present, words) in [
        (Some("999988887777"), "belong to account 999988887777 now"),
        (None, "AWS does not tell which account"),
    ] {
        let error = change.check_account(present).unwrap_err().to_string();
        for words in [
            words,
            "IAM user jane in AWS account 111122223333",
            "write credentials of account 111122223333 to config/root",
        ] {
            assert!(error.contains(words), "{words:?} in: {error}");
        }
    }
}

#[test]
fn of_an_entry_of_an_older_version_the_ids_of_its_keys_tell_the_account() {
    for entry in [
        json!({"user_name": "jane", "access_keys": [KEY]}),
        json!({"user_name": "jane", "new_access_key": KEY}),
        json!({"user_name": "jane", "access_keys": [], "retired": ["old", KEY]}),
    ] {
        let change = read(entry);
        change.check_account(Some(ACCOUNT)).unwrap();
        change.check_account(Some("999988887777")).unwrap_err();
    }
    read(json!({"user_name": "jane", "access_keys": ["AKIAIOSFODNN7EXAMPLE"]}))
        .check_account(None)
        .unwrap();
}

#[test]
fn aws_has_room_for_a_second_key_only() {
    for (entry, has_room) in [
        (json!({"access_keys": []}), true),
        (json!({"access_keys": ["A"]}), true),
        (json!({"access_keys": ["A", "B"]}), false),
        (json!({"access_keys": ["A", "B"], "making_room": "A"}), true),
        // Who may not look does not know.
        (json!({}), false),
    ] {
        assert_eq!(read(entry.clone()).leaves_room(), has_room, "{entry}");
    }
}
