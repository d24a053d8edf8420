use std::sync::Arc;
use std::time::Duration;

use super::testing::{Reply, Server};
use super::*;
use crate::aws::*;
use crate::environment::FixedEnvironment;
use crate::secret::{ExposeSecret, SecretString};

const USER: &str = "<User><Path>/</Path><UserName>deploy</UserName><UserId>AIDA1</UserId>\
     <Arn>arn:aws:iam::111122223333:user/deploy</Arn><CreateDate>2026-01-02T03:04:05Z</CreateDate>\
     </User>";
const SESSION: &str = "<Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s3cret\
     </SecretAccessKey><SessionToken>t0ken</SessionToken><Expiration>2199-01-02T03:04:05Z\
     </Expiration></Credentials>";
const ROLE: &str = "arn:aws:iam::111122223333:role/deploy";

/// A client's configuration for a server, with a key and without a second try.
fn config(server: &Server) -> ClientConfig {
    ClientConfig {
        endpoint: Some(Endpoint::new(server.url()).unwrap()),
        region: Some(Region::new("eu-central-1").unwrap()),
        max_retries: Some(0),
        credentials: CredentialSource::Static {
            access_key_id: AccessKeyId::new("AKIA1").unwrap(),
            secret_access_key: "hunter2".into(),
            session_token: None,
        },
        ..ClientConfig::default()
    }
}

fn retrying(server: &Server) -> ClientConfig {
    ClientConfig {
        max_retries: None,
        ..config(server)
    }
}

fn connector() -> SdkConnector {
    SdkConnector::new(Arc::new(FixedEnvironment::default()))
}

async fn iam_answering(replies: impl IntoIterator<Item = Reply>) -> (Server, Arc<dyn Iam>) {
    let server = Server::answering(replies).await;
    let iam = connector().iam(&config(&server)).unwrap();
    (server, iam)
}

async fn sts_answering(replies: impl IntoIterator<Item = Reply>) -> (Server, Arc<dyn Sts>) {
    let server = Server::answering(replies).await;
    let sts = connector().sts(&config(&server)).unwrap();
    (server, sts)
}

fn user() -> UserName {
    UserName::new("deploy").unwrap()
}

fn arn(text: &str) -> Arn {
    Arn::new(text).unwrap()
}

fn session_name() -> RoleSessionName {
    RoleSessionName::new("vault-1").unwrap()
}

fn identity() -> Reply {
    Reply::result(
        "GetCallerIdentity",
        "<Arn>arn:aws:iam::111122223333:user/deploy</Arn><UserId>AIDA1</UserId>\
         <Account>111122223333</Account>",
    )
}

mod requests {
    use super::*;

    #[tokio::test]
    async fn a_user_is_created_with_one_signed_call() {
        let (server, iam) = iam_answering([Reply::result("CreateUser", USER)]).await;

        let created = iam
            .create_user(CreateUser {
                path: Some("/vault/".into()),
                permissions_boundary: Some(arn("arn:aws:iam::111122223333:policy/b")),
                tags: vec![Tag::new("team", "red & blue")],
                ..CreateUser::new(user())
            })
            .await
            .unwrap();

        assert_eq!(created.user_id, "AIDA1");
        assert_eq!(
            created.create_date,
            time::macros::datetime!(2026-01-02 03:04:05 UTC)
        );
        let heard = &server.heard()[0];
        assert_eq!(heard.line, "POST / HTTP/1.1");
        assert_eq!(heard.header("host"), server.address.to_string());
        assert_eq!(heard.field("Action"), "CreateUser");
        assert_eq!(heard.field("UserName"), "deploy");
        assert_eq!(heard.field("Path"), "/vault/");
        assert_eq!(
            heard.field("PermissionsBoundary"),
            "arn:aws:iam::111122223333:policy/b"
        );
        assert_eq!(heard.field("Tags.member.1.Key"), "team");
        assert_eq!(heard.field("Tags.member.1.Value"), "red & blue");
        let authorization = heard.header("authorization");
        assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIA1/"));
        assert!(authorization.contains("/eu-central-1/iam/aws4_request"));
        assert!(
            heard
                .header("user-agent")
                .contains("app/vault-plugin-secrets-aws")
        );
    }

    #[tokio::test]
    async fn a_space_is_written_as_other_sdks_write_it() {
        let (server, iam) = iam_answering([Reply::result("PutUserPolicy", "")]).await;
        let document = r#"{"Sid": "a+b %20 c"}"#;

        iam.put_user_policy(&user(), &PolicyName::new("p").unwrap(), document)
            .await
            .unwrap();

        let heard = &server.heard()[0];
        assert_eq!(heard.field("PolicyDocument"), document);
        assert!(heard.body.contains("a%2Bb+%2520+c"), "{}", heard.body);
        assert_eq!(heard.header("content-length"), heard.body.len().to_string());
    }

    #[tokio::test]
    async fn a_role_is_assumed_as_asked() {
        let answer = format!(
            "{SESSION}<AssumedRoleUser><AssumedRoleId>AROA1:vault-1</AssumedRoleId>\
             <Arn>arn:aws:sts::111122223333:assumed-role/deploy/vault-1</Arn></AssumedRoleUser>"
        );
        let (server, sts) = sts_answering([Reply::result("AssumeRole", &answer)]).await;

        let assumed = sts
            .assume_role(AssumeRole {
                duration: Some(Duration::from_mins(15)),
                policy: Some("{}".into()),
                policy_arns: vec![arn("arn:aws:iam::aws:policy/ReadOnlyAccess")],
                external_id: Some("x1".into()),
                tags: vec![Tag::new("team", "red")],
                transitive_tag_keys: vec!["team".into()],
                source_identity: Some("alice".into()),
                ..AssumeRole::new(arn(ROLE), session_name())
            })
            .await
            .unwrap();

        assert_eq!(assumed.credentials.access_key_id.as_str(), "ASIA1");
        assert_eq!(
            assumed.credentials.secret_access_key.expose_secret(),
            "s3cret"
        );
        assert_eq!(assumed.credentials.session_token.expose_secret(), "t0ken");
        assert_eq!(assumed.credentials.expiration.year(), 2199);
        assert_eq!(assumed.arn.resource(), "assumed-role/deploy/vault-1");
        let heard = &server.heard()[0];
        for (field, value) in [
            ("Action", "AssumeRole"),
            ("RoleArn", ROLE),
            ("RoleSessionName", "vault-1"),
            ("DurationSeconds", "900"),
            ("Policy", "{}"),
            (
                "PolicyArns.member.1.arn",
                "arn:aws:iam::aws:policy/ReadOnlyAccess",
            ),
            ("ExternalId", "x1"),
            ("Tags.member.1.Key", "team"),
            ("TransitiveTagKeys.member.1", "team"),
            ("SourceIdentity", "alice"),
        ] {
            assert_eq!(heard.field(field), value, "{field}");
        }
        assert!(heard.header("authorization").contains("/eu-central-1/sts/"));
    }

    #[tokio::test]
    async fn what_is_not_asked_for_is_not_sent() {
        let answer = format!(
            "{SESSION}<FederatedUser><FederatedUserId>111122223333:vault-1</FederatedUserId>\
             <Arn>arn:aws:sts::111122223333:federated-user/vault-1</Arn></FederatedUser>"
        );
        let (server, sts) = sts_answering([
            Reply::result("GetFederationToken", &answer),
            Reply::result("GetSessionToken", SESSION),
        ])
        .await;
        let name = FederatedUserName::new("vault-1").unwrap();

        sts.get_federation_token(GetFederationToken::new(name))
            .await
            .unwrap();
        sts.get_session_token(GetSessionToken::default())
            .await
            .unwrap();

        let fields = |n: usize| -> Vec<String> { server.heard()[n].form.keys().cloned().collect() };
        assert_eq!(fields(0), ["Action", "Name", "Version"]);
        assert_eq!(fields(1), ["Action", "Version"]);
    }

    #[tokio::test]
    async fn a_session_token_is_asked_for_with_a_device() {
        let (server, sts) = sts_answering([Reply::result("GetSessionToken", SESSION)]).await;

        sts.get_session_token(GetSessionToken {
            duration: Some(Duration::from_hours(1)),
            serial_number: Some(MfaSerialNumber::new("GAHT1").unwrap()),
            token_code: Some("123456".into()),
        })
        .await
        .unwrap();

        let heard = &server.heard()[0];
        assert_eq!(heard.field("SerialNumber"), "GAHT1");
        assert_eq!(heard.field("TokenCode"), "123456");
        assert_eq!(heard.field("DurationSeconds"), "3600");
    }

    #[tokio::test]
    async fn a_list_is_read_to_its_last_page() {
        let page = |names: [&str; 2], rest: &str| {
            let [one, two] = names;
            Reply::result(
                "ListUserPolicies",
                &format!(
                    "<PolicyNames><member>{one}</member><member>{two}</member></PolicyNames>{rest}"
                ),
            )
        };
        let (server, iam) = iam_answering([
            page(
                ["a", "b"],
                "<IsTruncated>true</IsTruncated><Marker>m1</Marker>",
            ),
            page(
                ["c", "d"],
                "<IsTruncated>true</IsTruncated><Marker>m2</Marker>",
            ),
            page(["e", "f"], "<IsTruncated>false</IsTruncated>"),
        ])
        .await;

        let names = iam.list_user_policies(&user()).await.unwrap();

        let names: Vec<_> = names.iter().map(PolicyName::as_str).collect();
        assert_eq!(names, ["a", "b", "c", "d", "e", "f"]);
        let markers: Vec<_> = server
            .heard()
            .iter()
            .map(|heard| heard.field("Marker").to_owned())
            .collect();
        assert_eq!(markers, ["", "m1", "m2"]);
    }

    #[tokio::test]
    async fn service_specific_credentials_are_read_to_the_last_page() {
        let page = |id: &str, rest: &str| {
            Reply::result(
                "ListServiceSpecificCredentials",
                &format!(
                    "<ServiceSpecificCredentials><member><UserName>deploy</UserName>\
                     <Status>Active</Status><ServiceUserName>d</ServiceUserName>\
                     <CreateDate>2026-01-02T03:04:05Z</CreateDate>\
                     <ServiceSpecificCredentialId>{id}</ServiceSpecificCredentialId>\
                     <ServiceName>x</ServiceName></member></ServiceSpecificCredentials>{rest}"
                ),
            )
        };
        let (_server, iam) = iam_answering([
            page(
                "ACCA1",
                "<IsTruncated>true</IsTruncated><Marker>m1</Marker>",
            ),
            page("ACCA2", ""),
        ])
        .await;

        let ids = iam
            .list_service_specific_credentials(&user())
            .await
            .unwrap();

        let ids: Vec<_> = ids
            .iter()
            .map(ServiceSpecificCredentialId::as_str)
            .collect();
        assert_eq!(ids, ["ACCA1", "ACCA2"]);
    }

    #[tokio::test]
    async fn access_keys_are_listed_with_status_and_age() {
        let answer = "<AccessKeyMetadata><member><UserName>deploy</UserName>\
             <AccessKeyId>AKIA1</AccessKeyId><Status>Active</Status>\
             <CreateDate>2026-01-02T03:04:05Z</CreateDate></member><member>\
             <AccessKeyId>AKIA2</AccessKeyId><Status>Inactive</Status>\
             <CreateDate>2026-01-02T03:04:06Z</CreateDate></member></AccessKeyMetadata>";
        let (_server, iam) = iam_answering([Reply::result("ListAccessKeys", answer)]).await;

        let keys = iam.list_access_keys(&user()).await.unwrap();

        assert_eq!(keys[0].access_key_id.as_str(), "AKIA1");
        assert_eq!(keys[0].status, AccessKeyStatus::Active);
        assert_eq!(keys[1].status, AccessKeyStatus::Inactive);
        assert!(keys[0].create_date < keys[1].create_date);
    }

    #[tokio::test]
    async fn a_group_policy_is_decoded() {
        let answer = "<GroupName>g</GroupName><PolicyName>p</PolicyName><PolicyDocument>\
             %7B%22Sid%22%3A%20%22a%2Bb%25%C3%A9%22%7D</PolicyDocument>";
        let (_server, iam) = iam_answering([Reply::result("GetGroupPolicy", answer)]).await;

        let document = iam
            .get_group_policy(
                &GroupName::new("g").unwrap(),
                &PolicyName::new("p").unwrap(),
            )
            .await
            .unwrap();

        assert_eq!(document, r#"{"Sid": "a+b%é"}"#);
    }

    #[tokio::test]
    async fn the_root_user_of_an_account_has_no_name() {
        let root = USER.replace("<UserName>deploy</UserName>", "");
        let (server, iam) = iam_answering([Reply::result("GetUser", &root)]).await;

        let user = iam.get_user(None).await.unwrap();

        assert_eq!(user.user_name, None);
        assert_eq!(server.heard()[0].field("UserName"), "");
    }
}

mod addresses {
    use super::*;

    /// The hosts to which clients with this environment try to connect, as a proxy hears them.
    async fn hosts(configs: impl IntoIterator<Item = (ClientConfig, bool)>) -> Vec<String> {
        let proxy = Server::answering([Reply::new(403, "")]).await;
        let connector = SdkConnector::new(Arc::new(FixedEnvironment::from([(
            "HTTPS_PROXY",
            proxy.url(),
        )])));
        for (config, is_iam) in configs {
            if is_iam {
                connector
                    .iam(&config)
                    .unwrap()
                    .get_user(None)
                    .await
                    .unwrap_err();
            } else {
                let sts = connector.sts(&config).unwrap();
                sts.get_caller_identity().await.unwrap_err();
            }
        }
        let heard = proxy.heard();
        heard
            .iter()
            .map(|heard| {
                let host = heard.line.strip_prefix("CONNECT ").unwrap();
                host.strip_suffix(":443 HTTP/1.1").unwrap().to_owned()
            })
            .collect()
    }

    fn region(region: &str) -> ClientConfig {
        ClientConfig {
            region: Some(Region::new(region).unwrap()),
            max_retries: Some(0),
            credentials: CredentialSource::Static {
                access_key_id: AccessKeyId::new("AKIA1").unwrap(),
                secret_access_key: "hunter2".into(),
                session_token: None,
            },
            ..ClientConfig::default()
        }
    }

    #[tokio::test]
    async fn every_partition_has_its_own_hosts() {
        let regions = [
            "us-east-1",
            "eu-central-1",
            "us-gov-west-1",
            "cn-north-1",
            "eusc-de-east-1",
            "us-iso-east-1",
        ];

        let iam = hosts(regions.map(|name| (region(name), true))).await;
        let sts = hosts(regions.map(|name| (region(name), false))).await;

        assert_eq!(
            iam,
            [
                "iam.amazonaws.com",
                "iam.amazonaws.com",
                "iam.us-gov.amazonaws.com",
                "iam.cn-north-1.amazonaws.com.cn",
                "iam.eusc-de-east-1.amazonaws.eu",
                "iam.us-iso-east-1.c2s.ic.gov",
            ]
        );
        assert_eq!(
            sts,
            [
                "sts.us-east-1.amazonaws.com",
                "sts.eu-central-1.amazonaws.com",
                "sts.us-gov-west-1.amazonaws.com",
                "sts.cn-north-1.amazonaws.com.cn",
                "sts.eusc-de-east-1.amazonaws.eu",
                "sts.us-iso-east-1.c2s.ic.gov",
            ]
        );
    }

    #[tokio::test]
    async fn fips_and_dual_stack_have_their_own_hosts() {
        let fips = ClientConfig {
            use_fips: Some(true),
            ..region("us-east-1")
        };
        let dual_stack = ClientConfig {
            use_dual_stack: Some(true),
            ..region("us-east-1")
        };

        let heard = hosts([(fips.clone(), true), (fips, false), (dual_stack, false)]).await;

        assert_eq!(
            heard,
            [
                "iam-fips.amazonaws.com",
                "sts-fips.us-east-1.amazonaws.com",
                "sts.us-east-1.api.aws"
            ]
        );
    }

    #[tokio::test]
    async fn an_endpoint_of_ones_own_is_taken_as_it_is() {
        let server = Server::answering([identity()]).await;
        let config = ClientConfig {
            use_fips: Some(true),
            ..config(&server)
        };

        let identity = connector()
            .sts(&config)
            .unwrap()
            .get_caller_identity()
            .await;

        assert_eq!(identity.unwrap().account, "111122223333");
    }

    #[tokio::test]
    async fn without_a_region_the_environment_names_one() {
        let server = Server::answering([identity()]).await;
        for (environment, region) in [
            (FixedEnvironment::default(), "us-east-1"),
            ([("AWS_DEFAULT_REGION", "eu-west-1")].into(), "eu-west-1"),
            (
                [
                    ("AWS_DEFAULT_REGION", "eu-west-1"),
                    ("AWS_REGION", "eu-west-2"),
                ]
                .into(),
                "eu-west-2",
            ),
        ] {
            let config = ClientConfig {
                region: None,
                ..config(&server)
            };
            let connector = SdkConnector::new(Arc::new(environment));
            connector
                .sts(&config)
                .unwrap()
                .get_caller_identity()
                .await
                .unwrap();

            let heard = server.heard().pop().unwrap();
            let authorization = heard.header("authorization");
            assert!(
                authorization.contains(&format!("/{region}/sts/")),
                "{authorization}"
            );
        }
    }

    #[tokio::test]
    async fn without_an_endpoint_the_environment_may_name_one() {
        let server = Server::answering([identity()]).await;
        let config = ClientConfig {
            endpoint: None,
            ..config(&server)
        };
        for name in ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"] {
            let environment = FixedEnvironment::from([(name, server.url())]);
            let sts = SdkConnector::new(Arc::new(environment))
                .sts(&config)
                .unwrap();
            sts.get_caller_identity().await.unwrap();
        }

        assert_eq!(server.heard().len(), 2);
    }
}

mod connections {
    use super::*;

    #[tokio::test]
    async fn calls_that_follow_one_another_share_a_connection_whichever_client_makes_them() {
        let server = Server::answering([
            identity(),
            Reply::error(404, "NoSuchEntity", "no"),
            identity(),
        ])
        .await;
        let connector = connector();
        let iam = connector.iam(&config(&server)).unwrap();
        let sts = connector.sts(&config(&server)).unwrap();

        sts.get_caller_identity().await.unwrap();
        iam.get_user(None).await.unwrap_err();
        let sts = connector.sts(&config(&server)).unwrap();
        sts.get_caller_identity().await.unwrap();

        assert_eq!(server.heard().len(), 3);
        assert_eq!(server.connections(), 1);
    }

    #[tokio::test]
    async fn calls_at_once_open_no_more_connections_than_there_are_calls() {
        let (server, sts) = sts_answering([identity()]).await;
        let wave = || async {
            let calls = (0..8).map(|_| sts.get_caller_identity());
            let answers = futures_util::future::join_all(calls).await;
            assert!(answers.iter().all(Result::is_ok));
        };

        for _ in 0..5 {
            wave().await;
        }

        assert_eq!(server.heard().len(), 40);
        assert!(server.connections() <= 8, "{}", server.connections());
    }

    #[tokio::test]
    async fn this_machine_is_reached_without_the_proxy() {
        let server = Server::answering([identity()]).await;
        let proxy = Server::answering([Reply::new(403, "")]).await;
        let connector = SdkConnector::new(Arc::new(FixedEnvironment::from([
            ("HTTP_PROXY", proxy.url()),
            ("no_proxy", "example.com".into()),
        ])));

        let answer = connector
            .sts(&config(&server))
            .unwrap()
            .get_caller_identity()
            .await;

        assert!(answer.is_ok());
        assert_eq!(proxy.connections(), 0);
    }

    #[tokio::test]
    async fn a_plain_http_endpoint_elsewhere_is_reached_through_the_proxy() {
        let proxy = Server::answering([identity()]).await;
        let environment = FixedEnvironment::from([(
            "http_proxy",
            proxy.url().replace("http://", "http://alice:opensesame@"),
        )]);
        let config = ClientConfig {
            endpoint: Some(Endpoint::new("http://sts.example.com").unwrap()),
            ..config(&proxy)
        };

        let connector = SdkConnector::new(Arc::new(environment));
        connector
            .sts(&config)
            .unwrap()
            .get_caller_identity()
            .await
            .unwrap();

        let heard = &proxy.heard()[0];
        assert_eq!(heard.line, "POST http://sts.example.com/ HTTP/1.1");
        assert_eq!(
            heard.header("proxy-authorization"),
            "Basic YWxpY2U6b3BlbnNlc2FtZQ=="
        );
    }

    #[tokio::test]
    async fn a_proxy_that_is_no_address_is_named_but_not_shown() {
        let environment = FixedEnvironment::from([("HTTPS_PROXY", "opensesame@:::")]);
        let connector = SdkConnector::new(Arc::new(environment));

        let error = connector.iam(&ClientConfig::default()).unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(
            error.to_string(),
            "environment variable HTTPS_PROXY (or ALL_PROXY) must be an address such as \
             http://proxy.example.com:3128"
        );
    }
}

mod trust {
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
            text.starts_with(&format!("no connection to {}: ", stranger.address)),
            "{text}"
        );
        assert!(text.contains("AWS_CA_BUNDLE"), "{text}");
        for file in [known_file, stranger_file] {
            std::fs::remove_file(file).unwrap();
        }
    }

    #[tokio::test]
    async fn a_bundle_without_certificates_is_refused_by_name() {
        let file = std::env::temp_dir().join(format!("empty-{}.pem", std::process::id()));
        std::fs::write(&file, "nothing here").unwrap();
        let empty = trusting(&file).iam(&ClientConfig::default()).unwrap_err();
        std::fs::remove_file(&file).unwrap();
        let missing = trusting(&file).iam(&ClientConfig::default()).unwrap_err();

        for (error, reason) in [(empty, "no certificate"), (missing, "unreadable")] {
            let text = error.to_string();
            assert!(
                text.contains(file.to_str().unwrap()) && text.contains(reason),
                "{text}"
            );
        }
    }
}

mod failures {
    use super::*;

    async fn failure(reply: Reply) -> Error {
        let (_server, iam) = iam_answering([reply]).await;
        iam.create_user(CreateUser::new(user())).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_refusal_reads_as_aws_put_it() {
        let reason = "User: arn:aws:iam::111122223333:user/root is not authorized to perform: \
             iam:CreateUser";

        let error = failure(Reply::error(403, "AccessDenied", reason)).await;

        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(error.operation(), "iam:CreateUser");
        assert_eq!(error.code(), Some("AccessDenied"));
        assert_eq!(error.request_id(), Some("request-1"));
        assert_eq!(error.to_string(), format!("AccessDenied: {reason}"));
        assert!(!error.may_have_happened());
    }

    #[tokio::test]
    async fn a_refusal_without_a_word_still_says_something() {
        let silent = failure(Reply::error(403, "SignatureDoesNotMatch", "")).await;
        let empty = failure(Reply::new(403, "")).await;
        let page = failure(Reply::new(502, "<html><body>Bad Gateway</body></html>")).await;

        assert_eq!(silent.kind(), ErrorKind::InvalidCredentials);
        assert_eq!(
            silent.to_string(),
            "SignatureDoesNotMatch: AWS gave no reason (HTTP status 403)"
        );
        assert_eq!(empty.to_string(), "AWS gave no reason (HTTP status 403)");
        assert_eq!(page.to_string(), "AWS gave no reason (HTTP status 502)");
        assert!(page.may_have_happened());
    }

    #[tokio::test]
    async fn a_refusal_is_found_where_gateways_and_emulators_put_it() {
        let body = "<?xml version=\"1.0\"?><Response><Errors><Error><Code>AccessDenied</Code>\
             <Message>a &lt;b&gt; &amp;amp; c</Message></Error></Errors></Response>";

        let error = failure(Reply::new(403, body)).await;

        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(error.to_string(), "AccessDenied: a <b> &amp; c");
    }

    #[tokio::test]
    async fn an_answer_that_lacks_what_was_asked_for_is_an_error() {
        let (_server, iam) = iam_answering([Reply::result("CreateAccessKey", "")]).await;

        let error = iam.create_access_key(&user()).await.unwrap_err();

        assert_eq!(error.to_string(), "AWS's answer has no access key");
        assert!(error.may_have_happened());
    }

    #[tokio::test]
    async fn an_answer_of_somebody_else_is_an_error() {
        let error = failure(Reply::new(200, "<html><body>Welcome</body></html>")).await;

        assert_eq!(error.kind(), ErrorKind::Other);
        assert!(error.to_string().contains("HTTP status 200"), "{error}");
        assert!(error.may_have_happened());
    }

    #[tokio::test]
    async fn without_a_connection_nothing_happened() {
        let server = Server::answering([identity()]).await;
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = nobody.local_addr().unwrap();
        drop(nobody);
        let config = ClientConfig {
            endpoint: Some(Endpoint::new(format!("http://{address}")).unwrap()),
            ..config(&server)
        };
        let iam = connector().iam(&config).unwrap();

        let error = iam.create_user(CreateUser::new(user())).await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(!error.may_have_happened());
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("no connection to {address}: ")),
            "{text}"
        );
        assert!(text.contains("refused"), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_an_answer_it_may_have_happened() {
        for reply in [Reply::Silence, Reply::HangUp] {
            let error = failure(reply).await;

            assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
            assert!(error.may_have_happened());
            assert!(error.to_string().starts_with("no answer from "), "{error}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_with_all_its_tries_ends_in_a_minute() {
        let server = Server::answering([Reply::Silence]).await;
        let config = ClientConfig {
            max_retries: Some(20),
            ..config(&server)
        };
        let sts = connector().sts(&config).unwrap();
        let began = tokio::time::Instant::now();

        sts.get_caller_identity().await.unwrap_err();

        assert_eq!(began.elapsed().as_secs(), 60);
    }
}

mod retries {
    use super::*;

    fn throttled() -> Reply {
        Reply::error(400, "Throttling", "Rate exceeded")
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_is_tried_three_times_unless_told_otherwise() {
        for (max_retries, tries) in [(None, 3), (Some(0), 1), (Some(1), 2), (Some(5), 6)] {
            let server = Server::answering([throttled()]).await;
            let config = ClientConfig {
                max_retries,
                ..config(&server)
            };

            let sts = connector().sts(&config).unwrap();
            let error = sts.get_caller_identity().await.unwrap_err();

            assert_eq!(
                error.kind(),
                ErrorKind::Throttled,
                "{error} {max_retries:?}"
            );
            assert_eq!(server.heard().len(), tries);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_the_same_when_done_twice_is_tried_again() {
        for lost in [Reply::Silence, Reply::HangUp, Reply::new(500, "")] {
            let server = Server::answering([lost, identity()]).await;
            let sts = connector().sts(&retrying(&server)).unwrap();

            assert!(sts.get_caller_identity().await.is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_makes_something_anew_is_not_tried_again_when_it_may_have_happened() {
        for lost in [
            Reply::Silence,
            Reply::HangUp,
            Reply::error(500, "ServiceFailure", "failed"),
            Reply::new(502, "<html>"),
            Reply::new(200, "<html>"),
        ] {
            let made = Reply::result("CreateUser", USER);
            let server = Server::answering([lost.clone(), made]).await;
            let iam = connector().iam(&retrying(&server)).unwrap();
            let error = iam.create_user(CreateUser::new(user())).await.unwrap_err();

            assert!(error.may_have_happened(), "{lost:?}");
            assert_eq!(server.actions(), ["CreateUser"], "{lost:?}");
        }
        let server = Server::answering([Reply::Silence]).await;
        let iam = connector().iam(&retrying(&server)).unwrap();
        let error = iam.create_access_key(&user()).await.unwrap_err();
        assert!(error.may_have_happened());
        assert_eq!(server.actions(), ["CreateAccessKey"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_makes_something_anew_is_tried_again_when_aws_declined() {
        for declined in [throttled(), Reply::error(503, "ServiceUnavailable", "busy")] {
            let made = Reply::result("CreateUser", USER);
            let server = Server::answering([declined, made]).await;
            let iam = connector().iam(&retrying(&server)).unwrap();

            assert!(iam.create_user(CreateUser::new(user())).await.is_ok());
        }
    }
}

mod credentials {
    use super::*;

    #[derive(Debug)]
    struct Tokens(Result<&'static str, &'static str>);

    #[async_trait::async_trait]
    impl IdentityTokenSource for Tokens {
        async fn identity_token(&self) -> Result<SecretString, TokenSourceError> {
            self.0.map(Into::into).map_err(TokenSourceError::new)
        }
    }

    fn at(server: &Server) -> StsAddress {
        StsAddress {
            region: Some(Region::new("eu-west-3").unwrap()),
            endpoint: Some(Endpoint::new(server.url()).unwrap()),
        }
    }

    fn assumed(server: &Server) -> ClientConfig {
        let config = config(server);
        let role = AssumeRoleSource {
            source: config.credentials.clone(),
            role_arn: arn(ROLE),
            role_session_name: session_name(),
            external_id: Some("x1".into()),
            tags: vec![Tag::new("team", "red")],
            sts: at(server),
        };
        ClientConfig {
            credentials: CredentialSource::AssumeRole(Box::new(role)),
            ..config
        }
    }

    fn vouched(server: &Server, token: Result<&'static str, &'static str>) -> ClientConfig {
        ClientConfig {
            credentials: CredentialSource::WebIdentity(WebIdentitySource {
                role_arn: arn(ROLE),
                role_session_name: session_name(),
                tokens: Arc::new(Tokens(token)),
                sts: at(server),
            }),
            ..config(server)
        }
    }

    fn assume_role_answer() -> Reply {
        Reply::result(
            "AssumeRole",
            &format!(
                "{SESSION}<AssumedRoleUser><AssumedRoleId>AROA1:vault-1</AssumedRoleId>\
                 <Arn>arn:aws:sts::111122223333:assumed-role/deploy/vault-1</Arn></AssumedRoleUser>"
            ),
        )
    }

    #[tokio::test]
    async fn a_temporary_key_is_sent_with_its_token() {
        let server = Server::answering([identity()]).await;
        let config = ClientConfig {
            credentials: CredentialSource::Static {
                access_key_id: AccessKeyId::new("ASIA9").unwrap(),
                secret_access_key: "hunter2".into(),
                session_token: Some("t0ken".into()),
            },
            ..config(&server)
        };

        connector()
            .sts(&config)
            .unwrap()
            .get_caller_identity()
            .await
            .unwrap();

        assert_eq!(server.heard()[0].header("x-amz-security-token"), "t0ken");
    }

    #[tokio::test]
    async fn a_role_is_assumed_once_for_many_calls() {
        let server = Server::answering([assume_role_answer(), identity()]).await;
        let sts = connector().sts(&assumed(&server)).unwrap();

        sts.get_caller_identity().await.unwrap();
        sts.get_caller_identity().await.unwrap();

        assert_eq!(
            server.actions(),
            ["AssumeRole", "GetCallerIdentity", "GetCallerIdentity"]
        );
        let heard = server.heard();
        assert!(heard[0].header("authorization").contains("=AKIA1/"));
        assert!(heard[0].header("authorization").contains("/eu-west-3/sts/"));
        assert_eq!(heard[0].field("ExternalId"), "x1");
        assert_eq!(heard[0].field("Tags.member.1.Value"), "red");
        assert!(heard[1].header("authorization").contains("=ASIA1/"));
        assert_eq!(heard[1].header("x-amz-security-token"), "t0ken");
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_that_cannot_be_assumed_is_told_as_such() {
        let denied = Reply::error(403, "AccessDenied", "not authorized");
        let server = Server::answering([denied]).await;
        let config = ClientConfig {
            max_retries: None,
            ..assumed(&server)
        };
        let iam = connector().iam(&config).unwrap();

        let error = iam.get_user(None).await.unwrap_err();

        assert_eq!(error.operation(), "sts:AssumeRole");
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(error.to_string(), "AccessDenied: not authorized");
        assert_eq!(server.actions(), ["AssumeRole"]);
    }

    #[tokio::test]
    async fn an_identity_token_opens_a_session_unsigned() {
        let opened = Reply::result("AssumeRoleWithWebIdentity", SESSION);
        let server = Server::answering([opened, identity()]).await;
        let sts = connector().sts(&vouched(&server, Ok("jwt"))).unwrap();

        sts.get_caller_identity().await.unwrap();

        let heard = server.heard();
        assert_eq!(heard[0].field("Action"), "AssumeRoleWithWebIdentity");
        assert_eq!(heard[0].field("WebIdentityToken"), "jwt");
        assert_eq!(heard[0].field("RoleArn"), ROLE);
        assert_eq!(heard[0].header("authorization"), "");
        assert_eq!(heard[1].header("x-amz-security-token"), "t0ken");
    }

    #[tokio::test]
    async fn without_an_identity_token_aws_is_not_asked() {
        let server = Server::answering([identity()]).await;
        let config = vouched(&server, Err("host does not offer it"));
        let sts = connector().sts(&config).unwrap();

        let error = sts.get_caller_identity().await.unwrap_err();

        assert_eq!(error.kind(), ErrorKind::NoCredentials);
        assert_eq!(
            error.to_string(),
            "no identity token: host does not offer it"
        );
        assert_eq!(server.connections(), 0);
    }
}
