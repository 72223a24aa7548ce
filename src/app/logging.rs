//! The log.

use std::backtrace::Backtrace;
use std::io::IsTerminal;
use std::panic::{self, PanicHookInfo};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

use super::log_writer::LogWriter;
use crate::config::{LogConfig, LogFormat};
use crate::limits::LOG_FLUSH_MS;

/// The writer of the log. The thread that ends the process must [`flush`] it.
static WRITER: OnceLock<LogWriter> = OnceLock::new();

/// The filter of libraries whose lines do not name the sink, or tell the address of a webhook, in which a secret may be: our own lines say
/// what has come of it. A level for them in `log.level` wins over this.
const NAMELESS: &str = "deadpool=off,tokio_postgres=off,ureq=off,ureq_proto=off";

/// Sees to it that the last lines are written when it is dropped.
pub(super) struct Logging(());

impl Drop for Logging {
    fn drop(&mut self) {
        flush();
    }
}

/// Starts logging to standard error. A second call in one process changes nothing.
pub(super) fn start(config: &LogConfig) -> Logging {
    let builder = fmt()
        .with_env_filter(filter(&config.level))
        .with_writer(writer())
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    panic::set_hook(Box::new(log_panic));
    let _ = match config.format {
        LogFormat::Human => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Logging(())
}

/// Returns the filter for `level`.
fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_new(format!("{NAMELESS},{level}")).unwrap_or_else(|error| {
        eprintln!("log.level {level:?}: {error}; using info");
        EnvFilter::new(format!("{NAMELESS},info"))
    })
}

/// Writes what is still to be written. To be called before the process is ended in any other way than by
/// dropping [`Logging`].
pub(super) fn flush() {
    if let Some(writer) = WRITER.get() {
        writer.flush(Duration::from_millis(LOG_FLUSH_MS));
    }
}

/// Where there is no thread for it, everybody writes for themselves.
fn writer() -> BoxMakeWriter {
    match LogWriter::start(std::io::stderr()) {
        Ok(writer) => BoxMakeWriter::new(WRITER.get_or_init(|| writer).clone()),
        Err(_) => BoxMakeWriter::new(std::io::stderr),
    }
}

/// A panic is a line as any other, which says where it was, and how the thread had got there. The process
/// may end right behind it.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::force_capture();
    let thread = thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    tracing::error!(thread, %backtrace, "{panic}");
    flush();
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};
    use std::sync::Arc;

    use super::*;

    /// Returns the lines logged while the hook is this one, by a thread of that name which panics.
    fn logged_by(name: &str) -> String {
        let mut log = tempfile::tempfile().expect("a temporary file");
        let writer = Arc::new(log.try_clone().expect("the same file"));
        let subscriber = fmt()
            .json()
            .flatten_event(true)
            .with_writer(writer)
            .finish();
        let before = panic::take_hook();
        panic::set_hook(Box::new(log_panic));
        let panicking = thread::Builder::new().name(name.to_owned()).spawn(|| {
            tracing::subscriber::with_default(subscriber, || panic!("something is broken"));
        });
        let ended = panicking.expect("a thread").join();
        panic::set_hook(before);
        assert!(ended.is_err());
        let mut text = String::new();
        log.rewind().expect("a file");
        log.read_to_string(&mut text).expect("UTF-8");
        text
    }

    #[test]
    fn lines_of_the_clients_that_name_no_sink_are_left_out_unless_they_are_asked_for() {
        let logged = |level: &str| {
            let mut log = tempfile::tempfile().expect("a temporary file");
            let writer = Arc::new(log.try_clone().expect("the same file"));
            let subscriber = fmt().with_env_filter(filter(level)).with_writer(writer);
            tracing::subscriber::with_default(subscriber.finish(), || {
                tracing::warn!(target: "deadpool.postgres", "Connection could not be recycled");
                tracing::info!(target: "tokio_postgres::connection", "WARNING: something");
                tracing::info!(target: "flashsale::reconcile", "Postgres is connected");
            });
            let mut text = String::new();
            log.rewind().expect("a file");
            log.read_to_string(&mut text).expect("UTF-8");
            text
        };
        let usual = logged("info");
        assert_eq!(usual.lines().count(), 1, "{usual}");
        assert!(usual.contains("Postgres is connected"), "{usual}");
        let all = logged("info,deadpool=warn,tokio_postgres=info");
        assert_eq!(all.lines().count(), 3, "{all}");
    }

    #[test]
    fn a_panic_says_which_thread_and_how_it_got_there() {
        let log = logged_by("worker-7");
        let line: serde_json::Value = serde_json::from_str(&log).expect("one line");
        assert_eq!(line["thread"], "worker-7");
        let message = line["message"].as_str().expect("text");
        assert!(message.contains("something is broken"), "{message}");
        assert!(message.contains("src/app/logging.rs"), "{message}");
        let backtrace = line["backtrace"].as_str().expect("text");
        assert!(backtrace.contains("logged_by"), "{backtrace}");
    }
}
