//! Logs as the host reads them: hclog's JSON, one object a line, on stderr.
//!
//! The host asserts that `@message`, `@level` and `@timestamp` are strings and crashes if one is
//! not; it takes a line for raw text if the timestamp has not exactly six fractional digits; and it
//! cuts lines at 64 KiB.

mod fields;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::panic::PanicHookInfo;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry, Scope};

use crate::clock::Clock;
use fields::Fields;

/// Our own messages. All others stay at `warn`: what HTTP, TLS and AWS libraries trace can hold
/// secrets.
const OURS: &str = env!("CARGO_CRATE_NAME");

/// Room for `@` keys and the host's limit of 64 KiB.
const MAX_LINE: usize = 60 * 1024;

const TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// Sends this process's logs to the host, and its panics too. What is below `level` costs nothing.
///
/// A panic becomes a line with its place only: its message may hold what the code was working on.
pub fn install(level: LevelFilter, clock: impl Clock) {
    let subscriber = subscriber(level, clock, io::stderr());
    // Only a second call can fail, and then the first one is in force.
    let _ = tracing::subscriber::set_global_default(subscriber);
    std::panic::set_hook(Box::new(log_panic));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    tracing::error!(location, "a task panicked, which is a bug in this plugin");
}

fn subscriber(
    level: LevelFilter,
    clock: impl Clock,
    out: impl Write + Send + 'static,
) -> impl Subscriber + Send + Sync {
    let levels = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(OURS, level);
    let lines = HclogLayer {
        clock,
        out: Mutex::new(out),
    };
    Registry::default().with(lines).with(levels)
}

/// Writes each event with the fields of the spans around it.
struct HclogLayer<C, W> {
    clock: C,
    out: Mutex<W>,
}

impl<C: Clock, W: Write> HclogLayer<C, W> {
    /// The line of one event, with its newline.
    fn line(&self, metadata: &Metadata<'_>, mut fields: Fields) -> Vec<u8> {
        let message = fields.take_message();
        let line = encode(fields.into_iter().chain(self.head(metadata, &message)));
        if line.len() <= MAX_LINE {
            return line;
        }
        let cut = ("truncated".to_owned(), Value::Bool(true));
        encode([cut].into_iter().chain(self.head(metadata, &message)))
    }

    fn head(
        &self,
        metadata: &Metadata<'_>,
        message: &str,
    ) -> impl Iterator<Item = (String, Value)> + use<C, W> {
        let level = match *metadata.level() {
            Level::TRACE => "trace",
            Level::DEBUG => "debug",
            Level::INFO => "info",
            Level::WARN => "warn",
            Level::ERROR => "error",
        };
        // Formatting a date of our own era cannot fail.
        let timestamp = self.clock.now().format(TIMESTAMP).unwrap_or_default();
        [
            ("@level", level),
            ("@message", message),
            ("@timestamp", &timestamp),
        ]
        .map(|(key, text)| (key.to_owned(), Value::from(text)))
        .into_iter()
    }
}

/// Of equal names the last one stays, so nothing can take the place of an `@` key.
fn encode(fields: impl Iterator<Item = (String, Value)>) -> Vec<u8> {
    let object: serde_json::Map<String, Value> = fields.collect();
    let mut line = Value::Object(object).to_string().into_bytes();
    line.push(b'\n');
    line
}

impl<S, C, W> Layer<S> for HclogLayer<C, W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    C: Clock,
    W: Write + Send + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let mut new = Fields::default();
        values.record(&mut new);
        if let Some(span) = context.span(id) {
            let mut extensions = span.extensions_mut();
            if let Some(fields) = extensions.get_mut::<Fields>() {
                fields.extend(new);
            }
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        let spans = context.event_scope(event).into_iter();
        for span in spans.flat_map(Scope::from_root) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.extend(of_span.clone());
            }
        }
        let mut own = Fields::default();
        event.record(&mut own);
        fields.extend(own);
        let line = self.line(event.metadata(), fields);
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody is left to tell if the host does not read.
        let _ = out.write_all(&line);
    }
}
