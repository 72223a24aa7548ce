//! Messages to the service manager (`sd_notify`): when the server is ready, how the sale goes, that it
//! ends, and, where it keeps a watchdog, that the server still turns over.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use sd_notify::NotifyState;

use super::watchdog::{ServerProgress, Watch};
use crate::limits::{STATUS_SECONDS, WATCH_SECONDS_MIN};
use crate::runtime::Shutdown;
use crate::sale::Engine;
use crate::telemetry::{JournalStatus, TelemetryRegistry};

/// Who is asked how the server is.
pub(super) struct WatchedServer {
    pub(super) engine: Arc<Engine>,
    pub(super) telemetry: Arc<TelemetryRegistry>,
    pub(super) shutdown: Shutdown,
}

/// The thread that tells the service manager.
pub(super) struct Notifier {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Notifier {
    /// Says that the server is ready, and starts the thread; `None` where no service manager listens.
    ///
    /// # Errors
    /// The operating system has no thread to give.
    pub(super) fn start(server: WatchedServer) -> std::io::Result<Option<Self>> {
        if std::env::var_os("NOTIFY_SOCKET").is_none_or(|socket| socket.is_empty()) {
            return Ok(None);
        }
        let watchdog = sd_notify::watchdog_enabled();
        let pause = pause(watchdog);
        notify(&[
            NotifyState::Ready,
            NotifyState::Status(&status(&server.engine)),
        ]);
        let (stop, stopped) = channel();
        let run = move || {
            let mut watch = Watch::new(pause);
            while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                report(&server, watchdog.is_some().then_some(&mut watch));
            }
        };
        let thread = Builder::new().name("notify".into()).spawn(run)?;
        Ok(Some(Self { stop, thread }))
    }

    /// Says that the server ends.
    pub(super) fn stopping() {
        notify(&[NotifyState::Stopping, NotifyState::Status("draining")]);
    }

    /// Ends the thread; returns when it has ended.
    pub(super) fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

/// From one report to the next: two fit into the time that the watchdog gives.
fn pause(watchdog: Option<Duration>) -> Duration {
    let usual = Duration::from_secs(STATUS_SECONDS);
    let Some(watchdog) = watchdog else {
        return usual;
    };
    let shortest = Duration::from_secs(WATCH_SECONDS_MIN);
    if watchdog < shortest * 2 {
        tracing::warn!(
            watchdog_ms = watchdog.as_millis() as u64,
            "the service manager's watchdog is too short: at least {} s",
            shortest.as_secs() * 2
        );
    }
    (watchdog / 2).clamp(shortest, usual)
}

fn report(server: &WatchedServer, watch: Option<&mut Watch>) {
    // Workers that have drained do not turn over any more, and the end has a deadline of its own.
    if server.shutdown.has_begun() {
        notify(&[NotifyState::Watchdog]);
        return;
    }
    let status = status(&server.engine);
    match watch.map(|watch| watch.check(signs(server))) {
        None => notify(&[NotifyState::Status(&status)]),
        Some(Ok(())) => notify(&[NotifyState::Watchdog, NotifyState::Status(&status)]),
        Some(Err(still)) => {
            tracing::error!("{still}: the service manager is not told that all is well");
            notify(&[NotifyState::Status(&still.to_string())]);
        }
    }
}

fn signs(server: &WatchedServer) -> ServerProgress {
    let workers = server.telemetry.workers();
    let JournalStatus {
        durable_lsn,
        appended_lsn,
        disk_full,
        ..
    } = server.engine.journal().status();
    ServerProgress {
        workers_busy_us: workers.iter().map(|worker| worker.busy_us).collect(),
        durable_lsn,
        writes: appended_lsn > durable_lsn,
        disk_full,
    }
}

/// The sale in words.
fn status(engine: &Engine) -> String {
    match engine.active_sale() {
        None => "no sale is open".to_owned(),
        Some(sale) => {
            let figures = sale.figures();
            let (sold, total) = (figures.sold, figures.total);
            let (id, until) = (sale.id(), sale.ended_at());
            format!("sale {id} is open until {until}: {sold} of {total} units sold")
        }
    }
}

/// That the service manager cannot be told is no reason not to sell.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("the service manager cannot be told: {error}");
    }
}
