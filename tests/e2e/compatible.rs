//! Services that speak AWS's protocols in part, played by a server that answers as they do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use crate::fixture::fixture;

/// The whole answer of `MinIO` to `AssumeRole`: it names no session.
const SESSION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser><Arn></Arn><AssumeRoleId></AssumeRoleId></AssumedRoleUser><Credentials><AccessKeyId>Y4RJU1RNFGK48LGO9I2S</AccessKeyId><SecretAccessKey>sYLRKS1Z7hSjluf6gEbb9066hnx315wHTiACPAjg</SecretAccessKey><Expiration>2199-08-08T20:26:12Z</Expiration><SessionToken>eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9</SessionToken></Credentials></AssumeRoleResult></AssumeRoleResponse>"#;

/// A `MinIO`: of STS it has `AssumeRole`, and of IAM nothing.
struct Minio {
    url: String,
    actions: Arc<Mutex<Vec<String>>>,
}

impl Minio {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let actions = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&actions);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let heard = Arc::clone(&heard);
                thread::spawn(move || answer(&connection, &heard));
            }
        });
        Self {
            url: format!("http://{address}"),
            actions,
        }
    }

    fn actions(&self) -> Vec<String> {
        self.actions.lock().expect("no thread died").clone()
    }
}

/// One request, and its answer.
fn answer(connection: &TcpStream, heard: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(connection);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or_default() == 0 {
            return;
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
    }
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let body = String::from_utf8_lossy(&body);
    let action = body
        .split('&')
        .find_map(|pair| pair.strip_prefix("Action="))
        .unwrap_or_default()
        .to_owned();
    let (status, answer) = match &*action {
        "AssumeRole" => ("200 OK", SESSION.to_owned()),
        other => (
            "400 Bad Request",
            format!(
                r#"<?xml version="1.0" encoding="UTF-8"?>
<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type></Type><Code>InvalidParameterValue</Code><Message>Unsupported action {other}</Message></Error><RequestId>1</RequestId></ErrorResponse>"#
            ),
        ),
    };
    heard.lock().expect("no thread died").push(action);
    let mut connection = connection;
    let _ = write!(
        connection,
        "HTTP/1.1 {status}\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}",
        answer.len()
    );
}

#[test]
fn minio_gives_sessions_of_roles_whatever_their_arn() {
    let fixture = fixture!(registered);
    let minio = Minio::start();
    fixture.host.enable("aws");
    fixture
        .host
        .write(
            "aws/config/root",
            &json!({
                "access_key": "minioadmin",
                "secret_key": "minioadmin-of-the-test",
                "region": "My-Region",
                "sts_endpoint": minio.url,
                "iam_endpoint": minio.url,
            }),
        )
        .succeeded();
    let written = fixture.host.write(
        "aws/roles/app",
        &json!({
            "credential_type": "assumed_role",
            "role_arns": "arn:xxx:xxx:xxx:xxxx",
            "policy_document": r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::inbox/*"}]}"#,
        }),
    );
    let warnings = written.body()["warnings"].to_string();
    assert!(warnings.contains("AWS would refuse it"), "{warnings}");

    let body = fixture.host.read("aws/creds/app").body();

    assert_eq!(body["data"]["access_key"], json!("Y4RJU1RNFGK48LGO9I2S"));
    assert_eq!(body["data"]["arn"], json!(""));
    assert!(body["lease_duration"].as_u64() > Some(3500), "{body}");
    assert_eq!(minio.actions(), ["AssumeRole"]);
    for (credential_type, missing) in [
        ("federation_token", "GetFederationToken"),
        ("iam_user", "CreateUser"),
    ] {
        fixture.role(
            "other",
            &json!({
                "credential_type": credential_type,
                "role_arns": "",
                "policy_arns": "arn:aws:iam::aws:policy/ReadOnlyAccess",
            }),
        );
        let refusal = fixture.host.read("aws/creds/other").refused(400);
        assert!(
            refusal.contains(&format!("Unsupported action {missing}")),
            "{refusal}"
        );
    }
}
