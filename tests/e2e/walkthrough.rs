//! What an operator does, in the order of the documentation, by the host's command line.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::aws::{READ_ONLY_ACCESS, User};
use crate::fixture::{Fixture, SOON, fixture};
use crate::host::{sha256, strings, text};
use crate::process::wait_for;
use crate::settings::settings;

const ROLE: &str = "vaultadvanced";

fn write_role(fixture: &Fixture) {
    fixture
        .host
        .cli(&[
            "write",
            &format!("aws/roles/{ROLE}"),
            "credential_type=iam_user",
            &format!("policy_arns={READ_ONLY_ACCESS}"),
        ])
        .succeeded();
}

#[test]
fn registering_shows_the_plugins_own_version() {
    let fixture = fixture!(bare);
    let plugin = &settings().plugin;
    fixture.host.install(plugin, "vault-plugin-secrets-aws");

    fixture
        .host
        .cli(&[
            "plugin",
            "register",
            &format!("-sha256={}", sha256(plugin)),
            "-command=vault-plugin-secrets-aws",
            "secret",
            "aws",
        ])
        .succeeded();

    let listed = fixture
        .host
        .cli(&["plugin", "list", "-detailed", "secret"])
        .succeeded();
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    assert!(
        listed
            .lines()
            .any(|line| line.starts_with("aws ") && line.contains(version)),
        "{listed}"
    );
}

#[test]
fn enabling_mounts_an_engine_whose_help_tells_the_way() {
    let fixture = fixture!(registered);

    fixture
        .host
        .cli(&["secrets", "enable", "-path=aws", "aws"])
        .succeeded();

    let mounts = fixture.host.read("sys/mounts").succeeded();
    assert_eq!(mounts["aws/"]["type"], "aws");
    let help = fixture.host.cli(&["path-help", "aws"]).succeeded();
    for path in ["config/root", "config/lease", "roles/", "creds"] {
        assert!(help.contains(path), "no word of {path} in: {help}");
    }
    let help = fixture
        .host
        .cli(&["path-help", "aws/config/root"])
        .succeeded();
    for field in ["access_key", "secret_key", "region", "iam_endpoint"] {
        assert!(help.contains(field), "no word of {field} in: {help}");
    }
}

#[test]
fn the_root_configuration_reads_back_without_its_secret() {
    let fixture = fixture!(registered);
    fixture.host.enable("aws");

    fixture
        .host
        .cli(&[
            "write",
            "aws/config/root",
            &format!("access_key={}", fixture.aws.root.access_key),
            &format!("secret_key={}", fixture.aws.root.secret_key),
            "region=us-east-1",
            &format!("iam_endpoint={}", fixture.proxy.url()),
        ])
        .succeeded();

    let root = fixture.host.read("aws/config/root").succeeded();
    assert_eq!(root["access_key"], json!(fixture.aws.root.access_key));
    assert_eq!(root["region"], "us-east-1");
    assert_eq!(root["iam_endpoint"], json!(fixture.proxy.url()));
    assert_eq!(root["max_retries"], -1);
    assert!(!root.to_string().contains(&fixture.aws.root.secret_key));
}

#[test]
fn rotating_the_root_kills_the_old_key_and_the_engine_goes_on() {
    let fixture = fixture!(configured);
    write_role(&fixture);

    let printed = fixture
        .host
        .cli(&["write", "-force", "-format=json", "aws/config/rotate-root"])
        .succeeded();

    let answer: Value = serde_json::from_str(&printed).expect("the command prints JSON");
    let rotated = text(&answer["data"]["access_key"]);
    assert_ne!(rotated, fixture.aws.root.access_key);
    assert_eq!(
        fixture.aws.keys_of(&fixture.aws.root_user),
        BTreeSet::from([rotated.clone()])
    );
    assert_eq!(
        fixture.aws.root.identity(),
        Err("InvalidClientTokenId".to_owned())
    );
    let root = fixture.host.read("aws/config/root").succeeded();
    assert_eq!(root["access_key"], json!(rotated));
    fixture.generate(ROLE);
}

#[test]
fn a_role_reads_back_and_is_listed() {
    let fixture = fixture!(configured);

    write_role(&fixture);

    let role = fixture.host.read(&format!("aws/roles/{ROLE}")).succeeded();
    assert_eq!(role["credential_type"], "iam_user");
    assert_eq!(role["policy_arns"], json!([READ_ONLY_ACCESS]));
    let listed = fixture.host.cli(&["list", "aws/roles"]).succeeded();
    assert!(listed.lines().any(|line| line == ROLE), "{listed}");
}

#[test]
fn reading_creds_makes_a_user_who_is_and_may_what_the_role_says() {
    let fixture = fixture!(configured);
    write_role(&fixture);

    let generated = fixture.generate(ROLE);

    assert_eq!(
        fixture.aws.user(&generated.user),
        Some(User {
            path: "/".to_owned(),
            attached: BTreeSet::from([READ_ONLY_ACCESS.to_owned()]),
            keys: BTreeSet::from([generated.keys.access_key.clone()]),
            ..User::default()
        })
    );
    assert_eq!(generated.keys.list_users(), Ok(()));
    assert_eq!(
        generated.keys.create_user("intruder"),
        Err("AccessDenied".to_owned())
    );
}

#[test]
fn a_role_with_everything_makes_a_user_with_everything() {
    let fixture = fixture!(configured);
    let group = fixture.aws.unique("readers");
    fixture.aws.group(&group, READ_ONLY_ACCESS);
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:CreateUser","Resource":"*"}]}"#;
    let boundary = "arn:aws:iam::aws:policy/PowerUserAccess";
    fixture.role(
        "everything",
        &json!({
            "credential_type": "iam_user",
            "policy_arns": ["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"],
            "policy_document": document,
            "iam_groups": [group],
            "iam_tags": { "team": "storage", "owner": "me" },
            "user_path": "/people/",
            "permissions_boundary_arn": boundary,
        }),
    );

    let generated = fixture.generate("everything");

    let user = fixture
        .aws
        .user(&generated.user)
        .expect("the user is there");
    let policies: Vec<Value> = user
        .inline
        .values()
        .map(|document| serde_json::from_str(document).expect("a policy is JSON"))
        .collect();
    assert_eq!(policies, [serde_json::from_str::<Value>(document).unwrap()]);
    assert_eq!(user.path, "/people/");
    assert_eq!(user.groups, BTreeSet::from([group]));
    assert_eq!(
        user.attached,
        BTreeSet::from(["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess".to_owned()])
    );
    assert_eq!(user.tags.get("team").map(String::as_str), Some("storage"));
    assert_eq!(user.tags.get("owner").map(String::as_str), Some("me"));
    // moto keeps the boundary to itself.
    let created = fixture.proxy.calls_of("CreateUser").remove(0);
    assert_eq!(created.parameters["PermissionsBoundary"], boundary);
    // By the group, then by the document.
    assert_eq!(generated.keys.list_users(), Ok(()));
    let made = fixture.aws.unique("made");
    assert_eq!(generated.keys.create_user(&made), Ok(()));
    fixture.aws.delete_by_hand(&made);
}

#[test]
fn revoking_one_lease_removes_its_user_and_no_other() {
    let fixture = fixture!(configured);
    write_role(&fixture);
    let ended = fixture.generate(ROLE);
    let kept = fixture.generate(ROLE);

    fixture
        .host
        .cli(&["lease", "revoke", &ended.lease])
        .succeeded();

    wait_for("the user to go", SOON, || {
        (!fixture.aws.has_user(&ended.user)).then_some(())
    });
    assert_eq!(
        ended.keys.identity(),
        Err("InvalidClientTokenId".to_owned())
    );
    assert_eq!(kept.keys.list_users(), Ok(()));
}

#[test]
fn revoking_a_prefix_removes_every_user_of_the_role() {
    let fixture = fixture!(configured);
    write_role(&fixture);
    fixture.role(
        "other",
        &json!({ "credential_type": "iam_user", "policy_arns": READ_ONLY_ACCESS }),
    );
    for _ in 0..3 {
        fixture.generate(ROLE);
    }
    let other = fixture.generate("other");

    fixture
        .host
        .cli(&["lease", "revoke", "-prefix", &format!("aws/creds/{ROLE}")])
        .succeeded();

    wait_for("all users but one to go", SOON, || {
        (fixture.left_in_aws() == [other.user.as_str()]).then_some(())
    });
    let leases = fixture.host.list("sys/leases/lookup/aws/creds/other");
    assert_eq!(strings(&leases.succeeded()["keys"]).len(), 1);
}
