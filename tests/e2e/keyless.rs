//! A root without a key: the mount is its own identity provider, on a real host.
//!
//! The AWS here is the simulated one, because moto takes any identity token. What it is sent is also
//! verified by a library of others, which knows the issuer's URL and nothing else.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use vault_plugin_secrets_aws::aws::fake::{FakeAws, FakeRole, FakeTrust};

use crate::aws::READ_ONLY_ACCESS;
use crate::fixture::{Fixture, fixture};
use crate::host::{Host, text};
use crate::product::Product;
use crate::settings::{checkout, settings};
use crate::simulated::SimulatedAws;

const AUDIENCE: &str = "sts.amazonaws.com";
const DOCUMENTS: [&str; 2] = ["openid-configuration", "keys"];

impl SimulatedAws {
    /// Trusts a mount's tokens, and has read the documents.
    fn trust(&self, mount: &Mount<'_>) {
        let trust = FakeTrust {
            issuer: mount.issuer(),
            audience: AUDIENCE.to_owned(),
            subject: mount.subject(),
        };
        let role = FakeRole {
            trusted_identity: Some(trust),
            ..FakeRole::default()
        };
        self.aws.add_role("vault", role);
        self.aws.add_role("deploy", FakeRole::default());
        let keys = mount.document("keys").text;
        self.aws
            .set_identity_provider(&mount.issuer(), AUDIENCE, Some(&keys));
    }

    fn last_token(&self) -> String {
        let tokens = self.aws.identity_tokens();
        tokens.last().expect("a token was sent").clone()
    }
}

/// A mount at a path, maybe in a namespace.
struct Mount<'a> {
    host: &'a Host,
    path: &'static str,
}

/// What anybody gets who has no token.
struct Document {
    text: String,
    content_type: String,
    cache_control: String,
}

impl<'a> Mount<'a> {
    /// A new one.
    fn enable(host: &'a Host, path: &'static str) -> Self {
        host.enable(path);
        Self { host, path }
    }

    fn issuer(&self) -> String {
        format!("{}/v1/{}", self.host.address, self.path)
    }

    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.path)
    }

    /// Without a key, and with a role for users and one for sessions.
    fn configure(&self, aws: &SimulatedAws) {
        let address = aws.url();
        self.host
            .write(
                &self.at("config/root"),
                &json!({
                    "identity_token_issuer": self.issuer(),
                    "identity_token_audience": AUDIENCE,
                    "role_arn": format!("arn:aws:iam::{}:role/vault", FakeAws::HOME_ACCOUNT),
                    "region": "us-east-1",
                    "iam_endpoint": address,
                    "sts_endpoint": address,
                }),
            )
            .succeeded();
        let role_arn = format!("arn:aws:iam::{}:role/deploy", FakeAws::HOME_ACCOUNT);
        for (name, role) in [
            (
                "user",
                json!({ "credential_type": "iam_user", "policy_arns": READ_ONLY_ACCESS }),
            ),
            (
                "session",
                json!({ "credential_type": "assumed_role", "role_arns": role_arn }),
            ),
        ] {
            self.host
                .write(&self.at(&format!("roles/{name}")), &role)
                .succeeded();
        }
    }

    fn root(&self) -> Value {
        self.host.read(&self.at("config/root")).succeeded()
    }

    fn subject(&self) -> String {
        text(&self.root()["identity_token_subject"])
    }

    fn document(&self, name: &str) -> Document {
        let url = format!("{}/.well-known/{name}", self.issuer());
        let mut answer = ureq::get(&url).call().expect("anybody may read it");
        let header = |name: &str| {
            let value = answer.headers().get(name).expect("it is set");
            value.to_str().expect("text").to_owned()
        };
        Document {
            content_type: header("content-type"),
            cache_control: header("cache-control"),
            text: answer.body_mut().read_to_string().expect("a body"),
        }
    }

    fn issue_both(&self) {
        for name in ["user", "session"] {
            let issued = self.host.read(&self.at(&format!("creds/{name}"))).body();
            assert!(issued["data"]["access_key"].is_string());
        }
    }

    /// Another process of the plugin, which has no session at AWS yet.
    fn begin_anew(&self, fixture: &Fixture) {
        fixture.reload();
        self.issue_both();
    }

    fn verify(&self, token: &str) -> Result<Value, String> {
        verify(&[&self.issuer(), AUDIENCE, &self.subject()], token)
    }
}

fn verify(arguments: &[&str], token: &str) -> Result<Value, String> {
    use std::io::Write as _;

    let mut running = Command::new(&settings().python)
        .arg(checkout("tests/e2e/verify_token.py"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let mut stdin = running.stdin.take().expect("it is piped");
    stdin.write_all(token.as_bytes()).expect("it reads");
    drop(stdin);
    let Output {
        status,
        stdout,
        stderr,
    } = running.wait_with_output().expect("it ends");
    if status.success() {
        Ok(serde_json::from_slice(&stdout).expect("the claims"))
    } else {
        Err(String::from_utf8_lossy(&stderr).into_owned())
    }
}

#[test]
fn a_mount_without_a_key_gives_users_and_sessions_and_others_verify_its_tokens() {
    let aws = SimulatedAws::start();
    let fixture = fixture!(registered);
    let [mount, other] = ["aws", "other"].map(|path| Mount::enable(&fixture.host, path));
    mount.configure(&aws);
    aws.trust(&mount);

    mount.issue_both();

    let token = aws.last_token();
    let claims = mount.verify(&token).expect("the token is good");
    assert_eq!(claims["sub"], json!(mount.subject()));
    let lifetime =
        claims["exp"].as_i64().expect("a time") - claims["iat"].as_i64().expect("a time");
    assert_eq!(lifetime, 300);
    let (issuer, subject) = (mount.issuer(), mount.subject());
    for (arguments, told) in [
        ([&*issuer, AUDIENCE, "another mount"], "sub"),
        ([&*issuer, "another party", &*subject], "aud"),
    ] {
        let refused = verify(&arguments, &token).expect_err("it is not for that");
        assert!(refused.contains(told), "{refused}");
    }

    other.configure(&aws);
    aws.trust(&other);
    other.issue_both();
    assert_ne!(other.subject(), subject);
    mount
        .verify(&aws.last_token())
        .expect_err("it is of a key that this mount does not have");

    let log = fixture.host.log();
    for token in aws.aws.identity_tokens() {
        assert!(
            !log.contains(&token),
            "an identity token is in the host's log"
        );
    }
}

#[test]
fn anybody_reads_the_documents_as_they_are_in_namespaces_too() {
    let aws = SimulatedAws::start();
    let fixture = fixture!(registered);
    fixture.host.enable("aws");
    let mut paths = vec!["aws"];
    if fixture.host.product == Product::OpenBao {
        fixture
            .host
            .write("sys/namespaces/team", &json!({}))
            .succeeded();
        fixture
            .host
            .write("team/sys/mounts/aws", &json!({ "type": "aws" }))
            .succeeded();
        paths.push("team/aws");
    }
    for path in paths {
        let mount = Mount {
            host: &fixture.host,
            path,
        };
        let url = format!("{}/.well-known/keys", mount.issuer());
        let missing = ureq::get(&url).call().expect_err("there is none yet");
        assert!(matches!(missing, ureq::Error::StatusCode(404)), "{missing}");

        mount.configure(&aws);
        aws.trust(&mount);

        for name in DOCUMENTS {
            let document = mount.document(name);
            assert_eq!(document.content_type, "application/json");
            assert_eq!(document.cache_control, "public, max-age=3600");
            let value: Value = serde_json::from_str(&document.text).expect("nothing but JSON");
            assert!(value.get("request_id").is_none(), "{value}");
        }
        mount.issue_both();
        mount.verify(&aws.last_token()).expect("the token is good");
        fixture
            .host
            .write(
                &format!(
                    "{}sys/leases/revoke-prefix/aws/creds",
                    path.trim_end_matches("aws")
                ),
                &json!({ "sync": true }),
            )
            .succeeded();
        assert!(aws.aws.iam_users().is_empty());
    }
}

#[test]
fn documents_of_before_a_roll_verify_a_token_of_after_it() {
    let aws = SimulatedAws::start();
    let fixture = fixture!(registered);
    let mount = Mount::enable(&fixture.host, "aws");
    for algorithm in ["ES256", "RS256"] {
        mount.configure(&aws);
        if algorithm == "RS256" {
            let written = json!({ "identity_token_algorithm": algorithm });
            let answer = fixture.host.write("aws/config/root", &written).body();
            assert!(
                answer["warnings"]
                    .to_string()
                    .contains("identity_token_algorithm"),
                "{answer}"
            );
        }
        aws.trust(&mount);
        let copies = fixture.scratch("copies");
        copy(&mount, &copies);
        let before = mount.root()["identity_token_key_id"].clone();
        let refused = fixture.host.write("aws/config/rotate-root", &json!({}));
        assert!(refused.refused(400).contains("too young"));

        age_keys(&fixture.host);
        let rolled = fixture
            .host
            .write("aws/config/rotate-root", &json!({}))
            .succeeded();

        mount.begin_anew(&fixture);
        assert_ne!(rolled["identity_token_key_id"], before);
        assert_eq!(
            mount.root()["identity_token_key_id"],
            rolled["identity_token_key_id"]
        );
        let token = aws.last_token();
        let copies = format!("file://{}", copies.display());
        let (issuer, subject) = (mount.issuer(), mount.subject());
        for arguments in [
            &[&*issuer, AUDIENCE, &*subject, &*copies][..],
            &[&*issuer, AUDIENCE, &*subject][..],
        ] {
            verify(arguments, &token).expect("the token is good");
        }
    }
}

#[test]
fn the_command_of_the_documentation_copies_the_documents_and_says_when_they_change() {
    let aws = SimulatedAws::start();
    let fixture = fixture!(registered);
    let mount = Mount::enable(&fixture.host, "aws");
    mount.configure(&aws);
    aws.trust(&mount);
    mount.issue_both();
    let store = fixture.scratch("store");

    let command = format!("{PROGRAMS}{}", command_of_the_documentation());
    let printed = fixture.host.run(
        Command::new("/bin/sh")
            .args(["-c", &command])
            .env("VAULT_ADDR", &fixture.host.address)
            .env("BUCKET", "bucket")
            .env("STORE", &store)
            .env("PYTHON", &settings().python)
            .env("CURL", CURL)
            .env("AWS", AWS),
    );

    let next = text(&mount.root()["next_vault_rotation"]);
    let printed = printed.succeeded();
    let told = format!("the documents change next at {next}\n");
    assert!(printed.ends_with(&told), "{printed}");
    let copies = format!("file://{}/bucket/aws", store.display());
    let (issuer, subject) = (mount.issuer(), mount.subject());
    verify(&[&issuer, AUDIENCE, &subject, &copies], &aws.last_token()).expect("copies");
}

/// The programs of the command, and of two of them as much as it uses.
const PROGRAMS: &str = r#"
vault() { "$HOST_BIN" "$@"; }
curl() { "$PYTHON" -c "$CURL" "$@"; }
aws() { "$PYTHON" -c "$AWS" "$@"; }
"#;
const CURL: &str = r#"
import sys, urllib.request
urllib.request.urlretrieve(sys.argv[-1], sys.argv[sys.argv.index("--output") + 1])
"#;
const AWS: &str = r#"
import os, shutil, sys
_, s3, cp, source, target, *options = sys.argv
assert [s3, cp] == ["s3", "cp"] and options[:2] == ["--content-type", "application/json"]
target = target.replace("s3:/", os.environ["STORE"])
os.makedirs(os.path.dirname(target), exist_ok=True)
shutil.copy(source, target)
"#;

fn command_of_the_documentation() -> String {
    let page = fs::read_to_string(checkout("docs/keyless.md")).expect("the page is there");
    let (_, rest) = page
        .split_once("<!-- command: publish -->")
        .expect("it is marked");
    let (_, rest) = rest.split_once("```sh\n").expect("it begins");
    let (command, _) = rest.split_once("```").expect("it ends");
    command.to_owned()
}

/// Copies the documents to a folder, as to a bucket.
fn copy(mount: &Mount<'_>, folder: &Path) {
    let folder = folder.join(".well-known");
    fs::create_dir_all(&folder).expect("it can be made");
    for name in DOCUMENTS {
        fs::write(folder.join(name), mount.document(name).text).expect("it can be written");
    }
}

/// Makes all keys three days older in storage.
fn age_keys(host: &Host) {
    for id in host.stored_keys("aws", "identity-keys") {
        let key = format!("identity-keys/{id}");
        let mut stored = host.stored("aws", &key);
        let published = text(&stored["published_from"]);
        let published = OffsetDateTime::parse(&published, &Rfc3339).expect("a time");
        let older = published - Duration::days(3);
        stored["published_from"] = json!(older.format(&Rfc3339).expect("a time"));
        host.store("aws", &key, &stored);
    }
}
