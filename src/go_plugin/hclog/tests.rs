use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use tracing::callsite::{Callsite, Identifier};
use tracing::field::FieldSet;
use tracing::metadata::Kind;
use tracing::subscriber::Interest;
use tracing::{debug, error, error_span, info, trace, warn};

use super::*;
use crate::clock::ManualClock;

/// Where an event comes from.
struct Place(OnceLock<Metadata<'static>>);

impl Callsite for Place {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        self.0.get().unwrap()
    }
}

fn text_of(level: LevelFilter, run: impl FnOnce()) -> String {
    let queue = Arc::new(Queue::default());
    let subscriber = subscriber(level, ManualClock::default(), Arc::clone(&queue));
    tracing::subscriber::with_default(subscriber, run);
    queue.text()
}

fn lines_of(level: LevelFilter, run: impl FnOnce()) -> Vec<Value> {
    text_of(level, run)
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect()
}

#[test]
fn an_event_is_one_object_with_three_text_keys_and_six_digits_of_a_second() {
    let lines = lines_of(LevelFilter::INFO, || {
        info!(attempt = 2, "rotated {}", "a key");
    });

    assert_eq!(
        lines,
        [json!({
            "@level": "info",
            "@message": "rotated a key",
            "@timestamp": "2026-01-02T03:04:05.000000Z",
            "attempt": 2,
        })]
    );
}

#[test]
fn every_level_has_the_name_that_hclog_knows() {
    let lines = lines_of(LevelFilter::TRACE, || {
        error!("");
        warn!("");
        info!("");
        debug!("");
        trace!("");
    });

    let levels: Vec<_> = lines.iter().map(|line| &line["@level"]).collect();
    assert_eq!(levels, ["error", "warn", "info", "debug", "trace"]);
}

#[test]
fn an_event_carries_the_fields_of_its_spans_and_its_own_win() {
    let lines = lines_of(LevelFilter::INFO, || {
        let outer =
            error_span!("request", path = "creds/a", late = tracing::field::Empty).entered();
        outer.record("late", true);
        error_span!("aws_call", operation = "CreateUser", path = "inner").in_scope(|| {
            warn!(operation = "own", "slow");
        });
    });

    assert_eq!(lines[0]["path"], "inner");
    assert_eq!(lines[0]["late"], true);
    assert_eq!(lines[0]["operation"], "own");
}

#[test]
fn nothing_can_take_the_place_of_the_keys_that_crash_a_host() {
    let lines = lines_of(LevelFilter::INFO, || {
        info!("@level" = 7, "@timestamp" = false, "@message" = 1, "text");
        info!(message = 5);
    });

    for line in &lines {
        assert_eq!(line["@level"], "info");
        assert_eq!(line["@timestamp"], "2026-01-02T03:04:05.000000Z");
    }
    assert_eq!(lines[0]["@message"], "text");
    assert_eq!(lines[1]["@message"], "5");
}

#[test]
fn line_breaks_in_a_message_do_not_break_the_line() {
    let text = text_of(LevelFilter::INFO, || info!("two\nlines\r\nand \u{1f980}"));

    assert_eq!(text.matches('\n').count(), 1);
    assert!(text.ends_with('\n'));
}

#[test]
fn no_line_reaches_the_64_kib_at_which_the_host_cuts() {
    let control_characters = "\u{1}".repeat(100_000);
    let many = "x".repeat(100_000);
    let text = text_of(LevelFilter::INFO, || {
        info!("{control_characters}");
        info!(
            a = control_characters,
            b = control_characters,
            "{control_characters}"
        );
        info!(a = many, b = many, c = many, "three long fields");
        info!("{}", "\u{1f980}".repeat(50_000));
    });

    let lines: Vec<Value> = text
        .lines()
        .inspect(|line| assert!(line.len() < 64 * 1024))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[1]["truncated"], true);
    assert_eq!(lines[2]["a"].as_str().unwrap().len(), 8 * 1024);
}

#[test]
fn an_error_is_told_with_its_causes() {
    #[derive(Debug, thiserror::Error)]
    #[error("cannot listen")]
    struct Outer(#[source] fmt::Error);

    let lines = lines_of(LevelFilter::INFO, || {
        let error: &(dyn std::error::Error + 'static) = &Outer(fmt::Error);
        error!(error, "stopped");
    });

    assert_eq!(lines[0]["error"], format!("cannot listen: {}", fmt::Error));
}

#[test]
fn other_crates_stay_at_warn_even_when_everything_is_asked_for() {
    let lines = lines_of(LevelFilter::TRACE, || {
        debug!(target: "h2::codec", "frame");
        info!(target: "h2::codec", "frame");
        trace!(target: "aws_smithy_runtime", "authorization: secret");
        warn!(target: "h2::codec", "reset");
        trace!("ours");
    });

    let messages: Vec<_> = lines.iter().map(|line| &line["@message"]).collect();
    assert_eq!(messages, ["reset", "ours"]);
}

#[test]
fn what_is_below_the_level_is_never_formatted() {
    struct Costly<'a>(&'a AtomicBool);
    impl fmt::Debug for Costly<'_> {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.store(true, Ordering::Relaxed);
            Ok(())
        }
    }
    let formatted = AtomicBool::new(false);

    let lines = lines_of(
        LevelFilter::INFO,
        || debug!(costly = ?Costly(&formatted), "detail"),
    );

    assert!(lines.is_empty());
    assert!(!formatted.load(Ordering::Relaxed));
}

#[test]
fn a_place_that_is_off_is_asked_about_once_and_never_again() {
    for (level, target, event, interested) in [
        (LevelFilter::INFO, OURS, Level::INFO, true),
        (LevelFilter::INFO, OURS, Level::DEBUG, false),
        (LevelFilter::TRACE, OURS, Level::TRACE, true),
        (LevelFilter::TRACE, "h2::codec", Level::WARN, true),
        (LevelFilter::TRACE, "h2::codec", Level::INFO, false),
        (
            LevelFilter::TRACE,
            "hyper_util::client",
            Level::TRACE,
            false,
        ),
        (
            LevelFilter::TRACE,
            "aws_smithy_runtime",
            Level::DEBUG,
            false,
        ),
        (LevelFilter::ERROR, "tonic::transport", Level::WARN, false),
    ] {
        let subscriber = subscriber(level, ManualClock::default(), Arc::default());
        let place = Box::leak(Box::new(Place(OnceLock::new())));
        let fields = FieldSet::new(&[], Identifier(place));
        let metadata = Metadata::new("", target, event, None, None, None, fields, Kind::EVENT);
        let metadata = place.0.get_or_init(|| metadata);

        let interest = subscriber.register_callsite(metadata);

        let name = format!("{event} of {target} at {level}");
        assert_eq!(interest.is_never(), !interested, "{name}");
        assert_eq!(interest.is_always(), interested, "{name}");
        // The levels that are off everywhere do not even look at their place.
        assert_eq!(subscriber.max_level_hint(), Some(level), "{name}");
    }
}

#[test]
fn a_panic_is_an_error_line_with_its_place_and_without_its_message() {
    let lines = lines_of(LevelFilter::INFO, || {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(log_panic));
        let span = error_span!("request", path = "creds/a").entered();
        let caught = std::panic::catch_unwind(|| panic!("hunter2"));
        drop(span);
        std::panic::set_hook(before);
        assert!(caught.is_err());
    });

    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["@level"], "error");
    assert_eq!(lines[0]["path"], "creds/a");
    assert!(lines[0]["location"].as_str().unwrap().contains(file!()));
    assert!(!lines[0].to_string().contains("hunter2"));
}

#[test]
fn lines_that_were_lost_are_told_as_a_warning_with_their_number() {
    let line = notice(&ManualClock::default(), 7);

    assert_eq!(
        serde_json::from_slice::<Value>(&line).unwrap(),
        json!({
            "@level": "warn",
            "@message": "log lines were lost, because the server did not read them",
            "@timestamp": "2026-01-02T03:04:05.000000Z",
            "dropped": 7,
        })
    );
    assert!(line.ends_with(b"\n"));
}
