//! Every way in which the road to AWS can be closed, seen from the engine through the AWS SDK and real
//! sockets: what a client reads, and after how long.

mod servers;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use self::servers::{Answer, Certificate, answering, dropping, mute, nobody, plain, tls};
use crate::aws::SdkConnector;
use crate::clock::SystemClock;
use crate::engine::EngineFactory;
use crate::environment::FixedEnvironment;
use crate::framework::testing::assert_part_of_document;
use crate::logical::testing::{InMemoryStorage, StaticSystemView};
use crate::logical::{Backend, BackendConfig, Error, Factory, Operation, Request};

/// Where AWS is, for those that are to ask a proxy.
const STS: &str = "https://sts.eu-central-1.amazonaws.com";

/// A mount whose engine has the real connection to AWS.
struct Mount {
    backend: Arc<dyn Backend>,
    storage: Arc<InMemoryStorage>,
}

impl Mount {
    async fn new(environment: FixedEnvironment, config: Value) -> Self {
        let connector = SdkConnector::new(Arc::new(environment));
        let factory = EngineFactory::new(Arc::new(connector), Arc::new(SystemClock));
        let storage = Arc::<InMemoryStorage>::default();
        let config_of_backend = BackendConfig {
            storage: Arc::clone(&storage) as Arc<_>,
            system: Arc::new(StaticSystemView::default()),
            backend_uuid: "11111111-2222-3333-4444-555555555555".to_owned(),
            config: std::collections::BTreeMap::default(),
        };
        let backend = factory.create(config_of_backend).await.unwrap();
        let mount = Self { backend, storage };
        let mut data = json!({
            "access_key": "AKIAIOSFODNN7EXAMPLE",
            "secret_key": "wJalrXUtnFEMI/K7MDENG",
            "region": "eu-central-1",
        });
        data.as_object_mut()
            .unwrap()
            .extend(config.as_object().unwrap().clone());
        mount.write("config/root", data).await.unwrap();
        for (name, role) in [
            ("session", json!({"credential_type": "session_token"})),
            (
                "assumed",
                json!({"credential_type": "assumed_role", "role_arns": "arn:aws:iam::111122223333:role/deploy"}),
            ),
            (
                "grouped",
                json!({"credential_type": "federation_token", "iam_groups": "developers"}),
            ),
            ("user", json!({"credential_type": "iam_user"})),
        ] {
            mount.write(&format!("roles/{name}"), role).await.unwrap();
        }
        mount
    }

    async fn send(&self, operation: Operation, path: &str, data: Value) -> Result<(), Error> {
        let mut request = Request::new(operation, path, Arc::clone(&self.storage) as Arc<_>);
        request.data = data.as_object().unwrap().clone();
        self.backend.handle_request(request).await.map(drop)
    }

    async fn write(&self, path: &str, data: Value) -> Result<(), Error> {
        self.send(Operation::Update, path, data).await
    }

    async fn session_error(&self) -> String {
        let read = self.send(Operation::Read, "creds/session", json!({}));
        read.await.unwrap_err().to_string()
    }
}

/// What a client reads on a road.
async fn told<const N: usize>(environment: [(&str, String); N], endpoint: &str) -> String {
    let config = match endpoint {
        STS => json!({"max_retries": 0}),
        _ => json!({"max_retries": 0, "sts_endpoint": endpoint}),
    };
    let mount = Mount::new(FixedEnvironment::from(environment), config).await;
    mount.session_error().await
}

/// The rows of the table: what is closed, and what a client reads then. Each address of the test is
/// shown as that of an example.
#[derive(Default)]
struct Table {
    rows: Vec<(&'static str, String)>,
    faults: Vec<String>,
}

impl Table {
    /// Adds a way that must be told with the address that was asked, and with each of these words.
    fn row(&mut self, way: &'static str, address: &str, words: &[&str], text: &str) {
        let (_, rest) = address.split_once("://").unwrap();
        let host = rest.rsplit_once(':').map_or(rest, |(host, _)| host);
        for word in [host].iter().chain(words) {
            if !text.contains(word) {
                self.faults
                    .push(format!("{way}: {word:?} is not in {text}"));
            }
        }
        if !text.ends_with(')') {
            self.faults
                .push(format!("{way}: what to change is not in {text}"));
        }
        let mut text = text.to_owned();
        if host == "127.0.0.1" {
            text = text
                .replace(rest, "sts.example.com")
                .replace(host, "sts.example.com");
        }
        self.rows.push((way, text));
    }

    /// The same, through this proxy.
    fn proxied(&mut self, way: &'static str, proxy: &str, words: &[&str], text: &str) {
        let (_, proxy) = proxy.split_once("://").unwrap();
        let words: Vec<_> = words.iter().copied().chain([proxy]).collect();
        self.row(way, STS, &words, text);
        let row = self.rows.last_mut().unwrap();
        row.1 = row.1.replace(proxy, "proxy.example.com:3128");
    }

    fn markdown(&self) -> String {
        let mut text = "| what is closed | what a client reads |\n| --- | --- |\n".to_owned();
        for (way, told) in &self.rows {
            let told = told
                .strip_prefix(CONTEXT)
                .unwrap_or_else(|| panic!("{way}: {told}"));
            text.push_str(&format!("| {way} | `{told}` |\n"));
        }
        text
    }
}

/// What the engine was about to do.
const CONTEXT: &str = "Error generating STS keys: ";

async fn without_a_connection(table: &mut Table) {
    let name = "https://sts..example.com";
    let text = told([], name).await;
    table.row(
        "The name is not found",
        name,
        &["DNS", "HTTPS_PROXY"],
        &text,
    );

    let refused = format!("https://{}", nobody());
    let text = told([], &refused).await;
    let words = ["connection refused", "config/root"];
    table.row(
        "Nothing listens, or a firewall refuses",
        &refused,
        &words,
        &text,
    );

    let broadcast = "https://255.255.255.255";
    let text = told([], broadcast).await;
    let words = ["no route", "HTTPS_PROXY"];
    table.row("No route leads there", broadcast, &words, &text);

    let (address, _full) = dropping().await;
    let full = format!("https://{address}");
    let text = told([], &full).await;
    let words = ["in 5 s", "firewall"];
    table.row("A firewall drops what is sent", &full, &words, &text);
}

async fn without_an_answer(table: &mut Table) {
    let silent = format!("http://{}", mute().await);
    let text = told([], &silent).await;
    let words = ["no answer", "in 10 s", "silent"];
    table.row(
        "Connections are taken and not answered",
        &silent,
        &words,
        &text,
    );

    let hangs_up = format!("http://{}", plain(Answer::HangUp).await);
    let text = told([], &hangs_up).await;
    let words = ["ended the connection"];
    table.row("Connections are ended", &hangs_up, &words, &text);
}

async fn behind_a_proxy(table: &mut Table) {
    let name = "http://proxy..example.com:3128";
    let text = told([("HTTPS_PROXY", name.to_owned())], STS).await;
    table.proxied(
        "The proxy's name is not found",
        name,
        &["the name is not found", "HTTPS_PROXY"],
        &text,
    );

    let gone = format!("http://{}", nobody());
    let text = told([("HTTPS_PROXY", gone.clone())], STS).await;
    let words = ["connection refused", "HTTPS_PROXY"];
    table.proxied("No proxy is there", &gone, &words, &text);

    let refuses = format!("http://{}", plain(answering("403 Forbidden", "")).await);
    let text = told([("HTTPS_PROXY", refuses.clone())], STS).await;
    let words = ["let the proxy connect", "NO_PROXY"];
    table.proxied("The proxy refuses", &refuses, &words, &text);

    let asks = plain(answering("407 Proxy Authentication Required", "")).await;
    let wants = format!("http://{asks}");
    let text = told([("HTTPS_PROXY", wants.clone())], STS).await;
    let words = ["wants a password", "NAME:PASSWORD"];
    table.proxied("The proxy wants a password", &wants, &words, &text);

    let wrong = format!("http://alice:opensesame@{asks}");
    let text = told([("HTTPS_PROXY", wrong)], STS).await;
    assert!(!text.contains("opensesame"), "{text}");
    let words = ["does not take the password", "NAME:PASSWORD"];
    table.proxied(
        "The proxy does not take the password",
        &wants,
        &words,
        &text,
    );

    let silent = format!("http://{}", mute().await);
    let text = told([("HTTPS_PROXY", silent.clone())], STS).await;
    table.proxied("The proxy is silent", &silent, &["in 5 s", "log"], &text);
}

async fn without_trust(table: &mut Table) {
    let (address, _) = tls(Certificate::default()).await;
    let stranger = format!("https://{address}");
    let text = told([], &stranger).await;
    let words = ["authority", "AWS_CA_BUNDLE"];
    table.row(
        "The authority of the certificate is not known",
        &stranger,
        &words,
        &text,
    );

    let (_, other) = tls(Certificate::default()).await;
    let text = told([("AWS_CA_BUNDLE", other.path())], &stranger).await;
    let words = ["AWS_CA_BUNDLE", "add"];
    table.row("It is not in `AWS_CA_BUNDLE`", &stranger, &words, &text);

    // As where there are none: nothing in it can be used.
    let file = tempfile::NamedTempFile::new().unwrap();
    let unusable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(file.path(), unusable).unwrap();
    let none = [("SSL_CERT_FILE", file.path().display().to_string())];
    let text = told(none, &stranger).await;
    let words = ["no root certificates", "ca-certificates", "AWS_CA_BUNDLE"];
    table.row(
        "The machine has no root certificates",
        &stranger,
        &words,
        &text,
    );

    for (way, certificate, words) in [
        (
            "The server's clock is ahead",
            Certificate::of_the_past(),
            "is over",
        ),
        (
            "The server's clock is behind",
            Certificate::of_the_future(),
            "has not come",
        ),
        (
            "The certificate is for another name",
            Certificate::of_another(),
            "another name",
        ),
    ] {
        let (address, bundle) = tls(certificate).await;
        let address = format!("https://{address}");
        let text = told([("AWS_CA_BUNDLE", bundle.path())], &address).await;
        table.row(way, &address, &[words], &text);
    }

    let http = plain(answering("400 Bad Request", "what?")).await;
    let no_tls = format!("https://{http}");
    let text = told([], &no_tls).await;
    let words = ["does not speak TLS", "http://"];
    table.row("Plain HTTP where TLS is expected", &no_tls, &words, &text);

    let wants_tls = format!("http://{address}");
    let text = told([], &wants_tls).await;
    let words = ["plain HTTP", "https://"];
    table.row(
        "TLS where plain HTTP is expected",
        &wants_tls,
        &words,
        &text,
    );
}

async fn with_another_clock(table: &mut Table) {
    let message = "Signature expired: 20261122T164417Z is now earlier than 20261122T171417Z (20261122T172917Z - 15 min.)";
    let refusal = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>{message}</Message></Error></ErrorResponse>"
    );
    let skewed = format!(
        "http://{}",
        plain(answering("403 Forbidden", &refusal)).await
    );
    let text = told([], &skewed).await;
    let words = ["clocks", "correct the server's"];
    table.row("AWS's clock shows another time", &skewed, &words, &text);
}

#[tokio::test(start_paused = true)]
async fn each_way_is_told_with_its_address_and_what_to_change_as_the_documentation_has_it() {
    let mut table = Table::default();
    without_a_connection(&mut table).await;
    without_an_answer(&mut table).await;
    behind_a_proxy(&mut table).await;
    without_trust(&mut table).await;
    with_another_clock(&mut table).await;

    assert!(table.faults.is_empty(), "{:#?}", table.faults);
    let mut told: Vec<_> = table.rows.iter().map(|(_, told)| told).collect();
    told.sort_unstable();
    told.dedup();
    assert_eq!(told.len(), table.rows.len(), "two ways read the same");
    let markdown = table.markdown();
    assert_part_of_document("docs/operations.md", "closed roads", &markdown);
}

/// Beside the table: what plain HTTP through a proxy meets.
#[tokio::test]
async fn a_proxy_of_plain_http_is_told_apart_from_the_service_behind_it() {
    for (status, words) in [
        ("407 Proxy Authentication Required", "wants a password"),
        ("403 Forbidden", "HTTP status 403"),
        ("504 Gateway Timeout", "HTTP status 504"),
    ] {
        let proxy = plain(answering(status, "<html>no</html>")).await;
        let environment = [("HTTP_PROXY", format!("http://{proxy}"))];

        let text = told(environment, "http://sts.example.com").await;

        let named = format!("the proxy {proxy} ");
        for word in [&named, "http://sts.example.com", words, "NO_PROXY"] {
            assert!(text.contains(word), "{word:?} is not in {text}");
        }
    }
}

#[tokio::test]
async fn a_service_that_says_itself_that_it_wants_tls_is_understood() {
    let page = "<html>The plain HTTP request was sent to HTTPS port</html>";
    let address = format!("http://{}", plain(answering("400 Bad Request", page)).await);

    let text = told([], &address).await;

    assert!(
        text.contains("wants TLS") && text.contains(&address),
        "{text}"
    );
}

#[tokio::test]
async fn a_certificate_of_an_authority_itself_is_refused_as_such_though_it_is_believed() {
    let (address, bundle) = tls(Certificate::of_an_authority()).await;
    let address = format!("https://{address}");

    let text = told([("AWS_CA_BUNDLE", bundle.path())], &address).await;

    assert!(
        text.contains("CA:FALSE") && text.contains(&address),
        "{text}"
    );
}

/// `AWS` that takes connections and never answers, and one that drops them: with the tries that the
/// SDK has by itself.
#[tokio::test(start_paused = true)]
async fn every_path_that_asks_aws_is_answered_before_its_client_gives_up_and_names_the_address() {
    let (full, _full) = dropping().await;
    for address in [mute().await, full] {
        let address = format!("http://{address}");
        let config = json!({"iam_endpoint": address, "sts_endpoint": address});
        let mount = Mount::new(FixedEnvironment::default(), config).await;
        for (operation, path, data) in [
            (Operation::Read, "creds/session", json!({})),
            (Operation::Read, "creds/assumed", json!({})),
            (Operation::Read, "creds/grouped", json!({})),
            (Operation::Read, "creds/user", json!({})),
            (Operation::Update, "sts/assumed", json!({"ttl": "1h"})),
            (Operation::Update, "config/rotate-root", json!({})),
            (
                Operation::Update,
                "static-roles/deploy",
                json!({"username": "deploy", "rotation_period": "1h"}),
            ),
        ] {
            let began = Instant::now();

            let error = mount.send(operation, path, data).await.unwrap_err();

            let elapsed = began.elapsed();
            assert!(elapsed < Duration::from_secs(55), "{path}: {elapsed:?}");
            assert!(error.to_string().contains(&address), "{path}: {error}");
        }
    }
}
