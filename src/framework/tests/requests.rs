//! Routing, fields and warnings; which mistakes become which errors.

use std::sync::Arc;

use serde_json::json;

use super::Mount;
use super::shop::{COUPON_FIELDS, LIMIT, NAME, Shop, nothing};
use crate::framework::{Declaration, OperationDocs, Path};
use crate::logical::testing::{StaticSystemView, StorageFault};
use crate::logical::{
    Backend as _, Error, HostError, JsonObject, Operation, READ_ONLY_STORAGE, ReplicationState,
    Response,
};

const STANDBY: ReplicationState = ReplicationState(1 << 14);
const SECONDARY: ReplicationState = ReplicationState(1 << 6);
const DR_SECONDARY: ReplicationState = ReplicationState(1 << 9);

#[tokio::test]
async fn a_path_that_no_pattern_matches_is_unsupported() {
    let mount = Mount::new();
    for (operation, path) in [
        (Operation::Read, ""),
        (Operation::Read, "nowhere"),
        (Operation::Read, "config/"),
        (Operation::Read, "campaigns/-x"),
        (Operation::Read, "campaigns/a@b"),
        (Operation::List, "campaigns/spring/"),
        (Operation::List, "coupons"),
    ] {
        let error = mount.fail(operation, path, json!({})).await;
        assert!(matches!(error, Error::UnsupportedPath), "{path}: {error:?}");
    }
}

#[tokio::test]
async fn an_operation_that_a_path_does_not_offer_is_unsupported() {
    let mount = Mount::new();
    for (operation, path) in [
        (Operation::Read, "config"),
        (Operation::Read, "campaigns"),
        (Operation::List, "campaigns/spring"),
        (Operation::Patch, "campaigns/spring"),
        (Operation::Delete, "coupons/spring"),
        (Operation::Update, "printer/reset"),
        (Operation::from("header"), "campaigns/spring"),
        (Operation::from("scan"), "campaigns"),
    ] {
        let error = mount.fail(operation, path, json!({})).await;
        assert!(
            matches!(error, Error::UnsupportedOperation),
            "{path}: {error:?}"
        );
    }
}

#[tokio::test]
async fn an_unsupported_operation_is_told_before_a_bad_field() {
    let mount = Mount::new();
    let error = mount
        .fail(Operation::Delete, "coupons/x", json!({"price": "high"}))
        .await;
    assert!(matches!(error, Error::UnsupportedOperation));
}

#[tokio::test]
async fn a_list_answers_with_and_without_a_slash_at_the_end() {
    let mount = Mount::new();
    mount.storage.set_text("campaign/spring", "{}");
    for path in ["campaigns", "campaigns/"] {
        let answer = mount.ask(Operation::List, path, json!({})).await;
        assert_eq!(answer.data["keys"], json!(["spring"]));
    }
}

#[tokio::test]
async fn an_empty_list_has_no_data() {
    let mount = Mount::new();
    let answer = mount.ask(Operation::List, "campaigns/", json!({})).await;
    assert_eq!(answer, Response::default());
}

#[tokio::test]
async fn reading_what_is_not_there_has_no_answer() {
    let mount = Mount::new();
    let answer = mount
        .send(Operation::Read, "campaigns/spring", json!({}))
        .await;
    assert_eq!(answer.unwrap(), None);
}

#[tokio::test]
async fn a_name_in_the_path_wins_over_one_in_the_body_with_a_warning() {
    let mount = Mount::new();

    let answer = mount
        .ask(
            Operation::Update,
            "campaigns/spring",
            json!({"name": "autumn"}),
        )
        .await;

    assert_eq!(answer.data["name"], json!("spring"));
    assert_eq!(
        answer.warnings,
        [
            "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [name]"
        ]
    );
}

#[tokio::test]
async fn a_null_in_the_body_replaces_nothing() {
    let mount = Mount::new();
    let answer = mount
        .ask(Operation::Update, "campaigns/spring", json!({"name": null}))
        .await;
    assert_eq!(answer.warnings, Vec::<String>::new());
}

#[tokio::test]
async fn fields_that_the_path_does_not_know_are_named_in_a_warning() {
    let mount = Mount::new();

    let answer = mount
        .ask(
            Operation::Update,
            "campaigns/spring",
            json!({"zeal": 1, "limit": 3, "ardour": "x"}),
        )
        .await;

    assert_eq!(answer.data["limit"], json!(3));
    assert_eq!(
        answer.warnings,
        ["Endpoint ignored these unrecognized parameters: [ardour zeal]"]
    );
}

#[tokio::test]
async fn a_warning_does_not_repeat_every_name_that_a_client_made_up() {
    let mount = Mount::new();
    let unknown: JsonObject = (0..10_000)
        .map(|number| (format!("unknown-{number}"), json!(1)))
        .chain([("limit".to_owned(), json!(3))])
        .collect();

    let answer = mount
        .ask(Operation::Update, "campaigns/spring", json!(unknown))
        .await;

    assert!(
        answer.warnings[0].ends_with("more"),
        "{:?}",
        answer.warnings
    );
    assert!(answer.warnings[0].len() < 1100, "{:?}", answer.warnings);
}

#[tokio::test]
async fn warnings_follow_those_of_the_engine() {
    let mount = Mount::new();

    let answer = mount
        .ask(
            Operation::Update,
            "config",
            json!({"printer_key": "k", "unknown": 1}),
        )
        .await;
    assert_eq!(
        answer.warnings,
        [
            "key taken",
            "Endpoint ignored these unrecognized parameters: [unknown]"
        ]
    );
}

#[tokio::test]
async fn a_write_that_answers_nothing_else_still_names_what_it_does_not_know() {
    let mount = Mount::new();

    let answer = mount
        .ask(
            Operation::Update,
            "config",
            json!({"currensy": "CHF", "discount": 5, "zeal": null}),
        )
        .await;

    assert_eq!(
        answer,
        Response::warnings(vec![
            "Endpoint ignored these unrecognized parameters: [currensy discount zeal]".to_owned(),
            "currensy has no effect: currency was probably meant".to_owned(),
            "discount has no effect: each campaign has its own".to_owned(),
        ])
    );
}

#[tokio::test]
async fn where_nothing_may_be_ignored_an_unknown_name_stops_the_write() {
    let mount = Mount::new();

    let error = mount
        .fail(
            Operation::Create,
            "printer/reset",
            json!({"now": true, "zeal": 1}),
        )
        .await;

    assert_eq!(
        error.to_string(),
        "nothing was done, for this path does not know now, zeal: it takes no parameters"
    );
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    mount
        .send(Operation::Create, "printer/reset", json!({}))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_deprecated_or_in_the_path_is_never_meant() {
    let mount = Mount::new();
    let unknown = json!({"maximun": 1, "nane": "x"});
    for path in ["config", "campaigns/spring"] {
        let answer = mount.ask(Operation::Update, path, unknown.clone()).await;
        assert_eq!(answer.warnings.len(), 1, "{:?}", answer.warnings);
    }
}

#[tokio::test]
async fn a_read_or_a_deletion_that_answers_nothing_stays_without_an_answer() {
    let mount = Mount::new();
    for operation in [Operation::Read, Operation::Delete] {
        let answer = mount
            .send(operation, "campaigns/spring", json!({"unknown": 1}))
            .await;
        assert_eq!(answer.unwrap(), None);
    }
}

#[tokio::test]
async fn a_create_goes_to_the_handler_of_updates_where_there_is_no_other() {
    let mount = Mount::new();

    mount
        .ask(Operation::Create, "campaigns/spring", json!({}))
        .await;
    mount
        .ask(Operation::Update, "campaigns/spring", json!({}))
        .await;

    assert_eq!(
        mount.journal(),
        ["create campaign spring", "update campaign spring"]
    );
}

#[tokio::test]
async fn the_existence_check_tells_create_from_update() {
    let mount = Mount::new();
    assert_eq!(
        mount.exists("campaigns/spring", json!({})).await.unwrap(),
        Some(false)
    );

    mount
        .ask(Operation::Create, "campaigns/spring", json!({}))
        .await;

    assert_eq!(
        mount.exists("campaigns/spring", json!({})).await.unwrap(),
        Some(true)
    );
}

#[tokio::test]
async fn a_path_without_existence_check_says_so_whatever_was_sent() {
    let mount = Mount::new();
    let answer = mount.exists("config", json!({"limit": "many"})).await;
    assert_eq!(answer.unwrap(), None);
}

#[tokio::test]
async fn the_existence_check_of_an_unknown_path_is_unsupported() {
    let mount = Mount::new();
    let error = mount.exists("nowhere", json!({})).await.unwrap_err();
    assert!(matches!(error, Error::UnsupportedPath));
}

#[tokio::test]
async fn the_existence_check_refuses_a_bad_field_like_the_request_itself() {
    let mount = Mount::new();
    let data = json!({"limit": "many"});

    let check = mount
        .exists("campaigns/spring", data.clone())
        .await
        .unwrap_err();

    let request = mount
        .fail(Operation::Update, "campaigns/spring", data)
        .await;
    assert!(matches!(check, Error::Invalid(_)));
    assert_eq!(check.to_string(), request.to_string());
}

#[tokio::test]
async fn an_operation_that_forwards_does_not_run_where_another_node_must() {
    for (state, local_mount, forwarded) in [
        (ReplicationState::default(), false, false),
        (DR_SECONDARY, false, false),
        (STANDBY, false, true),
        (STANDBY, true, true),
        (SECONDARY, false, true),
        (SECONDARY, true, false),
    ] {
        let mount = Mount::on(StaticSystemView {
            replication_state: state,
            local_mount,
            ..StaticSystemView::default()
        });

        let answer = mount.send(Operation::Update, "coupons/x", json!({})).await;

        if forwarded {
            let error = answer.unwrap_err();
            assert!(matches!(error, Error::ReadOnly(_)), "{state:?}");
            assert_eq!(error.to_string(), READ_ONLY_STORAGE);
            assert_eq!(mount.journal(), Vec::<String>::new());
        } else {
            answer.unwrap().unwrap();
            assert_eq!(mount.journal(), ["printed x-1"]);
        }
        // A path that is not marked.
        mount
            .send(Operation::Read, "archive", json!({}))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_lease_is_given_by_every_node_but_a_standby() {
    for (state, forwarded) in [
        (ReplicationState::default(), false),
        (DR_SECONDARY, false),
        (SECONDARY, false),
        (STANDBY, true),
    ] {
        let mount = Mount::on(StaticSystemView {
            replication_state: state,
            ..StaticSystemView::default()
        });

        for _ in 0..2 {
            let answer = mount.send(Operation::Read, "coupons/x", json!({})).await;

            assert_eq!(matches!(answer, Err(Error::ReadOnly(_))), forwarded);
            assert_eq!(mount.journal().is_empty(), forwarded, "{state:?}");
        }
    }
}

#[tokio::test]
async fn a_node_that_is_no_standby_stays_so_as_long_as_the_mount_is_set_up() {
    let system = StaticSystemView::default();
    let mount = Mount::on(system.clone());

    mount.ask(Operation::Read, "coupons/x", json!({})).await;
    mount.ask(Operation::Read, "coupons/x", json!({})).await;

    assert_eq!(system.take_asked(), ["replication_state"]);
}

#[tokio::test]
async fn a_host_without_the_calls_has_no_replication() {
    let mount = Mount::on(StaticSystemView {
        fault: Some(HostError::Unsupported("ReplicationState")),
        ..StaticSystemView::default()
    });
    mount.ask(Operation::Update, "coupons/x", json!({})).await;
    mount.ask(Operation::Read, "coupons/x", json!({})).await;
}

#[tokio::test]
async fn a_host_that_cannot_tell_the_node_from_another_stops_what_must_forward() {
    let mount = Mount::on(StaticSystemView {
        fault: Some(HostError::Failed("connection lost".to_owned())),
        ..StaticSystemView::default()
    });

    for operation in [Operation::Update, Operation::Read] {
        let error = mount.fail(operation, "coupons/x", json!({})).await;

        assert!(matches!(error, Error::Internal(_)));
        assert_eq!(mount.journal(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_write_that_the_storage_refuses_keeps_the_words_of_the_host() {
    let mount = Mount::new();
    mount.storage.fail(StorageFault::ReadOnly, "");

    let error = mount
        .fail(Operation::Update, "campaigns/spring", json!({}))
        .await;

    assert!(matches!(error, Error::ReadOnly(_)));
    assert_eq!(error.to_string(), READ_ONLY_STORAGE);
}

#[tokio::test]
async fn the_life_cycle_reaches_the_engine() {
    let mount = Mount::new();

    mount
        .backend
        .initialize(Arc::clone(&mount.storage) as Arc<_>)
        .await
        .unwrap();
    mount.backend.invalidate_key("config").await;
    mount
        .send(Operation::Rotate, "config", json!({}))
        .await
        .unwrap();
    let storage = Arc::clone(&mount.storage) as Arc<_>;
    mount.backend.cleanup(storage).await;

    assert_eq!(
        mount.journal(),
        [
            "initialized",
            "forgot config",
            "rotated config",
            "cleaned up"
        ]
    );
    assert_eq!(mount.backend.special_paths().local_storage, ["wal/"]);
}

#[test]
fn the_first_path_that_matches_answers() {
    let declaration = Declaration::new(
        "",
        vec![
            Path::<Shop>::new("campaigns/all").on_with(
                Operation::Read,
                OperationDocs {
                    response: COUPON_FIELDS,
                    ..OperationDocs::NONE
                },
                nothing,
            ),
            Path::new("campaigns/{name}")
                .field(&NAME)
                .on(Operation::Read, nothing),
        ],
        vec![],
    )
    .unwrap();

    let names = |path| {
        declaration
            .response_fields(&Operation::Read, path)
            .map(|fields| fields.iter().map(|field| field.name).collect::<Vec<_>>())
    };
    assert_eq!(names("campaigns/all"), Some(vec!["code", "price"]));
    assert_eq!(names("campaigns/other"), Some(vec![]));
    assert_eq!(names("elsewhere"), None);
}

#[test]
fn a_path_whose_captures_and_fields_disagree_cannot_be_declared() {
    let fault = |path: Path<Shop>| {
        Declaration::new("", vec![path], vec![])
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        fault(Path::new("campaigns/{name}")),
        r#"path template "campaigns/{name}": captures "name" without declaring it as a field"#
    );
    assert_eq!(
        fault(Path::new("config").field(&LIMIT).field(&LIMIT)),
        r#"path template "config": declares the field "limit" twice"#
    );
    assert_eq!(
        fault(Path::new("config/.*")),
        r#"path template "config/.*": '*' has no meaning there"#
    );
}
