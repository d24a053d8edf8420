use super::*;
use crate::clock::Clock as _;
use crate::logical::testing::StaticSystemView;

#[tokio::test]
async fn a_mount_without_a_key_gives_users_and_sessions() {
    let mount = keyless().await;
    mount.aws().add_role("deploy", FakeRole::default());
    let session = json!({
        "credential_type": "assumed_role",
        "role_arns": "arn:aws:iam::111122223333:role/deploy",
    });
    mount.write("roles/session", session).await;

    let user = mount.generate("creds/user").await;
    mount.generate("creds/session").await;
    mount.revoke(&user).await.unwrap();

    let operations = mount.aws().operations();
    assert_eq!(operations[0], "sts:AssumeRoleWithWebIdentity");
    for operation in ["iam:CreateUser", "sts:AssumeRole", "iam:DeleteUser"] {
        assert!(operations.contains(&operation), "{operations:?}");
    }
    mount.assert_nothing_left();
    assert_eq!(mount.read("config/root").await["access_key"], "");
}

#[tokio::test]
async fn a_token_says_whose_it_is_for_whom_and_until_when() {
    let mount = keyless().await;
    assert_works(&mount).await;
    let tokens = mount.aws().identity_tokens();

    let (header, claims) = parts(&tokens[0]);

    let now = mount.clock().now().unix_timestamp();
    let shown = mount.read("config/root").await;
    assert_eq!(
        header,
        json!({"alg": "ES256", "typ": "JWT", "kid": shown["identity_token_key_id"]})
    );
    let id = claims["jti"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    assert_eq!(
        claims,
        json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": shown["identity_token_subject"],
            "iat": now, "exp": now + 300, "jti": id,
        })
    );
    assert_eq!(shown["identity_token_subject"], SUBJECT);
    mount.clock().advance(2 * HOUR);
    assert_works(&mount).await;
    let later = mount.aws().identity_tokens();
    assert_ne!(parts(&later[later.len() - 1]).1["jti"], claims["jti"]);
}

#[tokio::test]
async fn the_lifetime_of_a_token_is_minutes() {
    let mount = keyless().await;
    mount
        .write("config/root", json!({"identity_token_ttl": "15m"}))
        .await;
    assert_works(&mount).await;
    let tokens = mount.aws().identity_tokens();
    let (_, claims) = parts(tokens.last().unwrap());
    let lifetime = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(lifetime, 900);
    for ttl in ["59s", "901s", "1h"] {
        let told = mount
            .write_refusal("config/root", json!({"identity_token_ttl": ttl}))
            .await;
        assert!(
            told.starts_with("identity_token_ttl must be 1m0s to 15m0s"),
            "{told}"
        );
    }
}

#[tokio::test]
async fn the_subject_is_the_mounts_own_and_outlives_processes_and_keys() {
    let mut mount = keyless().await;
    mount.restart().await;
    for _ in 0..3 {
        tick_after(&mount, 30 * DAY).await;
        read_by_aws(&mount, &published(&mount).await);
        assert_works(&mount).await;
    }
    let shown = mount.read("config/root").await;
    assert_eq!(shown["identity_token_subject"], SUBJECT);
}

#[tokio::test]
async fn aws_refuses_tokens_of_another_subject_audience_key_and_issuer() {
    for (change, told) in [
        (
            json!({"identity_token_audience": "somebody"}),
            "Incorrect token audience",
        ),
        (
            json!({"identity_token_issuer": "https://other.example"}),
            "No OpenIDConnect provider found",
        ),
    ] {
        let mount = keyless().await;
        mount.write("config/root", change).await;
        let refused = mount.generate_refusal("creds/user", json!({})).await;
        assert!(refused.contains(told), "{refused}");
    }
    let mount = keyless().await;
    trust(&mount, "vault-aws-secrets:of another mount");
    let refused = mount.generate_refusal("creds/user", json!({})).await;
    assert!(
        refused.contains("AccessDenied") && refused.contains("role_arn"),
        "{refused}"
    );
    let mount = keyless().await;
    read_by_aws(&mount, &published(&keyless().await).await);
    let refused = mount.generate_refusal("creds/user", json!({})).await;
    assert!(refused.contains("verification key"), "{refused}");
}

#[tokio::test]
async fn a_refusal_of_aws_tells_the_next_step() {
    let mount = keyless().await;
    mount.aws().set_identity_provider(ISSUER, AUDIENCE, None);
    let refused = mount.generate_refusal("creds/user", json!({})).await;
    assert!(
        refused.contains("identity_token_issuer") && refused.contains("documents"),
        "{refused}"
    );
    // And what has been put right works at once.
    read_by_aws(&mount, &published(&mount).await);
    assert_works(&mount).await;
}

#[tokio::test]
async fn neither_token_nor_private_key_is_ever_answered_or_logged() {
    let mount = keyless().await;
    assert_works(&mount).await;
    let mut answers = published(&mount).await;
    for path in ["config/root", ".well-known/openid-configuration"] {
        answers += &Value::from(mount.read(path).await).to_string();
    }
    let seen = answers + &mount.log();
    for token in mount.aws().identity_tokens() {
        assert!(!seen.contains(&token), "a token is shown");
    }
    let keys: Vec<_> = mount.storage().keys();
    let keys: Vec<_> = keys
        .iter()
        .filter(|key| key.starts_with("identity-keys/"))
        .collect();
    assert_eq!(keys.len(), 2);
    for key in keys {
        let stored: Value = serde_json::from_str(&mount.storage().text(key).unwrap()).unwrap();
        let private = stored["private_key"].as_str().unwrap();
        assert!(
            private.len() > 100 && !seen.contains(private),
            "a key is shown"
        );
    }
}

#[tokio::test]
async fn a_session_is_refused_what_aws_gives_to_users_only_and_the_role_says_so() {
    for credential_type in ["federation_token", "session_token"] {
        let mount = keyless().await;
        let mut role = json!({"credential_type": credential_type});
        if credential_type == "federation_token" {
            role["policy_arns"] = json!(READ_ONLY);
        }

        let warnings = mount.write("roles/x", role).await;

        let told = format!("{warnings:?}");
        assert!(
            told.contains("identity_token_audience") && told.contains(credential_type),
            "{told}"
        );
        let refused = mount.generate_refusal("creds/x", json!({})).await;
        assert!(refused.contains("to an IAM user only"), "{refused}");
    }
}

#[tokio::test]
async fn what_no_tokens_could_be_made_of_is_refused_with_its_field_and_changes_nothing() {
    let with = |change: Value| {
        let mut written = written();
        for (name, value) in change.as_object().unwrap() {
            written[name] = value.clone();
        }
        written
    };
    for (sent, told) in [
        (
            with(json!({"identity_token_issuer": "vault.example.com"})),
            "identity_token_issuer in config/root: \"vault.example.com\" must begin with https://",
        ),
        (
            with(json!({"identity_token_issuer": "http://vault.example.com"})),
            "must begin with https://",
        ),
        (
            with(json!({"identity_token_issuer": "https://vault.example.com/"})),
            "must not end in /",
        ),
        (
            with(json!({"identity_token_audience": ""})),
            "missing required 'identity_token_audience' when 'identity_token_issuer' is set",
        ),
        (with(json!({"role_arn": ""})), "missing required 'role_arn'"),
        (
            with(json!({"access_key": "AKIAEXAMPLE", "secret_key": "hunter2hunter2"})),
            "only one of 'access_key' or 'identity_token_audience'",
        ),
        (
            with(json!({"identity_token_algorithm": "HS256"})),
            "identity_token_algorithm must be ES256 or RS256",
        ),
        (
            json!({"identity_token_algorithm": "RS256"}),
            "identity_token_algorithm is of the tokens of identity_token_issuer, which is missing",
        ),
        (
            with(json!({"identity_token_ttl": "1h"})),
            "identity_token_ttl must be",
        ),
    ] {
        let mount = trusted().await;
        let refused = mount.write_refusal("config/root", sent).await;
        assert!(refused.contains(told), "{refused}");
        assert!(mount.storage().keys().is_empty());
    }
}

#[tokio::test]
async fn what_aws_takes_no_provider_for_is_taken_with_a_warning() {
    let mount = trusted().await;
    let mut local = written();
    local["identity_token_issuer"] = json!("http://127.0.0.1:8200/v1/aws");
    let warnings = mount.write("config/root", local.clone()).await;
    assert!(
        format!("{warnings:?}").contains("https only"),
        "{warnings:?}"
    );
    assert_eq!(mount.write("config/root", local).await, [""; 0]);
    let warnings = mount
        .write("config/root", json!({"rotation_period": "24h"}))
        .await;
    assert!(
        format!("{warnings:?}").contains("rotated by itself"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn a_key_gives_way_to_identity_tokens_and_back_in_one_write_each() {
    let mount = keyless().await;
    mount
        .write(
            "config/root",
            json!({"identity_token_issuer": "", "identity_token_audience": "", "role_arn": ""}),
        )
        .await;
    mount.configure(json!({})).await;
    assert_works(&mount).await;
    assert_eq!(raw(&mount, ".well-known/keys").await, None);
    let root = mount.read("config/root").await;
    assert!(!root.contains_key("identity_token_issuer"), "{root:?}");

    let mut without_key = written();
    without_key["access_key"] = json!("");
    let warnings = mount.write("config/root", without_key).await;

    assert!(
        format!("{warnings:?}").contains("with identity tokens"),
        "{warnings:?}"
    );
    mount.aws().forget_calls();
    // The same keys: AWS's copies of the documents may be old.
    assert_works(&mount).await;
    assert_eq!(mount.aws().operations()[0], "sts:AssumeRoleWithWebIdentity");
}

#[tokio::test]
async fn a_role_can_be_assumed_from_there() {
    let mount = keyless().await;
    let other = mount.aws().in_account("999988887777");
    other.add_role("there", FakeRole::default());
    mount
        .write(
            "config/root",
            json!({"assume_role_arn": "arn:aws:iam::999988887777:role/there"}),
        )
        .await;
    let lease = mount.generate("creds/user").await;
    assert_eq!(other.iam_users().len(), 1);
    mount.revoke(&lease).await.unwrap();
}

#[tokio::test]
async fn a_server_that_mints_no_tokens_names_the_way_out_without_an_issuer() {
    for vault_calls in [false, true] {
        let mount = TestMount::on(StaticSystemView {
            vault_calls,
            ..StaticSystemView::default()
        })
        .await;
        let told = mount
            .write_refusal(
                "config/root",
                json!({
                    "identity_token_audience": AUDIENCE,
                    "role_arn": "arn:aws:iam::111122223333:role/vault",
                }),
            )
            .await;
        assert!(told.contains("set identity_token_issuer"), "{told}");
        trust(&mount, SUBJECT);
        mount.write("config/root", written()).await;
        let user = json!({"credential_type": "iam_user", "policy_arns": READ_ONLY});
        mount.write("roles/user", user).await;
        read_by_aws(&mount, &published(&mount).await);
        assert_works(&mount).await;
    }
}

#[tokio::test]
async fn credentials_take_no_look_into_storage_while_the_session_lives() {
    let mount = keyless().await;
    mount.aws().add_role("deploy", FakeRole::default());
    let session = json!({
        "credential_type": "assumed_role",
        "role_arns": "arn:aws:iam::111122223333:role/deploy",
        "max_sts_ttl": "1h",
    });
    mount.write("roles/session", session).await;
    mount.generate("creds/session").await;
    mount.storage().take_calls();

    mount.generate("creds/session").await;

    assert_eq!(mount.storage().take_calls(), [""; 0]);
}
