//! Services that speak AWS's protocols in part, played by a server that answers as they do.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::json;

use crate::fixture::fixture;
use crate::host::text;
use crate::proxy::decode;

/// The whole answer of `MinIO` to `AssumeRole`: it names no session.
const SESSION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><AssumedRoleUser><Arn></Arn><AssumeRoleId></AssumeRoleId></AssumedRoleUser><Credentials><AccessKeyId>Y4RJU1RNFGK48LGO9I2S</AccessKeyId><SecretAccessKey>sYLRKS1Z7hSjluf6gEbb9066hnx315wHTiACPAjg</SecretAccessKey><Expiration>2199-08-08T20:26:12Z</Expiration><SessionToken>eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9</SessionToken></Credentials></AssumeRoleResult></AssumeRoleResponse>"#;

/// A request's parameters.
type Form = BTreeMap<String, String>;

/// What a service answers to an action; `None` when it has none of that name.
type Rules = fn(action: &str, form: &Form) -> Option<String>;

/// A service at an address of its own.
struct StandIn {
    url: String,
    actions: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    fn start(rules: Rules) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let actions = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&actions);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let heard = Arc::clone(&heard);
                thread::spawn(move || answer(&connection, rules, &heard));
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
fn answer(connection: &TcpStream, rules: Rules, heard: &Mutex<Vec<String>>) {
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
    let form: Form = body
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (decode(name), decode(value)))
        .collect();
    let action = form.get("Action").cloned().unwrap_or_default();
    let (status, answer) = match rules(&action, &form) {
        Some(answer) => ("200 OK", answer),
        None => (
            "400 Bad Request",
            format!(
                r#"<?xml version="1.0" encoding="UTF-8"?>
<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type></Type><Code>InvalidParameterValue</Code><Message>Unsupported action {action}</Message></Error><RequestId>1</RequestId></ErrorResponse>"#
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

/// A `MinIO`: of STS it has `AssumeRole`, and of IAM nothing.
fn minio(action: &str, _form: &Form) -> Option<String> {
    (action == "AssumeRole").then(|| SESSION.to_owned())
}

#[test]
fn minio_gives_sessions_of_roles_whatever_their_arn() {
    let fixture = fixture!(registered);
    let minio = StandIn::start(minio);
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

/// The account that a `LocalStack` has unless the access key id is the number of another one.
const LOCAL: &str = "000000000000";

/// A `LocalStack`, as its documentation has it: the ids of the keys that it makes begin with `LKIA` and
/// `LSIA`, and a key id that it does not know, be it one of AWS, stands for [`LOCAL`].
fn localstack(action: &str, form: &Form) -> Option<String> {
    const SESSION: &str = "<Credentials><AccessKeyId>LSIAQAAAAAAVNCBMPNSG</AccessKeyId><SecretAccessKey>of-the-session</SecretAccessKey><SessionToken>t0ken</SessionToken><Expiration>2199-08-08T20:26:12Z</Expiration></Credentials>";
    let user = form.get("UserName").map_or("root", String::as_str);
    let content = match action {
        "GetCallerIdentity" => format!(
            "<Arn>arn:aws:iam::{LOCAL}:root</Arn><UserId>AKIAIOSFODNN7EXAMPLE</UserId><Account>{LOCAL}</Account>"
        ),
        "AssumeRole" => format!(
            "{SESSION}<AssumedRoleUser><AssumedRoleId>AROAQAAAAAAAM:x</AssumedRoleId><Arn>arn:aws:sts::{LOCAL}:assumed-role/app/x</Arn></AssumedRoleUser>"
        ),
        "GetSessionToken" => SESSION.to_owned(),
        "GetFederationToken" => format!(
            "{SESSION}<FederatedUser><FederatedUserId>{LOCAL}:x</FederatedUserId><Arn>arn:aws:sts::{LOCAL}:federated-user/x</Arn></FederatedUser>"
        ),
        "CreateUser" | "GetUser" => format!(
            "<User><Path>/</Path><UserName>{user}</UserName><UserId>AIDAQAAAAAAAB</UserId><Arn>arn:aws:iam::{LOCAL}:user/{user}</Arn><CreateDate>2026-01-02T03:04:05Z</CreateDate></User>"
        ),
        "CreateAccessKey" => format!(
            "<AccessKey><UserName>{user}</UserName><AccessKeyId>LKIAQAAAAAAAB3YQKJ7X</AccessKeyId><Status>Active</Status><SecretAccessKey>of-the-user</SecretAccessKey></AccessKey>"
        ),
        "ListAccessKeys" => format!(
            "<AccessKeyMetadata><member><UserName>{user}</UserName><AccessKeyId>LKIAQAAAAAAAB3YQKJ7X</AccessKeyId><Status>Active</Status></member></AccessKeyMetadata><IsTruncated>false</IsTruncated>"
        ),
        list if list.starts_with("List") => "<IsTruncated>false</IsTruncated>".to_owned(),
        change
            if ["Attach", "Detach", "Delete"]
                .iter()
                .any(|verb| change.starts_with(verb)) =>
        {
            String::new()
        }
        _ => return None,
    };
    Some(format!(
        "<{action}Response><{action}Result>{content}</{action}Result></{action}Response>"
    ))
}

#[test]
fn localstack_gives_credentials_of_all_types_and_ends_users_whatever_key_it_was_told() {
    let fixture = fixture!(registered);
    let localstack = StandIn::start(localstack);
    fixture.host.enable("aws");
    // What is no key id of AWS, and one that tells AWS's account 111122223333.
    for access_key in ["test", "AKIARTX3GSDSVAAAAAAA"] {
        fixture
            .host
            .write(
                "aws/config/root",
                &json!({
                    "access_key": access_key,
                    "secret_key": format!("secret-of-{access_key}"),
                    "region": "us-east-1",
                    "sts_endpoint": localstack.url,
                    "iam_endpoint": localstack.url,
                }),
            )
            .succeeded();
        for (role, key, arn) in [
            (
                json!({"credential_type": "assumed_role", "role_arns": format!("arn:aws:iam::{LOCAL}:role/app")}),
                "LSIAQAAAAAAVNCBMPNSG",
                "arn:aws:sts::000000000000:assumed-role/app/x",
            ),
            (
                json!({"credential_type": "federation_token", "policy_arns": "arn:aws:iam::aws:policy/ReadOnlyAccess"}),
                "LSIAQAAAAAAVNCBMPNSG",
                "arn:aws:sts::000000000000:federated-user/x",
            ),
            (
                json!({"credential_type": "session_token"}),
                "LSIAQAAAAAAVNCBMPNSG",
                "arn:aws:iam::000000000000:root",
            ),
            (
                json!({"credential_type": "iam_user", "policy_arns": "arn:aws:iam::aws:policy/ReadOnlyAccess"}),
                "LKIAQAAAAAAAB3YQKJ7X",
                ":user/",
            ),
        ] {
            fixture.host.delete("aws/roles/app").succeeded();
            fixture.role("app", &role);

            let body = fixture.host.read("aws/creds/app").body();

            assert_eq!(
                body["data"]["access_key"],
                json!(key),
                "{access_key}: {role}"
            );
            let told = text(&body["data"]["arn"]);
            assert!(told.contains(arn), "{access_key}: {told}");
            if role["credential_type"] == "iam_user" {
                let before = localstack.actions().len();
                fixture.revoke(&text(&body["lease_id"]));
                let ended = &localstack.actions()[before..];
                for action in ["DeleteAccessKey", "DeleteUser"] {
                    assert!(
                        ended.iter().any(|of| of == action),
                        "{access_key}: {ended:?}"
                    );
                }
            }
        }
    }
}
