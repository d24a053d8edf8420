//! `config/root` as clients of both engines use it.

mod keys;
mod places;

use serde_json::{Value, json};

use super::KEY;
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::engine::usernames::DEFAULT_TEMPLATE;
use crate::logical::testing::{StaticSystemView, StorageFault};
use crate::logical::{
    Error, HostError, JsonObject, Operation, READ_ONLY_STORAGE, ReplicationState,
};

/// Everything that can be read, of a configuration with nothing set.
fn defaults() -> Value {
    json!({
        "access_key": "",
        "region": "",
        "iam_endpoint": "",
        "sts_endpoint": "",
        "sts_region": "",
        "sts_fallback_endpoints": [],
        "sts_fallback_regions": [],
        "max_retries": -1,
        "username_template": DEFAULT_TEMPLATE,
        "role_arn": "",
        "identity_token_audience": "",
        "identity_token_ttl": 0,
        "rotation_schedule": "",
        "rotation_window": 0,
        "rotation_period": 0,
        "rotation_policy": "",
        "disable_automated_rotation": false,
    })
}

/// The defaults with some fields changed.
fn with(changes: Value) -> JsonObject {
    let (Value::Object(mut all), Value::Object(changes)) = (defaults(), changes) else {
        unreachable!()
    };
    all.extend(changes);
    all
}

fn stored(mount: &TestMount) -> Value {
    serde_json::from_str(&mount.storage().text(KEY).unwrap()).unwrap()
}

#[tokio::test]
async fn nothing_is_read_before_it_is_written() {
    let mount = TestMount::new().await;

    let answer = mount.send(Operation::Read, "config/root", json!({})).await;

    assert_eq!(answer.unwrap(), None);
}

#[tokio::test]
async fn a_first_write_stores_defaults_for_what_is_not_sent_and_answers_nothing() {
    let mount = TestMount::new().await;
    let sent = json!({
        "access_key": "AKIAEXAMPLE",
        "secret_key": "RPZSEfWoSsHYlLrJ",
        "region": "us-west-2",
        "iam_endpoint": "https://iam.amazonaws.com",
        "sts_endpoint": "https://sts.us-west-2.amazonaws.com",
    });

    let answer = mount
        .send(Operation::Update, "config/root", sent.clone())
        .await;

    assert_eq!(answer.unwrap(), None, "204");
    let mut expected = with(sent);
    expected.remove("secret_key");
    assert_eq!(mount.read("config/root").await, expected);
    assert_eq!(stored(&mount)["secret_key"], json!("RPZSEfWoSsHYlLrJ"));
}

#[tokio::test]
async fn an_empty_write_gives_the_defaults() {
    let mount = TestMount::new().await;

    mount.write("config/root", json!({})).await;

    assert_eq!(mount.read("config/root").await, with(json!({})));
}

#[tokio::test]
async fn a_later_write_changes_what_it_names_and_keeps_the_rest() {
    let mount = TestMount::new().await;
    let template = "v-{{ .DisplayName | truncate 20 }}-{{ random 20 }}";
    mount
        .write(
            "config/root",
            json!({
                "access_key": "AKIAEXAMPLE",
                "secret_key": "s3cr3t",
                "region": "us-west-2",
                "sts_region": "us-east-2",
                "username_template": template,
                "sts_fallback_endpoints": ["192.168.1.1", "127.0.0.1"],
                "sts_fallback_regions": ["my-house-1", "my-house-2"],
            }),
        )
        .await;

    mount.write("config/root", json!({"max_retries": 10})).await;

    assert_eq!(
        mount.read("config/root").await,
        with(json!({
            "access_key": "AKIAEXAMPLE",
            "region": "us-west-2",
            "sts_region": "us-east-2",
            "username_template": template,
            "sts_fallback_endpoints": ["192.168.1.1", "127.0.0.1"],
            "sts_fallback_regions": ["my-house-1", "my-house-2"],
            "max_retries": 10,
        }))
    );
    assert_eq!(stored(&mount)["secret_key"], json!("s3cr3t"));
}

#[tokio::test]
async fn an_empty_value_or_a_null_sets_a_field_back_to_its_default() {
    for nothing in [json!(""), json!(null)] {
        let mount = TestMount::new().await;
        mount
            .write(
                "config/root",
                json!({
                    "region": "us-west-2",
                    "iam_endpoint": "https://iam.amazonaws.com",
                    "sts_endpoint": "https://sts.us-east-2.amazonaws.com",
                    "sts_region": "us-east-2",
                    "sts_fallback_endpoints": "https://sts.us-west-1.amazonaws.com",
                    "sts_fallback_regions": "us-west-1",
                    "username_template": "x-{{ random 20 }}",
                    "role_arn": "arn:aws:iam::123456789012:role/x",
                    "disable_automated_rotation": true,
                }),
            )
            .await;

        mount
            .write(
                "config/root",
                json!({
                    "region": nothing,
                    "iam_endpoint": nothing,
                    "sts_endpoint": nothing,
                    "sts_region": nothing,
                    "sts_fallback_endpoints": nothing,
                    "sts_fallback_regions": nothing,
                    "username_template": nothing,
                    "role_arn": nothing,
                    "disable_automated_rotation": nothing,
                }),
            )
            .await;

        assert_eq!(mount.read("config/root").await, with(json!({})));
    }
}

#[tokio::test]
async fn max_retries_of_null_as_hvac_sends_it_is_the_sdks_own_number() {
    let mount = TestMount::new().await;
    mount.write("config/root", json!({"max_retries": 3})).await;

    mount
        .write("config/root", json!({"max_retries": null}))
        .await;

    assert_eq!(mount.read("config/root").await["max_retries"], json!(-1));
}

#[tokio::test]
async fn more_retries_than_fit_into_a_request_are_taken_with_a_warning() {
    let mount = TestMount::new().await;

    let warnings = mount.write("config/root", json!({"max_retries": 50})).await;

    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("max_retries of 50 is more than fits"));
    assert_eq!(mount.write("config/root", json!({})).await, [""; 0]);
}

#[tokio::test]
async fn a_duration_of_null_counts_as_not_sent_as_in_vault() {
    let mount = TestMount::new().await;
    mount
        .write("config/root", json!({"identity_token_ttl": 600}))
        .await;

    mount
        .write("config/root", json!({"identity_token_ttl": null}))
        .await;

    assert_eq!(
        mount.read("config/root").await["identity_token_ttl"],
        json!(600)
    );
}

#[tokio::test]
async fn a_null_clears_the_access_key_with_its_secret_but_never_the_secret_alone() {
    let mount = TestMount::new().await;
    let key = json!({"access_key": "AKIAONE", "secret_key": "one"});
    mount.write("config/root", key.clone()).await;
    for keeps in [
        json!({"secret_key": null}),
        json!({"access_key": "AKIAONE", "secret_key": null}),
    ] {
        mount.write("config/root", keeps).await;
        assert_eq!(stored(&mount)["secret_key"], json!("one"));
    }
    let refused = json!({"access_key": null, "secret_key": "two"});
    mount.write_refusal("config/root", refused).await;

    for clears in [
        json!({"access_key": null}),
        json!({"access_key": null, "secret_key": null}),
    ] {
        mount.write("config/root", key.clone()).await;

        let warnings = mount.write("config/root", clears).await;

        assert_eq!(stored(&mount)["access_key"], json!(""));
        assert_eq!(stored(&mount)["secret_key"], json!(""));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].starts_with("access_key AKIAONE and its secret_key are removed"),
            "{warnings:?}"
        );
    }
}

#[tokio::test]
async fn no_retries_at_all_can_be_configured() {
    let mount = TestMount::new().await;

    mount.write("config/root", json!({"max_retries": 0})).await;

    assert_eq!(mount.read("config/root").await["max_retries"], json!(0));
}

#[tokio::test]
async fn fallbacks_may_be_sent_as_one_text_each() {
    let mount = TestMount::new().await;

    mount
        .write(
            "config/root",
            json!({"sts_fallback_endpoints": "1.1.1.1,8.8.8.8", "sts_fallback_regions": "zone-1, zone-2"}),
        )
        .await;

    assert_eq!(
        mount.read("config/root").await,
        with(json!({
            "sts_fallback_endpoints": ["1.1.1.1", "8.8.8.8"],
            "sts_fallback_regions": ["zone-1", "zone-2"],
        }))
    );
}

#[tokio::test]
async fn unknown_fields_are_ignored_and_named() {
    let mount = TestMount::new().await;
    let sent = json!({
        "connection_uri": "test_uri",
        "username": "guest",
        "password": "guest",
        "username_template": "",
    });

    let warnings = mount.write("config/root", sent).await;

    assert_eq!(
        warnings,
        ["Endpoint ignored these unrecognized parameters: [connection_uri password username]"]
    );
    assert_eq!(mount.read("config/root").await, with(json!({})));
}

#[tokio::test]
async fn what_is_set_elsewhere_is_told_with_its_place() {
    let mount = TestMount::new().await;
    for (field, place) in [
        ("root_cert_bundle", "AWS_CA_BUNDLE"),
        ("https_proxy", "HTTPS_PROXY"),
        ("session_token", "no place for the credentials of a session"),
        ("lease_max", "config/lease"),
        ("endpoint", "iam_endpoint and sts_endpoint"),
        ("acces_key", "access_key was probably meant"),
    ] {
        let warnings = mount.write("config/root", json!({ field: "x" })).await;

        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert!(warnings[1].contains(place), "{warnings:?}");
    }
}

#[tokio::test]
async fn a_template_is_stored_as_it_was_sent() {
    let mount = TestMount::new().await;

    let warnings = mount
        .write(
            "config/root",
            json!({"username_template": "foo-{{ .DisplayName }}"}),
        )
        .await;

    let config = mount.read("config/root").await;
    assert_eq!(config["username_template"], json!("foo-{{ .DisplayName }}"));
    assert_eq!(warnings.len(), 2, "too long, and not unique: {warnings:?}");
}

#[tokio::test]
async fn an_access_key_and_its_secret_come_together() {
    let mount = TestMount::new().await;
    mount
        .write(
            "config/root",
            json!({"access_key": "AKIAONE", "secret_key": "one"}),
        )
        .await;

    let error = mount
        .write_error("config/root", json!({"access_key": "AKIATWO"}))
        .await;
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    assert!(
        error.to_string().starts_with("secret_key is missing"),
        "{error}"
    );

    for half in [
        json!({"access_key": "AKIATWO", "secret_key": ""}),
        json!({"access_key": "", "secret_key": "two"}),
        json!({"secret_key": ""}),
    ] {
        let error = mount.write_error("config/root", half).await;
        assert_eq!(
            error.to_string(),
            "static AWS client credentials haven't been properly configured (the access key or secret key were provided but not both)"
        );
    }
    assert_eq!(stored(&mount)["access_key"], json!("AKIAONE"));
    assert_eq!(stored(&mount)["secret_key"], json!("one"));

    // Terraform sends the id again, but not a write-only secret.
    mount
        .write(
            "config/root",
            json!({"access_key": "AKIAONE", "region": "us-east-2"}),
        )
        .await;
    assert_eq!(stored(&mount)["secret_key"], json!("one"));

    mount
        .write("config/root", json!({"secret_key": "uno"}))
        .await;
    assert_eq!(stored(&mount)["secret_key"], json!("uno"));

    mount.write("config/root", json!({"access_key": ""})).await;
    assert_eq!(stored(&mount)["secret_key"], json!(""));
}

#[tokio::test]
async fn white_space_around_a_value_is_read_back_and_not_used() {
    let mount = TestMount::new().await;
    let sent = json!({
        "access_key": " AKIAONE\n",
        "region": "us-west-2\n",
        "iam_endpoint": " https://iam.example.com",
        "sts_endpoint": "https://sts.example.com\n",
        "sts_region": "us-east-2 ",
        "sts_fallback_endpoints": ["https://sts.example.org\n"],
        "sts_fallback_regions": [" us-east-1"],
        "role_arn": "arn:aws:iam::123456789012:role/x\n",
        "username_template": "{{ random 20 }}\n",
    });
    let mut with_secret = sent.clone();
    with_secret["secret_key"] = json!("one\n");

    mount.write("config/root", with_secret).await;

    assert_eq!(mount.read("config/root").await, with(sent));
    assert_eq!(stored(&mount)["access_key"], json!("AKIAONE"));
    assert_eq!(stored(&mount)["secret_key"], json!("one"));
    assert_eq!(stored(&mount)["region"], json!("us-west-2"));

    // The next value takes the place of all of it.
    mount
        .write(
            "config/root",
            json!({"region": "us-east-2", "sts_fallback_endpoints": "https://a.example.com"}),
        )
        .await;
    let config = mount.read("config/root").await;
    assert_eq!(config["region"], json!("us-east-2"));
    assert_eq!(
        config["sts_fallback_endpoints"],
        json!(["https://a.example.com"])
    );
    assert_eq!(config["sts_region"], json!("us-east-2 "));
}

#[tokio::test]
async fn a_template_of_a_here_document_gives_names_without_the_end_of_its_line() {
    let mount = TestMount::configured().await;
    let template = "v-{{ random 20 }}\n";
    mount
        .write("config/root", json!({"username_template": template}))
        .await;
    let role = json!({"credential_type": "iam_user", "policy_arns": READ_ONLY});
    mount.write("roles/x", role).await;

    let name = mount.generate("creds/x").await.text("username").to_owned();

    assert_eq!(name.len(), 22, "{name:?}");
    assert_eq!(
        mount.read("config/root").await["username_template"],
        json!(template)
    );

    // As another engine stored it.
    let mut config = stored(&mount);
    config["username_template"] = json!(template);
    mount.store_elsewhere(KEY, &config.to_string()).await;
    let name = mount.generate("creds/x").await.text("username").to_owned();
    assert_eq!(name.len(), 22, "{name:?}");
}

/// Each of them on a mount that has nothing yet, with a refusal that begins so; and nothing is stored.
async fn all_are_refused(table: &[(Value, &str)]) {
    for (sent, expected) in table {
        let mount = TestMount::new().await;

        let error = mount.write_error("config/root", sent.clone()).await;

        assert!(matches!(error, Error::Invalid(_)), "{sent}: {error:?}");
        assert!(error.to_string().starts_with(expected), "{sent}: {error}");
        assert_eq!(mount.storage().keys(), [""; 0], "{sent}");
    }
}

#[tokio::test]
async fn what_can_never_work_is_refused_and_nothing_is_stored() {
    let arn = "arn:aws:iam::123456789012:role/x";
    all_are_refused(&[
        (
            json!({"region": "US East"}),
            "region in config/root: region \"US East\" must consist of lower-case letters, digits and hyphens, such as us-east-1",
        ),
        (
            json!({"sts_region": "_"}),
            "sts_region in config/root: region \"_\" must consist of",
        ),
        (
            json!({"iam_endpoint": "ftp://iam"}),
            "iam_endpoint in config/root: endpoint \"ftp://iam\" must start with https:// or http://",
        ),
        (
            json!({"sts_endpoint": "https://a:b@sts"}),
            "sts_endpoint in config/root: endpoint \"https://a:b@sts\" must not contain credentials",
        ),
        (
            json!({"sts_fallback_endpoints": "1.1.1.1", "sts_fallback_regions": "Z"}),
            "sts_fallback_regions in config/root: region \"Z\" must consist of",
        ),
        (
            json!({"sts_fallback_endpoints": "a b", "sts_fallback_regions": "z"}),
            "sts_fallback_endpoints in config/root: endpoint \"a b\" must be an address",
        ),
        (
            json!({"sts_fallback_endpoints": ["1.1.1.1", "8.8.8.8"], "sts_fallback_regions": ["zone-1"]}),
            "fallback endpoints and fallback regions must be the same length",
        ),
        (
            json!({"max_retries": -2}),
            "max_retries must be -1 (the SDK's own number) or 0 to 100, not -2",
        ),
        (
            json!({"max_retries": "many"}),
            "Field validation failed: error converting input for field \"max_retries\": \"many\" is not a whole number",
        ),
        (
            json!({"username_template": "{{ .Nobody }}"}),
            "username_template: ",
        ),
        (
            json!({"access_key": "AKIA EXAMPLE", "secret_key": "x"}),
            "access_key in config/root: access key id \"AKIA EXAMPLE\" must consist of visible ASCII characters",
        ),
        (
            json!({"role_arn": "x"}),
            "role_arn in config/root: ARN \"x\" must start with \"arn:\"",
        ),
        (
            json!({"identity_token_audience": "a", "access_key": "A", "secret_key": "s"}),
            "only one of 'access_key' or 'identity_token_audience' can be set",
        ),
        (
            json!({"identity_token_audience": "a"}),
            "missing required 'role_arn' when 'identity_token_audience' is set",
        ),
        (
            json!({"identity_token_audience": "a", "role_arn": arn}),
            "identity_token_audience: this host does not offer GenerateIdentityToken",
        ),
        (
            json!({"rotation_schedule": "*/1 * * * *", "rotation_period": 60}),
            "mutually exclusive fields rotation_schedule and rotation_period were both specified; only one of them can be provided",
        ),
        (
            json!({"rotation_window": 60, "rotation_period": 60}),
            "rotation_window does not apply to period",
        ),
        (
            json!({"rotation_window": 60}),
            "cannot use rotation_window without rotation_schedule",
        ),
    ])
    .await;
}

#[tokio::test]
async fn times_and_roles_that_can_never_work_are_refused_and_nothing_is_stored() {
    all_are_refused(&[
        (
            json!({"rotation_period": 9}),
            "rotation_period: must be at least 10 seconds, not 9",
        ),
        (
            json!({"rotation_schedule": "0 3 * * *", "rotation_window": 3599}),
            "rotation_window: must be at least 1 hour, not 3599 seconds",
        ),
        (
            json!({"rotation_schedule": "0 3 * *"}),
            "failed to parse provided rotation_schedule: \"0 3 * *\" is not a cron expression of five fields",
        ),
        (
            json!({"rotation_schedule": "0 3 30 2 *"}),
            "failed to parse provided rotation_schedule: the time of \"0 3 30 2 *\" never comes",
        ),
        (
            json!({"assume_role_arn": "deploy"}),
            "assume_role_arn in config/root: ",
        ),
        (
            json!({"external_id": "x1"}),
            "external_id is of the session of assume_role_arn, which is missing",
        ),
        (
            json!({"assume_role_arn": "arn:aws:iam::111122223333:role/x", "assume_role_session_name": "a b"}),
            "assume_role_session_name in config/root: ",
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_community_edition_says_what_it_lacks() {
    for (sent, expected) in [(
        json!({"identity_token_audience": "a", "role_arn": "arn:aws:iam::123456789012:role/x", "identity_token_ttl": 10}),
        "plugin workload identity not supported in Vault community edition",
    )] {
        let mount = TestMount::on(StaticSystemView {
            vault_calls: true,
            ..StaticSystemView::default()
        })
        .await;

        let error = mount.write_error("config/root", sent).await;

        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(mount.storage().keys(), [""; 0]);
    }
}

#[tokio::test]
async fn a_mount_without_scheduled_rotation_can_be_written_on_every_host() {
    for vault_calls in [false, true] {
        let mount = TestMount::on(StaticSystemView {
            vault_calls,
            ..StaticSystemView::default()
        })
        .await;

        mount
            .write("config/root", json!({"disable_automated_rotation": true}))
            .await;
    }
}

#[tokio::test]
async fn a_node_that_may_not_write_has_the_host_forward() {
    let mount = TestMount::on(StaticSystemView {
        replication_state: ReplicationState(1 << 14),
        ..StaticSystemView::default()
    })
    .await;
    let error = mount.write_error("config/root", json!({})).await;
    assert_eq!(error.to_string(), READ_ONLY_STORAGE);

    let mount = TestMount::new().await;
    mount.storage().fail(StorageFault::ReadOnly, "");
    let error = mount.write_error("config/root", json!({})).await;
    assert!(matches!(error, Error::ReadOnly(_)), "{error:?}");
    assert_eq!(error.to_string(), READ_ONLY_STORAGE);
}

#[tokio::test]
async fn a_host_that_does_not_say_whether_it_may_write_is_an_error() {
    let mount = TestMount::on(StaticSystemView {
        fault: Some(HostError::Failed("out of order".to_owned())),
        ..StaticSystemView::default()
    })
    .await;

    let error = mount.write_error("config/root", json!({})).await;

    assert!(matches!(error, Error::Internal(_)), "{error:?}");
}

#[tokio::test]
async fn a_stored_template_that_cannot_be_read_keeps_no_other_field_from_being_written() {
    let mount = TestMount::new().await;
    mount
        .storage()
        .set_text(KEY, r#"{"username_template":"{{ .Nobody }}"}"#);

    mount
        .write("config/root", json!({"region": "us-east-2"}))
        .await;

    assert_eq!(stored(&mount)["username_template"], json!("{{ .Nobody }}"));
}

#[tokio::test]
async fn what_has_no_effect_is_said() {
    for (sent, expected) in [
        (
            json!({"role_arn": "arn:aws:iam::123456789012:role/x"}),
            "role_arn has no effect without identity_token_audience",
        ),
        (
            json!({"access_key": "ASIAEXAMPLE", "secret_key": "x"}),
            "access_key is of a session",
        ),
    ] {
        let mount = TestMount::new().await;

        let warnings = mount.write("config/root", sent).await;

        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with(expected), "{warnings:?}");
    }
}

#[tokio::test]
async fn a_record_of_vault_is_rewritten_with_every_key_that_it_had() {
    let vault = r#"{"identity_token_ttl":5000000000,"identity_token_audience":"","rotation_schedule":"","rotation_window":0,"rotation_period":0,"disable_automated_rotation":false,"rotation_policy":"p","access_key":"AKIAEXAMPLE","secret_key":"s3cr3t","iam_endpoint":"","sts_endpoint":"","sts_region":"","sts_fallback_endpoints":null,"sts_fallback_regions":null,"region":"us-east-1","max_retries":-1,"username_template":"{{ random 20 }}","role_arn":"","of_tomorrow":{"a":[1]}}"#;
    let mount = TestMount::new().await;
    mount.storage().set_text(KEY, vault);

    mount
        .write("config/root", json!({"region": "us-east-1"}))
        .await;

    assert_eq!(mount.storage().text(KEY).unwrap(), format!("{vault}\n"));
    assert_eq!(
        mount.read("config/root").await["sts_fallback_regions"],
        json!(null)
    );
}

#[tokio::test]
async fn a_record_of_openbao_reads_as_that_engine_reads_it() {
    let mount = TestMount::new().await;
    mount.storage().set_text(
        KEY,
        r#"{"access_key":"AKIAEXAMPLE","secret_key":"s3cr3t","iam_endpoint":"","sts_endpoint":"","region":"eu-central-1","max_retries":-1,"username_template":"{{ random 20 }}"}"#,
    );

    let config = mount.read("config/root").await;

    assert_eq!(
        config,
        with(json!({
            "access_key": "AKIAEXAMPLE",
            "region": "eu-central-1",
            "username_template": "{{ random 20 }}",
            "sts_fallback_endpoints": null,
            "sts_fallback_regions": null,
        }))
    );
}

#[tokio::test]
async fn a_record_from_before_max_retries_has_no_retries() {
    let mount = TestMount::new().await;
    mount
        .storage()
        .set_text(KEY, r#"{"access_key":"AKIAEXAMPLE","secret_key":"s"}"#);

    assert_eq!(mount.read("config/root").await["max_retries"], json!(0));
}

#[tokio::test]
async fn a_record_that_cannot_be_read_shows_none_of_it() {
    let mount = TestMount::new().await;
    mount
        .storage()
        .set_text(KEY, r#"{"access_key":7,"secret_key":"hunter2"}"#);

    let error = mount.read_error("config/root").await;

    assert!(error.to_string().contains("config/root"), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}
