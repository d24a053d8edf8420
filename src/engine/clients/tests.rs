//! Which AWS the engine talks to, and when it looks at its configuration anew.

use serde_json::{Value, json};

use crate::aws::fake::{Call, Fault, FaultRule};
use crate::engine::testing::{READ_ONLY, TestMount};
use crate::logical::testing::StorageFault;
use crate::logical::{Error, Operation};
use crate::secret::ExposeSecret;

/// A mount with a role for each service.
async fn with_config(config: Value) -> TestMount {
    let mount = TestMount::new().await;
    mount.configure(json!({"region": ""})).await;
    mount.write("config/root", config).await;
    for (name, credential_type) in [("iam", "iam_user"), ("sts", "federation_token")] {
        mount
            .write(
                &format!("roles/{name}"),
                json!({"credential_type": credential_type, "policy_arns": READ_ONLY}),
            )
            .await;
    }
    mount.aws().forget_calls();
    mount
}

/// The region and endpoint of each call so far.
fn addresses(calls: &[Call]) -> Vec<(&str, &str)> {
    calls
        .iter()
        .map(|call| {
            (
                call.region.as_deref().unwrap_or("default"),
                call.endpoint.as_deref().unwrap_or("AWS's own"),
            )
        })
        .collect()
}

#[tokio::test]
async fn each_service_is_where_the_configuration_says() {
    let own = "AWS's own";
    for (config, iam, sts) in [
        (json!({}), ("default", own), ("default", own)),
        (
            json!({"region": "us-west-2"}),
            ("us-west-2", own),
            ("us-west-2", own),
        ),
        (
            json!({"region": "custom-region", "iam_endpoint": "https://custom-endpoint.local"}),
            ("custom-region", "https://custom-endpoint.local"),
            ("custom-region", own),
        ),
        (
            json!({"region": "us-west-2", "sts_region": "us-east-1", "sts_endpoint": "https://sts.local"}),
            ("us-west-2", own),
            ("us-east-1", "https://sts.local"),
        ),
        (
            json!({"region": "us-west-2", "sts_region": "us-east-1"}),
            ("us-west-2", own),
            ("us-east-1", own),
        ),
        (
            json!({"region": "us-west-2", "sts_endpoint": "sts.local:8443"}),
            ("us-west-2", own),
            ("us-west-2", "https://sts.local:8443"),
        ),
    ] {
        let mount = with_config(config.clone()).await;

        mount.generate("creds/iam").await;
        mount.generate("creds/sts").await;

        let calls = mount.aws().calls_of("iam:CreateUser");
        assert_eq!(addresses(&calls), [iam], "{config}");
        let calls = mount.aws().calls_of("sts:GetFederationToken");
        assert_eq!(addresses(&calls), [sts], "{config}");
        assert!(
            mount.aws().calls_of("sts:GetCallerIdentity").is_empty(),
            "one address needs no choice"
        );
    }
}

/// Three addresses of STS.
fn several() -> Value {
    json!({
        "region": "us-west-2",
        "sts_region": "us-east-1",
        "sts_endpoint": "https://one",
        "sts_fallback_endpoints": "https://two,https://three",
        "sts_fallback_regions": "us-east-2,eu-central-1",
    })
}

#[tokio::test]
async fn of_several_addresses_the_first_that_answers_is_taken_and_kept() {
    let mount = with_config(several()).await;
    mount
        .aws()
        .inject(FaultRule::on("sts:*", Fault::Unreachable).in_region("us-east-1"));

    mount.generate("creds/sts").await;
    mount.aws().heal();
    mount.generate("creds/sts").await;

    let calls = mount.aws().calls();
    assert_eq!(
        mount.aws().operations(),
        [
            "sts:GetCallerIdentity",
            "sts:GetCallerIdentity",
            "sts:GetFederationToken",
            "sts:GetFederationToken",
        ]
    );
    let two = ("us-east-2", "https://two");
    assert_eq!(
        addresses(&calls),
        [("us-east-1", "https://one"), two, two, two]
    );
}

#[tokio::test]
async fn requests_at_once_choose_an_address_once() {
    let mount = with_config(several()).await;

    let requests = (0..10).map(|_| mount.generate("creds/sts"));
    futures_util::future::join_all(requests).await;

    assert_eq!(mount.aws().calls_of("sts:GetCallerIdentity").len(), 1);
}

#[tokio::test]
async fn an_address_of_sts_is_looked_for_only_when_sts_is_needed() {
    let mount = with_config(several()).await;
    mount
        .aws()
        .inject(FaultRule::on("sts:*", Fault::Unreachable));

    mount.generate("creds/iam").await;

    assert!(mount.aws().calls_of("sts:GetCallerIdentity").is_empty());
}

#[tokio::test]
async fn when_no_address_answers_each_says_why() {
    let mount = with_config(several()).await;
    mount
        .aws()
        .inject(FaultRule::on("sts:*", Fault::Unreachable).in_region("us-east-1"));
    mount
        .aws()
        .inject(FaultRule::on("sts:*", Fault::Unreachable).in_region("us-east-2"));
    mount
        .aws()
        .inject(FaultRule::on("sts:*", Fault::Code("InternalFailure")));

    let error = mount.read_error("creds/sts").await;

    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    assert_eq!(
        error.to_string(),
        "could not obtain sts client: https://one: no connection to the simulated AWS; https://two: no connection to the simulated AWS; https://three: InternalFailure: The request processing has failed (check region and endpoints in config/root, and the server's network and proxy)"
    );

    mount.aws().heal();
    mount.generate("creds/sts").await;
}

#[tokio::test(start_paused = true)]
async fn an_address_that_cannot_be_reached_any_more_is_chosen_no_longer() {
    let mount = with_config(several()).await;
    mount.generate("creds/sts").await;
    mount
        .aws()
        .inject(FaultRule::on("sts:*", Fault::Unreachable).in_region("us-east-1"));
    mount.read_error("creds/sts").await;
    mount.aws().forget_calls();

    mount.generate("creds/sts").await;

    let calls = mount.aws().calls_of("sts:GetFederationToken");
    assert_eq!(addresses(&calls), [("us-east-2", "https://two")]);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_does_not_answer_holds_up_the_next_one_for_some_seconds_only() {
    let mount = with_config(several()).await;
    mount
        .aws()
        .inject(FaultRule::on("sts:*", Fault::HeldBefore).in_region("us-east-1"));
    let start = tokio::time::Instant::now();

    let requests = (0..20).map(|_| mount.generate("creds/sts"));
    futures_util::future::join_all(requests).await;

    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!(mount.aws().calls_of("sts:GetCallerIdentity").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn requests_at_once_share_the_failure_of_all_addresses() {
    let mount = with_config(several()).await;
    mount
        .aws()
        .inject(FaultRule::on("sts:*", Fault::Unreachable));
    mount.aws().set_delay(std::time::Duration::from_secs(1));
    let start = tokio::time::Instant::now();

    let requests = (0..20).map(|_| mount.read_error("creds/sts"));
    let errors = futures_util::future::join_all(requests).await;

    assert_eq!(start.elapsed().as_secs(), 3);
    assert_eq!(mount.aws().calls().len(), 3);
    for error in errors {
        assert!(error.to_string().contains("https://three: no connection"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_choice_that_nobody_waits_for_any_more_is_made_anew() {
    let mount = with_config(several()).await;
    mount
        .aws()
        .inject(FaultRule::on("sts:*", Fault::HeldBefore));
    let request = mount.request(Operation::Read, "creds/sts", json!({}));
    let line = request.caller.line();
    let (backend, gone) = (mount.backend(), async {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        drop(line);
    });
    let (answer, ()) = tokio::join!(backend.handle_request(request), gone);
    answer.unwrap_err();
    mount.aws().heal();
    tokio::time::sleep(std::time::Duration::from_mins(5)).await;

    mount.generate("creds/sts").await;
}

#[tokio::test]
async fn throttling_of_every_address_is_a_502() {
    let mount = with_config(several()).await;
    mount
        .aws()
        .inject(FaultRule::on("sts:*", Fault::Code("Throttling")));

    let error = mount.read_error("creds/sts").await;

    assert!(matches!(error, Error::UpstreamRateLimited(_)), "{error:?}");
}

#[tokio::test]
async fn stored_fallbacks_of_different_length_still_serve() {
    let mount = with_config(several()).await;
    let text = mount.storage().text("config/root").unwrap();
    let mut record: Value = serde_json::from_str(&text).unwrap();
    record["sts_fallback_regions"] = json!([]);
    mount.storage().set_text("config/root", &record.to_string());
    mount.backend().invalidate_key("config/root").await;
    mount
        .aws()
        .inject(FaultRule::on("sts:GetCallerIdentity", Fault::Unreachable).times(1));

    mount.generate("creds/sts").await;

    let calls = mount.aws().calls_of("sts:GetFederationToken");
    assert_eq!(addresses(&calls), [("us-east-1", "https://two")]);
}

#[tokio::test]
async fn without_configuration_the_credentials_around_the_process_count() {
    let mount = TestMount::new().await;
    let key = mount.aws().admin_key();
    mount.aws().set_default_credentials(&key);
    mount
        .write("roles/iam", json!({"credential_type": "iam_user"}))
        .await;

    mount.generate("creds/iam").await;

    let [call] = mount.aws().calls_of("iam:CreateUser").try_into().unwrap();
    assert_eq!(call.access_key_id, Some(key.access_key_id));
}

#[tokio::test]
async fn clients_are_opened_once_and_anew_after_a_write() {
    let mount = with_config(json!({})).await;
    mount.generate("creds/iam").await;
    mount.generate("creds/iam").await;
    assert_eq!(mount.aws().connections(), 1);

    mount
        .write("config/root", json!({"region": "us-west-2"}))
        .await;
    mount.generate("creds/iam").await;

    assert_eq!(mount.aws().connections(), 2);
    let calls = mount.aws().calls_of("iam:CreateUser");
    let [own, west] = ["default", "us-west-2"].map(|region| (region, "AWS's own"));
    assert_eq!(addresses(&calls), [own, own, west]);
}

#[tokio::test]
async fn a_refused_write_changes_nothing() {
    let mount = with_config(json!({})).await;
    mount.generate("creds/iam").await;

    mount
        .write_error("config/root", json!({"region": "?"}))
        .await;

    mount.generate("creds/iam").await;
    assert_eq!(mount.aws().connections(), 1);
}

#[tokio::test]
async fn a_change_of_another_node_is_taken_up() {
    let mount = with_config(json!({})).await;
    mount.generate("creds/iam").await;
    let text = mount.storage().text("config/root").unwrap();
    let changed = text.replace(r#""region":"""#, r#""region":"us-west-2""#);
    mount.storage().set_text("config/root", &changed);

    mount.backend().invalidate_key("role/iam").await;
    mount.generate("creds/iam").await;
    mount.backend().invalidate_key("config/root").await;
    mount.generate("creds/iam").await;

    let calls = mount.aws().calls_of("iam:CreateUser");
    let [own, west] = ["default", "us-west-2"].map(|region| (region, "AWS's own"));
    assert_eq!(addresses(&calls), [own, own, west]);
}

#[tokio::test]
async fn a_request_goes_on_with_the_clients_that_it_began_with() {
    let mount = with_config(json!({})).await;
    mount
        .aws()
        .inject(FaultRule::on("iam:CreateUser", Fault::HeldBefore).times(1));

    let (lease, ()) = tokio::join!(mount.generate("creds/iam"), async {
        while mount.aws().calls_of("iam:CreateUser").is_empty() {
            tokio::task::yield_now().await;
        }
        // A key of another account, in which the user could not be completed.
        let other = mount.aws().in_account("999988887777").admin_key();
        mount
            .write(
                "config/root",
                json!({
                    "access_key": other.access_key_id.as_str(),
                    "secret_key": other.secret_access_key.expose_secret(),
                }),
            )
            .await;
        mount.aws().heal();
    });

    let owner = mount
        .aws()
        .identify(lease.text("access_key"), lease.text("secret_key"), None);
    assert_eq!(owner.unwrap().account(), "111122223333");
}

#[tokio::test]
async fn a_write_that_may_have_been_stored_is_looked_at_again() {
    let mount = with_config(json!({})).await;
    mount.generate("creds/iam").await;
    mount.storage().fail(StorageFault::Put, "config/root");
    let answer = mount
        .send(
            Operation::Update,
            "config/root",
            json!({"region": "us-west-2"}),
        )
        .await;
    assert!(matches!(answer, Err(Error::Internal(_))), "{answer:?}");
    mount.storage().heal();

    mount.generate("creds/iam").await;

    assert_eq!(mount.aws().connections(), 2);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_read_again_by_the_next_request() {
    let mut mount = with_config(json!({})).await;
    mount.restart().await;
    mount.storage().fail(StorageFault::Get, "config/root");
    let error = mount.read_error("creds/iam").await;
    assert_eq!(
        error.to_string(),
        "error reading root configuration: storage told to fail: Get"
    );

    mount.storage().heal();

    mount.generate("creds/iam").await;
}

#[tokio::test]
async fn a_stored_configuration_that_no_client_can_be_made_of_names_the_field() {
    for (field, value, expected) in [
        ("region", "US East", "region in config/root: "),
        ("iam_endpoint", "ftp://x", "iam_endpoint in config/root: "),
        ("sts_endpoint", "ftp://x", "sts_endpoint in config/root: "),
        (
            "secret_key",
            "",
            "static AWS client credentials haven't been properly configured",
        ),
    ] {
        let mount = with_config(json!({})).await;
        let text = mount.storage().text("config/root").unwrap();
        let mut record: Value = serde_json::from_str(&text).unwrap();
        record[field] = json!(value);
        mount.storage().set_text("config/root", &record.to_string());
        mount.backend().invalidate_key("config/root").await;

        let error = mount.read_error("creds/iam").await;

        assert!(matches!(error, Error::Invalid(_)), "{error:?}");
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[tokio::test]
async fn an_identity_token_that_the_host_does_not_give_is_said() {
    let mount = with_config(json!({})).await;
    let text = mount.storage().text("config/root").unwrap();
    let mut record: Value = serde_json::from_str(&text).unwrap();
    record["access_key"] = json!("");
    record["secret_key"] = json!("");
    record["identity_token_audience"] = json!("aws");
    record["role_arn"] = json!("arn:aws:iam::111122223333:role/engine");
    mount.storage().set_text("config/root", &record.to_string());
    mount.backend().invalidate_key("config/root").await;

    let error = mount.read_error("creds/iam").await;

    assert!(
        error
            .to_string()
            .contains("failed to generate plugin identity token: this host does not offer GenerateIdentityToken"),
        "{error}"
    );
}
