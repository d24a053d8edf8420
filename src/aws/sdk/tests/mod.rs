mod addresses;
mod compatible;
mod connections;
mod credentials;
mod failures;
mod logs;
mod requests;
mod retries;
mod simulation;
mod trust;

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
        credentials: key(),
        ..ClientConfig::default()
    }
}

fn key() -> CredentialSource {
    CredentialSource::Static {
        access_key_id: AccessKeyId::new("AKIA1").unwrap(),
        secret_access_key: "hunter2".into(),
        session_token: None,
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
