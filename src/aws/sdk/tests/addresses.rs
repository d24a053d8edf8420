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
        credentials: key(),
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
