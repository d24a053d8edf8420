use std::fmt::Write as _;
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use super::*;

/// Every span and event, of every crate, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Log {
    fn line(&self, metadata: &tracing::Metadata<'_>, record: impl FnOnce(&mut Line<'_>)) {
        let mut text = self.0.lock().unwrap();
        write!(text, "{} {}", metadata.target(), metadata.name()).unwrap();
        record(&mut Line(&mut text));
        text.push('\n');
    }
}

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Log {
    fn on_new_span(&self, span: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.line(span.metadata(), |line| span.record(line));
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        self.line(event.metadata(), |line| event.record(line));
    }
}

#[tokio::test]
async fn a_call_is_logged_by_name_and_outcome_without_secrets() {
    let log = Log::default();
    // While there is only one subscriber, `tracing` asks the thread that first comes by a span or
    // event whether anybody listens, and other tests' threads have none. With two it asks both.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(log.clone()));
    let key = "<AccessKey><UserName>deploy</UserName><AccessKeyId>AKIA2</AccessKeyId>\
         <Status>Active</Status><SecretAccessKey>opensesame</SecretAccessKey></AccessKey>";
    let (_server, iam) = iam_answering([
        Reply::result("CreateAccessKey", key),
        Reply::error(409, "LimitExceeded", "two are enough"),
    ])
    .await;

    iam.create_access_key(&user()).await.unwrap();
    iam.create_access_key(&user()).await.unwrap_err();

    let text = log.0.lock().unwrap().clone();
    let ours: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("vault_plugin_secrets_aws::aws::sdk::call "))
        .collect();
    assert_eq!(ours[0], "aws_call operation=\"iam:CreateAccessKey\"");
    assert!(ours[1].contains("elapsed_ms=") && ours[1].contains("AWS answered"));
    assert!(ours[3].contains("code=\"LimitExceeded\""), "{}", ours[3]);
    assert_eq!(ours.len(), 4);
    for secret in ["hunter2", "opensesame"] {
        for line in text.lines() {
            assert!(!line.contains(secret), "{line}");
        }
    }
}
