//! Logs as the host reads them: hclog's JSON, one object a line, on stderr.
//!
//! The host asserts that `@message`, `@level` and `@timestamp` are strings and crashes if one is
//! not; it takes a line for raw text if the timestamp has not exactly six fractional digits; and it
//! cuts lines at 64 KiB.

mod fields;
mod queue;
#[cfg(test)]
mod tests;

use std::io;
use std::panic::PanicHookInfo;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
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
use queue::Queue;

/// Our own messages. All others stay at `warn`: what HTTP, TLS and AWS libraries trace can hold
/// secrets.
const OURS: &str = env!("CARGO_CRATE_NAME");

/// Room for `@` keys and the host's limit of 64 KiB.
const MAX_LINE: usize = 60 * 1024;

const TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// How long the end of the process waits for a host that reads slowly. With the grace that requests
/// get it stays within the two seconds after which the host kills.
const FLUSH: Duration = Duration::from_millis(500);

/// How long a panic waits for its line: there are some that end the process at once.
const FLUSH_OF_PANIC: Duration = Duration::from_millis(50);

/// The logs of this process. Dropping it, at the end of the process, waits for what is still to be
/// written, half a second at most.
#[must_use = "what is not yet written when the process ends is lost"]
pub struct Logs(Arc<Queue>);

impl Drop for Logs {
    fn drop(&mut self) {
        self.0.flush(FLUSH);
    }
}

impl std::fmt::Debug for Logs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Logs").finish_non_exhaustive()
    }
}

/// Sends this process's logs to the host, and its panics too. What is below `level` costs nothing.
///
/// A thread of its own writes them: if the host does not read, the logs wait, up to a mebibyte, and
/// nobody else does. What finds no room is counted, and a line says so when there is room again.
///
/// A panic becomes a line with its place only: its message may hold what the code was working on.
///
/// It fails when the system gives no thread.
pub fn install(level: LevelFilter, clock: impl Clock + Clone) -> io::Result<Logs> {
    let queue = Arc::new(Queue::default());
    let logs = Logs(Arc::clone(&queue));
    // Only a second call can fail, and then the first one is in force.
    let _ = tracing::subscriber::set_global_default(subscriber(
        level,
        clock.clone(),
        Arc::clone(&queue),
    ));
    let of_panics = Arc::clone(&queue);
    std::panic::set_hook(Box::new(move |panic| {
        log_panic(panic);
        of_panics.flush(FLUSH_OF_PANIC);
    }));
    thread::Builder::new()
        .name("logs".to_owned())
        .spawn(move || {
            loop {
                queue.write_next(&mut io::stderr(), |dropped| notice(&clock, dropped));
            }
        })?;
    Ok(logs)
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    tracing::error!(location, "a task panicked, which is a bug in this plugin");
}

/// The line in place of those that were lost.
fn notice(clock: &impl Clock, dropped: u64) -> Vec<u8> {
    let message = "log lines were lost, because the server did not read them";
    let dropped = ("dropped".to_owned(), json!(dropped));
    encode(
        [dropped]
            .into_iter()
            .chain(head(clock, Level::WARN, message)),
    )
}

fn subscriber(
    level: LevelFilter,
    clock: impl Clock,
    queue: Arc<Queue>,
) -> impl Subscriber + Send + Sync {
    let levels = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target(OURS, level);
    let lines = HclogLayer { clock, queue };
    Registry::default().with(lines).with(levels)
}

/// Queues each event with the fields of the spans around it.
struct HclogLayer<C> {
    clock: C,
    queue: Arc<Queue>,
}

impl<C: Clock> HclogLayer<C> {
    /// The line of one event, with its newline.
    fn line(&self, metadata: &Metadata<'_>, mut fields: Fields) -> Vec<u8> {
        let message = fields.take_message();
        let head = || head(&self.clock, *metadata.level(), &message);
        let line = encode(fields.into_iter().chain(head()));
        if line.len() <= MAX_LINE {
            return line;
        }
        let cut = ("truncated".to_owned(), Value::Bool(true));
        encode([cut].into_iter().chain(head()))
    }
}

fn head(clock: &impl Clock, level: Level, message: &str) -> [(String, Value); 3] {
    let level = match level {
        Level::TRACE => "trace",
        Level::DEBUG => "debug",
        Level::INFO => "info",
        Level::WARN => "warn",
        Level::ERROR => "error",
    };
    // Formatting a date of our own era cannot fail.
    let timestamp = clock.now().format(TIMESTAMP).unwrap_or_default();
    [
        ("@level", level),
        ("@message", message),
        ("@timestamp", &timestamp),
    ]
    .map(|(key, text)| (key.to_owned(), Value::from(text)))
}

/// Of equal names the last one stays, so nothing can take the place of an `@` key.
fn encode(fields: impl Iterator<Item = (String, Value)>) -> Vec<u8> {
    let object: serde_json::Map<String, Value> = fields.collect();
    let mut line = Value::Object(object).to_string().into_bytes();
    line.push(b'\n');
    line
}

impl<S, C> Layer<S> for HclogLayer<C>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    C: Clock,
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
        self.queue.push(&self.line(event.metadata(), fields));
    }
}
