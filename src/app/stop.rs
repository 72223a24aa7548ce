//! The end of the server, in the order in which its parts need each other.

use std::process;
use std::thread::{self, Builder};
use std::time::Duration;

use super::AppError;
use super::followers::Followers;
use super::logging;
use super::replication::ReplicationThread;
use super::start::{Selling, Service};
use super::startup_phases::StartupPhases;
use super::systemd::Notifier;
use crate::limits::STOP_SECONDS_MAX;

impl Service {
    /// Answers whoever is in the middle of a request, makes everything durable, and lets the sinks take
    /// what they can. To be called once the shutdown has been given.
    ///
    /// # Errors
    /// A worker had not started, or has panicked. Everything else has ended well by then.
    pub(super) fn stop(self) -> Result<Ended, AppError> {
        let mut steps = StartupPhases::begin(&self.clock, "drain");
        end_in_time();
        // Readiness goes off before the workers get to it.
        self.engine.start_draining();
        Notifier::stopping();
        let drained = self.running.join();
        if let Ok(report) = &drained {
            let (open, cut) = (report.open, report.cut);
            tracing::info!(open, cut, took_ms = steps.took_ms(), "connections drained");
        }

        steps.next("scheduler");
        self.observer.stop();
        self.ticker.stop();
        self.feed.stop();
        let (followers, replication) = self.selling.end_schedule();
        tracing::info!(
            took_ms = steps.took_ms(),
            "scheduler, ticker and observer stopped"
        );

        steps.next("journal");
        let journal = self.engine.journal();
        journal.close();
        let ended = replication.map_or(Ended::Stopped, ReplicationThread::end);
        self.housekeeper.join();
        let last_lsn = journal.durable().0;
        tracing::info!(last_lsn, took_ms = steps.took_ms(), "journal closed");

        steps.next("sinks");
        if let Some(followers) = followers {
            followers.stop();
        }
        let now = self.clock.now();
        let sinks = self.telemetry.sinks().iter();
        for (sink, gauge) in sinks.filter(|(_, gauge)| gauge.is_configured()) {
            let sink = sink.name();
            let figures = gauge.figures(journal.durable(), now);
            let (lsn, behind) = (figures.applied_lsn, figures.lag_records);
            let took_ms = steps.took_ms();
            tracing::info!(sink, lsn, behind, took_ms, "{sink} follower stopped");
        }
        self.telemetry.errors().write();
        if let Some(notifier) = self.notifier {
            notifier.stop();
        }
        tracing::info!(took_ms = steps.all_took_ms(), "stopped");
        drained?;
        Ok(ended)
    }
}

/// How a server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was to stop.
    Stopped,
    /// It was to hand over its leadership, and to go on as a standby.
    HandedOver,
}

impl Selling {
    /// Ends what appends to the journal. Returns what goes on until it is closed.
    fn end_schedule(self) -> (Option<Followers>, Option<ReplicationThread>) {
        match self {
            Self::Always(duties) => (Some(duties.end_schedule()), None),
            Self::InTurn(thread) => (thread.end_duties(), Some(thread)),
        }
    }
}

/// Ends the process when it has not ended by itself in time. Nothing is lost by that: what was answered is
/// on the disk, and the next start goes on from there.
fn end_in_time() {
    let end = || {
        thread::sleep(Duration::from_secs(STOP_SECONDS_MAX));
        tracing::error!("not stopped within {STOP_SECONDS_MAX} s: leaving anyway");
        logging::flush();
        process::exit(1);
    };
    if let Err(error) = Builder::new().name("deadline".into()).spawn(end) {
        tracing::warn!("the end has no deadline: {error}");
    }
}
