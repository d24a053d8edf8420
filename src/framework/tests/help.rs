//! Help texts and the OpenAPI document.

use serde_json::{Value, json};

use super::Mount;
use super::shop::declaration;
use crate::framework::testing::{assert_golden, assert_host_decodes};
use crate::logical::testing::StaticSystemView;
use crate::logical::{Error, HostError, JsonObject, Operation};

impl Mount {
    async fn help(&self, path: &str) -> JsonObject {
        let data = json!({"requestResponsePrefix": "shop"});
        self.ask(Operation::Help, path, data).await.data
    }
}

fn text(help: &JsonObject) -> &str {
    help["help"].as_str().unwrap()
}

fn pretty(document: &Value) -> String {
    let mut text = serde_json::to_string_pretty(document).unwrap();
    text.push('\n');
    text
}

#[tokio::test]
async fn the_help_of_the_engine_lists_its_paths() {
    let help = Mount::new().help("").await;
    assert_golden("framework/engine.txt", text(&help));
    assert_eq!(help["see_also"], Value::Null);
}

#[tokio::test]
async fn the_help_of_a_path_explains_its_fields() {
    let mount = Mount::new();
    assert_golden("framework/config.txt", text(&mount.help("config").await));
    assert_golden(
        "framework/coupons.txt",
        text(&mount.help("coupons/corner@x").await),
    );
    assert_golden("framework/archive.txt", text(&mount.help("archive").await));
}

#[tokio::test]
async fn help_does_not_mind_a_slash_at_the_end() {
    let mount = Mount::new();
    assert_eq!(mount.help("config/").await, mount.help("config").await);
    assert_eq!(mount.help("/").await, mount.help("").await);
    let list = mount.help("campaigns/").await;
    assert!(text(&list).contains("List the campaigns."));
}

#[tokio::test]
async fn help_on_a_path_that_is_not_there_is_unsupported() {
    let error = Mount::new()
        .fail(Operation::Help, "nowhere", json!({}))
        .await;
    assert!(matches!(error, Error::UnsupportedPath));
}

#[tokio::test]
async fn the_openapi_document_describes_every_path_and_operation() {
    let help = Mount::new().help("").await;
    assert_host_decodes(&help["openapi"]);
    assert_golden("framework/openapi.json", &pretty(&help["openapi"]));
}

#[tokio::test]
async fn the_document_of_one_path_is_its_part_of_the_whole() {
    let mount = Mount::new();
    let whole = mount.help("").await;

    let part = mount.help("vouchers/x").await;

    let paths = part["openapi"]["paths"].as_object().unwrap();
    assert_eq!(
        paths.keys().collect::<Vec<_>>(),
        ["/coupons/{shop}", "/vouchers/{shop}"]
    );
    for (path, item) in paths {
        assert_eq!(*item, whole["openapi"]["paths"][path]);
    }
}

#[tokio::test]
async fn operation_ids_begin_with_the_engines_prefix_else_with_the_type_of_the_mount() {
    async fn id(mount: Mount, data: Value) -> Value {
        let help = mount.ask(Operation::Help, "config", data).await;
        help.data["openapi"]["paths"]["/config"]["post"]["operationId"].clone()
    }
    let named = declaration().operation_prefix("coupons");
    let named = Mount::of(named, StaticSystemView::default());
    let shop = json!({"requestResponsePrefix": "shop"});

    assert_eq!(id(named, shop.clone()).await, "coupons-write-configuration");
    assert_eq!(id(Mount::new(), shop).await, "shop-write-configuration");
    assert_eq!(id(Mount::new(), json!({})).await, "write-configuration");
    assert_eq!(
        id(Mount::new(), json!({"requestResponsePrefix": 1})).await,
        "write-configuration"
    );
}

#[tokio::test]
async fn every_operation_id_is_used_once() {
    let help = Mount::new().help("").await;
    let mut ids: Vec<&str> = help["openapi"]["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|item| item.as_object().unwrap().values())
        .filter_map(|operation| operation["operationId"].as_str())
        .collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[tokio::test]
async fn help_answers_although_the_host_does_not() {
    let mount = Mount::on(StaticSystemView {
        fault: Some(HostError::Failed("connection lost".to_owned())),
        ..StaticSystemView::default()
    });
    let help = mount.help("").await;
    assert_eq!(help["openapi"]["info"]["version"], "");
}
