use std::path::PathBuf;

use base64::Engine as _;

use super::*;

/// A server with a certificate of an authority that only the file knows.
async fn tls_server(name: &str) -> (Server, PathBuf) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    parameters
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    let certificate = parameters.self_signed(&key).unwrap();
    let file = std::env::temp_dir().join(format!("{name}-{}.pem", std::process::id()));
    let base64 = base64::prelude::BASE64_STANDARD.encode(certificate.der());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
    std::fs::write(&file, pem).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let server = Server::start([identity()], Some(Arc::new(tls).into())).await;
    (server, file)
}

fn https(server: &Server) -> ClientConfig {
    ClientConfig {
        endpoint: Some(Endpoint::new(format!("https://{}", server.address)).unwrap()),
        ..config(server)
    }
}

fn trusting(file: &std::path::Path) -> SdkConnector {
    let file = file.to_str().unwrap();
    SdkConnector::new(Arc::new(FixedEnvironment::from([("AWS_CA_BUNDLE", file)])))
}

#[tokio::test]
async fn a_bundle_of_ones_own_decides_whom_to_trust() {
    let (known, known_file) = tls_server("known").await;
    let (stranger, stranger_file) = tls_server("stranger").await;
    let connector = trusting(&known_file);

    let trusted = connector
        .sts(&https(&known))
        .unwrap()
        .get_caller_identity()
        .await;
    let refused = connector
        .sts(&https(&stranger))
        .unwrap()
        .get_caller_identity()
        .await;

    assert!(trusted.is_ok(), "{trusted:?}");
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(!error.may_have_happened());
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("no connection to https://{}: ", stranger.address)),
        "{text}"
    );
    assert_eq!(error.closed().unwrap().obstacle, Obstacle::NotInBundle);
    for file in [known_file, stranger_file] {
        std::fs::remove_file(file).unwrap();
    }
}

/// A call over HTTPS to a server that is not there.
async fn nowhere(connector: &SdkConnector) -> Error {
    let config = ClientConfig {
        endpoint: Some(Endpoint::new("https://127.0.0.1:1").unwrap()),
        credentials: CredentialSource::Static {
            access_key_id: AccessKeyId::new("AKIA1").unwrap(),
            secret_access_key: "hunter2".into(),
            session_token: None,
        },
        ..ClientConfig::default()
    };
    let iam = connector.iam(&config).unwrap();
    iam.create_user(CreateUser::new(UserName::new("u1").unwrap()))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_bundle_without_certificates_is_refused_by_name_until_it_has_some() {
    let (_server, good) = tls_server("good").await;
    let file = std::env::temp_dir().join(format!("empty-{}.pem", std::process::id()));
    let connector = trusting(&file);

    let missing = nowhere(&connector).await;
    std::fs::write(&file, "nothing here").unwrap();
    let empty = nowhere(&connector).await;
    std::fs::rename(good, &file).unwrap();
    let mended = nowhere(&connector).await;
    std::fs::remove_file(&file).unwrap();

    for (error, reason) in [(empty, "no certificate"), (missing, "unreadable")] {
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!error.may_have_happened());
        let text = error.to_string();
        assert!(
            text.starts_with("environment variable AWS_CA_BUNDLE names ")
                && text.contains(file.to_str().unwrap())
                && text.contains(reason),
            "{text}"
        );
    }
    assert_eq!(mended.kind(), ErrorKind::Unreachable, "{mended}");
}

#[tokio::test]
async fn what_other_programs_know_too_names_whom_to_trust() {
    let (known, file) = tls_server("known-to-all").await;
    let directory = tempfile::tempdir().unwrap();
    std::fs::copy(&file, directory.path().join("known.pem")).unwrap();
    let directory = directory.path().to_str().unwrap();

    for (variable, path) in [
        ("SSL_CERT_FILE", file.to_str().unwrap()),
        ("SSL_CERT_DIR", directory),
        ("SSL_CERT_DIR", &format!("/nowhere:{directory}")),
    ] {
        let environment = FixedEnvironment::from([(variable, path)]);
        let connector = SdkConnector::new(Arc::new(environment));
        let trusted = connector
            .sts(&https(&known))
            .unwrap()
            .get_caller_identity()
            .await;
        assert!(trusted.is_ok(), "{variable}={path}: {trusted:?}");
    }
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn aws_s_own_variable_goes_before_what_other_programs_know() {
    let (_stranger, stranger_file) = tls_server("known-elsewhere").await;
    let (known, known_file) = tls_server("known-to-aws").await;
    let connector = SdkConnector::new(Arc::new(FixedEnvironment::from([
        ("AWS_CA_BUNDLE", known_file.to_str().unwrap()),
        ("SSL_CERT_FILE", stranger_file.to_str().unwrap()),
    ])));

    let trusted = connector
        .sts(&https(&known))
        .unwrap()
        .get_caller_identity()
        .await;

    assert!(trusted.is_ok(), "{trusted:?}");
    for file in [known_file, stranger_file] {
        std::fs::remove_file(file).unwrap();
    }
}

#[tokio::test]
async fn roots_that_are_named_and_cannot_be_had_are_refused_by_name() {
    let empty = tempfile::tempdir().unwrap();

    for (variable, path, reason) in [
        ("SSL_CERT_FILE", "/nowhere/roots.pem", "unreadable"),
        (
            "SSL_CERT_DIR",
            empty.path().to_str().unwrap(),
            "no certificate",
        ),
    ] {
        let environment = FixedEnvironment::from([(variable, path)]);
        let error = nowhere(&SdkConnector::new(Arc::new(environment))).await;

        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!error.may_have_happened());
        let text = error.to_string();
        let names = format!("environment variable {variable} names {path}, ");
        assert!(text.contains(&names) && text.contains(reason), "{text}");
    }
}
