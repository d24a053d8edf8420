use super::*;
use crate::logical::Error;
use crate::logical::testing::StorageFault;

#[tokio::test]
async fn the_documents_are_plain_json_that_may_be_kept_for_an_hour() {
    let mount = keyless().await;
    for path in [".well-known/openid-configuration", ".well-known/keys"] {
        let answer = raw(&mount, path).await.unwrap().data;
        assert_eq!(answer["http_status_code"], 200);
        assert_eq!(answer["http_content_type"], "application/json");
        assert_eq!(answer["http_raw_cache_control"], "public, max-age=3600");
        assert_eq!(answer.len(), 4);
    }
}

#[tokio::test]
async fn the_configuration_names_the_issuer_and_where_the_keys_are() {
    let mount = keyless().await;
    let answer = raw(&mount, ".well-known/openid-configuration")
        .await
        .unwrap();
    let document: Value = serde_json::from_str(&answer.raw_body().unwrap()).unwrap();
    assert_eq!(
        document,
        json!({
            "issuer": ISSUER,
            "jwks_uri": format!("{ISSUER}/.well-known/keys"),
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256", "RS256"],
            "claims_supported": ["iss", "sub", "aud", "iat", "exp", "jti"],
        })
    );
}

#[tokio::test]
async fn the_keys_are_public_halves_and_nothing_else() {
    for (algorithm, members) in [
        ("ES256", &["alg", "crv", "kid", "kty", "use", "x", "y"][..]),
        ("RS256", &["alg", "e", "kid", "kty", "n", "use"][..]),
    ] {
        let mount = trusted().await;
        let mut root = written();
        root["identity_token_algorithm"] = json!(algorithm);
        mount.write("config/root", root).await;
        let document: Value = serde_json::from_str(&published(&mount).await).unwrap();
        let keys = document["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 2, "the one that signs and the next one");
        for key in keys {
            let key = key.as_object().unwrap();
            let mut names: Vec<_> = key.keys().collect();
            names.sort_unstable();
            assert_eq!(names, members);
            assert_eq!(key["alg"], algorithm);
        }
    }
}

#[tokio::test]
async fn a_mount_that_is_no_identity_provider_has_no_documents() {
    let bare = TestMount::new().await;
    let with_key = TestMount::configured().await;
    for mount in [bare, with_key] {
        for path in [".well-known/openid-configuration", ".well-known/keys"] {
            assert_eq!(raw(&mount, path).await, None);
        }
    }
    let mount = keyless().await;
    let error = mount.read_error(".well-known/jwks.json").await;
    assert!(matches!(error, Error::UnsupportedPath), "{error:?}");
}

#[tokio::test]
async fn strangers_who_ask_often_cause_no_reads() {
    for mount in [keyless().await, TestMount::configured().await] {
        raw(&mount, ".well-known/keys").await;
        mount.storage().take_calls();
        for _ in 0..100 {
            raw(&mount, ".well-known/keys").await;
            raw(&mount, ".well-known/openid-configuration").await;
        }
        assert_eq!(mount.storage().take_calls(), [""; 0]);
    }
}

#[tokio::test]
async fn a_change_is_seen_at_once_here_and_when_another_node_made_it() {
    let mount = trusted().await;
    assert_eq!(raw(&mount, ".well-known/keys").await, None);
    mount.write("config/root", written()).await;
    let before = published(&mount).await;
    let root = mount.storage().text("config/root").unwrap();
    let moved = root.replace("vault.example.com", "elsewhere.example.com");
    mount.store_elsewhere("config/root", &moved).await;
    let answer = raw(&mount, ".well-known/openid-configuration")
        .await
        .unwrap();
    assert!(answer.raw_body().unwrap().contains("elsewhere"));
    assert_eq!(published(&mount).await, before);
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_and_no_empty_document() {
    let mount = keyless().await;
    let root = mount.storage().text("config/root").unwrap();
    mount.storage().fail(StorageFault::Get, "identity-keys/");
    mount.store_elsewhere("config/root", &root).await;
    let error = mount.read_error(".well-known/keys").await;
    assert!(matches!(error, Error::Internal(_)), "{error:?}");
    mount.storage().heal();
    assert_eq!(ids(&published(&mount).await).len(), 2);
}

#[tokio::test]
async fn the_paths_need_no_token_and_the_keys_are_wrapped_by_the_seal() {
    let special = TestMount::new().await.backend().special_paths();
    assert_eq!(
        special.unauthenticated,
        [".well-known/openid-configuration", ".well-known/keys"]
    );
    assert!(
        special
            .seal_wrap_storage
            .contains(&"identity-keys/".to_owned())
    );
    assert!(!special.local_storage.contains(&"identity-keys/".to_owned()));
}
