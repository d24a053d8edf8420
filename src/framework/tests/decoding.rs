//! What clients may send for each type of field, and what it is taken for.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::{Mount, object};
use crate::framework::{Field, FieldData, FieldValue};
use crate::logical::{Error, Operation};
use crate::secret::{ExposeSecret, SecretString};

/// Decodes a JSON text as a request's body is decoded.
fn decode<T: FieldValue>(json: &str) -> Result<T, String> {
    T::decode(&serde_json::from_str(json).unwrap())
}

fn accepts<T: FieldValue + PartialEq + std::fmt::Debug>(
    cases: impl IntoIterator<Item = (&'static str, T)>,
) {
    for (json, expected) in cases {
        assert_eq!(decode::<T>(json), Ok(expected), "{json}");
    }
}

fn refuses<T: FieldValue + std::fmt::Debug>(
    cases: impl IntoIterator<Item = (&'static str, &'static str)>,
) {
    for (json, reason) in cases {
        assert_eq!(decode::<T>(json).unwrap_err(), reason, "{json}");
    }
}

#[test]
fn a_text_may_come_as_a_number_or_a_boolean() {
    accepts::<String>(
        [
            (r#""a b""#, "a b"),
            (r#"" a ""#, " a "),
            (r#""""#, ""),
            ("123456789012", "123456789012"),
            ("-1", "-1"),
            ("18446744073709551615", "18446744073709551615"),
            ("1.5", "1.5"),
            (r#""1.10""#, "1.10"),
            ("true", "1"),
            ("false", "0"),
        ]
        .map(|(json, text)| (json, text.to_owned())),
    );
    refuses::<String>([
        (r#"["a"]"#, "expected a text, got a list"),
        ("[]", "expected a text, got a list"),
        (r#"{"a": 1}"#, "expected a text, got an object"),
    ]);
}

#[test]
fn a_whole_number_may_come_as_a_text_or_a_boolean() {
    accepts::<i64>([
        ("7", 7),
        ("-1", -1),
        ("0", 0),
        (r#""7""#, 7),
        (r#"" 7 ""#, 7),
        (r#""-1""#, -1),
        (r#""""#, 0),
        ("true", 1),
        ("false", 0),
        ("9223372036854775807", i64::MAX),
    ]);
    refuses::<i64>([
        ("1.5", "1.5 is not a whole number"),
        (r#""1.5""#, r#""1.5" is not a whole number"#),
        (r#""seven""#, r#""seven" is not a whole number"#),
        (r#""0x10""#, r#""0x10" is not a whole number"#),
        (
            "9223372036854775808",
            "9223372036854775808 is not a whole number",
        ),
        ("[1]", "expected a whole number, got a list"),
        ("{}", "expected a whole number, got an object"),
    ]);
}

#[test]
fn a_boolean_may_come_as_0_or_1_or_in_words() {
    for json in [
        "true",
        "1",
        r#""1""#,
        r#""t""#,
        r#""T""#,
        r#""true""#,
        r#""TRUE""#,
        r#""True""#,
        r#"" true ""#,
    ] {
        assert_eq!(decode(json), Ok(true), "{json}");
    }
    for json in [
        "false",
        "0",
        r#""0""#,
        r#""f""#,
        r#""F""#,
        r#""false""#,
        r#""FALSE""#,
        r#""False""#,
        r#""""#,
    ] {
        assert_eq!(decode(json), Ok(false), "{json}");
    }
    refuses::<bool>([
        ("2", "2 is neither true nor false"),
        ("-1", "-1 is neither true nor false"),
        (r#""2""#, r#""2" is neither true nor false"#),
        (r#""yes""#, r#""yes" is neither true nor false"#),
        (r#""tRuE""#, r#""tRuE" is neither true nor false"#),
        ("[]", "expected true or false, got a list"),
    ]);
}

#[test]
fn a_duration_is_a_number_of_seconds_or_a_text_with_units() {
    accepts::<Duration>(
        [
            ("90", 90),
            ("0", 0),
            (r#""90""#, 90),
            (r#"" 90 ""#, 90),
            (r#""90s""#, 90),
            (r#""1h30m""#, 5400),
            (r#""1.5h""#, 5400),
            (r#""1d""#, 86_400),
            (r#""""#, 0),
            (r#""-0""#, 0),
            // Parts of a second are cut off.
            (r#""1500ms""#, 1),
            (r#""0ms""#, 0),
        ]
        .map(|(json, seconds)| (json, Duration::from_secs(seconds))),
    );
    refuses::<Duration>([
        ("-5", "cannot provide negative value '-5'"),
        (r#""-5m""#, "cannot provide negative value '-5m'"),
        ("90.5", "90.5 is not a whole number of seconds"),
        // Zero seconds would mean that nothing was sent.
        (
            r#""500ms""#,
            r#""500ms" is less than a second, write whole seconds"#,
        ),
        (
            r#""1ns""#,
            r#""1ns" is less than a second, write whole seconds"#,
        ),
        (
            "true",
            r#"expected a number of seconds or a text such as "1h", got a boolean"#,
        ),
        (
            "[90]",
            r#"expected a number of seconds or a text such as "1h", got a list"#,
        ),
    ]);
    for json in [r#""90.5""#, r#""1d2h""#, r#""1w""#, r#""soon""#] {
        let reason = decode::<Duration>(json).unwrap_err();
        assert!(
            reason.contains(&format!("{json} is not a duration")),
            "{reason}"
        );
    }
    assert_eq!(
        decode::<Duration>(r#""200000d""#).unwrap_err(),
        r#""200000d" is too long a duration"#
    );
}

#[test]
fn a_list_may_come_as_one_text_with_commas() {
    fn list<const N: usize>(items: [&str; N]) -> Vec<String> {
        items.map(str::to_owned).to_vec()
    }
    accepts::<Vec<String>>([
        (r#"["a", "b"]"#, list(["a", "b"])),
        (r#"[" a ", "b,c"]"#, list(["a", "b,c"])),
        ("[1, true]", list(["1", "1"])),
        ("[null]", list([])),
        ("[]", list([])),
        ("{}", list([])),
        (r#""a,b""#, list(["a", "b"])),
        (r#"" a , b ""#, list(["a", "b"])),
        (r#""a""#, list(["a"])),
        (r#""a,""#, list(["a", ""])),
        (r#""""#, list([])),
        (r#"" ""#, list([])),
        (r#""[\"a\"]""#, list([r#"["a"]"#])),
        ("1", list(["1"])),
    ]);
    refuses::<Vec<String>>([
        (r#"[["a"]]"#, "expected a text, got a list"),
        (r#"[{"a": "b"}]"#, "expected a text, got an object"),
        (
            r#"{"a": "b"}"#,
            "expected a list or a text with commas, got an object",
        ),
    ]);
}

#[test]
fn pairs_may_come_as_an_object_or_a_list_or_one_pair() {
    fn pairs<const N: usize>(items: [(&str, &str); N]) -> BTreeMap<String, String> {
        items
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into()
    }
    accepts::<BTreeMap<String, String>>([
        (r#"{"a": "b"}"#, pairs([("a", "b")])),
        (
            r#"{"a": 1, "b": true, "c": null}"#,
            pairs([("a", "1"), ("b", "1"), ("c", "")]),
        ),
        (r#"["a=b", "c=d=e"]"#, pairs([("a", "b"), ("c", "d=e")])),
        (
            r#"[{"a": "b"}, {"c": "d"}]"#,
            pairs([("a", "b"), ("c", "d")]),
        ),
        (r#"["a="]"#, pairs([("a", "")])),
        (r#""a=b""#, pairs([("a", "b")])),
        (r#""a=b,c=d""#, pairs([("a", "b,c=d")])),
        (r#""""#, pairs([])),
        ("{}", pairs([])),
        ("[]", pairs([])),
        ("[null]", pairs([])),
    ]);
    refuses::<BTreeMap<String, String>>([
        (r#""a""#, r#"invalid key pair "a": write key=value"#),
        (r#"["=b"]"#, r#"invalid key pair "=b": write key=value"#),
        ("5", r#"invalid key pair "5": write key=value"#),
        (
            r#"{"a": ["b"]}"#,
            r#"value of "a": expected a text, got a list"#,
        ),
        (
            r#"[["a=b"]]"#,
            "expected pairs in the list, got a list in it",
        ),
    ]);
}

#[tokio::test]
async fn a_null_clears_every_field_but_a_duration_which_counts_as_not_sent() {
    const NAME: Field<String> = Field::new("name", "");
    const CURRENCY: Field<String> = Field::new("currency", "").default(|| "EUR".to_owned());
    const KEY: Field<SecretString> = Field::new("key", "");
    const LIMIT: Field<i64> = Field::new("limit", "");
    const STRICT: Field<bool> = Field::new("strict", "");
    const SHOPS: Field<Vec<String>> = Field::new("shops", "");
    const LABELS: Field<BTreeMap<String, String>> = Field::new("labels", "");
    const LIFETIME: Field<Duration> = Field::new("lifetime", "");
    const PAUSE: Field<Duration> = Field::new("pause", "").null_clears();
    const ABSENT: Field<String> = Field::new("absent", "");
    let fields = [
        NAME.schema(),
        CURRENCY.schema(),
        KEY.schema(),
        LIMIT.schema(),
        STRICT.schema(),
        SHOPS.schema(),
        LABELS.schema(),
        LIFETIME.schema(),
        PAUSE.schema(),
        ABSENT.schema(),
    ];
    let nulls = object(json!({
        "name": null, "currency": null, "key": null, "limit": null, "strict": null,
        "shops": null, "labels": null, "lifetime": null, "pause": null,
    }));

    let data = FieldData::decode(nulls, Vec::new(), Arc::new(fields)).unwrap();

    assert_eq!(data.get(&NAME), Some(String::new()));
    assert_eq!(data.get(&CURRENCY), Some("EUR".to_owned()));
    assert_eq!(data.get(&KEY).unwrap().expose_secret(), "");
    assert_eq!(data.get(&LIMIT), Some(0));
    assert_eq!(data.get(&STRICT), Some(false));
    assert_eq!(data.get(&SHOPS), Some(Vec::new()));
    assert_eq!(data.get(&LABELS), Some(BTreeMap::new()));
    assert_eq!(data.get(&LIFETIME), None);
    assert_eq!(data.get(&PAUSE), Some(Duration::ZERO));
    assert_eq!(data.get(&ABSENT), None);
    assert!(data.is_null(&NAME) && data.is_null(&LIFETIME) && !data.is_null(&ABSENT));
}

#[tokio::test]
async fn a_field_that_was_not_sent_has_its_default_or_its_zero_value() {
    let mount = Mount::new();

    mount
        .send(
            Operation::Update,
            "config",
            json!({"currency": "", "lifetime": 0}),
        )
        .await
        .unwrap();

    assert_eq!(mount.journal(), ["config  0 Some(0ns)"]);
}

#[tokio::test]
async fn a_value_of_the_wrong_kind_is_the_callers_mistake_and_names_the_field() {
    let mount = Mount::new();
    for (field, value, reason) in [
        ("limit", json!("many"), r#""many" is not a whole number"#),
        (
            "strict",
            json!("perhaps"),
            r#""perhaps" is neither true nor false"#,
        ),
        ("lifetime", json!(-1), "cannot provide negative value '-1'"),
        (
            "labels",
            json!("red"),
            r#"invalid key pair "red": write key=value"#,
        ),
        (
            "currency",
            json!({"code": "EUR"}),
            "expected a text, got an object",
        ),
    ] {
        let error = mount
            .fail(Operation::Update, "config", json!({field: value}))
            .await;
        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!(
                "Field validation failed: error converting input for field \"{field}\": {reason}"
            )
        );
    }
    assert_eq!(mount.journal(), Vec::<String>::new());
}

#[tokio::test]
async fn a_refusal_shows_the_beginning_of_a_long_value_and_what_to_write() {
    let mount = Mount::new();
    let long = "x".repeat(100_000);
    for (field, value, rule) in [
        ("limit", json!(long), "is not a whole number"),
        ("strict", json!(long), "is neither true nor false"),
        ("lifetime", json!(long), "15m"),
        ("labels", json!(long), "write key=value"),
        (
            "labels",
            json!({&*long: {}}),
            "expected a text, got an object",
        ),
    ] {
        let error = mount
            .fail(Operation::Update, "config", json!({field: value}))
            .await
            .to_string();
        assert!(error.len() < 500, "{} bytes", error.len());
        assert!(error.contains("xxx") && error.contains(rule), "{error}");
    }
}

#[tokio::test]
async fn what_was_sent_for_a_secret_is_in_no_error_and_no_debug_text() {
    let mount = Mount::new();

    let error = mount
        .fail(
            Operation::Update,
            "config",
            json!({"printer_key": ["hunter2"]}),
        )
        .await;

    assert!(!format!("{error} {error:?}").contains("hunter2"));
    let request = mount.request(
        Operation::Update,
        "config",
        json!({"printer_key": "hunter2"}),
    );
    assert!(!format!("{request:?}").contains("hunter2"));
}
