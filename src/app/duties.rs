//! What only the server does that sells: the schedule of the sales, and what follows the journal.

use std::sync::{Arc, OnceLock};

use super::AppError;
use super::followers::Followers;
use super::start::rotation;
use super::startup_phases::StartupPhases;
use super::webhooks::EventParts;
use crate::config::Config;
use crate::env::Clock;
use crate::sale::Engine;
use crate::schedule::{Agenda, Scheduler};
use crate::telemetry::TelemetryRegistry;
use crate::types::Lsn;

/// The parts that the duties are made of.
pub(super) struct DutyParts {
    pub(super) config: Config,
    pub(super) engine: Arc<Engine>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) telemetry: Arc<TelemetryRegistry>,
    pub(super) followed: FollowedRecord,
    pub(super) events: EventParts,
}

/// The last record that all have who follow the journal, once that is known.
#[derive(Clone, Default)]
pub(super) struct FollowedRecord(Arc<OnceLock<Box<dyn Fn() -> Lsn + Send + Sync>>>);

impl FollowedRecord {
    /// Returns the record; `None` while this server has not taken up its duties.
    pub(super) fn get(&self) -> Option<Lsn> {
        self.0.get().map(|followed| followed())
    }

    fn set(&self, followed: impl Fn() -> Lsn + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(followed));
    }
}

/// The duties as far as nothing has been done yet.
pub(super) struct PreparedDuties {
    followers: Followers,
    agenda: Agenda,
}

/// The duties of a server that sells.
pub(super) struct Duties {
    followers: Followers,
    scheduler: Scheduler,
}

impl DutyParts {
    /// Prepares them. A webhook that has no place here yet begins behind `begins_behind`, or the newest record.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(super) fn prepare(&self, begins_behind: Option<Lsn>) -> Result<PreparedDuties, AppError> {
        let Self {
            config,
            engine,
            clock,
            telemetry,
            followed,
            events,
        } = self;
        let journal = engine.journal();
        let followers = Followers::start(config, journal, clock, telemetry, events, begins_behind)?;
        followed.set(followers.followed());
        // Before anything else is done by the clock, because it knows whether that is to be believed.
        let agenda = Agenda::new(Arc::clone(engine), rotation(config));
        Ok(PreparedDuties { followers, agenda })
    }

    /// Begins them on a server that has just taken over, where those before have told webhooks everything up to `begins_behind`, which is 0 where that is not known: then they begin
    /// with the oldest record, because nothing may be left out. What cannot be begun is logged: it sells what there is.
    pub(super) fn take_up(&self, begins_behind: Lsn) -> Option<Duties> {
        let phases = StartupPhases::begin(&self.clock, "lead");
        let begun = self.prepare(Some(begins_behind)).and_then(|mut prepared| {
            let caught_up = prepared.catch_up(&phases);
            let fits = prepared.check(&phases);
            for error in [caught_up.err(), fits.err()].into_iter().flatten() {
                tracing::error!("{error}");
            }
            prepared.begin()
        });
        begun.inspect_err(|error| tracing::error!("{error}")).ok()
    }
}

impl PreparedDuties {
    /// Checks that the sinks fit this journal.
    ///
    /// # Errors
    /// The database does not.
    pub(super) fn check(&self, phases: &StartupPhases) -> Result<(), AppError> {
        self.followers.check(phases)
    }

    /// Does what became due while no server ran.
    ///
    /// # Errors
    /// The configuration makes no possible sale, or the journal has failed.
    pub(super) fn catch_up(&mut self, phases: &StartupPhases) -> Result<(), AppError> {
        self.agenda.catch_up()?;
        let (next_opening, took_ms) = (self.agenda.next_opening(), phases.took_ms());
        tracing::info!(%next_opening, took_ms, "scheduler ready");
        Ok(())
    }

    /// Begins them.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub(super) fn begin(mut self) -> Result<Duties, AppError> {
        // Logs the sales that are open already.
        self.agenda.run_due();
        Ok(Duties {
            followers: self.followers,
            scheduler: Scheduler::start(self.agenda)?,
        })
    }
}

impl Duties {
    /// Ends the schedule, and returns the followers, which go on until the journal is closed.
    pub(super) fn end_schedule(self) -> Followers {
        self.scheduler.stop();
        self.followers
    }
}
