//! The road to AWS is closed, or begins at the machine: what a client of a real host reads.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use time::OffsetDateTime;
use vault_plugin_secrets_aws::clock::{Clock as _, SystemClock};

use crate::fixture::{Fixture, fixture};

/// An address at which nobody listens.
fn nobody() -> SocketAddr {
    listener().local_addr().expect("it is bound")
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port is free")
}

/// Does the same with everyone who connects.
fn serving(with: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = listener();
    let address = listener.local_addr().expect("it is bound");
    let with = Arc::new(with);
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let with = Arc::clone(&with);
            thread::spawn(move || with(connection));
        }
    });
    address
}

/// Takes connections and says nothing.
fn mute() -> SocketAddr {
    serving(|connection| {
        thread::sleep(Duration::from_mins(5));
        drop(connection);
    })
}

/// Answers what it hears first, whatever that is.
fn answering(answer: String) -> SocketAddr {
    serving(move |mut connection| {
        let mut heard = [0; 4096];
        let _ = connection.read(&mut heard);
        let _ = connection.write_all(answer.as_bytes());
    })
}

fn status(line: &str) -> String {
    format!("HTTP/1.1 {line}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

fn json_answer(body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

/// Speaks TLS, with a certificate that it has signed itself.
fn with_a_strange_certificate() -> SocketAddr {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions of TLS")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("a certificate with its key");
    let config = Arc::new(config);
    serving(move |mut connection| {
        let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).expect("a connection");
        let _ = tls.complete_io(&mut connection);
    })
}

/// The plugin mounted with these variables beside the server's own, and with a role of sessions.
fn surrounded(fixture: &Fixture, variables: &[(&str, &str)]) {
    fixture.host.register_plugin_in(variables);
    fixture.host.enable("aws");
    fixture.role("session", &json!({"credential_type": "session_token"}));
}

fn configure(fixture: &Fixture, more: &Value) {
    let mut config = json!({
        "access_key": fixture.aws.root.access_key,
        "secret_key": fixture.aws.root.secret_key,
        "region": "us-east-1",
        "max_retries": 0,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        config[name] = value.clone();
    }
    fixture.host.delete("aws/config/root");
    fixture.host.write("aws/config/root", &config).succeeded();
}

/// What a client reads when it asks for a session at this address.
fn told(fixture: &Fixture, address: &str) -> String {
    configure(fixture, &json!({ "sts_endpoint": address }));
    fixture.host.read("aws/creds/session").refused(400)
}

fn assert_told(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text}");
    }
}

/// Before a command line program gives up.
fn assert_answered_in_time(began: OffsetDateTime) {
    let elapsed = SystemClock.now() - began;
    assert!(elapsed < Duration::from_secs(55), "{elapsed}");
}

#[test]
fn a_closed_road_names_the_address_the_proxy_and_what_to_change() {
    let fixture = fixture!(bare);
    let wants_a_password = answering(status("407 Proxy Authentication Required"));
    let proxy = format!("http://{wants_a_password}");
    surrounded(&fixture, &[("HTTP_PROXY", &proxy)]);

    let refused = format!("https://{}", nobody());
    assert_told(
        &told(&fixture, &refused),
        &[&refused, "connection refused", "config/root"],
    );

    let plain = format!("https://{}", answering(status("400 Bad Request")));
    assert_told(
        &told(&fixture, &plain),
        &[&plain, "does not speak TLS", "http://"],
    );

    let strange = format!("https://{}", with_a_strange_certificate());
    assert_told(
        &told(&fixture, &strange),
        &[&strange, "authority", "AWS_CA_BUNDLE"],
    );
    let wants_tls = strange.replace("https", "http");
    assert_told(&told(&fixture, &wants_tls), &[&wants_tls, "https://"]);

    // The server's own proxy, at which nobody listens.
    let text = told(&fixture, "https://sts.example.com");
    assert_told(
        &text,
        &[
            "https://sts.example.com",
            "the proxy 127.0.0.1:9",
            "HTTPS_PROXY",
            "NO_PROXY",
        ],
    );

    let text = told(&fixture, "http://sts.example.com");
    let named = format!("the proxy {wants_a_password} wants a password");
    assert_told(&text, &["http://sts.example.com", &named, "HTTP_PROXY"]);

    let began = SystemClock.now();
    let silent = format!("http://{}", mute());
    assert_told(&told(&fixture, &silent), &[&silent, "no answer", "silent"]);
    assert_answered_in_time(began);
}

#[test]
fn a_silent_aws_is_told_before_the_client_gives_up_with_the_usual_tries_too() {
    let fixture = fixture!(registered);
    fixture.host.enable("aws");
    let silent = format!("http://{}", mute());
    let usual = json!({"max_retries": -1, "iam_endpoint": silent, "sts_endpoint": silent});
    configure(&fixture, &usual);
    fixture.role("session", &json!({"credential_type": "session_token"}));
    fixture.deploy_role();

    for path in ["aws/creds/session", "aws/creds/deploy"] {
        let began = SystemClock.now();

        let text = fixture.host.read(path).refused(400);

        assert_answered_in_time(began);
        assert_told(&text, &[&silent, "no answer"]);
    }
}

#[test]
fn a_machine_without_root_certificates_says_so() {
    let fixture = fixture!(bare);
    // As where there are none: nothing in it can be used.
    let file = fixture.scratch("unusable").with_extension("pem");
    let unusable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    fs::write(&file, unusable).expect("the scratch directory can be written");
    surrounded(&fixture, &[("SSL_CERT_FILE", &file.display().to_string())]);

    let strange = format!("https://{}", with_a_strange_certificate());

    assert_told(
        &told(&fixture, &strange),
        &[
            &strange,
            "no root certificates",
            "ca-certificates",
            "AWS_CA_BUNDLE",
        ],
    );
}

/// Generates credentials with what is around the plugin, and finds the source in the log, once.
fn uses(variables: impl Fn(&Fixture) -> Vec<(&'static str, String)>, test: &str, source: &str) {
    let fixture = Fixture::bare(test);
    let variables = variables(&fixture);
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    surrounded(&fixture, &variables);
    fixture
        .host
        .write(
            "aws/config/root",
            &json!({
                "region": "us-east-1",
                "iam_endpoint": fixture.proxy.url(),
                "sts_endpoint": fixture.proxy.url(),
            }),
        )
        .succeeded();
    fixture.deploy_role();

    // moto knows no session of the containers that the tests are: it refuses their credentials.
    let is_session = source.contains("AWS_CONTAINER");
    for _ in 0..2 {
        if is_session {
            let text = fixture.host.read("aws/creds/deploy").refused(400);
            assert_told(&text, &["does not accept the credentials", source]);
        } else {
            fixture.generate("deploy");
        }
    }

    let log = fixture.host.log();
    let said: Vec<_> = log
        .lines()
        .filter(|line| line.contains("using AWS credentials of the server's surroundings"))
        .collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("[INFO]"), "{}", said[0]);
    assert_told(said[0], &[source, &fixture.aws.root.access_key]);

    if is_session {
        return;
    }
    fixture.proxy.on("CreateUser").fail(403, "AccessDenied");
    let text = fixture.host.read("aws/creds/deploy").refused(400);
    assert_told(&text, &["grant iam:CreateUser", source]);
    fixture.proxy.let_pass();
}

#[test]
fn keys_in_the_environment_are_named_as_what_is_used() {
    uses(
        |fixture| {
            let root = &fixture.aws.root;
            vec![
                ("AWS_ACCESS_KEY_ID", root.access_key.clone()),
                ("AWS_SECRET_ACCESS_KEY", root.secret_key.clone()),
            ]
        },
        "roads::environment",
        "environment variables",
    );
}

#[test]
fn keys_under_the_older_names_are_named_as_what_is_used() {
    uses(
        |fixture| {
            let root = &fixture.aws.root;
            vec![
                ("AWS_ACCESS_KEY", root.access_key.clone()),
                ("AWS_SECRET_KEY", root.secret_key.clone()),
            ]
        },
        "roads::older_names",
        "environment variables of the server (AWS_ACCESS_KEY)",
    );
}

#[test]
fn shared_files_are_named_as_what_is_used() {
    uses(
        |fixture| {
            let file = fixture.scratch("credentials");
            let root = &fixture.aws.root;
            let text = format!(
                "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
                root.access_key, root.secret_key
            );
            fs::write(&file, text).expect("it can be written");
            vec![("AWS_SHARED_CREDENTIALS_FILE", file.display().to_string())]
        },
        "roads::files",
        "shared files",
    );
}

/// What the agent of a container answers.
fn container(fixture: &Fixture) -> SocketAddr {
    let root = &fixture.aws.root;
    answering(json_answer(&json!({
        "AccessKeyId": root.access_key,
        "SecretAccessKey": root.secret_key,
        "Token": "t0ken-of-the-container",
        "Expiration": "2199-01-02T03:04:05Z",
    })))
}

#[test]
fn the_credentials_of_a_container_are_named_as_what_is_used() {
    uses(
        |fixture| {
            let address = container(fixture);
            vec![(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                format!("http://{address}/credentials"),
            )]
        },
        "roads::container",
        "the container's metadata, as of ECS (AWS_CONTAINER_CREDENTIALS_…)",
    );
}

#[test]
fn the_agent_of_pod_identity_is_named_as_what_is_used() {
    uses(
        |fixture| {
            let address = container(fixture);
            let token = fixture.scratch("token");
            fs::write(&token, "a-token").expect("it can be written");
            vec![
                (
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                    format!("http://{address}/v1/credentials"),
                ),
                (
                    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                    token.display().to_string(),
                ),
            ]
        },
        "roads::pod",
        "EKS Pod Identity (AWS_CONTAINER_CREDENTIALS_FULL_URI)",
    );
}

#[test]
fn a_source_that_is_there_and_brings_nothing_is_named() {
    for (test, variables, source) in [
        (
            "roads::no_token_file",
            vec![
                ("AWS_WEB_IDENTITY_TOKEN_FILE", "/nowhere/token".to_owned()),
                (
                    "AWS_ROLE_ARN",
                    "arn:aws:iam::111122223333:role/x".to_owned(),
                ),
            ],
            "no AWS credentials from the web identity token file",
        ),
        (
            "roads::no_container",
            vec![(
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                format!("http://{}/credentials", nobody()),
            )],
            "no AWS credentials from the container's metadata",
        ),
    ] {
        let fixture = Fixture::bare(test);
        let variables: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        surrounded(&fixture, &variables);

        let text = fixture.host.read("aws/creds/session").refused(400);

        assert_told(&text, &[source, "config/root"]);
    }
}
